"""A UE on loopback and its datagrams.

    micropython -X heapsize=192K ue.py FIRMWARE_DIR SETTINGS STATE_DIR N_OUTCOMES

It fetches again after each outcome, observing or not as the settings say, until it has had
N_OUTCOMES. One JSON object a line: `out` and `hex` of each datagram, `event` of each event.
"""

from binascii import hexlify

from measure import arguments, tell

from msgin5g.builder import open_node
from msgin5g.port.system import ticks_ms
from msgin5g.settings import load

_OUTCOMES = ("applied", "unchanged", "refused", "rejected", "timeout")


class Watch:
    """Prints what a node receives, sends and reports; ends it after n_outcomes."""

    def __init__(self, node, n_outcomes):
        self._ue = node.ue
        self._n_outcomes = n_outcomes
        node.print_event = self.print_event
        node.trace = self.print_datagram

    def print_datagram(self, out, datagram, remote):
        tell({"out": out, "hex": hexlify(datagram).decode()})

    def print_event(self, event):
        """True ends the node's loop."""
        tell({"event": event["event"]})
        self._n_outcomes -= event["event"] in _OUTCOMES
        if not self._ue.client.observing and not self._ue.client.busy:
            self._ue.fetch(ticks_ms())
        return self._n_outcomes == 0


def main():
    settings, state, n_outcomes = arguments()
    node = open_node(load(settings), state, True)
    Watch(node, int(n_outcomes))
    node.run()


main()
