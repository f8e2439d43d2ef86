"""The configuration management server of tools/scm_server as a node in virtual time.

The Site is the real one: queries, entitlement, deny list, documents in SQLite, blocks, problem
details. In place of sockets and timers stands the firmware's message layer, which takes the time
as an argument.
"""

from msgin5g_tools.paths import import_firmware
from msgin5g_tools.scm_server import query
from msgin5g_tools.scm_server.coap_message import decode
from msgin5g_tools.scm_server.settings import Settings, address_text
from msgin5g_tools.scm_server.site import Site
from msgin5g_tools.scm_server.store import Store

import_firmware()
from msgin5g.coap.endpoint import REQUEST  # noqa: E402
from msgin5g.coap.responder import ServerEndpoint  # noqa: E402
from msgin5g.coap.retransmission import Parameters  # noqa: E402

_MAX_KEPT = 1 << 16  # requests kept for deduplication
_MAX_KEPT_SIZE = 1 << 26  # bytes of their responses
_MAX_AGE_S = 86400


class _Remote:
    """The attributes of an aiocoap remote that the Site uses."""

    scheme = "coap"

    def __init__(self, address):
        self.hostinfo = address_text(*address)
        self.blockwise_key = address


class _NoRecord:
    """What became of each UE is counted by the simulation itself, not by the server."""

    def served(self, request, message, entry):
        pass

    def notified(self, request, message, entry):
        return None


class VirtualServer:
    """A node with the documents of a Store; `hosts` are the gateways entitled to bulk requests.

    n_requests: different GETs, later blocks included. n_blocks: the later blocks. n_again: bulk
    requests and their blocks that the gateway sent again as new requests. bulks: number of UEs
    in each bulk request. largest_bulk: bytes of the largest bulk request.
    """

    def __init__(self, random, hosts):
        self.store = Store(":memory:")
        settings = Settings(db=":memory:", gateways=hosts, max_age=_MAX_AGE_S, read_only=True)
        self._site = Site(self.store, settings, _NoRecord(), lambda event: None, lambda: None)
        self.endpoint = ServerEndpoint(
            random, {}, Parameters(), None, 4, _MAX_KEPT, max_replies_size=_MAX_KEPT_SIZE
        )
        self.n_requests = self.n_blocks = self.n_again = self.largest_bulk = 0
        self.bulks = []
        self._asked = set()  # (UE IDs, block number) of bulk requests

    def close(self):
        self.store.close()

    def receive(self, transport, datagram, remote, now):
        if self.endpoint.receive(transport, datagram, remote, now) != REQUEST:
            return
        request = decode(bytes(datagram), _Remote(remote))
        self._count(request, len(datagram))
        incoming = self.endpoint.accept(now)
        answer = _result(self._site.render(request))
        options = [(int(option.number), option.encode()) for option in answer.opt.option_list()]
        self.endpoint.respond(incoming, int(answer.code), options, answer.payload)

    def step(self, now):
        self.endpoint.step(now)

    def transmit(self, now):
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        return self.endpoint.wait_ms(now)

    def _count(self, request, size):
        ue_ids = tuple(query.ue_uris(request.opt.uri_query))
        block = request.opt.block2.block_number if request.opt.block2 is not None else 0
        if len(ue_ids) > 1:
            self.largest_bulk = max(self.largest_bulk, size)
            if (ue_ids, block) in self._asked:
                self.n_again += 1
                return
            self._asked.add((ue_ids, block))
        self.n_requests += 1
        if block:
            self.n_blocks += 1
        elif len(ue_ids) > 1:
            self.bulks.append(len(ue_ids))


def _result(coroutine):
    """The result of a coroutine that never waits: the Site waits for Block1 and observers only."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    finally:
        coroutine.close()
    raise RuntimeError("the server waited in virtual time")
