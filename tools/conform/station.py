"""A UDP socket of the kit, and everything that has arrived there."""

import asyncio
import socket
import time
from dataclasses import dataclass

from msgin5g_tools.conform.wire import FormatError, Message, decode

_MAX_ARRIVALS = 20000  # of one socket in one run; what comes after that is not kept


@dataclass(frozen=True)
class Arrival:
    """One datagram. message: None when it is no CoAP message, and `fault` says why."""

    at: float
    datagram: bytes
    remote: tuple
    message: Message | None
    fault: str = ""


class Station(asyncio.DatagramProtocol):
    """Open it with `open_station`. on_arrival: called with each Arrival, or None."""

    def __init__(self):
        self.arrivals = []
        self.on_arrival = None
        self._transport = None
        self._waiting = []

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, datagram, address):
        message, fault = None, ""
        try:
            message = decode(datagram)
        except FormatError as error:
            fault = str(error)
        if len(self.arrivals) >= _MAX_ARRIVALS:
            return
        arrival = Arrival(time.monotonic(), datagram, address[:2], message, fault)
        self.arrivals.append(arrival)
        if self.on_arrival:
            self.on_arrival(arrival)
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def error_received(self, error):
        """ICMP says that nobody listens there: as silent as a lost datagram."""

    @property
    def address(self):
        return self._transport.get_extra_info("sockname")[:2]

    def send(self, datagram, remote):
        self._transport.sendto(datagram, remote)

    def close(self):
        self._transport.close()

    async def next(self, wanted, limit_s, start=0):
        """The first Arrival from index `start` on for which wanted(arrival), or None in time."""
        end_at = time.monotonic() + limit_s
        while True:
            for arrival in self.arrivals[start:]:
                if wanted(arrival):
                    return arrival
            start = max(start, len(self.arrivals))
            left_s = end_at - time.monotonic()
            if left_s <= 0:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await asyncio.wait_for(waiter, left_s)
            except (TimeoutError, asyncio.TimeoutError):  # two classes on Python 3.10
                return None
            finally:
                self._waiting.remove(waiter)


class AddressError(Exception):
    """An address that cannot be used."""


async def open_station(bind, remote=None):
    """A Station at (host, port); bind None: where the system wants, to reach `remote`."""
    host, port = bind or (None, 0)
    loop = asyncio.get_running_loop()
    if host is None:
        family = await family_of(remote)
        host = "::" if family == socket.AF_INET6 else "0.0.0.0"
    try:
        _, station = await loop.create_datagram_endpoint(Station, local_addr=(host, port))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AddressError(f"{host}:{port}: cannot listen there: {reason}") from None
    return station


async def family_of(remote):
    return (await _resolve(remote))[0]


async def resolve(remote):
    """(address, port) of a (host, port); AddressError when nobody knows the host."""
    return (await _resolve(remote))[4][:2]


async def _resolve(remote):
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(*remote, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        raise AddressError(f"{remote[0]}: no such host") from None
    return found[0]
