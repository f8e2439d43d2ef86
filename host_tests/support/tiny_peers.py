"""A server and a relay that are right but for one fault, which the conformance kit must name."""

import asyncio
from contextlib import asynccontextmanager
from zlib import crc32

import cbor2

from msgin5g_tools.conform import documents
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    EMPTY,
    ETAG,
    GET,
    NON,
    OBSERVE,
    PROXY_URI,
    RST,
    FormatError,
    Message,
    block,
    decode,
    uint,
)

RECIPIENT, OURS = 65020, 65001
_PAUSE_S = 0.05
SERVER_URI = "coap://scm.example"
DENIED = "urn:x:denied"
_COLLECTION = ["su-uc", "v1", "val-services", "msgin5g", "ue-configurations"]
_CRITICAL = {3: 255, 7: 2, 11: 255, 15: 255, ACCEPT: 2, BLOCK2: 3, PROXY_URI: 1034}


class Refused(Exception):
    """A code in place of 2.05."""


class _Peer(asyncio.DatagramProtocol):
    """The message layer of both. fault: the one thing that is wrong, or None."""

    def __init__(self, fault):
        self.fault = fault
        self.mid = 0
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def send(self, message, remote):
        self.transport.sendto(message.encode(), remote)

    def next_mid(self):
        self.mid += 1
        return self.mid

    def datagram_received(self, datagram, remote):
        if self.fault == "version" and len(datagram) > 3 and datagram[0] >> 6 == 2:
            datagram = bytes([0x40 | datagram[0] & 0x3F]) + datagram[1:]
        try:
            message = decode(datagram)
        except FormatError:
            message = None
        if message is None or (message.type == CON and self._is_rejected(message)):
            if len(datagram) > 3 and datagram[0] >> 4 == 4:
                self.send(Message(RST, EMPTY, int.from_bytes(datagram[2:4], "big")), remote)
        else:
            self.handle(message, remote)

    def _is_rejected(self, message):
        if message.code == EMPTY:
            return self.fault != "ping"
        return message.code >> 5 in (1, 6, 7)


class TinyServer(_Peer):
    """ue_ids: each has a document."""

    def __init__(self, ue_ids, fault=None):
        super().__init__(fault)
        self._answered = {}
        self._documents = {}
        for n, uri in enumerate(ue_ids):
            document = documents.made(f"doc-{n}", uri)
            if fault == "config type":
                document["ueConfigs"] *= 2
            self._documents[uri] = document

    def handle(self, message, remote):
        if not message.is_request or message.type not in (CON, NON):
            return
        key = remote, message.mid, message.token
        if key in self._answered:
            answer = self._answered[key]
            if message.type == CON and answer:
                if self.fault == "repeated con":
                    answer = answer.but(mid=self.next_mid(), type=NON)
                self.send(answer, remote)
            return
        answer = self._answered[key] = self._answer(message)
        if answer:
            self.send(answer, remote)

    def _answer(self, request):
        uris = [query[7:] for query in request.queries if query.startswith("ue-uri=")]
        try:
            code, options, payload = self._content(request, uris)
        except Refused as refused:
            code = refused.args[0]
            if code == 0x82 and request.type == NON:
                return None
            options = [(CONTENT_FORMAT, uint(257))]
            payload = documents.problem(code, "No")
            if self.fault == "problem details" and code == 0x84:
                options, payload = [], b"no"
        if len(uris) == 1 and not (self.fault == "recipient" and code == 0x84):
            options.append((RECIPIENT, uris[0].encode()))
        kind = ACK if request.type == CON else NON
        mid = request.mid if kind == ACK else self.next_mid()
        return Message(kind, code, mid, request.token, options, payload)

    def _content(self, request, uris):
        self._check_options(request)
        path = request.path
        is_document = len(path) == 6 and path[:5] == _COLLECTION
        if path != _COLLECTION and not is_document:
            raise Refused(0x84)
        if request.code != GET:
            raise Refused(0x85)
        accept = request.uint(ACCEPT, OURS)
        if accept not in (OURS, 60) and self.fault != "accept":
            raise Refused(0x86)
        body = cbor2.dumps(self._find(request, path, is_document, uris))
        tag = crc32(body).to_bytes(4, "big")
        if tag in request.all(ETAG) and request.block2 is None:
            return 0x43, [] if self.fault == "etag of valid" else [(ETAG, tag)], b""
        options = [(CONTENT_FORMAT, uint(OURS if accept not in (OURS, 60) else accept))]
        observed = (0, 1) if self.fault == "deregister" else (0,)
        if is_document and request.uint(OBSERVE) in observed:
            options.append((OBSERVE, uint(self.next_mid())))
        if request.block2:
            number, _, szx = request.block2
            if szx == 7 and self.fault != "exponent":
                raise Refused(0x80)
            size = 16 << min(szx, 6)
            if number and number * size >= len(body):
                raise Refused(0x80)
            more = (number + 1) * size < len(body)
            options.append((BLOCK2, block(number, more, min(szx, 6))))
            body = body[number * size :][:size]
            if number and self.fault == "etag of block":
                tag = tag[::-1]
        return 0x45, [*options, (ETAG, tag)], body

    def _check_options(self, request):
        seen = set()
        for number, value in request.options:
            if number % 2 == 0:
                continue
            if number not in _CRITICAL and self.fault == "critical option":
                continue
            if len(value) > _CRITICAL.get(number, -1):
                raise Refused(0x82)
            if number in seen and number not in (11, 15):
                raise Refused(0x82)
            seen.add(number)
        if PROXY_URI in seen:
            raise Refused(0xA5)

    def _find(self, request, path, is_document, uris):
        for query in request.queries:
            name, _, value = query.partition("=")
            if name == "ue-type" or name == "ue-snr" or " " in value or "\ufffd" in value:
                raise Refused(0x80)
        if is_document:
            for document in self._documents.values():
                if document["ueConfigDocId"] == path[5]:
                    return document
            raise Refused(0x84)
        if DENIED in uris:
            raise Refused(0x83)
        is_bulk = any(query.startswith("bulkConfFlag=") for query in request.queries)
        if len(uris) > 1 and not is_bulk:
            raise Refused(0x80)
        if is_bulk and self.fault == "bulk":
            uris = uris[:1]
        found = [d for uri, d in self._documents.items() if uri in uris or not uris]
        if not found and not is_bulk:
            raise Refused(0x84)
        return found


class _Flow:
    def __init__(self, uri, remote, request):
        self.uri, self.remote, self.request = uri, remote, request
        self.mid = None  # of the request to the server
        self.answer = None
        self.is_acknowledged = self.is_done = False


class TinyRelay(_Peer):
    """A CoAP hop. links: {UE ID: address}. It leaves Observe out, which is allowed."""

    def __init__(self, server, links, ack_timeout_s, fault=None):
        super().__init__(fault)
        self._server, self._links, self._timeout_s = server, links, ack_timeout_s
        self._flows = {}  # by the token towards the server
        self._by_request = {}
        self._waiting = {}  # message ID of what is sent again -> True
        self._acknowledged = set()  # message IDs of the server's CON responses

    def handle(self, message, remote):
        if message.code == EMPTY:
            self._waiting.pop(message.mid, None)
            for flow in self._flows.values():
                if message.type == RST and flow.mid == message.mid:
                    flow.is_done = True
        elif message.is_request and message.type in (CON, NON):
            self._uplink(message, remote)
        elif message.is_response and remote == self._server:
            self._downlink(message, remote)

    def _again(self, message, remote, n=0):
        """Send a CON, and again while it waits."""
        if n and message.mid not in self._waiting:
            return
        self._waiting[message.mid] = True
        self.send(message, remote)
        if n < 4 and self.fault != "retransmission":
            later = asyncio.get_running_loop().call_later
            later(self._timeout_s * 2**n, self._again, message, remote, n + 1)

    def _uplink(self, message, remote):
        uri = next((u for u, address in self._links.items() if address == remote), None)
        if uri is None and self.fault == "stranger":
            uri = message.queries[0][7:]
        recipient = message.one(RECIPIENT)
        is_ours = recipient == SERVER_URI.encode()
        if self.fault == "uplink recipient" and recipient is not None:
            is_ours = True
        if uri is None or not is_ours or message.code != GET:
            return
        key = remote, message.mid, message.token
        known = self._by_request.get(key)
        if known and self.fault != "repeated con":
            if known.answer:
                self.send(known.answer, remote)
            elif known.is_acknowledged:
                self.send(Message(ACK, EMPTY, message.mid), remote)
            return
        flow = self._by_request[key] = _Flow(uri, remote, message)
        if any(n & 2 and n not in (3, 6, 7, 11, 15, BLOCK2) for n, _ in message.options):
            self._respond(flow, Message(CON, 0x82, 0, b"", [(RECIPIENT, uri.encode())]))
            return
        token = self.next_mid().to_bytes(4, "big")
        flow.mid = self.next_mid()
        self._flows[token] = flow
        options = [(n, v) for n, v in message.options if n != OBSERVE]
        if self.fault == "options":
            options = [(n, v) for n, v in options if n != ETAG]
        up = message.but(mid=flow.mid, token=token, options=options)
        if message.type == CON:
            self._again(up, self._server)
            asyncio.get_running_loop().call_later(self._timeout_s / 2, self._acknowledge, flow)
        else:
            self.send(up, self._server)

    def _acknowledge(self, flow):
        if not flow.answer and not flow.is_done:
            flow.is_acknowledged = True
            self.send(Message(ACK, EMPTY, flow.request.mid), flow.remote)

    def _downlink(self, message, remote):
        if message.type == CON:
            self.send(Message(ACK, EMPTY, message.mid), remote)
            if message.mid in self._acknowledged:
                return
            self._acknowledged.add(message.mid)
        flow = self._flows.get(message.token)
        if flow is None or flow.is_done:
            return
        found = message.one(RECIPIENT)
        is_foreign = found != flow.uri.encode()
        if self.fault == "downlink recipient" and found and b"foreign" in found:
            is_foreign = message.code != 0x45
        if is_foreign:
            return
        self._waiting.pop(flow.mid, None)
        flow.is_done = True
        if any(n & 2 and n not in (OBSERVE, 14, BLOCK2) for n, _ in message.options):
            message = Message(CON, 0xA2, 0, b"", [(RECIPIENT, found)])
        if self.fault == "recipient of response":
            message = message.but(options=[(n, v) for n, v in message.options if n != RECIPIENT])
        self._respond(flow, message)

    def _respond(self, flow, message):
        request = flow.request
        if request.type == CON and not flow.is_acknowledged:
            flow.answer = message.but(type=ACK, mid=request.mid, token=request.token)
            self.send(flow.answer, flow.remote)
            return
        kind = request.type
        flow.answer = message.but(type=kind, mid=self.next_mid(), token=request.token)
        if kind == CON:
            self._again(flow.answer, flow.remote)
        else:
            self.send(flow.answer, flow.remote)


class TinyUe(_Peer):
    """A UE that asks again at once. It takes what is for it, shown by the ETag that it sends."""

    def __init__(self, uri, next_hop, fault=None):
        super().__init__(fault)
        self._uri, self._next_hop = uri, next_hop
        self._etag = None
        self._token = None

    def connection_made(self, transport):
        super().connection_made(transport)
        self._ask()

    def _ask(self):
        if self.transport.is_closing():
            return
        self._token = self.next_mid().to_bytes(4, "big")
        options = [(11, part.encode()) for part in _COLLECTION]
        options += [(15, b"ue-uri=" + self._uri.encode()), (RECIPIENT, SERVER_URI.encode())]
        if self._etag:
            options.append((ETAG, self._etag))
        request = Message(NON, GET, self.next_mid(), self._token, options)
        self.send(request, self._next_hop)

    def handle(self, message, remote):
        found = message.one(RECIPIENT)
        is_mine = found == self._uri.encode()
        if self.fault == "foreign content" and message.code == 0x45:
            is_mine = found is not None
        elif self.fault == "foreign error" and message.code == 0x84:
            is_mine = found is not None
        elif self.fault == "no recipient":
            is_mine = is_mine or found is None
        if not message.is_response or not is_mine or self._token is None:
            return
        if message.token != self._token and self.fault != "token":
            return
        if remote != self._next_hop and self.fault != "source":
            return
        if message.code == 0x45:
            self._etag = message.one(ETAG)
        asyncio.get_running_loop().call_later(_PAUSE_S, self._ask)
        self._token = None


@asynccontextmanager
async def running(peer, bind):
    """The peer at an address."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: peer, local_addr=bind)
    try:
        yield peer
    finally:
        transport.close()
