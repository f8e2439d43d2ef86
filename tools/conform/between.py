"""The kit on both sides of a relay or gateway: UEs with links, and the server."""

import asyncio
import secrets
import time

from msgin5g_tools.conform import documents
from msgin5g_tools.conform.bench import Bench
from msgin5g_tools.conform.case import Case, empty, is_reset_of, is_response_with
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.station import AddressError, resolve
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    MAX_AGE,
    NON,
    NOT_FOUND,
    Message,
    uint,
)

_PROBE_S = 1.0
_N_TRIES = 3
_MIN_QUIET_S = 0.7
LATE = 0.3  # of a time-out, for the delays of a network and of both ends


class KitUe:
    """A constrained UE of the kit. It acknowledges each CON response, unless its token is in
    `unacknowledged`.
    """

    def __init__(self, uri, station, remote):
        self.uri = uri
        self.station = station
        self.unacknowledged = set()
        self._remote = remote
        station.on_arrival = self._acknowledge

    def _acknowledge(self, arrival):
        message = arrival.message
        if message and message.type == CON and message.is_response:
            if message.token not in self.unacknowledged:
                self.station.send(empty(ACK, message.mid).encode(), self._remote)


class Between(Bench):
    """What all checks of a relay or gateway share. quiet_s: how long silence is proved."""

    case = None  # the class of its cases

    def __init__(self, profile):
        super().__init__(profile)
        self.ues = []
        self.stranger = None

    async def start(self):
        profile = self.profile
        self.remote = await resolve(profile.address)
        self.server = await self.station(profile.server_bind)
        for uri, bind in profile.ues:
            self.ues.append(KitUe(uri, await self.station(bind), self.remote))
        if profile.stranger_bind:
            station = await self.station(profile.stranger_bind)
            self.stranger = KitUe("urn:x-conform:stranger", station, self.remote)
        self.quiet_s = max(_MIN_QUIET_S, 20 * await self._probe())

    def new_case(self):
        return self.case(self)

    async def _probe(self):
        """The round-trip time of a ping, or that of a request to the server.

        AddressError when nobody is there.
        """
        ue = self.ues[0]
        case = BetweenCase(self)
        for n in range(_N_TRIES):
            started_at = time.monotonic()
            messages = [empty(CON, self.new_mid())]
            request = case.get(
                [*self.profile.collection, "conform"],
                [f"ue-uri={ue.uri}"],
                [(self.profile.recipient_option, self.profile.recipient.encode())],
            )
            if n:  # it may be one that answers no ping
                messages.append(request)
            for message in messages:
                ue.station.send(message.encode(), self.remote)
            waiting = [
                asyncio.ensure_future(station.next(lambda arrival: True, _PROBE_S))
                for station in (ue.station, self.server)
            ]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            if any(task.result() for task in done):
                rtt_s = time.monotonic() - started_at
                if n:
                    await self._end_probe(case)
                return rtt_s
        host, port = self.profile.address
        waited_s = _N_TRIES * _PROBE_S
        raise AddressError(f"{host}:{port}: no answer to a ping or a GET within {waited_s:.0f} s")

    async def _end_probe(self, case):
        """Answer the request of the probe, so that it is not under way any more."""
        arrival = await self.server.next(_is_request, _MIN_QUIET_S)
        if arrival:
            case.ue = self.ues[0]
            case.answer(arrival, NOT_FOUND)


def _is_request(arrival):
    return arrival.message is not None and arrival.message.is_request


class BetweenCase(Case):
    """One check of a relay or gateway."""

    async def __aenter__(self):
        self.marker = "m-" + secrets.token_hex(5)
        self.ue = self.bench.ues[0]
        self.second = self.bench.ues[1] if len(self.bench.ues) > 1 else None
        return self

    @property
    def server(self):
        return self.bench.server

    @property
    def limit_s(self):
        """How long a message that is due may take."""
        return self.profile.ack_timeout_s + self.bench.quiet_s

    def request(self, ue=None, recipient=None, path=None, queries=None, options=(), **how):
        """A GET of a UE for the server. recipient: False for none."""
        ue = ue or self.ue
        if recipient is None:
            recipient = self.profile.recipient
        made = [(ACCEPT, uint(self.profile.content_format)), *options]
        if recipient:
            made.append((self.profile.recipient_option, recipient.encode()))
        path = path or [*self.profile.collection, self.marker]
        return self.get(path, queries or [f"ue-uri={ue.uri}"], made, **how)

    def ask(self, request, ue=None):
        """Send a request of a UE."""
        self.send((ue or self.ue).station, request, self.bench.remote)
        return request

    async def down(self, request, ue=None, limit_s=None):
        """The response that a UE gets, or None in time."""
        station = (ue or self.ue).station
        limit_s = self.limit_s if limit_s is None else limit_s
        return self.take(await station.next(is_response_with(request.token), limit_s))

    def answer(self, up, code=CONTENT, recipient=None, options=(), payload=None, **how):
        """The server's answer to an Arrival. recipient: False for none, None for the UE."""
        request = up.message
        if recipient is None:
            recipient = self.ue.uri
        made = list(options)
        if recipient:
            made.append((self.profile.recipient_option, recipient.encode()))
        if payload is None:
            payload = documents.problem(code, "Conform") if code >> 5 > 2 else b"\x80"
        values = {"type": ACK, "mid": request.mid, "token": request.token, "payload": payload}
        if request.type != CON and "type" not in how:
            values |= {"type": NON, "mid": self.new_mid()}
        message = Message(code=code, options=made, **{**values, **how})
        self.send(self.server, message, up.remote)
        return message

    def content_options(self, etag=b"conform1", max_age=0):
        """The options of a 2.05 with documents."""
        made = [(CONTENT_FORMAT, uint(self.profile.content_format)), (MAX_AGE, uint(max_age))]
        return [(ETAG, etag), *made] if etag else made

    async def require_response_again(self, request):
        """Failure unless the UE gets its response once more when it does not acknowledge it."""
        station = self.ue.station
        is_response = is_response_with(request.token)
        first = await station.next(is_response, self.limit_s)
        message = self.take(first)
        if message is None:
            raise Failure("the UE gets no response")
        if message.type != CON:
            raise NotApplicable("the response is no CON")
        start = station.arrivals.index(first) + 1
        longest_s = self.profile.ack_timeout_s * self.profile.ack_random_factor
        again = await station.next(is_response, longest_s * (1 + LATE), start)
        self.send(station, empty(ACK, message.mid), self.bench.remote)
        if self.take(again) is None:
            raise Failure(f"nothing came within {longest_s:g} s")
        if again.datagram != first.datagram:
            raise Failure("it is another message")

    async def require_pong(self, station):
        """Failure unless a ping from this socket gets a Reset."""
        mid = self.new_mid()
        start = len(station.arrivals)
        self.send(station, empty(CON, mid), self.bench.remote)
        if self.take(await station.next(is_reset_of(mid), self.limit_s, start)) is None:
            raise Failure("a ping gets no Reset")
