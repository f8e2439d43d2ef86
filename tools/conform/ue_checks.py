"""What a constrained UE must do by TS 24.538 6.2.2.2 and 6.2.1.2: what it asks, what it takes."""

import asyncio

from msgin5g_tools.conform.case import require
from msgin5g_tools.conform.check import NotApplicable
from msgin5g_tools.conform.ue_bench import QUIET_S, checks, etag_of
from msgin5g_tools.conform.wire import (
    ACCEPT,
    ACK,
    BLOCK2,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    ETAG,
    FORBIDDEN,
    GET,
    MAX_AGE,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    URI_HOST,
    URI_PATH,
    URI_PORT,
    URI_QUERY,
    VALID,
    block_of,
    uint,
)

_RULE = "TS 24.538 6.2.2.2"
_ASK = "TS 24.538 6.2.1.2"
_KNOWN_CRITICAL = {URI_HOST, URI_PORT, URI_PATH, URI_QUERY, ACCEPT, BLOCK2}
_PAUSE_S = 2


# What it asks


@checks(_ASK, "It asks with a GET for the UE configurations of the MSGin5G service.")
async def request(case):
    message = (await case.peek()).message
    require(message.code == GET, "it is no GET")
    collection = case.profile.collection
    path = message.path
    require(path in (collection, [*collection, *path[-1:]]), "/".join(path))


@checks(_ASK, "Its ue-uri is the MSGin5G UE ID, once.", needs=("ue",))
async def ue_uri(case):
    queries = (await case.peek()).message.queries
    found = [query[7:] for query in queries if query.startswith("ue-uri=")]
    require(found == [case.profile.ue], f"ue-uri {', '.join(found) or 'is missing'}")


@checks(_RULE, "Its Recipient is the configuration management server, once.")
async def recipient(case):
    message = (await case.peek()).message
    found = message.all(case.profile.recipient_option)
    require(len(found) == 1, f"{len(found)} Recipients")
    wanted = case.profile.recipient
    require(wanted is None or found[0] == wanted.encode(), f"Recipient {found[0]!r}")


@checks(_RULE, "It asks from the UDP port of the UE.", needs=("source_port",))
async def source_port(case):
    port = (await case.peek()).remote[1]
    require(port == case.profile.source_port, f"port {port}")


@checks("TS 24.546 C.3.1.6", "Its Accept is the media type's, or CBOR.", should=True)
async def accept(case):
    found = (await case.peek()).message.uint(ACCEPT)
    require(found in case.profile.formats, f"Accept {found}")


@checks("RFC 7252 5.4.1", "It has no critical option that a server need not know.")
async def critical_options(case):
    message = (await case.peek()).message
    known = _KNOWN_CRITICAL | {case.profile.recipient_option}
    found = [number for number, _ in message.options if number % 2 and number not in known]
    require(not found, f"option {found}")


@checks("RFC 7252 5.3.1", "Its tokens have four bytes or more, and are never the same.", (), True)
async def tokens(case):
    await case.peek()
    found = [arrival.message.token for arrival in case.bench.requests]
    require(len(set(found)) == len(found), "two requests have one token")
    require(min(map(len, found)) >= 4, f"a token of {min(map(len, found))} bytes")


@checks("RFC 7252 4.4", "Each request has a message ID of its own.")
async def message_ids(case):
    await case.peek()
    found = [arrival.message.mid for arrival in case.bench.requests]
    require(len(set(found)) == len(found), "two requests have one message ID")


# What it takes


@checks(_RULE, "A 2.05 whose Recipient is the UE itself is taken.", needs=("ue",))
async def content(case):
    case.serve(case.name, await case.request())
    await case.require_taken(case.name)


@checks(_RULE, "A 2.05 for another UE is dropped, and the UE goes on waiting.", needs=("ue",))
async def content_for_another(case):
    await case.is_dropped("content-for-another")


@checks(_RULE, "A 4.03 for another UE is dropped, and the UE goes on waiting.", needs=("ue",))
async def forbidden_for_another(case):
    await case.is_dropped("forbidden-for-another")


@checks(_RULE, "A 4.04 for another UE is dropped, and the UE goes on waiting.", needs=("ue",))
async def not_found_for_another(case):
    await case.is_dropped("not-found-for-another")


@checks(_RULE, "Behind a relay, a 2.05 without a Recipient is dropped.", needs=("ue",))
async def content_without_recipient(case):
    if case.profile.next_hop_is == "server":
        raise NotApplicable("its next hop is the server")
    await case.is_dropped("content-without-recipient")


@checks("RFC 7252 5.3.2", "A response with another token is dropped.", needs=("ue",))
async def other_token(case):
    await case.is_dropped("other-token")


@checks("RFC 7252 5.3.2", "A response from another address is dropped.", needs=("ue",))
async def other_source(case):
    await case.is_dropped("other-source")


@checks("RFC 7252 3", "A message of another version is dropped.", needs=("ue",))
async def other_version(case):
    await case.is_dropped("other-version")


async def _is_an_end(case, code):
    """An error for the UE itself ends the request: the UE does not repeat it, and asks anew."""
    up = await case.request()
    start = len(case.bench.server.arrivals)
    case.reject(up, code)
    require(await case.bench.next_request() is not None, "the UE asks no more")
    again = [a for a in case.bench.server.arrivals[start:] if a.datagram == up.datagram]
    require(not again, "it sent the request again")


@checks(_RULE, "A 4.03 whose Recipient is the UE itself ends the request.", needs=("ue",))
async def forbidden(case):
    await _is_an_end(case, FORBIDDEN)


@checks(_RULE, "A 4.04 whose Recipient is the UE itself ends the request.", needs=("ue",))
async def not_found(case):
    await _is_an_end(case, NOT_FOUND)


# Documents


async def _with_payload(case, payload=None, options=None, documents=()):
    up = await case.request()
    body = case.body(up, *documents) if payload is None else payload
    case.answer(up, CONTENT, options or case.options(case.name), body)


@checks("TS 24.546 C.3.1.7", "Keys of a document that it does not know are ignored.", ("ue",))
async def unknown_keys(case):
    document = case.document(case.name) | {"xConform": [1, {"a": b"b"}]}
    await _with_payload(case, documents=[document])
    await case.require_taken(case.name)


@checks("TS 24.546 C.3.1.3.2", "A document for another UE only is not taken.", ("ue",))
async def document_of_another(case):
    document = case.document(case.name, "urn:x-conform:ue:foreign")
    await _with_payload(case, documents=[document])
    await case.require_not_taken(case.name)


@checks("TS 24.546 C.3.1.3.2", "An array without a document changes nothing.", ("ue",))
async def empty_array(case):
    await _with_payload(case)
    await case.require_not_taken(case.name)


@checks("TS 24.546 C.3.1.5.2", "A payload that is not CBOR changes nothing.", ("ue",))
async def payload_that_is_not_cbor(case):
    await _with_payload(case, payload=b"\x9f\xff\xff\x1c")
    await case.require_not_taken(case.name)


@checks("TS 24.538 7.2.3", "A configuration without the server's address is not taken.", ("ue",))
async def configuration_without_address(case):
    document = case.document(case.name)
    document["ueConfigs"][0]["configData"] = '{"Segment-size": 1024}'
    await _with_payload(case, documents=[document])
    await case.require_not_taken(case.name)


@checks("RFC 7252 5.5.1", "A 2.05 of another Content-Format is not taken.", ("ue",))
async def other_content_format(case):
    options = [(ETAG, etag_of(case.name)), (CONTENT_FORMAT, uint(42)), (MAX_AGE, uint(1))]
    document = case.document(case.name)
    await _with_payload(case, options=options, documents=[document])
    await case.require_not_taken(case.name)


@checks("RFC 7252 5.9.1.3", "After a 2.03 its ETag is still the one that it had.", ("ue",))
async def valid(case):
    case.require_etag()
    case.serve(case.name, await case.request())
    await case.require_taken(case.name)
    options = [(ETAG, etag_of(case.name)), (MAX_AGE, uint(1))]
    case.answer(await case.request(), VALID, options)
    await case.require_taken(case.name)


async def _next(case):
    """The Arrival of the next request; Failure when none comes."""
    require(await case.bench.next_request() is not None, "the UE asks no more")
    return await case.request(is_fresh=False)


# Blocks


async def _next_block(case, number):
    """The request for this block; Failure for anything else."""
    up = await _next(case)
    block2 = up.message.block2
    require(block2 is not None and block2[0] == number, f"not block {number}: {block2}")
    return up


def _block(case, up, body, number, szx, name):
    option, part = block_of(body, number, szx)
    case.answer(up, CONTENT, [*case.options(name), option], part)
    return (number + 1) * (16 << szx) < len(body)


@checks("RFC 7959 2.4", "It fetches the blocks of a body one after another.", ("ue",))
async def blocks(case):
    up = await case.request()
    body = case.body(up, case.document(case.name))
    number = 0
    while _block(case, up, body, number, 2, case.name):
        number += 1
        up = await _next_block(case, number)
    await case.require_taken(case.name)


@checks(_RULE, "The request for each block has the Recipient and the query.", ("ue",))
async def recipient_of_blocks(case):
    first = up = await case.request()
    body = case.body(up, case.document(case.name))
    number = 0
    while _block(case, up, body, number, 3, case.name):
        number += 1
        up = await _next_block(case, number)
        for option in (case.profile.recipient_option, URI_PATH, URI_QUERY, ACCEPT):
            same = up.message.all(option) == first.message.all(option)
            require(same, f"option {option} is another one, or gone")


@checks("RFC 7959 2.4", "A body whose ETag changes between two blocks is not taken.", ("ue",))
async def body_that_changes(case):
    up = await case.request()
    body = case.body(up, case.document(case.name))
    _block(case, up, body, 0, 2, case.name)
    up = await _next_block(case, 1)
    other = case.name[::-1]
    number = 1
    while _block(case, up, body, number, 2, other):
        up = await _next(case)
        if up.message.block2 is None or up.message.block2[0] == 0:
            return "it begins again"
        number = up.message.block2[0]
    for name in (case.name, other):
        await case.require_not_taken(name)
    return ""


# When it asks again


async def _pause(case, code):
    up = await case.request()
    case.answer(up, code, [(MAX_AGE, uint(_PAUSE_S))])
    loop = asyncio.get_running_loop()
    start = loop.time()
    require(await case.bench.next_request() is not None, "the UE asks no more")
    waited_s = loop.time() - start
    require(waited_s >= 0.95 * _PAUSE_S, f"it asked again after {waited_s:.2f} s")


@checks("RFC 7252 5.9.3.4", "After a 5.03 it waits for Max-Age before it asks again.", ("ue",))
async def unavailable(case):
    await _pause(case, SERVICE_UNAVAILABLE)


@checks("RFC 8516 3", "After a 4.29 it waits for Max-Age before it asks again.", ("ue",))
async def too_many_requests(case):
    await _pause(case, TOO_MANY_REQUESTS)


@checks("RFC 9175 2.3", "After a 4.01 with Echo it repeats the request with it.", ("ue",), True)
async def echo(case):
    up = await case.request()
    case.answer(up, UNAUTHORIZED, [(ECHO, b"conform!")])
    found = (await _next(case)).message.one(ECHO)
    require(found == b"conform!", f"Echo {found!r}")


# Observe, last: a UE that observes may ask seldom


@checks("RFC 7641 3.5", "A UE that observes acknowledges a CON notification.", ("ue",))
async def notification(case):
    up = await case.request()
    if up.message.uint(OBSERVE) != 0:
        case.serve(case.name, up)
        up = await _next(case)
    if up.message.uint(OBSERVE) != 0:
        raise NotApplicable("the UE does not observe")
    body = case.body(up, case.document(case.name))
    options = [*case.options(case.name, 60), (OBSERVE, b"\x05")]
    case.answer(up, CONTENT, options, body)
    await asyncio.sleep(QUIET_S)
    reply = await _notify(case, up, b"\x06", up.message.token)
    require(reply is not None and reply.type == ACK, "no ACK came")
    # One with the token of nothing ends with a Reset (RFC 7641 section 3.6).
    reply = await _notify(case, up, b"\x07", b"no-such-")
    require(reply is not None and reply.type != ACK, "no Reset came for an unknown token")


async def _notify(case, up, number, token):
    name = case.name[::-1]
    mid = case.new_mid()
    message = case.answer(
        up,
        CONTENT,
        [*case.options(name), (OBSERVE, number)],
        case.body(up, case.document(name)),
        type=CON,
        mid=mid,
        token=token,
    )
    case.sent.pop()
    return await case.reply_to(message.encode(), mid)
