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
_HEAD_SIZE = const(64)  # B_0, the size of the additional data, and these
_ZEROS = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


class AesCcm:
    """The algorithm with its buffers; one for all keys.

    It keeps the ciphers of the last two keys, one for each direction.
    """

    def __init__(self):
        # The same memory as words, for XOR, and as bytes, to copy. Words of two bytes are small
        # integers on every port.
        self._text_words = array("H", bytes(_PIECE))
        self._stream_words = array("H", bytes(_PIECE))
        self._text = memoryview(_bytes_of(self._text_words))
        self._stream = memoryview(_bytes_of(self._stream_words))
        self._counters = memoryview(bytearray(_PIECE))
        self._clear = bytes(_PIECE)
        self._head = memoryview(bytearray(_HEAD_SIZE))
        self._clear_head = bytes(_HEAD_SIZE - _BLOCK)
        self._first = bytearray(_BLOCK)
        self._first[0] = 1
        self._key = self._former_key = None
        self._cipher = self._former_cipher = None

    def encrypt(self, key, nonce, aad, view):
        """Encrypt in place. view: a memoryview of the text and of 8 bytes for the tag.

        aad: additional data, which is authenticated and not encrypted; at most 46 bytes.
        """
        size = len(view) - TAG_SIZE
        tag = self._authenticate(key, nonce, aad, view, size)
        tag ^= self._apply_stream(key, nonce, view, size)
        view[size:] = tag.to_bytes(TAG_SIZE, "big")

    def decrypt(self, key, nonce, aad, view):
        """Decrypt in place, and whether the tag, the last 8 bytes of the memoryview, is right."""
        size = len(view) - TAG_SIZE
        if size < 0:
            return False
        tag = self._apply_stream(key, nonce, view, size)
        tag ^= self._authenticate(key, nonce, aad, view, size)
        # As one number, all bytes at once: the time tells nothing.
        return tag ^ int.from_bytes(view[size:], "big") == 0

    def _authenticate(self, key, nonce, aad, view, size):
        """The CBC-MAC of additional data and of `size` bytes of `view`, 8 bytes as a number."""
        mac = cryptolib.aes(key, _CBC, _ZEROS)
        piece = self._head
        n = len(aad)
        piece[_BLOCK:] = self._clear_head
        piece[0] = 0x59
        piece[1:14] = nonce
        piece[14] = size >> 8
        piece[15] = size & 0xFF
        piece[17] = n
        piece[18 : 18 + n] = aad
        end = 18 + n + 15 & -_BLOCK
        piece = _part(piece, end)
        mac.encrypt(piece, piece)
        for start in range(0, size, _PIECE):
            n = min(_PIECE, size - start)
            if n < _PIECE:
                self._text[:] = self._clear
            end = n + 15 & -_BLOCK
            piece = _part(self._text, end)
            _part(self._text, n)[:] = view[start : start + n]
            mac.encrypt(piece, piece)
        return int.from_bytes(piece[end - _BLOCK : end - TAG_SIZE], "big")

    def _apply_stream(self, key, nonce, view, size):
        """XOR the key stream into `size` bytes of `view`; the mask of the tag as a number."""
        cipher = self._cipher_of(key)
        first = self._first
        first[1:14] = nonce
        counters = _part(self._counters, min(size + 15 & -_BLOCK, _PIECE))
        counters[:] = bytes(first) * (len(counters) >> 4)
        words = self._text_words
        others = self._stream_words
        number = 0
        for start in range(0, size, _PIECE):
            n = min(_PIECE, size - start)
            end = n + 15 & -_BLOCK
            for i in range(15, end, _BLOCK):
                number += 1
                counters[i] = number  # below 256: a message has at most 72 blocks
            cipher.encrypt(_part(counters, end), _part(self._stream, end))
            text = _part(self._text, n)
            target = view[start : start + n]
            text[:] = target
            for i in range((n + 1) >> 1):
                words[i] ^= others[i]
            target[:] = text
        return int.from_bytes(cipher.encrypt(first)[:TAG_SIZE], "big")

    def _cipher_of(self, key):
        """The cipher of a key; to make one takes 320 bytes."""
        if key != self._key:
            cipher = self._former_cipher
            if key != self._former_key:
                cipher = cryptolib.aes(key, _ECB)
            self._former_key = self._key
            self._former_cipher = self._cipher
            self._key = key
            self._cipher = cipher
        return self._cipher


def _part(view, n):
    """The first n bytes of a memoryview: no new one when these are all."""
    return view if len(view) == n else view[:n]


def _bytes_of(words):
    """The memory of an array as bytes; the array must live as long as they do."""
    return uctypes.bytearray_at(uctypes.addressof(words), _PIECE)
