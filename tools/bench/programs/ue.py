"""A UE on loopback and its datagrams.

    micropython -X heapsize=192K ue.py FIRMWARE_DIR SETTINGS STATE_DIR N_OUTCOMES

It asks again after each outcome, observing or not as the settings say, until it has had
N_OUTCOMES. One JSON object a line: `out` and `hex` of each datagram, `event` of each event.
"""

from binascii import hexlify

from measure import arguments, tell

_OUTCOMES = ("applied", "unchanged", "refused", "rejected", "timeout")


def _trace(out, datagram, remote):
    tell({"out": out, "hex": hexlify(datagram).decode()})


def _watch(run, n_outcomes):
    def watched(node, links, ticks_ms, _tell, _trace_of_main, *rest):
        n = 0
        ue = getattr(node, "ue", node)

        def told(event):
            nonlocal n
            tell({"event": event["event"]})
            n += event["event"] in _OUTCOMES
            if not ue.client.observing and not ue.client.busy:
                ue.fetch(ticks_ms())
            return n == n_outcomes

        run(node, links, ticks_ms, told, _trace)
        # What is due at once, an acknowledgement for one, is not left over.
        while True:
            out = node.transmit(ticks_ms())
            if out is None:
                break
            _trace(True, out[1], out[2])
            links[out[0]].send(out[1], out[2])
        return True

    return watched


def main():
    settings, state, n_outcomes = arguments()
    from msgin5g.port import event_loop

    event_loop.run = _watch(event_loop.run, int(n_outcomes))
    from msgin5g.main import main as start

    start(settings, state, True)


main()
