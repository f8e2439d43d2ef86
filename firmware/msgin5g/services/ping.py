"""A CoAP ping (RFC 7252 section 4.3) of the MSGin5G server that a configuration names."""

from msgin5g.coap.retransmission import DONE, QUEUED, RESET, SENT, Exchange
from msgin5g.coap.numbers import EMPTY
from msgin5g.config.schema import SERVER_ADDRESS, server_address


class Ping:
    """One ping: `answered` is None while it is in progress, then True or False.

    `why` is the address, and the reason when nothing was sent. It is repeated as any confirmable
    message is, for 93 seconds with CoAP's default parameters, and not beyond that.
    """

    def __init__(self, endpoint, transport, resolve, configuration):
        """endpoint, transport: what sends it.

        resolve: a function (host, port) that gives the remote, or None when it cannot.
        """
        self._exchange = None
        self._skipped = False
        if configuration is None:  # none yet, or it was removed
            self.why = "no configuration"
            return
        text = configuration[SERVER_ADDRESS]
        scheme, host, port = server_address(text)
        self.why = text
        # There is no such ping but for CoAP over UDP: without one the check passes.
        self._skipped = scheme not in ("", "coap")
        if self._skipped:
            self.why += ": no ping for " + scheme
            return
        remote = resolve(host, port)
        if remote is None:
            self.why += ": name not known"
            return
        # Section 4.3: an empty confirmable message, which a Reset answers.
        self._exchange = endpoint.start(
            Exchange(transport, remote, bytearray((0x40, EMPTY, 0, 0)), self)
        )

    @property
    def answered(self):
        """Whether the server has answered; None while it may still do so."""
        if self._skipped:
            return True
        state = self._exchange and self._exchange.state
        if state == QUEUED or state == SENT:
            return None
        # Some servers answer a ping with an acknowledgement: they are reachable as well.
        return state == RESET or state == DONE
