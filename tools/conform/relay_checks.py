"""What a relay must do by TS 24.538 6.2.2.1: which messages it passes on, and how."""

import asyncio

from msgin5g_tools.conform.case import require, require_code
from msgin5g_tools.conform.check import NotApplicable
from msgin5g_tools.conform.relay_bench import checks
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    BAD_GATEWAY,
    BAD_OPTION,
    BAD_REQUEST,
    BLOCK2,
    CONTENT,
    CRITICAL_SAFE,
    CRITICAL_UNSAFE,
    ELECTIVE_SAFE,
    ETAG,
    FORBIDDEN,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NON,
    NOT_FOUND,
    OBSERVE,
    POST,
    block,
    code_text,
)

_RULE = "TS 24.538 6.2.2.1"
_FOREIGN = "urn:x-conform:ue:foreign"


# Uplink


@checks(_RULE, "A GET whose Recipient is the server is passed on to the server.")
async def get_for_the_server(case):
    request, up = await case.forwarded()
    require(up.message.path == request.path, "it has another path")
    require(up.message.queries == request.queries, "it has another query")
    case.answer(up)


@checks(_RULE, "Its Recipient is the same at the server.")
async def recipient_of_request(case):
    request, up = await case.forwarded()
    number = case.profile.recipient_option
    require(up.message.all(number) == request.all(number), "it is another one, or none")
    case.answer(up)


@checks(_RULE, "A GET whose Recipient is another one is not passed on.")
async def get_for_another_recipient(case):
    request = case.ask(case.request(recipient="coap://conform.example"))
    await case.require_not_forwarded()
    case.require_nothing_at(case.ue, request.token)


@checks(_RULE, "A GET without a Recipient is not passed on.")
async def get_without_recipient(case):
    case.ask(case.request(recipient=False))
    await case.require_not_forwarded()


@checks(_RULE, "What is no GET is not passed on.")
async def post_for_the_server(case):
    request = case.ask(case.request(code=POST))
    await case.require_not_forwarded()
    for arrival in case.ue.station.arrivals:
        if arrival.message and arrival.message.token == request.token:
            require_code(case.take(arrival), METHOD_NOT_ALLOWED, FORBIDDEN)


@checks(_RULE, "A client without a link gets no response of the server.", ("stranger_bind",))
async def client_without_link(case):
    stranger = case.bench.stranger
    request = case.ask(case.request(stranger), stranger)
    up = await case.server.next(case.is_mine, case.bench.quiet_s)
    if up is None:
        case.say("nothing at the server")
    else:
        case.take(up)
        case.answer(up, recipient=stranger.uri)
        await asyncio.sleep(case.bench.quiet_s)
    case.require_nothing_at(stranger, request.token)


# Downlink


async def _passes(case, code, **how):
    payload = b"conform " + case.marker.encode()
    message = await case.through(code, payload=payload, **how)
    require(message is not None, "it did not reach the UE")
    require_code(message, code)
    require(message.payload == payload, "it has another payload")
    return message


@checks(_RULE, "A 2.05 whose Recipient is the linked client is passed on to it.")
async def content(case):
    await _passes(case, CONTENT)


@checks(_RULE, "A 4.03 whose Recipient is the linked client is passed on to it.")
async def forbidden(case):
    await _passes(case, FORBIDDEN)


@checks(_RULE, "A 4.04 whose Recipient is the linked client is passed on to it.")
async def not_found(case):
    await _passes(case, NOT_FOUND)


@checks(_RULE, "The Recipient of a response is the same at the client.")
async def recipient_of_response(case):
    message = await _passes(case, CONTENT)
    found = message.all(case.profile.recipient_option)
    require(found == [case.ue.uri.encode()], f"{found!r}")


async def _other_code(case, code):
    """Another code passes, or not, as the profile says (OPEN-6 of the change request)."""
    message = await case.through(code)
    if case.profile.strict_codes:
        require(message is None, "it reached the UE, although --strict-codes is given")
    else:
        require(message is not None, "it did not reach the UE: is --strict-codes missing?")
        require_code(message, code)


@checks(_RULE, "4.00, which it does not name, passes unless --strict-codes is given.")
async def other_client_error(case):
    await _other_code(case, BAD_REQUEST)


@checks(_RULE, "5.00, which it does not name, passes unless --strict-codes is given.")
async def other_server_error(case):
    await _other_code(case, INTERNAL_SERVER_ERROR)


async def _is_discarded(case, code, recipient):
    """A response with this Recipient reaches no UE; one for the right UE then does, or not."""
    request, up = await case.forwarded()
    case.answer(up, code, recipient=recipient, ends=False)
    await asyncio.sleep(case.bench.quiet_s)
    for ue in case.bench.ues:
        case.require_nothing_at(ue, request.token)


@checks(_RULE, "A 2.05 for a client without a link is discarded silently.")
async def content_for_another(case):
    await _is_discarded(case, CONTENT, _FOREIGN)


@checks(_RULE, "A 4.03 for a client without a link is discarded silently.")
async def forbidden_for_another(case):
    await _is_discarded(case, FORBIDDEN, _FOREIGN)


@checks(_RULE, "A 4.04 for a client without a link is discarded silently.")
async def not_found_for_another(case):
    await _is_discarded(case, NOT_FOUND, _FOREIGN)


@checks(_RULE, "A 2.05 without a Recipient is discarded silently.")
async def content_without_recipient(case):
    await _is_discarded(case, CONTENT, False)


@checks(_RULE, "A 2.05 for another client does not reach this one.", ("second_ue",))
async def content_for_another_linked_client(case):
    request, up = await case.forwarded()
    case.answer(up, CONTENT, recipient=case.second.uri, ends=False)
    await asyncio.sleep(case.bench.quiet_s)
    case.require_nothing_at(case.ue, request.token)


# Options


@checks("RFC 7252 5.7.1", "Options that are safe to forward pass in a request.")
async def options_of_request(case):
    options = [(ETAG, b"tag"), (ELECTIVE_SAFE, b"elective"), (CRITICAL_SAFE, b"critical")]
    request, up = await case.forwarded(case.request(options=options))
    for number in (ETAG, ELECTIVE_SAFE, CRITICAL_SAFE, ACCEPT):
        same = up.message.all(number) == request.all(number)
        require(same, f"option {number} is another one, or gone")
    case.answer(up)


@checks("RFC 7252 5.7.1", "Options that are safe to forward pass in a response.")
async def options_of_response(case):
    options = [*case.content_options(b"tag", 7), (ELECTIVE_SAFE, b"elective")]
    message = await _passes(case, CONTENT, options=options)
    for number, value in options:
        require(message.one(number) == value, f"option {number} is another one, or gone")


@checks("RFC 7252 5.7.1", "An unsafe option nobody knows in a request gets 4.02, or nothing.")
async def unsafe_option_of_request(case):
    request = case.ask(case.request(options=[(CRITICAL_UNSAFE, b"x")]))
    await case.require_not_forwarded()
    for arrival in case.ue.station.arrivals:
        if arrival.message and arrival.message.token == request.token:
            require_code(case.take(arrival), BAD_OPTION)


@checks("RFC 7252 5.7.1", "An unsafe option nobody knows in a response does not pass.")
async def unsafe_option_of_response(case):
    request, up = await case.forwarded()
    case.answer(up, options=[(CRITICAL_UNSAFE, b"x")])
    message = await case.down(request, limit_s=case.bench.quiet_s)
    require(message is None or message.code >> 5 == 5, "it reached the UE")
    if message is not None:
        require_code(message, BAD_GATEWAY)


@checks("RFC 7959 2.4", "Block2 passes both ways, and the next block is asked for as any GET.")
async def blocks(case):
    for number, more in ((0, True), (1, False)):
        value = block(number, False, 2)
        request = case.ask(case.request(options=[(BLOCK2, value)]))

        def is_this(arrival, value=value):
            return case.is_mine(arrival) and arrival.message.one(BLOCK2) == value

        up = await case.up(wanted=is_this)
        size = 64 if more else 20
        case.answer(up, options=[(BLOCK2, block(number, more, 2))], payload=b"b" * size)
        message = await case.down(request)
        require(message is not None, f"block {number} did not reach the UE")
        require(message.block2 == (number, more, 2), f"Block2 {message.block2}")
        require(message.payload == b"b" * size, "it has another payload")


@checks("RFC 7641 4.2", "Notifications pass, or Observe is left out of the request.")
async def observe(case):
    request, up = await case.forwarded(case.request(options=[(OBSERVE, b"")]))
    if up.message.one(OBSERVE) is None:
        case.answer(up)
        message = await case.down(request)
        require(message is not None, "the response did not reach the UE")
        require(message.one(OBSERVE) is None, "the relay adds an Observe")
        raise NotApplicable("the relay leaves Observe out, which is allowed")
    case.answer(up, options=[(OBSERVE, b"\x05")])
    message = await case.down(request)
    require(message is not None and message.one(OBSERVE) is not None, "it has no Observe")
    start = len(case.ue.station.arrivals)
    case.answer(up, options=[(OBSERVE, b"\x06")], payload=b"news", type=NON, mid=case.new_mid())

    def is_news(arrival):
        found = arrival.message
        return found and found.token == request.token and found.payload == b"news"

    arrival = await case.ue.station.next(is_news, case.limit_s, start)
    require(case.take(arrival) is not None, "a notification did not reach the UE")
    case.ask(case.request(options=[(OBSERVE, b"\x01")], token=request.token))

    def is_end(arrival):
        return case.is_mine(arrival) and arrival.message.uint(OBSERVE) == 1

    last = await case.server.next(is_end, case.limit_s)
    if case.take(last) is not None:
        case.answer(last)


@checks("RFC 7252 5.3.1", "Two clients with one token get a response each.", ("second_ue",))
async def same_token_of_two_clients(case):
    first = case.ask(case.request())
    second = case.request(case.second, token=first.token, mid=first.mid)
    case.ask(second, case.second)
    for ue in (case.ue, case.second):
        query = f"ue-uri={ue.uri}"

        def is_this(arrival, query=query):
            return case.is_mine(arrival) and query in arrival.message.queries

        up = await case.up(ue, wanted=is_this)
        case.answer(up, recipient=ue.uri, payload=ue.uri.encode())
    for ue, request in ((case.ue, first), (case.second, second)):
        message = await case.down(request, ue)
        require(message is not None, f"{ue.uri} gets no response")
        require(message.payload == ue.uri.encode(), f"{ue.uri} gets the other's response")


@checks("RFC 7252 5.2.3", "A GET that is a NON is passed on, and answered.")
async def non(case):
    request, up = await case.forwarded(case.request(type=NON))
    case.answer(up)
    message = await case.down(request)
    require(message is not None, "the response did not reach the UE")
    require(message.type != ACK, f"an ACK for a NON ({code_text(message.code)})")
