"""OSCORE of the firmware against that of aiocoap: what one protects, the other unprotects."""

from random import Random

import aiocoap
from aiocoap.message import Direction
from msgin5g.coap.message import Message, encode
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import Protection

from oscore_peer import PeerContext, decoded, options_of

_N = 1000
_RECIPIENT = 65020
_PARTIAL_IVS = (0, 1, 255, 256, 65535, 65536, 2**24 - 1, 2**24)


class _Sequence:
    def __init__(self, first):
        self._next = first

    def next(self):
        self._next += 1
        return self._next - 1


def _pair(random):
    """(our context, aiocoap's of the other side, the first number)."""
    secret = random.randbytes(16)
    salt = random.randbytes(random.choice((0, 8)))
    ours = random.randbytes(random.randrange(8))
    theirs = random.randbytes(random.randrange(8))
    if ours == theirs:
        theirs = b"\xff" if ours != b"\xff" else b"\xfe"
    id_context = random.choice((None, b"", random.randbytes(random.randint(1, 20))))
    first = random.choice(_PARTIAL_IVS)
    context = SecurityContext(secret, ours, theirs, _Sequence(first), salt, id_context)
    return context, PeerContext(secret, theirs, ours, first, salt, id_context)


def _options(random, is_request):
    """Options of class E, ascending, as a configuration exchange has them."""
    options = []
    if random.random() < 0.3:
        options.append((4, random.randbytes(random.randint(1, 8))))
    if random.random() < 0.4:
        options.append((6, b"" if is_request else random.randbytes(random.randrange(4))))
    if is_request:
        for _ in range(random.randint(1, 6)):
            options.append((11, b"p" * random.randrange(40)))
        options.append((15, b"ue-uri=urn:x:" + b"9" * random.randrange(250)))
        options.append((17, b"\xfd\xe9"))
    else:
        options.append((12, b"\xfd\xe9"))
    if random.random() < 0.4:
        options.append((23, random.choice((b"", b"\x06", b"\x0e\x06", b"\x01\x00\x0e"))))
    return options


def _datagram(code, token, options, payload):
    buf = bytearray(4096)
    size = encode(buf, 0, code, 7, token, options, payload)
    return bytes(buf[:size])


def _inner(message):
    options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    return message.code, options, message.payload()


def _from_aiocoap(context, message, binding=None):
    """(the datagram that aiocoap protects, its RequestIdentifiers)."""
    message.direction = Direction.OUTGOING
    outer, identifiers = context.protect(message, binding)
    options = options_of(outer)
    return _datagram(int(outer.code), b"tk", options, outer.payload), identifiers


def _message(code, options, payload):
    message = decoded(_datagram(code, b"tk", options, payload))
    message.direction = Direction.OUTGOING
    return message


def test_what_the_firmware_protects_aiocoap_unprotects_and_back():
    random = Random(8613)
    protection = Protection(_RECIPIENT)
    for n in range(_N):
        ours, theirs = _pair(random)
        options = _options(random, True)
        payload = random.randbytes(random.choice((0, 0, 1, 100)))
        code, outer, sealed, binding = protection.protect_request(ours, 1, options, payload)
        outer.append((_RECIPIENT, b"coap://scm.example"))
        whole = _datagram(code, b"tk", outer, sealed)
        got, identifiers = theirs.unprotect(decoded(whole))
        assert (int(got.code), got.payload) == (1, payload), n
        assert options_of(got, (_RECIPIENT,)) == options, n

        answer = _options(random, False)
        body = random.randbytes(random.choice((0, 1, 300)))
        whole, _ = _from_aiocoap(theirs, _message(0x45, answer, body), identifiers)
        outer = Message(64).decode(whole)
        protection.unprotect_response(binding, outer)
        # Observe is there in a notification only, with the number that has come.
        observed = [o for o in answer if o[0] != 6]
        code, options, got = _inner(outer)
        assert (code, [o for o in options if o[0] != 6], got) == (0x45, observed, body), n


def test_what_aiocoap_protects_the_firmware_unprotects_and_back():
    random = Random(7252)
    protection = Protection(_RECIPIENT)
    for n in range(_N):
        ours, theirs = _pair(random)
        options = _options(random, True)
        payload = random.randbytes(random.choice((0, 0, 1, 100)))
        whole, identifiers = _from_aiocoap(theirs, _message(1, options, payload))
        outer = Message(64).decode(whole)
        binding, number = protection.unprotect_request(ours, outer)
        ours.window.came(number)
        assert _inner(outer) == (1, options, payload), n

        answer = _options(random, False)
        body = random.randbytes(random.choice((0, 1, 300)))
        fresh = random.random() < 0.5
        code, outer, sealed = protection.protect_response(binding, 0x45, answer, body, fresh)
        got, _ = theirs.unprotect(decoded(_datagram(code, b"tk", outer, sealed)), identifiers)
        assert (int(got.code), got.payload) == (0x45, body), n
        # aiocoap puts a number of its own in the place of Observe.
        assert options_of(got, (6,)) == [o for o in answer if o[0] != 6], n


def test_the_bytes_that_protection_adds_are_those_that_aiocoap_adds():
    random = Random(1)
    ours, theirs = _pair(random)
    options = [(11, b"su-uc"), (15, b"ue-uri=urn:x:1")]
    request = Protection(_RECIPIENT).protect_request(ours, 1, options, b"")
    plain = len(_datagram(1, b"tk", options, b""))
    added = len(_datagram(request[0], b"tk", request[1], request[2])) - plain
    theirs.sender_id, theirs.sender_sequence_number = ours.sender_id, ours.sequence.next() - 1
    whole, _ = _from_aiocoap(theirs, _message(aiocoap.GET, options, b""))
    assert added == len(whole) - plain


def test_an_observation_at_aiocoap_is_one_by_the_numbers_of_its_notifications():
    random = Random(5)
    ours, theirs = _pair(random)
    protection = Protection(_RECIPIENT)
    request = [(6, b""), (11, b"su-uc")]
    code, outer, sealed, binding = protection.protect_request(ours, 1, request, b"")
    _, identifiers = theirs.unprotect(decoded(_datagram(code, b"tk", outer, sealed)))
    last = -1
    for n in range(4):
        options = [(6, bytes((n,))), (12, b"\xfd\xe9")]
        whole, _ = _from_aiocoap(theirs, _message(0x45, options, b"state"), identifiers)
        message = Message(64).decode(whole)
        number = protection.unprotect_response(binding, message)
        assert (number is None) == (n == 0)  # aiocoap gives the first one no number of its own
        binding.newest = -1 if number is None else number
        assert message.payload() == b"state" and message.uint(6) == (number or 0) & 0xFFFFFF
        assert number is None or number > last
        last = binding.newest
