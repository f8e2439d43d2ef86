"""Names of hosts, looked up without the watchdog biting."""

from msgin5g.port.address import TransportError, remote_of


class Lookup:
    """A function of (host, port): the remote on the first link of a node, or None.

    On a board it waits as long as the DNS does, some seconds at worst.
    """

    def __init__(self, node):
        self._node = node

    def __call__(self, host, port):
        watchdog = self._node.watchdog
        if watchdog and watchdog.held:
            watchdog = None  # by a person at the REPL
        if watchdog:
            watchdog.hold()
        try:
            return remote_of(host, port)
        except TransportError:
            return None
        finally:
            if watchdog:
                watchdog.release()
