"""HKDF with SHA-256 (RFC 5869), for keys of up to 32 bytes."""

from hashlib import sha256

from micropython import const

_BLOCK_SIZE = const(64)


def hkdf(salt, secret, info, size):
    """`size` bytes, at most 32, derived from a secret; all arguments are bytes."""
    return hmac(hmac(salt, secret), info + b"\x01")[:size]


def hmac(key, data):
    """HMAC-SHA-256 (RFC 2104) as bytes; the key has at most 64 bytes, as each salt of OSCORE."""
    assert len(key) <= _BLOCK_SIZE
    inner = bytearray(_BLOCK_SIZE)
    outer = bytearray(_BLOCK_SIZE)
    for i in range(_BLOCK_SIZE):
        byte = key[i] if i < len(key) else 0
        inner[i] = byte ^ 0x36
        outer[i] = byte ^ 0x5C
    return _digest(outer, _digest(inner, data))


def _digest(head, data):
    digest = sha256(head)
    digest.update(data)
    return digest.digest()
