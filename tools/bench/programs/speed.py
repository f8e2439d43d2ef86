"""Time and allocation of the hot paths.

    micropython -X heapsize=192K speed.py FIRMWARE_DIR ROUNDS
    micropython -X heapsize=384K speed.py FIRMWARE_DIR ROUNDS busy     a relay at its limits
    micropython -X heapsize=384K speed.py FIRMWARE_DIR ROUNDS protected    what passes is protected

A round takes the time of every path once, and before each that of the unit for about as long.
A figure is the best of all rounds: the paths are so short that in many rounds the machine does
nothing else.

A round with a garbage collection in it is never the best one. So the share of the collections is
measured apart: the time of one, and the bytes after which it comes.
"""

import gc
import time

from measure import allocated, arguments, microseconds, tell, unit

import frames
from msgin5g.coap.endpoint import Endpoint
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import GET
from msgin5g.port.system import random_byte
from msgin5g.relay import Relay
from msgin5g.settings import settings_of

_MAX_RATE = 1000  # requests a second: one in each millisecond of the relay's clock
_N_FETCHES = 4  # in a round of the relay: what they allocate fits the heap


class Counted:
    """A buffer that counts the bytes that a store of a slice moves on a board.

    There `buf[i:j] = value` moves all that lies behind j, even if nothing gets longer. The C
    library of a PC sees that the bytes stay where they are, so time does not show it here.
    """

    def __init__(self, size):
        self._buf = bytearray(size)
        self.n_moved = 0

    def __len__(self):
        return len(self._buf)

    def __setitem__(self, key, value):
        if isinstance(key, slice):
            self.n_moved += len(self._buf) - key.stop
        self._buf[key] = value


class Codec:
    """One datagram decoded, and encoded into a new buffer of its size, as an endpoint does it."""

    def __init__(self, datagram):
        message = Message().decode(datagram)
        self._options = frames.options_of(datagram)
        self._head = (message.mtype, message.code, message.mid, message.token())
        self._payload = message.payload()
        self._datagram = datagram
        self._message = message
        buf = bytearray(len(datagram))
        assert self._encode(buf) == len(datagram) and buf == datagram

    def _encode(self, buf):
        mtype, code, mid, token = self._head
        return encode(buf, mtype, code, mid, token, self._options, self._payload)

    def moved_in(self, size):
        """Bytes that are moved when it is encoded into a buffer of this size."""
        buf = Counted(size)
        self._encode(buf)
        return buf.n_moved

    def decode(self, n):
        message = self._message
        datagram = self._datagram
        for _ in range(n):
            message.decode(datagram)

    def encode(self, n):
        size = len(self._datagram)
        mtype, code, mid, token = self._head
        options = self._options
        payload = self._payload
        for _ in range(n):
            encode(bytearray(size), mtype, code, mid, token, options, payload)


class Requests:
    """Endpoint.request: an exchange with its token and message ID, encoded; and its end."""

    def __init__(self):
        self._endpoint = Endpoint(random_byte, {}, None, None, 2, 4, 900, 32)
        self._options = frames.options_of(frames.REQUEST)

    def request(self, n):
        endpoint = self._endpoint
        options = self._options
        for _ in range(n):
            endpoint.cancel(endpoint.request(0, frames.SERVER, GET, options, None))


class Fetches:
    """Fetches of one UE through a relay with 32 links.

    busy: the relay is at its limits, with 32 observations and 15 other requests under way.
    protected: what passes is protected by OSCORE.
    """

    def __init__(self, busy, protected=False):
        self._protected = protected
        settings = {"role": "relay", "ue_id": "urn:x-msgin5g:relay:1"}
        settings["server"] = {"address": frames.SERVER_ADDRESS}
        settings["relay"] = {"max_rate": _MAX_RATE}
        self.relay = Relay(settings_of(settings), random_byte, frames.SERVER, 0)
        self._body = frames.body(0)
        self._meter = time.ticks_us
        self._mid = 0
        self.now = 0
        for number in range(32):
            self.relay.link_up(frames.ue_id(number), 0, frames.ue_remote(number))
        if busy:
            for number in range(32):
                self._fetch(number, True)
            for number in range(15):
                out, _ = self._up(number, False)
                acknowledgement = bytes((0x60, 0, out[1][2], out[1][3]))
                self.relay.receive(0, acknowledgement, frames.SERVER, self.now)
            self.now += 1500  # the relay acknowledges the requests that wait
            self.relay.step(self.now)
            while self.relay.transmit(self.now):
                pass
        self.up_us = self.down_us = 0

    def _way(self, datagram, remote):
        """(what the relay sends for one datagram, how much the meter moved meanwhile)."""
        relay = self.relay
        now = self.now
        meter = self._meter
        start = meter()
        relay.receive(0, datagram, remote, now)
        relay.step(now)
        out = relay.transmit(now)
        relay.transmit(now)
        return out, meter() - start

    def _up(self, number, observe):
        self._mid = (self._mid + 1) & 0xFFFF
        self.now = (self.now + 1) & 0x3FFFFFFF
        request = frames.request(number, self._mid, observe)
        if self._protected:
            request = frames.protected(request)
        return self._way(request, frames.ue_remote(number))

    def _fetch(self, number, observe):
        out, up_us = self._up(number, observe)
        answer = frames.answer(number, out[1], self._body, observe)
        if self._protected:
            answer = frames.protected(answer)
        out, down_us = self._way(answer, frames.SERVER)
        assert out[2] == frames.ue_remote(number) and out[1][1] == answer[1]
        return up_us, down_us

    def fetch(self, n):
        """Fetch n times; up_us and down_us are what one takes on average, no collection in it:
        its share is added later, and would count twice."""
        self.up_us = self.down_us = 0
        gc.collect()
        gc.disable()
        for _ in range(n):
            up_us, down_us = self._fetch(0, False)
            self.up_us += up_us / n
            self.down_us += down_us / n
        gc.enable()

    def allocated(self):
        """(up, down): bytes allocated for a datagram from receive to transmit."""
        for _ in range(4):  # what only the first ones allocate is not of the operation
            self._fetch(0, False)
        gc.collect()
        gc.disable()
        self._meter = gc.mem_alloc
        sizes = self._fetch(0, False)
        self._meter = time.ticks_us
        gc.enable()
        return sizes


class Polls:
    """An idle relay with 32 links and 32 observations, asked whether there is anything to do."""

    def __init__(self, fetches):
        self._fetches = fetches

    def poll(self, n):
        relay = self._fetches.relay
        now = self._fetches.now
        for _ in range(n):
            relay.step(now)
            relay.transmit(now)
            relay.wait_ms(now)


def main():
    rounds = int(arguments()[0])
    paths = []
    moved = {}
    if len(arguments()) == 1:
        for name, datagram in (
            ("", frames.REQUEST),
            ("answer_", frames.answer(0, frames.REQUEST, frames.body(0))),
        ):
            codec = Codec(datagram)
            paths.append((name + "decode", codec.decode, 100))
            paths.append((name + "encode", codec.encode, 100))
            moved[name + "encode"] = (codec.moved_in(len(datagram)), codec.moved_in(1152))
        paths.append(("request", Requests().request, 30))
    fetches = Fetches("busy" in arguments(), "protected" in arguments())
    paths.append(("idle_poll", Polls(fetches).poll, 100))
    alloc = {name: allocated(function) for name, function, _ in paths}
    alloc["uplink"], alloc["downlink"] = fetches.allocated()
    best = {}
    for _ in range(rounds):
        for name, function, n in paths:
            _better(best, "unit", microseconds(lambda n: unit(n, frames.REQUEST), 50))
            _better(best, name, microseconds(function, n))
    for _ in range(2 * rounds):
        _better(best, "unit", microseconds(lambda n: unit(n, frames.REQUEST), 120))
        fetches.fetch(_N_FETCHES)
        _better(best, "uplink", fetches.up_us)
        _better(best, "downlink", fetches.down_us)
        _better(best, "collection", microseconds(lambda _: gc.collect(), 1))
    tell({"us": best, "alloc_bytes": alloc, "moved_bytes": moved, "free_bytes": gc.mem_free()})


def _better(best, name, value):
    if name not in best or value < best[name]:
        best[name] = value


main()
