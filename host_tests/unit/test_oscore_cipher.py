"""OSCORE's algorithms: AES-CCM (RFC 3610), its additional data, and HKDF (RFC 5869)."""

from binascii import unhexlify
from hashlib import sha256

from msgin5g_testkit.checks import xorshift
from msgin5g.oscore.ccm import AesCcm
from msgin5g.oscore.context import additional_blocks
from msgin5g.oscore.hkdf import hkdf, hmac


def blocks_of(aad):
    """Additional data as RFC 3610 section 2.2 has it: its size, itself, zeros."""
    return bytes((0, len(aad))) + aad + bytes(-(2 + len(aad)) & 15)


def sealed(ccm, key, nonce, blocks, text):
    buf = bytearray(text) + bytearray(8)
    ccm.encrypt(key, nonce, blocks, memoryview(buf))
    return bytes(buf)


def test_ccm_encrypts_as_rfc_3610_packet_vector_1_and_nothing_else_is_authentic():
    ccm = AesCcm()
    key = unhexlify("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf")
    nonce = unhexlify("00000003020100a0a1a2a3a4a5")
    aad = blocks_of(unhexlify("0001020304050607"))
    text = bytes(range(8, 31))
    want = unhexlify("588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0")
    assert sealed(ccm, key, nonce, aad, text) == want
    buf = bytearray(want)
    assert ccm.decrypt(key, nonce, aad, memoryview(buf)) and buf[: len(text)] == text
    for bit in range(8 * len(want)):
        buf = bytearray(want)
        buf[bit >> 3] ^= 1 << (bit & 7)
        assert not ccm.decrypt(key, nonce, aad, memoryview(buf)), bit
    other = blocks_of(unhexlify("000102030405060701"))
    assert not ccm.decrypt(key, nonce, other, memoryview(bytearray(want)))
    for size in range(8):
        assert not ccm.decrypt(key, nonce, aad, memoryview(bytearray(size)))


def test_ccm_encrypts_as_cryptography_does_for_every_length_around_a_piece_and_back():
    ccm = AesCcm()
    digest = sha256()
    random = xorshift(5)
    # A piece of the text has 256 bytes, the first one less; 120 are XORed as one number.
    for size in (0, 1, 15, 16, 17, 119, 120, 121, 207, 208, 209, 223, 224, 225, 247, 248, 249,
                 255, 256, 257, 463, 464, 465, 511, 512, 513, 1100):  # fmt: skip
        text = bytes(random() for _ in range(size))
        key = bytes(random() for _ in range(16))
        nonce = bytes(random() for _ in range(13))
        aad = blocks_of(bytes(1 + (size & 31)))
        buf = bytearray(sealed(ccm, key, nonce, aad, text))
        assert len(buf) == size + 8
        digest.update(buf)
        assert ccm.decrypt(key, nonce, aad, memoryview(buf)), size
        assert bytes(buf[:size]) == text, size
    # Of what AESCCM of the package cryptography gives for the same keys, nonces and texts.
    want = "6e77100c529ef69d53b16118f222aae905d589aa6258de0c33d81a4030d211a0"
    assert digest.digest() == unhexlify(want)


def test_hkdf_gives_the_bytes_of_rfc_5869_test_case_1():
    key = hkdf(bytes(range(13)), b"\x0b" * 22, bytes(range(0xF0, 0xFA)), 32)
    assert key == unhexlify("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")


def test_hmac_gives_the_bytes_of_the_example_of_fips_198_with_a_key_of_a_whole_block():
    mac = hmac(bytes(range(64)), b"Sample message for keylen=blocklen")
    want = "8bb9a1db9806f20df7f77b82138c7914d174d59e13dc4d0169c9057b133e1d62"
    assert mac == unhexlify(want)


def test_additional_data_is_that_of_appendix_c_4():
    want = "8368456e63727970743040488501810a40411440"
    assert additional_blocks(b"", b"\x14") == blocks_of(unhexlify(want))
    for kid in (b"", b"k", b"1234567"):
        for partial_iv in (b"\x00", b"12345"):
            blocks = additional_blocks(kid, partial_iv)
            aad = bytes(blocks[2 : 2 + blocks[1]])
            assert blocks == blocks_of(aad) and blocks[1] == 19 + len(kid) + len(partial_iv)
            assert kid in aad and partial_iv in aad
