"""What the checks of a gateway share: the kit's server answers by a script of each check."""

import asyncio

import cbor2

from msgin5g_tools.conform import documents
from msgin5g_tools.conform.between import Between, BetweenCase
from msgin5g_tools.conform.case import require
from msgin5g_tools.conform.check import Checks, Failure
from msgin5g_tools.conform.wire import CONTENT, NOT_FOUND, URI_QUERY, block_of

checks = Checks("gateway")
PARALLEL = 1  # the requests of two checks would be collected into one
_SETTLING_S = 0.1
_UE_URI = "ue-uri="


def uris_of_request(message):
    """The UEs that a GET of the gateway names, in either form."""
    found = []
    for query in message.queries:
        if query.startswith(_UE_URI):
            for part in query[len(_UE_URI) :].split(","):
                # A comma separates only where a scheme follows.
                if found and ":" not in part:
                    found[-1] += "," + part
                else:
                    found.append(part)
    return found


def is_bulk(message):
    return any(query.startswith("bulkConfFlag=") for query in message.queries)


class GatewayCase(BetweenCase):
    """One check of a gateway.

    documents: {UE ID: UeConfigDoc} of the kit's server. codes: {UE ID: code} of UEs that get an
    error alone. bulk_code: of the answer to a bulk GET, in place of 2.05. szx: of its blocks.
    asked: the requests that have reached the server, each message once.
    """

    async def __aenter__(self):
        await super().__aenter__()
        name = self.marker
        self.documents = {
            ue.uri: documents.made(f"{name}-{n}", ue.uri, name=f"{name}-{n}")
            for n, ue in enumerate(self.bench.ues)
        }
        self.codes = {}
        self.bulk_code = None
        self.szx = None
        self.asked = []
        self.on_request = self.respond
        self._seen = {}
        self._unanswered = []
        self._is_over = False
        self.server.on_arrival = self._arrived
        return self

    async def __aexit__(self, *_):
        # What the gateway still asks for gets a quick end before the next check.
        self._is_over = True
        self.on_request = self.respond
        for uri in self.documents:
            self.codes[uri] = NOT_FOUND
        n_sent = len(self.sent)
        for arrival in self._unanswered:
            self.respond(arrival)
        del self.sent[n_sent:]
        await asyncio.sleep(_SETTLING_S)
        self.server.on_arrival = None

    def _arrived(self, arrival):
        message = arrival.message
        if message is None or not message.is_request:
            return
        key = message.mid, message.token
        if key in self._seen:
            answer = self._seen[key]
            if answer is not None:
                self.server.send(answer.encode(), arrival.remote)
            return
        self._seen[key] = None
        if not self._is_over:
            self.take(arrival)
            self.asked.append(message)
        self._seen[key] = self.on_request(arrival)
        if self._seen[key] is None:
            self._unanswered.append(arrival)

    def respond(self, arrival):
        """The server's answer to a request."""
        message = arrival.message
        uris = uris_of_request(message)
        if is_bulk(message) or len(uris) != 1:
            if self.bulk_code is not None:
                return self.answer(arrival, self.bulk_code, recipient=False)
            return self._content(arrival, [uri for uri in uris if uri in self.documents], False)
        code = self.codes.get(uris[0])
        if code is None and uris[0] not in self.documents:
            code = NOT_FOUND
        if code is not None:
            return self.answer(arrival, code, recipient=uris[0])
        return self._content(arrival, uris, uris[0])

    def _content(self, arrival, uris, recipient):
        found = [self.documents[uri] for uri in uris]
        path = arrival.message.path
        is_individual = path[-1:] != self.profile.collection[-1:]
        body = cbor2.dumps(found[0] if is_individual and found else found)
        options = self.content_options(self.marker.encode()[-8:])
        if self.szx is None:
            return self.answer(arrival, CONTENT, recipient, options, body)
        number = (arrival.message.block2 or (0,))[0]
        option, part = block_of(body, number, self.szx)
        return self.answer(arrival, CONTENT, recipient, [*options, option], part)

    # The UEs

    def ask_for(self, *ues, **how):
        """Requests of these UEs for the collection, sent at once; {UE ID: request}."""
        return {
            ue.uri: self.ask(self.request(ue, path=self.profile.collection, **how), ue)
            for ue in ues
        }

    @property
    def both(self):
        return self.ue, self.second

    @property
    def limit_s(self):
        """The window, a request alone after it, and time for a retransmission."""
        return self.profile.window_s + self.profile.ack_timeout_s + 2 * self.bench.quiet_s

    async def responses(self, requests):
        """{UE ID: response} for all of these; Failure when one is missing."""
        found = {}
        for ue in self.bench.ues:
            if ue.uri in requests:
                found[ue.uri] = await self.down(requests[ue.uri], ue, 2 * self.limit_s)
                require(found[ue.uri] is not None, f"{ue.uri} gets no response")
        return found

    async def bulk_request(self):
        """The bulk GET that the server gets; Failure when there is none in time."""
        end_at = asyncio.get_running_loop().time() + self.limit_s
        while asyncio.get_running_loop().time() < end_at:
            for message in self.asked:
                if len(uris_of_request(message)) > 1:
                    return message
            await asyncio.sleep(0.02)
        raise Failure("no GET for several UEs reached the server")

    def has(self, message, uri):
        """Whether a UE's response has the document of this UE."""
        name = self.documents[uri]["ueConfigDocId"].encode()
        return name in message.payload


class GatewayBench(Between):
    case = GatewayCase


def queries_of(message, name):
    """The values of a query parameter."""
    start = (name + "=").encode()
    return [v[len(start) :] for v in message.all(URI_QUERY) if v.startswith(start)]
