"""What every datagram of a Network must keep to; a fault says what, and decoded.

Requests: RFC 7252 and TS 24.546 C.3: GET, a token, the path of the UE configurations, one `ue-uri`
(the sender's own, or that of a linked UE), one Recipient (the server), no unknown critical option.
A gateway may name several UEs with bulkConfFlag. Responses: the token of a request of the
receiver, for an acknowledgement its message ID as well, one Recipient (the UE of that request;
none for several).

With OSCORE (RFC 8613): who has a key protects each request, with its own kid, and a number that it
has used for no other message; outside of the ciphertext is only what an intermediary needs. The
response is protected too, unless it is an error. The server shows what was inside (`inside`).
"""

from msgin5g_testkit.datagram import RECIPIENT, Datagram, DatagramError

_GET, _POST, _FETCH = 1, 2, 5
_PATH = (b"su-uc", b"v1", b"val-services")
_COLLECTION = b"ue-configurations"
_CRITICAL = (3, 7, 11, 15, 17, 23)  # that the firmware may send
_OSCORE = 9
_OUTSIDE = (3, 6, 7, _OSCORE, RECIPIENT)  # of a ciphertext
_MAX_SIZE = 1152
_MAX_REQUESTS = 256
_EXCHANGE_LIFETIME_MS = 247000  # RFC 7252 section 4.8.2


class _Sent:
    """A request that was sent. recipients: list of what its responses may have, None: anything."""

    def __init__(self, at, source, destination, datagram, recipients):
        self.at = at
        self.source = source
        self.destination = destination
        self.mid = datagram.mid
        self.token = datagram.token
        self.data = datagram.data
        self.recipients = recipients
        self.observes = datagram.values(6) in ([b""], [b"\x00"])
        self.is_protected = bool(datagram.values(_OSCORE))


class Inspector:
    """Checks what is sent; `fault` is the text of the first one, None without.

    ue_ids: {address: list of the IDs that this node may ask for}. server: its address.
    recipient: the URI of the server. exempt: addresses whose datagrams are not checked. gateways:
    addresses that may ask for several UEs at once. seal_c: the two addresses of SEAL-C.
    protected: addresses whose requests must be protected.
    """

    def __init__(self, server: tuple, recipient: str) -> None:
        self.server = server
        self.recipient = recipient.encode()
        self.ue_ids: dict = {}
        self.exempt: list = []
        self.gateways: list = []
        self.seal_c: tuple = ()
        self.protected: list = []
        self.fault: "str | None" = None
        self.n_checked = 0
        self._requests: list = []
        self._owners: dict = {}  # {kid: UE ID}
        self._of_owner: dict = {}  # {UE ID with a key: the IDs that it may ask for}
        self._numbers: list = []  # [kid, Partial IV, ciphertext]

    def add_ue(self, ue_id: str, address: tuple, is_protected: bool) -> None:
        """A UE that asks for its own configuration; is_protected: whether it has a key."""
        self._add(ue_id, [address], [ue_id], is_protected)

    def add_gateway(self, gateway_id: str, addresses: list, is_protected: bool) -> None:
        """A gateway, which asks from these addresses, for the UEs of `may_ask`."""
        self.gateways += addresses
        self._add(gateway_id, addresses, [gateway_id], is_protected)

    def _add(self, ue_id, addresses, ue_ids, is_protected):
        for address in addresses:
            self.ue_ids[address] = ue_ids
        if is_protected:
            self.protected += addresses
            self._owners[ue_id[-4:].encode()] = ue_id
            self._of_owner[ue_id] = ue_ids

    def may_ask(self, address: tuple, ue_id: str) -> None:
        """From now on the node at this address may ask for this UE."""
        ue_ids = self.ue_ids.setdefault(address, [])
        if ue_id not in ue_ids:
            ue_ids.append(ue_id)

    def sent(self, at: int, source: tuple, destination: tuple, data: bytes) -> None:
        """A datagram goes from one address to another, `at` ms after the start."""
        if self.fault is not None or source in self.exempt:
            return
        self.n_checked += 1
        try:
            datagram = Datagram(data)
            wrong = self._wrong(at, source, destination, datagram)
            text = str(datagram) if wrong else ""
        except DatagramError as error:
            wrong, text = "no CoAP message: " + str(error), repr(data)
        if wrong:
            where = "%d ms, %s:%d to %s:%d: " % ((at,) + tuple(source) + tuple(destination))
            self.fault = where + wrong + "\n" + text

    def inside(self, owner: str, ue_ids: tuple) -> None:
        """The server has unprotected a request of this UE or gateway, which names these UEs."""
        allowed = self._of_owner.get(owner, ())
        for ue_id in ue_ids:
            if ue_id not in allowed and self.fault is None:
                self.fault = "protected by %s: ue-uri is %s, expected one of %s" % (
                    owner, ue_id, list(allowed))  # fmt: skip

    def _wrong(self, at, source, destination, datagram) -> "str | None":
        if len(datagram.data) > _MAX_SIZE:
            return "%d bytes, more than %d" % (len(datagram.data), _MAX_SIZE)
        if datagram.code == 0:
            return None
        if not datagram.token:
            return "no token"
        if datagram.is_request:
            if datagram.mtype > 1:
                return "a request must be CON or NON"
            if source in self.seal_c and destination in self.seal_c:
                wrong = self._wrong_seal_c(datagram)
                return wrong or self._note(_Sent(at, source, destination, datagram, None))
            if datagram.values(_OSCORE):
                return self._wrong_protected(at, source, destination, datagram)
            return self._wrong_request(at, source, destination, datagram)
        if datagram.is_response:
            return self._wrong_response(source, destination, datagram)
        return "code 0x%02x" % datagram.code

    def _wrong_request(self, at, source, destination, datagram) -> "str | None":
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
        is_bulk = source in self.gateways and len(ue_ids) > 1
        if (len(ue_ids) != 1 and not is_bulk) or [i for i in ue_ids if i not in allowed]:
            return "ue-uri is %s, expected one of %s" % (ue_ids, list(allowed))
        if len(datagram.query("bulkConfFlag")) != int(is_bulk):
            return "bulkConfFlag is for a request that names several UEs"
        if source in self.protected or (not is_bulk and ue_ids[0] in self._of_owner
                                        and source not in self.gateways):  # fmt: skip
            return "not protected, and its sender has a key"
        wrong = _wrong_recipient(datagram, [[self.recipient]])
        recipients = [[]] if is_bulk else [[ue_ids[0].encode()]]
        return wrong or self._note(_Sent(at, source, destination, datagram, recipients))

    def _wrong_protected(self, at, source, destination, datagram) -> "str | None":
        if datagram.code not in (_POST, _FETCH):
            return "the outer method must be POST, or FETCH with Observe"
        if not datagram.payload:
            return "a protected message has a payload"
        for number, _ in datagram.options:
            if number not in _OUTSIDE:
                return "option %d must be inside of the ciphertext" % number
        kid, number = _kid_and_number(datagram.values(_OSCORE)[0])
        owner = self._owners.get(kid)
        allowed = self.ue_ids.get(source, ())
        if owner is None or owner not in allowed:
            return "kid %s is of %s, expected one of %s" % (kid, owner, list(allowed))
        for known in self._numbers:
            if known[:2] == [kid, number] and known[2] != datagram.payload:
                return "the Partial IV %s is used twice with one key" % number
        self._numbers = self._numbers[-_MAX_REQUESTS:] + [[kid, number, datagram.payload]]
        recipients = [[ue_id.encode()] for ue_id in self._of_owner[owner]]
        if source in self.gateways:
            recipients.append([])
        wrong = _wrong_recipient(datagram, [[self.recipient]])
        return wrong or self._note(_Sent(at, source, destination, datagram, recipients))

    def _wrong_seal_c(self, datagram) -> "str | None":
        is_protected = bool(datagram.values(_OSCORE))
        if is_protected != bool([a for a in self.seal_c if a in self.protected]):
            return "SEAL-C is protected where the gateway has a key, and nowhere else"
        if not is_protected and (datagram.code != _FETCH or datagram.values(11) != [b"seal-c"]):
            return "a request over SEAL-C is a FETCH of /seal-c"
        return None

    def _note(self, sent) -> "str | None":
        for known in self._requests:
            if (known.source, known.destination, known.mid) == (
                sent.source, sent.destination, sent.mid):  # fmt: skip
                if known.data == sent.data:
                    return None  # sent again
                if sent.at - known.at < _EXCHANGE_LIFETIME_MS:
                    return "message ID 0x%04x is used twice" % sent.mid
        self._requests.append(sent)
        if len(self._requests) > _MAX_REQUESTS:
            # A notification may come to an old one.
            old = [i for i in range(_MAX_REQUESTS) if not self._requests[i].observes]
            del self._requests[old[0] if old else 0]
        return None

    def _wrong_response(self, source, destination, datagram) -> "str | None":
        if datagram.mtype == 3:
            return "a response must be CON, NON or ACK"
        request = None
        for known in self._requests:
            if (known.source, known.destination, known.token) == (
                destination, source, datagram.token):  # fmt: skip
                if datagram.mtype != 2 or known.mid == datagram.mid:
                    request = known
        if request is None:
            what = "token and message ID" if datagram.mtype == 2 else "token"
            return what + " of no request of its receiver"
        if request.recipients is None:
            return None
        is_error = datagram.code >= 0x80
        if request.is_protected and not is_error and not datagram.values(_OSCORE):
            return "the response to a protected request is not protected"
        if request.is_protected and is_error and not datagram.values(RECIPIENT):
            return None  # who cannot unprotect the request does not know whose it is
        return _wrong_recipient(datagram, request.recipients)


def _wrong_recipient(datagram, expected) -> "str | None":
    found = datagram.values(RECIPIENT)
    if found not in expected:
        return "Recipient is %s, expected %s" % (found, expected[0] if expected else None)
    return None


def _kid_and_number(value):
    """(kid, Partial IV) of the OSCORE option of a request: RFC 8613 section 6.1."""
    flags = value[0] if value else 0
    end = 1 + (flags & 7)
    number = value[1:end]
    if flags & 16:
        end += 1 + value[end]
    return value[end:] if flags & 8 else b"", number
