"""What a UE must do by RFC 7252 section 4: retransmission, acknowledgement, rejection."""

import asyncio

from msgin5g_tools.conform.case import empty, require
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.ue_bench import QUIET_S, checks
from msgin5g_tools.conform.wire import ACK, CON, CONTENT, CRITICAL_UNSAFE, GET, NON, RST, Message

_EARLY, _LATE = 0.9, 1.3  # of a time-out: clocks, networks and busy machines
_GROWTH = 1.5  # of a time-out that doubles, where the first copy may have come late
_LONGEST_S = 15  # a check that takes longer is left out
_TRIES = 3  # a copy that came late on a busy machine proves nothing about the UE


async def _again(case, up, start, limit_s):
    """The next copy of a request."""
    arrival = await case.bench.server.next(lambda a: a.datagram == up.datagram, limit_s, start)
    case.take(arrival)
    return arrival


async def _fault_of_copies(case, up):
    """What is wrong with the first two copies of a request, or None."""
    profile = case.profile
    # Only the first copy is on time: the checks before this one may have used it up.
    start = case.bench.server.arrivals.index(up) + 1
    times = [up.at]
    for n in range(2):
        longest_s = profile.ack_timeout_s * profile.ack_random_factor * 2**n * _LATE + QUIET_S
        arrival = await _again(case, up, start, longest_s)
        if arrival is None:
            return f"copy {n + 1} did not come within {longest_s:.1f} s"
        start = case.bench.server.arrivals.index(arrival) + 1
        times.append(arrival.at)
    first_s, second_s = times[1] - times[0], times[2] - times[1]
    if first_s < _EARLY * profile.ack_timeout_s:
        return f"copy 1 after {first_s:.2f} s already"
    if second_s < _GROWTH * first_s:
        return f"after {first_s:.2f} s and {second_s:.2f} s"
    return None


@checks("RFC 7252 4.2", "A CON without an ACK is sent again, the same bytes, with back-off.")
async def retransmission(case):
    fault = ""
    for _ in range(_TRIES):
        up = await case.request()
        if up.message.type != CON:
            raise NotApplicable("the UE asks with a NON")
        fault = await _fault_of_copies(case, up)
        case.serve(case.name, up)
        if fault is None:
            return
    raise Failure(fault)


@checks("RFC 7252 4.2", "It is sent MAX_RETRANSMIT times again, and no more.")
async def max_retransmit(case):
    profile = case.profile
    n = profile.max_retransmit
    span_s = profile.ack_timeout_s * profile.ack_random_factor * (2 ** (n + 1) - 1)
    if span_s > _LONGEST_S:
        raise NotApplicable(f"it would take {span_s:.0f} s: shorten ACK_TIMEOUT, --ack-timeout")
    up = await case.request()
    if up.message.type != CON:
        raise NotApplicable("the UE asks with a NON")
    await asyncio.sleep(span_s * _LATE)
    copies = [a for a in case.bench.server.arrivals if a.datagram == up.datagram]
    case.say(f"{len(copies) - 1} copies")
    require(len(copies) == n + 1, f"{len(copies) - 1} copies in place of {n}")
    case.bench.current = None


@checks("RFC 7252 5.2.2", "An empty ACK ends repetition; a separate response is taken.", ("ue",))
async def separate_response(case):
    up = await case.request()
    if up.message.type != CON:
        raise NotApplicable("the UE asks with a NON")
    start = len(case.bench.server.arrivals)
    case.acknowledge(up)
    profile = case.profile
    longest_s = profile.ack_timeout_s * profile.ack_random_factor * _LATE
    again = await case.bench.server.next(lambda a: a.datagram == up.datagram, longest_s, start)
    require(again is None, "the request was sent again after its ACK")
    mid = case.new_mid()
    message = case.serve(case.name, up, type=CON, mid=mid)
    case.sent.pop()
    for _ in range(2):  # the second one is a copy, whose ACK was lost (section 4.5)
        reply = await case.reply_to(message.encode(), mid)
        require(reply is not None and reply.type == ACK, "no ACK came for the response")
    await case.require_taken(case.name)


@checks("RFC 7252 5.2.3", "A response that is a NON is taken.", needs=("ue",))
async def non_response(case):
    up = await case.request()
    if up.message.type == CON:
        case.acknowledge(up)
    case.serve(case.name, up, type=NON)
    await case.require_taken(case.name)


@checks("RFC 7252 5.4.1", "A response with an unknown critical option is not taken.", ("ue",))
async def critical_option(case):
    up = await case.request()
    options = [*case.options(case.name), (CRITICAL_UNSAFE, b"x")]
    case.answer(up, CONTENT, options, case.body(up, case.document(case.name)))
    await case.require_not_taken(case.name)


@checks("RFC 7252 5.4.1", "A CON response with an unknown critical option gets a Reset.", ("ue",))
async def critical_option_in_con(case):
    up = await case.request()
    if up.message.type == CON:
        case.acknowledge(up)
    options = [*case.options(case.name), (CRITICAL_UNSAFE, b"x")]
    body = case.body(up, case.document(case.name))
    mid = case.new_mid()
    message = case.answer(up, CONTENT, options, body, type=CON, mid=mid)
    case.sent.pop()
    reply = await case.reply_to(message.encode(), mid)
    require(reply is not None and reply.type == RST, "no Reset came")


@checks("RFC 7252 4.2", "A CON response that nobody has asked for gets a Reset.", needs=("ue",))
async def unexpected_response(case):
    mid = case.new_mid()
    recipient = (case.profile.recipient_option, case.profile.ue.encode())
    message = Message(CON, CONTENT, mid, b"no-such-", [recipient], b"\x80")
    reply = await case.reply_to(message.encode(), mid)
    require(reply is not None and reply.type == RST, "no Reset came")


@checks("RFC 7252 4.3", "A ping gets a Reset.")
async def ping(case):
    mid = case.new_mid()
    reply = await case.reply_to(empty(CON, mid).encode(), mid)
    require(reply is not None and reply.type == RST, "no Reset came")


@checks("RFC 7252 3", "A malformed CON gets a Reset.")
async def malformed_con(case):
    mid = case.new_mid()
    message = Message(CON, CONTENT, mid, b"no-such-")
    reply = await case.reply_to(message.encode() + b"\xff", mid)
    require(reply is not None and reply.type == RST, "no Reset came")


@checks("RFC 7252 4.2", "A CON request is rejected or answered, and not left without a word.")
async def request_to_ue(case):
    mid = case.new_mid()
    message = Message(CON, GET, mid, b"conform", [(11, b"su-uc")])
    reply = await case.reply_to(message.encode(), mid)
    require(reply is not None, "nothing came")
    require(reply.code >> 5 != 2, "a UE serves nothing")
