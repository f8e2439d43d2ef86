"""A CoAP ping (RFC 7252 section 4.3) of the MSGin5G server that a configuration names."""

from msgin5g.coap.numbers import EMPTY
from msgin5g.coap.exchange import DONE, QUEUED, RESET, SENT
from msgin5g.config.schema import SERVER_ADDRESS, server_address


class Ping:
    """One ping. `answered` is None while it is under way, then True or False; `why` says more.

    endpoint, link: what it goes out by. lookup: a function that gives the remote of a host and
    port, or None. No retry but CoAP's own: 93 seconds with its default parameters.
    """

    def __init__(self, endpoint, transport, lookup, configuration):
        self._exchange = None
        text = configuration[SERVER_ADDRESS]
        scheme, host, port = server_address(text)
        self.why = text
        # What is not CoAP over UDP has no such ping: it must not fail for that.
        self.skipped = scheme not in ("", "coap")
        if self.skipped:
            self.why += ": no ping for " + scheme
            return
        remote = lookup(host, port)
        if remote is None:
            self.why += ": name not known"
            return
        # Section 4.3: an empty confirmable message, which a Reset answers.
        self._exchange = endpoint.start(transport, remote, EMPTY, b"", (), b"", None, self)

    @property
    def answered(self):
        if self.skipped:
            return True
        state = self._exchange and self._exchange.state
        if state == QUEUED or state == SENT:
            return None
        # Some answer a ping with an acknowledgement; they are there, too.
        return state == RESET or state == DONE
