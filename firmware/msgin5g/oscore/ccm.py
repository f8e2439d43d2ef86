"""AES-CCM-16-64-128 (RFC 3610; RFC 9053 section 4.2): 16-byte key, 13-byte nonce, 8-byte tag.

    B_0 = 59 | nonce | length of the text       the first block under CBC-MAC
    A_i = 01 | nonce | i                        the counter blocks of the key stream

MicroPython's cryptolib has ECB and CBC, and CCM needs no more: the tag is the last block of a CBC
encryption, the key stream is an ECB encryption of counters. A message is worked piece by piece in
buffers that stay, so that it takes little heap but its result.
"""

import cryptolib
import uctypes
from array import array

from micropython import const

TAG_SIZE = const(8)

_ECB = const(1)
_CBC = const(2)
_BLOCK = const(16)
_PIECE = const(256)  # bytes worked at a time, whole blocks
_ZEROS = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


class AesCcm:
    """The algorithm with its buffers; one for all keys. It keeps nothing between two calls."""

    def __init__(self):
        # The same memory as words, for XOR, and as bytes, to copy. Words of two bytes are small
        # integers on every port.
        self._text_words = array("H", bytes(_PIECE))
        self._stream_words = array("H", bytes(_PIECE))
        self._text = memoryview(_bytes_of(self._text_words))
        self._stream = memoryview(_bytes_of(self._stream_words))
        self._counters = memoryview(bytearray(_PIECE))
        self._clear = bytes(_PIECE)

    def encrypt(self, key, nonce, aad, view):
        """Encrypt in place. view: a memoryview of the text and of 8 bytes for the tag.

        aad: additional data, which is authenticated and not encrypted.
        """
        size = len(view) - TAG_SIZE
        tag = self._authenticate(key, nonce, aad, view, size)
        mask = self._apply_stream(key, nonce, view, size)
        for i in range(TAG_SIZE):
            view[size + i] = tag[i] ^ mask[i]

    def decrypt(self, key, nonce, aad, view):
        """Decrypt in place, and whether the tag, the last 8 bytes of the memoryview, is right."""
        size = len(view) - TAG_SIZE
        if size < 0:
            return False
        mask = self._apply_stream(key, nonce, view, size)
        tag = self._authenticate(key, nonce, aad, view, size)
        different = 0
        for i in range(TAG_SIZE):  # all of them, so that the time tells nothing
            different |= tag[i] ^ mask[i] ^ view[size + i]
        return not different

    def _authenticate(self, key, nonce, aad, view, size):
        """The CBC-MAC of additional data and of the first `size` bytes of `view`, 8 bytes."""
        mac = cryptolib.aes(key, _CBC, _ZEROS)
        n = len(aad)
        sizes = bytes((size >> 8, size & 0xFF, n >> 8, n & 0xFF))
        padding = _ZEROS[: -(n + 2) & 15]
        piece = bytearray(b"".join((b"\x59", nonce, sizes, aad, padding)))
        mac.encrypt(piece, piece)
        for start in range(0, size, _PIECE):
            n = min(_PIECE, size - start)
            if n < _PIECE:
                self._text[:] = self._clear
            piece = _part(self._text, n + 15 & -_BLOCK)
            _part(self._text, n)[:] = view[start : start + n]
            mac.encrypt(piece, piece)
        end = len(piece) - _BLOCK
        return bytes(piece[end : end + TAG_SIZE])

    def _apply_stream(self, key, nonce, view, size):
        """XOR the key stream into the first `size` bytes of `view`; gives the mask of the tag."""
        cipher = cryptolib.aes(key, _ECB)
        first = b"\x01" + nonce + b"\0\0"
        counters = _part(self._counters, min(size + 15 & -_BLOCK, _PIECE))
        counters[:] = first * (len(counters) >> 4)
        words = self._text_words
        others = self._stream_words
        number = 0
        for start in range(0, size, _PIECE):
            n = min(_PIECE, size - start)
            end = n + 15 & -_BLOCK
            for i in range(14, end, _BLOCK):
                number += 1
                counters[i] = number >> 8
                counters[i + 1] = number & 0xFF
            cipher.encrypt(_part(counters, end), _part(self._stream, end))
            text = _part(self._text, n)
            target = view[start : start + n]
            text[:] = target
            for i in range((n + 1) >> 1):
                words[i] ^= others[i]
            target[:] = text
        return cipher.encrypt(first)


def _part(view, n):
    """The first n bytes of a memoryview: no new one when these are all."""
    return view if len(view) == n else view[:n]


def _bytes_of(words):
    """The memory of an array as bytes; the array must live as long as they do."""
    return uctypes.bytearray_at(uctypes.addressof(words), _PIECE)
