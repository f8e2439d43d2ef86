"""What a server must do by RFC 7252 5.10.6 (ETag), RFC 7959 (Block2) and RFC 7641 (Observe)."""

import asyncio

from msgin5g_tools.conform.case import empty, require, require_code
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.documents import id_of, load, made
from msgin5g_tools.conform.server_api import documents_of_ue, put, require_recipient, scratch
from msgin5g_tools.conform.server_bench import checks
from msgin5g_tools.conform.wire import (
    ACK,
    BAD_REQUEST,
    BLOCK2,
    CON,
    CONTENT,
    DELETE,
    ETAG,
    NOT_FOUND,
    OBSERVE,
    RST,
    VALID,
    block,
    code_text,
)

_SZX_32, _SZX_64 = 1, 2
_MAX_BLOCKS = 5000
_NOTIFICATION_S = 10


# ETag


async def _with_etag(case):
    """The ETag of the UE's collection."""
    etag = (await case.require_served()).one(ETAG)
    if etag is None:
        raise NotApplicable("the response has no ETag")
    return etag


@checks("RFC 7252 5.10.6", "The ETag of a response, sent back, gets 2.03.", needs=("ue",))
async def etag(case):
    tag = await _with_etag(case)
    message = await case.ask(options=[(ETAG, tag)])
    require_code(message, VALID)
    require(not message.payload, "2.03 has a payload")


@checks("RFC 7252 5.10.6", "One of several ETags is enough for 2.03.", needs=("ue",))
async def several_etags(case):
    tag = await _with_etag(case)
    require_code(await case.ask(options=[(ETAG, b"other"), (ETAG, tag)]), VALID)


@checks("RFC 7252 5.10.6", "Another ETag gets 2.05.", needs=("ue",))
async def another_etag(case):
    await case.require_served()
    require_code(await case.ask(options=[(ETAG, b"other")]), CONTENT)


@checks("RFC 7252 5.9.1.3", "A 2.03 has the ETag that is valid.", needs=("ue",))
async def etag_of_valid(case):
    tag = await _with_etag(case)
    message = await case.ask(options=[(ETAG, tag)])
    if message.code != VALID:
        raise NotApplicable(f"{code_text(message.code)}: see etag")
    require(message.one(ETAG) == tag, "it has another one, or none")


# Block2


async def _block(case, number, szx, **how):
    return await case.ask(options=[(BLOCK2, block(number, False, szx))], **how)


async def _first(case, szx=_SZX_32):
    """The first of several small blocks."""
    await case.require_served()
    message = await _block(case, 0, szx)
    require_code(message, CONTENT)
    if message.block2 is None:
        raise NotApplicable("the server sends no blocks: see early-negotiation")
    if not message.block2[1]:
        raise NotApplicable("the response has one block only")
    return message


@checks("RFC 7959 2.3", "A smaller block that a client asks for is what it gets.", needs=("ue",))
async def early_negotiation(case):
    await case.require_served()
    message = await _block(case, 0, _SZX_32)
    require_code(message, CONTENT)
    require(message.block2 is not None, "the response has no Block2")
    number, more, szx = message.block2
    require(number == 0 and szx <= _SZX_32, f"block {number} of {16 << szx} bytes")
    size = 16 << szx
    n_bytes = len(message.payload)
    require(n_bytes == size if more else n_bytes <= size, f"{n_bytes} bytes in a block of {size}")


@checks("RFC 7959 2.4", "The blocks together are the body.", needs=("ue",))
async def blocks_make_the_body(case):
    message = await _first(case)
    body, number, szx = message.payload, 0, message.block2[2]
    more = True
    while more:
        number += 1
        require(number < _MAX_BLOCKS, f"more than {_MAX_BLOCKS} blocks")
        part = await _block(case, number, szx)
        require_code(part, CONTENT)
        require(part.block2 is not None, f"block {number} has no Block2")
        require(part.block2[::2] == (number, szx), f"{part.block2} in place of block {number}")
        more = part.block2[1]
        body += part.payload
    require(isinstance(load(body), list), "the body is no array")


@checks("RFC 7959 2.4", "All blocks of a body have one ETag.", needs=("ue",))
async def blocks_have_one_etag(case):
    message = await _first(case)
    if message.one(ETAG) is None:
        raise NotApplicable("the response has no ETag")
    part = await _block(case, 1, message.block2[2])
    require(part.one(ETAG) == message.one(ETAG), "the second block has another one, or none")


@checks("RFC 7959 2.4", "A block past the end gets 4.00.", needs=("ue",), should=True)
async def block_past_the_end(case):
    await _first(case)
    require_code(await _block(case, 4000, _SZX_64), BAD_REQUEST)


@checks("RFC 7959 2.2", "The reserved size exponent 7 gets 4.00.", needs=("ue",))
async def reserved_exponent(case):
    await case.require_served()
    require_code(await _block(case, 0, 7), BAD_REQUEST)


# Observe


async def _register(case, path, token, queries=()):
    """The response to a registration."""
    message = await case.ask(list(queries), [(OBSERVE, b"")], path, token=token)
    require_code(message, CONTENT)
    return message


async def _individual(case):
    found = await documents_of_ue(case)
    if not found:
        raise NotApplicable("the array is empty: see array-of-documents")
    return [*case.profile.collection, id_of(found[0])]


@checks("TS 24.546 C.3.1.2.3.3", "The individual document can be observed.", needs=("ue",))
async def observable(case):
    path, token = await _individual(case), case.new_token()
    message = await _register(case, path, token)
    require(message.uint(OBSERVE) is not None, "the response has no Observe")
    await case.ask([], [(OBSERVE, b"\x01")], path, token=token)


@checks("RFC 7641 3.6", "Observe 1 ends an observation, and gets a plain response.", ("ue",))
async def deregister(case):
    path, token = await _individual(case), case.new_token()
    if (await _register(case, path, token)).uint(OBSERVE) is None:
        raise NotApplicable("the server does not observe: see observable")
    message = await case.ask([], [(OBSERVE, b"\x01")], path, token=token)
    require_code(message, CONTENT)
    require(message.one(OBSERVE) is None, "the response has an Observe")


@checks("RFC 7641 4.1", "Where nothing can be observed, Observe is ignored.")
async def observe_of_nothing(case):
    path = [*case.profile.collection, "no-such-document"]
    message = await case.ask([], [(OBSERVE, b"")], path)
    require(message.one(OBSERVE) is None, "an error has an Observe")


class _Scratch:
    """A document of the kit's own, which is observed."""

    def __init__(self, case):
        self.case = case
        self.doc_id, self.ue = scratch()
        self.path = [*case.profile.collection, self.doc_id]
        self.token = case.new_token()
        self.newest = None
        self._start = 0

    async def __aenter__(self):
        await self.change("first")
        queries = self.case.ue_query(self.ue)
        message = await _register(self.case, self.path, self.token, queries)
        self.newest = message.uint(OBSERVE)
        if self.newest is None:
            await self.__aexit__()
            raise NotApplicable("the server does not observe: see observable")
        return self

    async def __aexit__(self, *_):
        await self.case.ask([], path=self.path, code=DELETE)

    async def change(self, name):
        message = await put(self.case, self.path, made(self.doc_id, self.ue, name=name))
        require(message.code >> 5 == 2, f"PUT: {code_text(message.code)}")

    async def notification(self, limit_s=_NOTIFICATION_S, kind=ACK):
        """The next notification, acknowledged or reset; None when none comes in time."""
        case = self.case

        def wanted(arrival):
            message = arrival.message
            return message and message.token == self.token and message.type != ACK

        start = max(self._start, 0)
        arrival = await case.station.next(wanted, limit_s, start)
        message = case.take(arrival)
        if message is not None:
            self._start = case.station.arrivals.index(arrival) + 1
            if message.type == CON or kind == RST:
                case.send(case.station, empty(kind, message.mid), case.bench.remote)
        return message


@checks("RFC 7641 4.2", "A changed document is notified, with its new state.", ("may_write",))
async def notification(case):
    async with _Scratch(case) as observed:
        await observed.change("second")
        message = await observed.notification()
        require(message is not None, "no notification came")
        require_code(message, CONTENT)
        require(b"second@" in message.payload, "it has the former state")


@checks("RFC 7641 3.4", "Each notification has a newer number.", ("may_write",))
async def notification_number(case):
    async with _Scratch(case) as observed:
        for name in ("second", "third"):
            await observed.change(name)
            message = await observed.notification()
            require(message is not None, "no notification came")
            number = message.uint(OBSERVE)
            require(number is not None, "a notification has no Observe")
            ahead = (number - observed.newest) & 0xFFFFFF
            require(0 < ahead < 1 << 23, f"{number} is not newer than {observed.newest}")
            observed.newest = number


@checks("RFC 7641 3.6", "A Reset for a notification ends the observation.", ("may_write",))
async def reset_ends_observation(case):
    async with _Scratch(case) as observed:
        await observed.change("second")
        require(await observed.notification(kind=RST) is not None, "no notification came")
        await asyncio.sleep(case.bench.quiet_s)
        await observed.change("third")
        if await observed.notification(2 * case.bench.quiet_s) is not None:
            raise Failure("a notification came after the Reset")


@checks("RFC 7641 4.2", "A deletion ends the observation with 4.04.", ("may_write",))
async def deletion_ends_observation(case):
    async with _Scratch(case) as observed:
        await case.ask([], path=observed.path, code=DELETE)
        message = await observed.notification()
        require(message is not None, "no notification came")
        require_code(message, NOT_FOUND)
        require(message.one(OBSERVE) is None, "an error has an Observe")


@checks("TS 24.538 6.2.2.1", "A notification has the Recipient of its request.", ("may_write",))
async def recipient_of_notification(case):
    async with _Scratch(case) as observed:
        await observed.change("second")
        message = await observed.notification()
        require(message is not None, "no notification came")
        require_recipient(case, message, observed.ue)
