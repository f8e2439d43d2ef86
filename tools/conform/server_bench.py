"""The kit as a client: what the checks of a server share.

Each check has a socket of its own, so that its messages cannot be those of another one.
"""

import asyncio
import time

from msgin5g_tools.conform.bench import Bench
from msgin5g_tools.conform.case import (
    Case,
    empty,
    is_reply_to,
    is_reset_of,
    is_response_with,
    require,
)
from msgin5g_tools.conform.check import Checks, Failure, NotApplicable
from msgin5g_tools.conform.station import AddressError, open_station, resolve
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    CON,
    CONTENT,
    ECHO,
    EMPTY,
    MAX_AGE,
    RST,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    URI_HOST,
    code_text,
    decode,
    in_words,
    uint,
)

checks = Checks("server")
PARALLEL = 8
_N_TRIES = 3
_MIN_QUIET_S = 0.5
_PROBE_S = 1.0
_MAX_BUSY_S = 5
_SEPARATE_S = 20


class ServerBench(Bench):
    """rtt_s: how long the server took for a first answer; quiet_s: how long silence is proved."""

    def __init__(self, profile):
        super().__init__(profile)
        self.remote = None
        self.rtt_s = _PROBE_S

    async def start(self):
        self.remote = await resolve(self.profile.address)
        await self._probe()

    def new_case(self):
        return ServerCase(self)

    @property
    def quiet_s(self):
        return max(_MIN_QUIET_S, 10 * self.rtt_s)

    async def _probe(self):
        """Measure the round-trip time; AddressError when nobody is there."""
        station = await open_station(None, self.profile.address)
        case = ServerCase(self)
        try:
            for _ in range(_N_TRIES):
                request = case.get(self.profile.collection, case.ue_query())
                started_at = time.monotonic()
                station.send(request.encode(), self.remote)
                wanted = is_reply_to(request.mid, request.token)
                if await station.next(wanted, _PROBE_S):
                    self.rtt_s = time.monotonic() - started_at
                    return
        finally:
            station.close()
        host, port = self.profile.address
        raise AddressError(f"{host}:{port}: no answer to a GET within {_N_TRIES * _PROBE_S:.0f} s")


class ServerCase(Case):
    """One check of a server."""

    async def __aenter__(self):
        self.station = await open_station(None, self.profile.address)
        return self

    async def __aexit__(self, *_):
        self.station.close()

    def ue_query(self, uri=None):
        uri = uri or self.profile.ue
        return [f"ue-uri={uri}"] if uri else []

    def request(self, queries=None, options=(), path=None, **how):
        """A GET of the collection for the UE, or of what is given in its place."""
        queries = self.ue_query() if queries is None else queries
        made = list(options)
        if self.profile.host and all(number != URI_HOST for number, _ in made):
            made.append((URI_HOST, self.profile.host.encode()))
        if self.profile.recipient:
            made.append((self.profile.recipient_option, self.profile.recipient.encode()))
        return self.get(path or self.profile.collection, queries, made, **how)

    def accept(self):
        return (ACCEPT, uint(self.profile.content_format))

    async def ask(self, queries=None, options=(), path=None, **how):
        """The response to a request, after what stands in the way of it (Echo, 4.29, 5.03)."""
        made = list(options)
        for _ in range(_N_TRIES):
            message = await self.exchange(self.request(queries, made, path, **how))
            echo = message.one(ECHO)
            if message.code == UNAUTHORIZED and echo is not None:
                made = [*options, (ECHO, echo)]
            elif message.code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE):
                await asyncio.sleep(min(message.uint(MAX_AGE, 1), _MAX_BUSY_S))
            else:
                return message
        return message

    async def require_served(self):
        """NotApplicable unless the UE gets its documents."""
        message = await self.ask()
        if message.code != CONTENT:
            raise NotApplicable(f"the UE gets {code_text(message.code)}: see single-ue")
        return message

    async def exchange(self, request):
        """The response to this message, sent again while nothing comes; Failure without one."""
        reply = await self.reply(request)
        if reply is None:
            raise Failure("nothing came in place of a response")
        if reply.type == RST:
            raise Failure("a Reset in place of a response")
        if reply.code == EMPTY:  # the response is a message of its own (5.2.2)
            wanted = is_response_with(request.token)
            reply = self.take(await self.station.next(wanted, _SEPARATE_S))
            require(reply is not None, "an empty ACK, and no response after it")
        if reply.type == CON:
            self.send(self.station, empty(ACK, reply.mid), self.bench.remote)
        require(reply.is_response, f"{code_text(reply.code)} is no response")
        require(reply.token == request.token, "the response has another token than the request")
        return reply

    async def reply(self, request, mid=None):
        """The first message that answers a Message or bytes, or None."""
        if isinstance(request, bytes):
            mid, token = int.from_bytes(request[2:4], "big"), b"\0none\0"
        else:
            mid, token = request.mid, request.token
        start = len(self.station.arrivals)
        for left in reversed(range(_N_TRIES)):
            self.send(self.station, request, self.bench.remote)
            wanted = is_reply_to(mid, token)
            # A datagram may be lost; silence is proved by the last one.
            limit_s = self.bench.quiet_s * (1 if left else 2)
            arrival = await self.station.next(wanted, limit_s, start)
            if arrival:
                return self.take(arrival)
        self.take(None)
        return None

    async def require_reset(self, datagram):
        """Failure unless these bytes get a Reset with their message ID (section 4.2)."""
        reply = await self.reply(datagram)
        require(reply is not None, "nothing in place of a Reset")
        wanted = int.from_bytes(datagram[2:4], "big")
        found = f"{in_words(reply)} in place of a Reset"
        require(reply.type == RST and reply.mid == wanted and reply.code == EMPTY, found)

    async def require_silence(self, datagram, may_reset=False):
        """Failure when anything comes for these bytes within the quiet time."""
        self.send(self.station, datagram, self.bench.remote)
        await asyncio.sleep(self.bench.quiet_s)
        for arrival in self.station.arrivals:
            message = self.take(arrival)
            if not (may_reset and is_reset_of(message.mid)(arrival)):
                raise Failure("a message came where silence is due")
        if not self.station.arrivals:
            self.take(None)
        await self.require_alive()

    async def require_alive(self):
        """Failure when the server answers no more."""
        reply = await self.reply(self.request())
        require(reply is not None, "the server answers no more")

    def datagram(self, **how):
        """The bytes of a good request, to be spoilt."""
        return self.request(**how).encode()


def altered(datagram, first=None, tail=b""):
    """These bytes with another first byte, or with a tail."""
    decode(datagram)  # well-formed, so that nothing but the change is wrong
    return bytes([datagram[0] if first is None else first]) + datagram[1:] + tail
