"""OSCORE at its edges: long numbers in a nonce, ciphers that are kept, the first response."""

from binascii import unhexlify

from msgin5g_testkit.checks import load
from msgin5g.coap.numbers import CHANGED, CONTENT, OSCORE
from msgin5g.oscore import ccm
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.protect import Binding, Protection
from msgin5g.oscore.server import ServerSecurity

load("msgin5g.oscore.protect")

SECRET = unhexlify("0102030405060708090a0b0c0d0e0f10")
SALT = unhexlify("9e7ca92223786340")


class Sequence:
    def __init__(self):
        self.n = -1

    def next(self):
        self.n += 1
        return self.n


def context():
    return SecurityContext(SECRET, b"\x01", b"", Sequence(), SALT, None)


def test_each_byte_of_a_partial_iv_is_at_its_place_in_the_nonce():
    # RFC 8613 section 5.2: it stands at the end, XORed with the common IV.
    it = context()
    for is_sender in (True, False):
        zero = it.nonce(is_sender, b"\0")
        for partial_iv in (b"\x14", b"\x01\x02", b"\x01\x02\x03", b"\xff\xfe\xfd\xfc\xfb"):
            n = len(partial_iv)
            expected = bytes(zero[:-n]) + bytes([a ^ b for a, b in zip(zero[-n:], partial_iv)])
            assert it.nonce(is_sender, partial_iv) == expected, partial_iv


class Cryptolib:
    """In place of the module: it counts the ciphers with ECB that are made."""

    def __init__(self, real):
        self.real = real
        self.n_made = 0

    def aes(self, key, mode, *iv):
        self.n_made += mode == 1
        return self.real.aes(key, mode, *iv)


def test_the_ciphers_of_two_keys_are_made_once():
    real = ccm.cryptolib
    ccm.cryptolib = fake = Cryptolib(real)
    try:
        aes = ccm.AesCcm()
        texts = {}
        for round_ in range(3):
            for key in (b"a" * 16, b"b" * 16):
                buf = bytearray(b"some text" + bytes(8))
                aes.encrypt(key, bytes(13), b"aad", memoryview(buf))
                assert texts.setdefault(key, buf) == buf and buf[:9] != b"some text", round_
        assert fake.n_made == 2 and len({bytes(text) for text in texts.values()}) == 2
        for key in (b"c" * 16, b"a" * 16, b"b" * 16, b"a" * 16):
            buf = bytearray(b"some text" + bytes(8))
            aes.encrypt(key, bytes(13), b"aad", memoryview(buf))
            assert texts.get(key, buf) == buf
        assert fake.n_made == 5
    finally:
        ccm.cryptolib = real


def test_only_the_responses_after_the_first_one_have_a_number_of_their_own():
    # RFC 8613 section 8.3: the first one has the nonce of its request.
    security = ServerSecurity(65020)
    it = context()
    binding = Binding(it, b"", b"\x14", False)
    for n in range(3):
        code, outer, payload = security.protect_response(None, binding, CONTENT, [], b"x")
        value = b"" if not n else bytes((1, n - 1))
        assert (code, outer) == (CHANGED, [(OSCORE, value)]) and len(payload) == 11, n
    assert it.sequence.n == 1
    assert Protection(65020).protect_response(binding, CONTENT, [], b"x")[1] == [(OSCORE, b"")]


def test_what_a_node_without_a_key_of_its_own_asks_for_is_not_protected():
    class Client:
        protection = overhead = unprotected_error = None

        def protects(self, owner):
            return owner == "its own"

    assert ServerSecurity(65020).protects("its own") is False
    security = ServerSecurity(65020, Client())
    assert security.protects("its own") and not security.protects("of another")
