"""What a relay must do by RFC 7252 section 4, towards its UEs and towards the server."""

import asyncio

from msgin5g_tools.conform.between import LATE
from msgin5g_tools.conform.case import (
    empty,
    is_ack_of,
    is_reset_of,
    require,
)
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.relay_bench import checks
from msgin5g_tools.conform.wire import ACK, CON, CONTENT, EMPTY, RST


async def _hop(case):
    """(request, Arrival) where the relay is a CoAP hop; see OPEN-5 of the change request."""
    request, up = await case.forwarded()
    if case.is_transparent(request, up):
        raise NotApplicable("it forwards the datagrams of its UEs as they are")
    return request, up


@checks("RFC 7252 4.3", "A ping from a UE gets a Reset.")
async def ping_from_ue(case):
    await case.require_pong(case.ue.station)


@checks("RFC 7252 4.3", "A ping from the server gets a Reset.")
async def ping_from_server(case):
    await case.require_pong(case.server)


@checks("RFC 7252 3", "A malformed GET is not passed on, and gets a Reset.")
async def malformed_get(case):
    request = case.request()
    case.ask(request.encode() + b"\xff")
    arrival = await case.ue.station.next(is_reset_of(request.mid), case.bench.quiet_s)
    await case.require_not_forwarded(0)
    require(case.take(arrival) is not None, "nothing came in place of a Reset")


@checks("RFC 7252 4.5", "A repeated CON is passed on once, and gets its response again.")
async def repeated_con(case):
    request, up = await case.forwarded()
    case.ask(request)
    await asyncio.sleep(case.bench.quiet_s)
    found = {a.message.mid for a in case.server.arrivals if case.is_mine(a)}
    require(len(found) == 1, f"{len(found)} requests reached the server")
    case.answer(up, payload=b"once")
    require(await case.down(request) is not None, "the response did not reach the UE")
    start = len(case.ue.station.arrivals)
    case.ask(request)

    def is_again(arrival):
        message = arrival.message
        if not message:
            return False
        return message.token == request.token or (message.type, message.mid) == (ACK, request.mid)

    again = await case.ue.station.next(is_again, case.limit_s, start)
    require(case.take(again) is not None, "nothing came for the repeated message")
    found = {a.message.mid for a in case.server.arrivals if case.is_mine(a)}
    require(len(found) == 1, f"{len(found)} requests reached the server")


@checks("RFC 7252 4.2", "A request that the server does not acknowledge is sent again.")
async def request_is_sent_again(case):
    request, up = await _hop(case)
    start = case.server.arrivals.index(up) + 1
    longest_s = case.profile.ack_timeout_s * case.profile.ack_random_factor
    again = await case.server.next(case.is_mine, longest_s * (1 + LATE), start)
    require(case.take(again) is not None, f"nothing came within {longest_s:g} s")
    require(again.datagram == up.datagram, "it is another message")
    waited_s = again.at - up.at
    shortest_s = case.profile.ack_timeout_s * (1 - LATE)
    require(waited_s >= shortest_s, f"after {waited_s:.2f} s already")
    case.answer(again)
    require(await case.down(request) is not None, "the response did not reach the UE")


@checks("RFC 7252 5.2.2", "A slow server: the UE gets an empty ACK within ACK_TIMEOUT.")
async def slow_server(case):
    request, up = await _hop(case)
    case.send(case.server, empty(ACK, up.message.mid), up.remote)
    limit_s = case.profile.ack_timeout_s * (1 + LATE)
    ack = case.take(await case.ue.station.next(is_ack_of(request.mid), limit_s))
    require(ack is not None, "no ACK came")
    require(ack.code == EMPTY, "the ACK is not empty")
    mid = case.new_mid()
    case.answer(up, payload=b"late", type=CON, mid=mid)
    message = await case.down(request)
    require(message is not None, "the separate response did not reach the UE")
    require(message.payload == b"late", "it has another payload")


@checks("RFC 7252 4.2", "A CON response of the server is acknowledged, each time it comes.")
async def con_response_is_acknowledged(case):
    request, up = await _hop(case)
    case.send(case.server, empty(ACK, up.message.mid), up.remote)
    mid = case.new_mid()
    for _ in range(2):
        start = len(case.server.arrivals)
        case.answer(up, payload=b"late", type=CON, mid=mid)
        ack = case.take(await case.server.next(is_ack_of(mid), case.limit_s, start))
        require(ack is not None, "no ACK came")
    await asyncio.sleep(case.bench.quiet_s)
    responses = [
        a.message.mid
        for a in case.ue.station.arrivals
        if a.message and a.message.token == request.token and a.message.code == CONTENT
    ]
    require(len(responses) > 0, "the response did not reach the UE")
    require(len(set(responses)) == 1, "the UE got it twice")


@checks("RFC 7252 4.2", "A response that the UE does not acknowledge is sent again.")
async def response_is_sent_again(case):
    request, up = await _hop(case)
    case.ue.unacknowledged.add(request.token)
    case.send(case.server, empty(ACK, up.message.mid), up.remote)
    # Longer than an ACK may be delayed: the response of the relay is a message of its own.
    await asyncio.sleep(case.profile.ack_timeout_s)
    case.answer(up, payload=b"late", type=CON, mid=case.new_mid())
    await case.require_response_again(request)


@checks("RFC 7252 4.2", "A Reset of the server becomes no 2.05 at the UE.")
async def reset_of_server(case):
    request, up = await _hop(case)
    case.send(case.server, empty(RST, up.message.mid), up.remote)
    message = await case.down(request, limit_s=case.bench.quiet_s)
    require(message is None or message.code >> 5 == 5, "the UE gets no error")


@checks("RFC 7252 5.3.2", "A response with a token of no request reaches no UE.")
async def response_with_other_token(case):
    request, up = await _hop(case)
    token = bytes(byte ^ 0xFF for byte in up.message.token) or b"\x01"
    case.answer(up, payload=b"stray", token=token, type=1, mid=case.new_mid(), ends=False)
    await asyncio.sleep(case.bench.quiet_s)
    for arrival in case.ue.station.arrivals:
        if arrival.message and arrival.message.payload == b"stray":
            case.take(arrival)
            raise Failure("it reached the UE")
    case.say("nothing at the UE")
    case.answer(up)
    require(await case.down(request) is not None, "the right response did not reach the UE")
