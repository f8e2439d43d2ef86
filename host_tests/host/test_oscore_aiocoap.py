"""OSCORE of the firmware against that of aiocoap: what one protects, the other unprotects."""

from random import Random

import aiocoap
import pytest
from aiocoap import oscore
from aiocoap.message import Direction
from hypothesis import given, settings
from hypothesis import strategies as st
from msgin5g.coap.message import Message, encode
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import Binding, Protection, ProtectionError, read_option

from oscore_peer import PeerContext, decoded, options_of
from msgin5g_testkit.security import Numbers

_N = 1000
_RECIPIENT = 65020
_PARTIAL_IVS = (0, 1, 255, 256, 65535, 65536, 2**24 - 1, 2**24, 2**40 - 3)
_PAIR = tuple(
    SecurityContext(bytes(16), *ids, Numbers()) for ids in ((b"\x07", b"\x01"), (b"\x01", b"\x07"))
)
_METHODS = (1, 2, 3, 4, 5, 6, 7)
_RESPONSES = (0x41, 0x43, 0x44, 0x45, 0x81, 0x83, 0x84, 0xA3)


class _Cases:
    """Which cases the random messages were: each one must have come."""

    def __init__(self):
        self.seen = set()

    def note(self, context, options, payload, kind):
        self.seen.add(("kid", len(context.sender_id)))
        self.seen.add(("peer", len(context.recipient_id)))
        self.seen.add(("ID context", context.id_context is not None))
        self.seen.add((kind, "payload", len(payload) > 0))
        for number in (6, 23):
            self.seen.add((kind, number, number in [o[0] for o in options]))

    def assert_all(self, numbers):
        kinds = ("request", "response")
        wanted = {(name, n) for name in ("kid", "peer") for n in range(8)}
        wanted |= {("ID context", True), ("ID context", False)}
        wanted |= {(k, x, yes) for k in kinds for x in (6, 23, "payload") for yes in (True, False)}
        assert wanted <= self.seen, wanted - self.seen
        assert set(_PARTIAL_IVS) <= numbers


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
    context = SecurityContext(secret, ours, theirs, Numbers(first), salt, id_context)
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
        # Number 0 to 2**20 - 1, with and without more blocks, of 16 to 1024 bytes.
        number = random.choice((0, 1, 15, 16, 4095, 4096, 2**20 - 1))
        options.append((23, _uint(number << 4 | random.choice((0, 8)) | random.randrange(7))))
    return options


def _uint(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


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
    cases, numbers = _Cases(), set()
    for n in range(_N):
        ours, theirs = _pair(random)
        numbers.add(ours.sequence.following)
        method = random.choice(_METHODS)
        options = _options(random, True)
        payload = random.randbytes(random.choice((0, 0, 1, 100, 121, 1000)))
        cases.note(ours, options, payload, "request")
        code, outer, sealed, binding = protection.protect_request(ours, method, options, payload)
        outer.append((_RECIPIENT, b"coap://scm.example"))
        whole = _datagram(code, b"tk", outer, sealed)
        got, identifiers = theirs.unprotect(decoded(whole))
        assert (int(got.code), got.payload) == (method, payload), n
        assert options_of(got, (_RECIPIENT,)) == options, n

        answer = _options(random, False)
        body = random.randbytes(random.choice((0, 1, 121, 300, 1024)))
        cases.note(ours, answer, body, "response")
        response = random.choice(_RESPONSES)
        whole, _ = _from_aiocoap(theirs, _message(response, answer, body), identifiers)
        outer = Message(64).decode(whole)
        number = protection.unprotect_response(binding, outer)
        # Observe is there only if the request has it, too, and has the number that has come.
        expected = []
        for option in answer:
            if option[0] != 6:
                expected.append(option)
            elif binding.observes:
                expected.append((6, ((number or 0) & 0xFFFFFF).to_bytes(3, "big")))
        assert _inner(outer) == (response, expected, body), n
    cases.assert_all(numbers)


def test_what_aiocoap_protects_the_firmware_unprotects_and_back():
    random = Random(7252)
    protection = Protection(_RECIPIENT)
    cases, numbers = _Cases(), set()
    for n in range(_N):
        ours, theirs = _pair(random)
        first = theirs.sender_sequence_number
        numbers.add(first)
        method = random.choice(_METHODS)
        options = _options(random, True)
        payload = random.randbytes(random.choice((0, 0, 1, 100, 121, 1000)))
        cases.note(ours, options, payload, "request")
        whole, identifiers = _from_aiocoap(theirs, _message(method, options, payload))
        outer = Message(64).decode(whole)
        binding, number = protection.unprotect_request(ours, outer)
        assert number == first and ours.window.may_come(number), n
        ours.window.came(number)
        assert _inner(outer) == (method, options, payload), n

        answer = _options(random, False)
        body = random.randbytes(random.choice((0, 1, 121, 300, 1024)))
        cases.note(ours, answer, body, "response")
        response = random.choice(_RESPONSES)
        fresh = random.random() < 0.5
        code, outer, sealed = protection.protect_response(binding, response, answer, body, fresh)
        got, _ = theirs.unprotect(decoded(_datagram(code, b"tk", outer, sealed)), identifiers)
        assert (int(got.code), got.payload) == (response, body), n
        # aiocoap puts a number of its own in the place of Observe.
        assert options_of(got, (6,)) == [o for o in answer if o[0] != 6], n
        assert [o for o in outer if o[0] == 6] == [o for o in answer if o[0] == 6], n
    cases.assert_all(numbers)


def test_the_bytes_that_protection_adds_are_those_that_aiocoap_adds():
    random = Random(1)
    ours, theirs = _pair(random)
    options = [(11, b"su-uc"), (15, b"ue-uri=urn:x:1")]
    request = Protection(_RECIPIENT).protect_request(ours, 1, options, b"")
    plain = len(_datagram(1, b"tk", options, b""))
    added = len(_datagram(request[0], b"tk", request[1], request[2])) - plain
    theirs.sender_id, theirs.sender_sequence_number = ours.sender_id, ours.sequence.following - 1
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


@settings(max_examples=2000, deadline=None)
@given(st.binary(max_size=24))
def test_an_option_that_is_valid_is_read_as_aiocoap_reads_it(value):
    try:
        found = read_option(value)
    except ProtectionError:
        return
    read = oscore.verify_start(decoded(_datagram(2, b"tk", [(9, value)], b"sealed")))
    wanted = (oscore.COSE_PIV, oscore.COSE_KID, oscore.COSE_KID_CONTEXT)
    assert found == tuple(read.get(key) for key in wanted)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from((2, 5, 0x44, 0x45)), st.binary(max_size=12), st.binary(max_size=60))
def test_bytes_that_are_said_to_be_protected_are_refused(code, value, payload):
    client, server = _PAIR
    protection = Protection(_RECIPIENT)
    message = Message(16).decode(_datagram(code, b"tk", [(9, value)], payload))
    with pytest.raises(ProtectionError):
        if code < 32:
            protection.unprotect_request(server, message)
        else:
            protection.unprotect_response(Binding(client, b"\x07", b"\x00", True), message)
