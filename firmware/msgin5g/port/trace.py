"""The setting `trace`: every datagram as an event, which `msgin5g decode` reads."""

from binascii import hexlify

from msgin5g.port.peer import text_of


class Trace:
    """A function of (out, datagram, remote) that tells it. tell: a function of an event."""

    def __init__(self, tell):
        self._tell = tell

    def __call__(self, out, datagram, remote):
        event = {"event": "datagram", "direction": "out" if out else "in"}
        event["remote"] = text_of(remote)
        event["hex"] = hexlify(datagram).decode()
        self._tell(event)
