"""The setting `trace`: every datagram as an event, which `msgin5g decode` reads."""

from binascii import hexlify

from msgin5g.port.remote import text_of


class Trace:
    """A function of (out, datagram, remote) that prints an event. emit: a function of one."""

    def __init__(self, emit):
        self._emit = emit

    def __call__(self, out, datagram, remote):
        try:
            self._emit(
                {
                    "event": "datagram",
                    "direction": "out" if out else "in",
                    "remote": text_of(remote),
                    "hex": hexlify(datagram).decode(),
                }
            )
        except MemoryError:
            pass  # the datagram itself is more important
