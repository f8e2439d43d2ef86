"""What every datagram of a UE, a relay and a server must keep to; a fault says what, and decoded.

Requests: RFC 7252 and TS 24.546 C.3: GET, a token, the path of the UE configurations, one `ue-uri`
(the sender's own, or that of a linked UE), one Recipient (the server), no unknown critical option.
Responses: the token of a request of the receiver, for an acknowledgement its message ID as well,
one Recipient (the UE of that request).
"""

from msgin5g_testkit.datagram import RECIPIENT, Datagram, DatagramError

_GET = 1
_PATH = (b"su-uc", b"v1", b"val-services")
_COLLECTION = b"ue-configurations"
_CRITICAL = (3, 7, 9, 11, 15, 17, 23)  # that the firmware may send
_MAX_REQUESTS = 256
_EXCHANGE_LIFETIME_MS = 247000  # RFC 7252 section 4.8.2


class Inspector:
    """Checks what is sent; `fault` is the text of the first one, None without.

    ue_ids: {address: list of the IDs that this node may ask for}. server: its address.
    recipient: the URI of the server. exempt: addresses whose datagrams are not checked.
    """

    def __init__(self, server: tuple, recipient: str) -> None:
        self.server = server
        self.recipient = recipient.encode()
        self.ue_ids: dict = {}
        self.exempt: list = []
        self.fault: "str | None" = None
        self.n_checked = 0
        self._requests: list = []  # [at, source, destination, mid, token, ue_id, bytes]

    def sent(self, at: int, source: tuple, destination: tuple, data: bytes) -> None:
        """A datagram goes from one address to another, `at` ms after the start."""
        if self.fault is not None or source in self.exempt:
            return
        self.n_checked += 1
        try:
            datagram = Datagram(data)
            wrong = self._wrong(at, source, destination, datagram)
            text = str(datagram)
        except DatagramError as error:
            wrong, text = "no CoAP message: " + str(error), repr(data)
        if wrong:
            where = "%d ms, %s:%d to %s:%d: " % ((at,) + tuple(source) + tuple(destination))
            self.fault = where + wrong + "\n" + text

    def _wrong(self, at, source, destination, datagram) -> "str | None":
        if datagram.code == 0:
            return None
        if not datagram.token:
            return "no token"
        if datagram.is_request:
            return self._wrong_request(at, source, destination, datagram)
        if datagram.is_response:
            return self._wrong_response(source, destination, datagram)
        return "code 0x%02x" % datagram.code

    def _wrong_request(self, at, source, destination, datagram) -> "str | None":
        if datagram.mtype > 1:
            return "a request must be CON or NON"
        if datagram.code != _GET:
            return "the method must be GET"
        if datagram.payload:
            return "a GET has no payload"
        for number, _ in datagram.options:
            if number & 1 and number not in _CRITICAL:
                return "critical option %d is not known" % number
        path = datagram.values(11)
        if tuple(path[:3]) != _PATH or len(path) not in (5, 6) or path[4] != _COLLECTION:
            return "Uri-Path is not su-uc/v1/val-services/<service>/ue-configurations"
        ue_ids = datagram.query("ue-uri")
        allowed = self.ue_ids.get(source, ())
        if len(ue_ids) != 1 or ue_ids[0] not in allowed:
            return "ue-uri is %s, expected one of %s" % (ue_ids, list(allowed))
        wrong = self._wrong_recipient(datagram, self.recipient)
        if wrong:
            return wrong
        return self._note(at, source, destination, datagram, ue_ids[0])

    def _note(self, at, source, destination, datagram, ue_id) -> "str | None":
        for known in self._requests:
            if known[1:4] == [source, destination, datagram.mid]:
                if known[6] == datagram.data:
                    return None  # sent again
                if at - known[0] < _EXCHANGE_LIFETIME_MS:
                    return "message ID 0x%04x is used twice" % datagram.mid
        self._requests.append(
            [at, source, destination, datagram.mid, datagram.token, ue_id, datagram.data]
        )
        del self._requests[:-_MAX_REQUESTS]
        return None

    def _wrong_response(self, source, destination, datagram) -> "str | None":
        if datagram.mtype == 3:
            return "a response must be CON, NON or ACK"
        ue_id = None
        for _, asker, asked, mid, token, asked_for, _ in self._requests:
            if (asker, asked, token) == (destination, source, datagram.token):
                if datagram.mtype != 2 or mid == datagram.mid:
                    ue_id = asked_for
        if ue_id is None:
            what = "token and message ID" if datagram.mtype == 2 else "token"
            return what + " of no request of its receiver"
        return self._wrong_recipient(datagram, ue_id.encode())

    def _wrong_recipient(self, datagram, expected) -> "str | None":
        found = datagram.values(RECIPIENT)
        if found != [expected]:
            return "Recipient is %s, expected %s" % (found, [expected])
        return None
