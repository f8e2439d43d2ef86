"""What the settings add to a node: services, application, trace."""

from msgin5g.port.resolver import TransportError, resolve
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
    else:
        node.missing_application = settings.application


class Resolver:
    """Resolves names for a running node; its watchdog is held meanwhile.

    On a board a DNS query blocks the loop, for some seconds at worst.
    """

    def __init__(self, node):
        self._node = node

    def resolve(self, host, port):
        """The remote of an address, or None when the name is not known."""
        watchdog = self._node.watchdog
        if watchdog and watchdog.held:
            watchdog = None  # held already, by a person at the REPL
        if watchdog:
            watchdog.hold()
        try:
            return resolve(host, port)
        except TransportError:
            return None
        finally:
            if watchdog:
                watchdog.release()
