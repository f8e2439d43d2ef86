"""What the settings add to a node: services, application, trace."""

from msgin5g.builder.name_lookup import resolver_of
from msgin5g.port.system import ticks_ms


def add_services(builder, node):
    """Add what is asked for to the Node that a Builder has made, apart from its radios."""
    settings = builder.settings
    if settings.trace:
        from msgin5g.port.trace import Trace

        node.trace = Trace(node.print_event)
    if node.configuration:
        if settings.confirm in ("lasting", "ping"):
            from msgin5g.services.trial_check import TrialCheck

            resolve = resolver_of(node) if settings.confirm == "ping" else None
            node.services.append(TrialCheck(node.ue, resolve))
        if settings.button_pin is not None and builder.runs:
            from msgin5g.services.button import Button

            node.services.append(Button(settings.button_pin, node))
    if builder.application:
        node.application = builder.application
        node.services.append(builder.application)
        builder.application.begin(node, resolver_of(node), ticks_ms)
    else:
        node.missing_application = settings.application
