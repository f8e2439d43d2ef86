"""The services of a node that the settings ask for, or that its application needs."""

from msgin5g.port.resolver import Resolver
from msgin5g.port.system import ticks_ms


def add_services(builder, node):
    """Add the services to the Node that a Builder has made, apart from its radios."""
    settings = builder.settings
    if node.configuration:
        if settings.confirm in ("lasting", "ping"):
            from msgin5g.services.trial_check import TrialCheck

            resolver = Resolver(node).resolve if settings.confirm == "ping" else None
            node.services.append(TrialCheck(node.ue, resolver))
        if settings.button_pin is not None and builder.runs:
            from msgin5g.services.button import Button

            node.services.append(Button(settings.button_pin, node))
    if settings.watchdog_s and builder.runs:
        from msgin5g.services.watchdog import Watchdog

        node.watchdog = Watchdog(settings.watchdog_s * 1000)
        node.services.append(node.watchdog)
    if builder.application:
        node.application = builder.application
        node.services.append(builder.application)
        builder.application.begin(node, Resolver(node).resolve, ticks_ms)
    elif builder.application_name:
        node.missing_application = builder.application_name
