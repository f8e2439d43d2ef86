"""What the settings add to a node: services, application, trace, the lookup of host names."""

from msgin5g.port.resolver import look_up
from msgin5g.port.system import random_byte, ticks_ms


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


def new_name_lookup(radios):
    """A NameLookup; radios: the Radios of the node, or None."""
    from msgin5g.services.name_lookup import NameLookup

    return NameLookup(look_up, radios.is_up if radios else _always, ticks_ms, random_byte)


def resolver_of(node):
    """NameLookup.resolve of a Node; its NameLookup is made when there is something to resolve."""

    def resolve(host, port):
        if node.name_lookup is None:
            new_name_lookup(node.radios).join(node)
        return node.name_lookup.resolve(host, port)

    return resolve


def _always():
    return True
