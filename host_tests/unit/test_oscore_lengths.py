"""OSCORE: whatever the lengths in a message are, it is refused and nothing else happens."""

from msgin5g_testkit.checks import load, raises, xorshift
from msgin5g.coap.message import Message, encode
from msgin5g.coap.numbers import CHANGED, CONTENT, GET, OBSERVE, OSCORE, POST
from msgin5g.oscore.ccm import AesCcm
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import (
    Binding,
    Protection,
    ProtectionError,
    option_value,
    read_option,
)

load("msgin5g.oscore.protect")

RECIPIENT = 65020
UE = b"\x07"
SERVER = b"\x01"


class Numbers:
    def next(self):
        return 5


def context(sender, recipient):
    return SecurityContext(bytes(range(16)), sender, recipient, Numbers())


def message(code, options, payload):
    buf = bytearray(1152)
    size = encode(buf, 1, code, 7, b"tokn", options, payload)
    return Message(32).decode(bytes(buf[:size]))


def refused(protection, unprotect, of, it):
    """The counter of a message that was refused, None when it was taken."""
    try:
        getattr(protection, unprotect)(of, it)
    except ProtectionError as error:
        return str(error)
    return None


def both():
    """(protection, [(method, its context or Binding, message, options, ciphertext)])."""
    ue, server = context(UE, SERVER), context(SERVER, UE)
    protection = Protection(RECIPIENT)
    options = [(OBSERVE, b""), (11, b"su-uc"), (15, b"ue-uri=urn:x:1"), (RECIPIENT, b"coap://x")]
    _, outer, sealed, binding = protection.protect_request(ue, GET, options, b"")
    rows = [("unprotect_request", server, POST, outer, bytes(sealed))]
    theirs = Binding(server, UE, b"\x05", True)
    for fresh in (False, True):
        _, outer, sealed = protection.protect_response(
            theirs, CONTENT, [(OBSERVE, b"\x01"), (12, b"\x3c")], b"configuration", fresh
        )
        rows.append(("unprotect_response", binding, CHANGED, outer, bytes(sealed)))
    return protection, rows


def test_a_ciphertext_of_each_other_length_is_refused():
    protection, rows = both()
    for unprotect, of, code, outer, sealed in rows:
        for size in range(len(sealed)):
            name = refused(protection, unprotect, of, message(code, outer, sealed[:size]))
            assert name == ("oscore_malformed" if size < 9 else "oscore_not_authentic"), size
        for size in range(1, 40):
            for more in (bytes(size), b"\xff" * size):
                it = message(code, outer, sealed + more)
                assert refused(protection, unprotect, of, it) == "oscore_not_authentic", size
                it = message(code, outer, more + sealed)
                assert refused(protection, unprotect, of, it) == "oscore_not_authentic", size
        assert refused(protection, unprotect, of, message(code, outer, sealed)) is None


def was_read(value):
    """Whether an option is valid; then it is read as it would be written."""
    try:
        partial_iv, kid, kid_context = read_option(value)
    except ProtectionError as error:
        assert str(error) == "oscore_malformed", value
        return False
    assert partial_iv is None or 1 <= len(partial_iv) <= 5, value
    assert kid is None or len(kid) <= 7, value
    return not value or option_value(partial_iv or b"", kid, kid_context) == value


def test_an_option_is_read_as_it_would_be_written_or_refused():
    assert was_read(b"")
    # Of one byte: only a kid of no bytes is valid. Of two: one byte of something.
    assert [a for a in range(256) if was_read(bytes((a,)))] == [8]
    for b in range(256):
        valid = [a for a in range(256) if was_read(bytes((a, b)))]
        assert valid == ([1, 8, 9, 16, 24] if b == 0 else [1, 8, 9]), b
    random = xorshift(61)
    n_read = 0
    for n in range(4000):
        size = random() & 15
        first = random() & 0x1F if n & 1 else random()
        rest = [random() & (0xFF if n & 2 else 7) for _ in range(size)]
        n_read += was_read(bytes([first] + rest))
    assert n_read > 300


def test_a_message_with_any_option_is_refused_unless_it_says_the_same():
    protection, rows = both()
    random = xorshift(62)
    for unprotect, of, code, outer, sealed in rows:
        mine = next(bytes(value) for number, value in outer if number == OSCORE)
        partial_iv, kid, _ = read_option(mine)
        others = [option for option in outer if option[0] != OSCORE]
        for n in range(400):
            value = bytearray(mine + bytes(random() & 3))
            for _ in range(1 + (random() & 1)):
                if value:
                    value[random() % len(value)] = random() & (0x1F if n & 1 else 0xFF)
            value = bytes(value[: random() % (len(value) + 1)]) if n & 2 else bytes(value)
            options = sorted(others + [(OSCORE, value)])
            name = refused(protection, unprotect, of, message(code, options, sealed))
            if name is not None:
                assert value != mine, value
                assert name in ("oscore_malformed", "oscore_not_authentic"), (value, name)
            else:
                # A response may name its kid. Who has a kid context compares it, see server.
                found = read_option(value)
                assert found[0] == partial_iv, value
                assert found[1] == kid or (kid is None and found[1] == SERVER), value
        name = refused(protection, unprotect, of, message(code, others, sealed))
        assert name == "oscore_missing"


def test_what_is_inside_of_an_authentic_message_is_a_message_or_refused():
    protection, rows = both()
    ccm = AesCcm()
    random = xorshift(63)
    server, ue = context(SERVER, UE), context(UE, SERVER)
    names = set()
    for n in range(600):
        unprotect, of, code, outer, sealed = rows[n % 3]
        is_request = n % 3 == 0
        sender = ue if is_request else server
        binding = Binding(sender, UE, b"\x05", True)
        nonce = sender.nonce(True, b"\x05") if n % 3 == 2 else binding.nonce
        text = bytearray(sealed)
        assert ccm.decrypt(sender.sender_key, nonce, binding.blocks, memoryview(text))
        text = text[:-8]
        for _ in range(random() & 7):
            text[random() % len(text)] = random()
        if n & 1:
            text = text[: 1 + random() % len(text)]
        text += bytes([random() for _ in range(random() & 31)]) + bytes(8)
        ccm.encrypt(sender.sender_key, nonce, binding.blocks, memoryview(text))
        it = message(code, outer, bytes(text))
        name = refused(protection, unprotect, of, it)
        names.add(name)
        if name is None:
            assert (0 < it.code < 32) == is_request and it.token() == b"tokn"
            for i in range(it.n_options):
                assert len(it.value(i)) == it.ends[i] - it.starts[i]
    assert names == {None, "oscore_malformed"}


def test_more_options_than_there_is_room_for_are_refused():
    ue, server = context(UE, SERVER), context(SERVER, UE)
    protection = Protection(RECIPIENT)
    for n, taken in ((30, True), (31, True), (32, False), (40, False)):
        options = [(11, b"p")] * n + [(RECIPIENT, b"coap://x")]
        _, outer, sealed, _ = protection.protect_request(ue, GET, options, b"")
        it = message(POST, outer, sealed)
        if taken:
            protection.unprotect_request(server, it)
            assert it.n_options == n + 1 and it.value(n) == b"coap://x"
        else:
            with raises(ProtectionError, "oscore_malformed"):
                protection.unprotect_request(server, it)
