"""Block-wise transfer (RFC 7959) on the server's side, both directions.

Block2 keeps no state: every block is cut from a new response, and its ETag tells the client
whether the blocks belong together. Block1 is reassembled here, because aiocoap's reassembly has
no limit and responds to a gap with 5.00.
"""

from collections import namedtuple

from aiocoap.numbers.codes import (
    BAD_REQUEST,
    CONTINUE,
    REQUEST_ENTITY_INCOMPLETE,
    REQUEST_ENTITY_TOO_LARGE,
)
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.util import hostportsplit

from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.scm_server.security import OVERHEAD, owner_of

MAX_DATAGRAM = 1152  # RFC 7252 section 4.6
MAX_PAYLOAD = 1024
BERT = 7  # RFC 8323 section 6: several blocks of 1,024 bytes in one message, not on UDP
_ASSEMBLY_S = 93.0  # MAX_TRANSMIT_WAIT
_MAX_ASSEMBLIES = 1024
_MAX_OF_HOST = 64
_MAX_BODIES = 64  # bytes of all bodies, in multiples of the largest one


def is_datagram(remote):
    return "+" not in (remote.scheme or "")


_Assembly = namedtuple("_Assembly", "body expires_at n_blocks host")


class Block1Receiver:
    """Reassembles requests that arrive in blocks.

    When it is full it drops the one with the fewest blocks, of these the oldest: whoever sends
    first blocks only, with forged sources, ends no upload that is under way. A host that has many
    of them drops its own.
    """

    def __init__(self, max_body, now):
        self._max_body = max_body
        self._now = now
        self._assemblies = {}  # key -> _Assembly, the one that has waited for longest first

    def feed(self, request):
        """The whole body; None when more blocks must follow; or Problem 4.00, 4.08, 4.13."""
        block = request.opt.block1
        announced = request.opt.size1 or 0
        key = (
            request.remote.blockwise_key,
            owner_of(request),  # a body that somebody else has begun is another one
            request.get_cache_key(
                [OptionNumber.BLOCK1, OptionNumber.BLOCK2, OptionNumber.OBSERVE]
            ),
        )
        assembly = self._take(key)
        body = assembly.body if assembly else None
        if block is None:
            self._limit(max(announced, len(request.payload)))
            return request.payload
        if block.is_bert and is_datagram(request.remote):
            raise Problem(BAD_REQUEST, "Block1 has the reserved size exponent 7")
        n_blocks = assembly.n_blocks + 1 if assembly else 1
        if block.block_number == 0:
            body, n_blocks = bytearray(), 1
        if body is None or block.start != len(body):
            raise Problem(
                REQUEST_ENTITY_INCOMPLETE,
                f"Block1 number {block.block_number} does not follow the last one",
                block1=block,
            )
        if not block.is_valid_for_payload_size(len(request.payload)):
            raise Problem(
                BAD_REQUEST, "the size of the payload is not the one in Block1", block1=block
            )
        self._limit(max(announced, len(body) + len(request.payload)), block)
        body += request.payload
        if not block.more:
            return bytes(body)
        host = hostportsplit(request.remote.hostinfo)[0]
        self._make_room(host, len(body))
        self._assemblies[key] = _Assembly(body, self._now() + _ASSEMBLY_S, n_blocks, host)
        return None

    def _make_room(self, host, size):
        own = [key for key, each in self._assemblies.items() if each.host == host]
        size += sum(len(each.body) for each in self._assemblies.values())
        while self._assemblies and (
            len(own) >= _MAX_OF_HOST
            or len(self._assemblies) >= _MAX_ASSEMBLIES
            or size > _MAX_BODIES * self._max_body
        ):
            among = own if len(own) >= _MAX_OF_HOST else self._assemblies
            key = min(among, key=lambda each: self._assemblies[each].n_blocks)
            size -= len(self._assemblies.pop(key).body)
            if key in own:
                own.remove(key)

    def _take(self, key):
        for stale in [k for k, each in self._assemblies.items() if self._now() > each.expires_at]:
            del self._assemblies[stale]
        return self._assemblies.pop(key, None)

    def _limit(self, size, block=None):
        if size > self._max_body:
            options = {"block1": block} if block else {}
            raise Problem(
                REQUEST_ENTITY_TOO_LARGE,
                f"body is longer than {self._max_body} bytes",
                size1=self._max_body,
                **options,
            )


def acknowledge(message, request):
    """Put Block1 into the response to a request with Block1 (RFC 7959 section 2.3)."""
    block = request.opt.block1
    if block is not None and message.opt.block1 is None:
        message.opt.block1 = (block.block_number, message.code == CONTINUE, block.size_exponent)


def cut(message, request):
    """Reduce a whole response to the requested block; Problem 4.00 when it lies past the end.

    The client proposes the size; it becomes smaller when the datagram would exceed 1,152 bytes.
    """
    asked = request.opt.block2
    remote = request.remote
    payload = message.payload
    if asked is not None and asked.is_bert and is_datagram(remote):
        raise Problem(BAD_REQUEST, "Block2 has the reserved size exponent 7")
    if is_datagram(remote):
        exponent, room = 6, MAX_DATAGRAM - _overhead(message, request)
        whole = len(payload) <= min(MAX_PAYLOAD, room)
    else:
        exponent, room = remote.maximum_block_size_exp, remote.maximum_payload_size
        whole = len(payload) <= room
    if request.opt.size2 is not None:
        message.opt.size2 = len(payload)
    if asked is None:
        if whole:
            return
        number = 0
    else:
        if whole and asked.block_number == 0 and len(payload) <= _size(asked.size_exponent, room):
            return
        number, exponent = asked.block_number, min(asked.size_exponent, exponent)
        number <<= max(0, min(asked.size_exponent, 6) - min(exponent, 6))
    if number == 0:
        message.opt.size2 = len(payload)
    room -= 12  # Block2 and Size2 at their longest
    while 0 < exponent <= 6 and _size(exponent, room) > room:
        exponent -= 1
        number <<= 1
    start, size = number * _size(min(exponent, 6), room), _size(exponent, room)
    if start >= len(payload):
        raise Problem(BAD_REQUEST, f"Block2 number {number} is past the end")
    message.payload = payload[start : start + size]
    message.opt.block2 = (number, start + size < len(payload), exponent)


def _overhead(message, request):
    # Header, token, options and payload marker; Observe has been set before.
    size = 4 + len(request.token) + len(message.opt.encode()) + 1
    return size if owner_of(request) is None else size + OVERHEAD


def _size(exponent, room):
    return room // 1024 * 1024 if exponent == BERT else 1 << (exponent + 4)
