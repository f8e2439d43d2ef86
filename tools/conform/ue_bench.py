"""The kit as the next hop of a UE: what the checks of a UE share.

The UE decides when it asks. A response with a short Max-Age makes it ask again soon, and its ETag
in the next request shows that it took it.
"""

import asyncio
import json
import secrets
import threading
import time
from pathlib import Path

import cbor2

from msgin5g_tools.conform import documents
from msgin5g_tools.conform.bench import Bench
from msgin5g_tools.conform.case import Case, empty, require
from msgin5g_tools.conform.check import Checks, Failure, Inconclusive, NotApplicable
from msgin5g_tools.conform.station import AddressError, resolve
from msgin5g_tools.conform.wire import (
    ACK,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    MAX_AGE,
    NON,
    Message,
    uint,
)

checks = Checks("ue")
PARALLEL = 1  # one request after another
MAX_AGE_S = 1
QUIET_S = 0.3
_POLL_S = 0.05
_FIRST_NAME = "warm-up"
_N_RESOURCES = 3  # requests until a UE asks for the same resource as before


class UeBench(Bench):
    """requests: every Arrival of a new request so far; `current` is the one not answered yet."""

    def __init__(self, profile):
        super().__init__(profile)
        self.requests = []
        self.current = None
        self.path = None  # of the resource that the UE asks for when all is well
        self.sends_etag = False
        self.batch = None  # what UeCase.is_dropped has found, for all of them at once
        self.events = []
        self._is_gone = False
        self._start = 0

    async def start(self):
        profile = self.profile
        self.remote = await resolve(profile.address)
        self.server = await self.station(profile.bind)
        self.other = await self.station((profile.bind[0], 0))
        if profile.events:
            self._read_events(profile.events)
        await self._warm_up()

    def new_case(self):
        return UeCase(self)

    def _read_events(self, path):
        try:
            file = Path("/dev/stdin" if path == "-" else path).open(encoding="utf-8")
        except OSError as error:
            raise AddressError(f"--events: {path}: {error.strerror}") from None

        def read():
            while True:
                line = file.readline()
                if not line:
                    time.sleep(_POLL_S)  # a file that grows, or a pipe whose writer has gone
                    continue
                try:
                    self.events.append(json.loads(line))
                except ValueError:
                    pass  # what is printed beside the events

        threading.Thread(target=read, daemon=True).start()

    async def _warm_up(self):
        """Answer the first request, and see whether its ETag comes back."""
        case = UeCase(self)
        host, port = self.profile.bind
        if await self.next_request() is None:
            wait_s = self.profile.wait_s
            raise AddressError(f"{host}:{port}: no request came within {wait_s:g} s")
        # A UE that has found its document in the collection may ask for that alone from then on.
        for _ in range(_N_RESOURCES):
            path = self.current.message.path
            case.serve(_FIRST_NAME)
            if await self.next_request() is None:
                return
            if self.current.message.path == path:
                break
        self.path = self.current.message.path
        self.sends_etag = _has_etag(self.current, _FIRST_NAME)

    async def next_request(self):
        """The Arrival of a request that was not there before, or None; it is `current` then."""
        if self._is_gone:
            return None
        arrival = await self.server.next(self._is_new, self.profile.wait_s, self._start)
        if arrival is None:
            self._is_gone = True
            return None
        self.use_newest()
        return self.current

    def use_newest(self):
        """A UE waits for the response to its newest request: that one is `current`."""
        for arrival in self.server.arrivals[self._start :]:
            if self._is_new(arrival):
                self.requests.append(arrival)
                self.current = arrival
        self._start = len(self.server.arrivals)

    def _is_new(self, arrival):
        message = arrival.message
        if message is None or not message.is_request:
            return False
        key = message.mid, message.token
        return all(key != (a.message.mid, a.message.token) for a in self.requests)


def etag_of(name):
    """The ETag of the configuration with this name."""
    return name.encode()[-8:]


def _has_etag(arrival, name):
    return etag_of(name) in arrival.message.all(ETAG)


class UeCase(Case):
    """One check of a UE. name: that of the configuration that it serves."""

    def __init__(self, bench):
        super().__init__(bench)
        self.name = secrets.token_hex(4)
        self._is_taken = False  # whether this check has taken a request

    async def __aexit__(self, *_):
        # What is not answered yet gets a good response, so that the UE asks again soon.
        if self.bench.current is not None and self._is_taken:
            n_sent = len(self.sent)
            self.serve(_FIRST_NAME)
            del self.sent[n_sent:]

    async def peek(self):
        """The request that is to be answered, which is left to another check."""
        arrival = self.bench.current or await self.bench.next_request()
        if arrival is None:
            raise Inconclusive("the UE asks no more")
        self.take(arrival)
        return arrival

    async def request(self, is_fresh=True):
        """The Arrival of the request that is to be answered."""
        bench = self.bench
        bench.use_newest()
        arrival = bench.current or await bench.next_request()
        for _ in range(_N_RESOURCES):
            if arrival is None or not is_fresh or arrival.message.path == bench.path:
                break
            self.serve(_FIRST_NAME)  # the check before this one has led it to the collection
            self.sent.clear()
            arrival = await bench.next_request()
        if arrival is None:
            raise Inconclusive("the UE asks no more")
        self._is_taken = True
        self.take(arrival)
        return arrival

    def body(self, up, *found):
        """These documents as the payload that a request asks for: an array, or one of them."""
        is_array = up.message.path == self.profile.collection
        return cbor2.dumps(list(found) if is_array or not found else found[0])

    def document(self, name, *uris):
        return documents.made("conform", *(uris or (self.profile.ue,)), name=name)

    def options(self, name, max_age=MAX_AGE_S):
        number = uint(self.profile.content_format)
        return [(ETAG, etag_of(name)), (CONTENT_FORMAT, number), (MAX_AGE, uint(max_age))]

    def answer(self, up, code, options=(), payload=b"", recipient=None, ends=True, **how):
        """A response to a request. recipient: False for none; ends: it is the real one."""
        request = up.message
        made = list(options)
        recipient = self.profile.ue if recipient is None else recipient
        if recipient:
            made.append((self.profile.recipient_option, recipient.encode()))
        kind = ACK if request.type == CON else NON
        values = {"type": kind, "token": request.token, "payload": payload} | how
        if "mid" not in values:
            values["mid"] = request.mid if values["type"] == ACK else self.new_mid()
        message = Message(code=code, options=made, **values)
        self.send(self.bench.server, message, up.remote)
        if ends:
            self.bench.current = None
        return message

    def serve(self, name, up=None, **how):
        """Answer with a good configuration of this name."""
        up = up or self.bench.current
        body = self.body(up, self.document(name))
        return self.answer(up, CONTENT, self.options(name), body, **how)

    def reject(self, up, code, **how):
        """Answer with an error."""
        options = [(CONTENT_FORMAT, uint(documents.PROBLEM_DETAILS))]
        return self.answer(up, code, options, documents.problem(code, "Conform"), **how)

    async def took(self, name):
        """Whether the UE took the configuration of this name; its next request shows it."""
        arrival = await self.bench.next_request()
        if self.profile.events:
            await asyncio.sleep(QUIET_S)
            wanted = f"{name}@example.com"
            return any(
                event.get("event") == "applied" and wanted in json.dumps(event)
                for event in self.bench.events
                if isinstance(event, dict)
            )
        if arrival is None:
            raise Failure("the UE asks no more")
        self.take(arrival)
        if not self.bench.sends_etag:
            raise Inconclusive("no ETag comes back, so nothing shows what it took: give --events")
        return _has_etag(arrival, name)

    async def require_taken(self, name):
        require(await self.took(name), "the UE did not take it")

    async def require_not_taken(self, name):
        require(not await self.took(name), "the UE took it")

    # What a UE must drop, and then go on waiting

    def drops(self, up):
        """{name of a check: (Station, datagram)} of what is no response for this UE."""

        def spoilt(name, code=CONTENT, recipient=None, options=(), **how):
            made = [*self.options(name), *options]
            values = {"type": NON, "mid": self.new_mid(), "token": up.message.token} | how
            recipient = self.profile.ue if recipient is None else recipient
            if recipient:
                made.append((self.profile.recipient_option, recipient.encode()))
            payload = documents.problem(code, "Conform")
            if code == CONTENT:
                payload = self.body(up, self.document(name))
            return Message(code=code, options=made, payload=payload, **values).encode()

        server, foreign = self.bench.server, "urn:x-conform:ue:foreign"
        token = bytes(byte ^ 0xFF for byte in up.message.token) or b"\x01"
        found = {
            "content-for-another": (server, spoilt("another1", recipient=foreign)),
            "forbidden-for-another": (server, spoilt("another2", 0x83, foreign)),
            "not-found-for-another": (server, spoilt("another3", 0x84, foreign)),
            "other-token": (server, spoilt("another4", token=token)),
            "other-source": (self.bench.other, spoilt("another5")),
            "other-version": (server, b"\x90" + spoilt("another6", token=b"")[1:]),
            "content-without-recipient": (server, spoilt("another7", recipient=False)),
        }
        if self.profile.next_hop_is == "server":
            del found["content-without-recipient"]
        return found

    async def is_dropped(self, check):
        """Failure unless the UE drops this and goes on waiting for the response.

        All of them are sent for one request. If the UE then takes the real response, it has
        dropped them all; if not, each is tried alone.
        """
        bench = self.bench
        if bench.batch is None:
            bench.batch = await self._drops_all()
        is_dropped, sent, came = bench.batch
        if is_dropped:
            self.sent += [text for name, text in sent if name in (check, "response")]
            self.came += came
            return
        await asyncio.sleep(QUIET_S)  # what it took in error may make it ask once more
        up = await self.request()
        drops = self.drops(up)
        await self._spoil(up, *drops[check])
        self.serve(self.name)
        await self.require_taken(self.name)

    async def _drops_all(self):
        batch = UeCase(self.bench)
        up = await batch.request()
        names = []
        for name, (station, datagram) in batch.drops(up).items():
            await batch._spoil(up, station, datagram)
            names.append(name)
        batch.serve(batch.name)
        is_dropped = await batch.took(batch.name)
        return is_dropped, list(zip([*names, "response"], batch.sent, strict=True)), batch.came

    async def _spoil(self, up, station, datagram):
        self.send(station, datagram, up.remote)
        await asyncio.sleep(QUIET_S / 4)

    async def reply_to(self, datagram, mid):
        """What the UE sends for these bytes, or None."""
        station = self.bench.server
        start = len(station.arrivals)
        self.send(station, datagram, self.bench.requests[-1].remote)

        def is_reply(arrival):
            message = arrival.message
            return message and message.mid == mid and not message.is_request

        limit_s = self.profile.ack_timeout_s + QUIET_S
        return self.take(await station.next(is_reply, limit_s, start))

    def require_etag(self):
        if not self.bench.sends_etag:
            raise NotApplicable("the UE sends no ETag")

    def acknowledge(self, up):
        self.send(self.bench.server, empty(ACK, up.message.mid), up.remote)
