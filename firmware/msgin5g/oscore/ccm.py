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
_BUFFER_SIZE = const(272)  # a piece, and a block for the tag
_AS_NUMBER = const(120)  # bytes of text that are XORed as one number, at most
_ZEROS = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"


class AesCcm:
    """The algorithm with its buffers; one for all keys.

    It keeps the ciphers of the last two keys, one for each direction.
    """

    def __init__(self):
        # The same memory as words, for XOR, and as bytes, to copy. Words of two bytes are small
        # integers on every port.
        self._text_words = array("H", bytes(_BUFFER_SIZE))
        self._stream_words = array("H", bytes(_BUFFER_SIZE))
        self._text = memoryview(_bytes_of(self._text_words))
        self._stream = memoryview(_bytes_of(self._stream_words))
        self._clear = bytes(_BUFFER_SIZE)
        self._counter = bytearray(_BLOCK)
        self._counter[0] = 1
        self._key = self._former_key = None
        self._cipher = self._former_cipher = None

    def encrypt(self, key, nonce, blocks, view):
        """Encrypt in place. view: a memoryview of the text and of 8 bytes for the tag.

        blocks: additional data, which is authenticated and not encrypted, as RFC 3610 section 2.2
        has it: its size in two bytes, itself, and zeros up to whole blocks; at most 192 bytes.
        """
        size = len(view) - TAG_SIZE
        view[size:] = self._authenticate(key, nonce, blocks, view, size)
        self._apply_stream(key, nonce, view, size)

    def decrypt(self, key, nonce, blocks, view):
        """Decrypt in place, and whether the tag, the last 8 bytes of the memoryview, is right."""
        i = len(view) - TAG_SIZE
        if i < 0:
            return False
        self._apply_stream(key, nonce, view, i)
        a = self._authenticate(key, nonce, blocks, view, i)
        b = view
        # All eight bytes, whatever the first ones are, so that the time tells nothing.
        return not (
            a[0] ^ b[i] | a[1] ^ b[i + 1] | a[2] ^ b[i + 2] | a[3] ^ b[i + 3]
            | a[4] ^ b[i + 4] | a[5] ^ b[i + 5] | a[6] ^ b[i + 6] | a[7] ^ b[i + 7]
        )  # fmt: skip

    def _authenticate(self, key, nonce, blocks, view, size):
        """The CBC-MAC of the additional data and of `size` bytes of `view`: 8 bytes."""
        mac = cryptolib.aes(key, _CBC, _ZEROS)
        buf = self._text
        buf[:] = self._clear
        buf[0] = 0x59
        buf[1:14] = nonce
        buf[14] = size >> 8
        buf[15] = size & 0xFF
        at = _BLOCK + len(blocks)
        buf[_BLOCK:at] = blocks
        start = 0
        while True:
            n = min(size - start, _PIECE - at)
            end = at + n
            buf[at:end] = view[start : start + n]
            end = end + 15 & -_BLOCK
            piece = buf[:end]
            mac.encrypt(piece, piece)
            start += n
            if start == size:
                return piece[end - _BLOCK : end - TAG_SIZE]
            buf[:] = self._clear
            at = 0

    def _apply_stream(self, key, nonce, view, size):
        """XOR the key stream into `size` bytes of `view`, and S_0 into the tag behind them."""
        if key != self._key:
            self._change_key(key)
        counter = self._counter
        counter[1:14] = nonce
        if size > _AS_NUMBER:
            self._apply_in_pieces(view, size)
            return
        n = size + 15 & -_BLOCK
        stream = self._stream[: n + _BLOCK]
        stream[:] = bytes(counter) * ((n >> 4) + 1)
        number = 0
        for i in range(15, n, _BLOCK):
            number += 1
            stream[i] = number
        self._cipher.encrypt(stream, stream)
        stream[size : size + TAG_SIZE] = stream[n : n + TAG_SIZE]
        n = size + TAG_SIZE
        # Quick, but it takes four times as much heap.
        a = int.from_bytes(view, "little") ^ int.from_bytes(stream[:n], "little")
        view[:] = a.to_bytes(n, "little")

    def _apply_in_pieces(self, view, size):
        """The same for a long text, word by word: it takes no heap."""
        counters = bytes(self._counter) * (_BUFFER_SIZE >> 4)
        words = self._text_words
        others = self._stream_words
        stream = self._stream
        number = 0
        for start in range(0, size, _PIECE):
            stream[:] = counters
            for i in range(15, _PIECE, _BLOCK):
                number += 1
                stream[i] = number  # below 256: a message has at most 72 blocks
            self._cipher.encrypt(stream, stream)
            n = min(size - start, _PIECE)
            if start + n == size:
                stream[n : n + TAG_SIZE] = stream[_PIECE : _PIECE + TAG_SIZE]
                n += TAG_SIZE
            target = view[start : start + n]
            text = self._text[:n]
            text[:] = target
            for i in range((n + 1) >> 1):
                words[i] ^= others[i]
            target[:] = text

    def _change_key(self, key):
        """Take the cipher of another key; to make one takes 320 bytes."""
        cipher = self._former_cipher
        if key != self._former_key:
            cipher = cryptolib.aes(key, _ECB)
        self._former_key = self._key
        self._former_cipher = self._cipher
        self._key = key
        self._cipher = cipher


def _bytes_of(words):
    """The memory of an array as bytes; the array must live as long as they do."""
    return uctypes.bytearray_at(uctypes.addressof(words), _BUFFER_SIZE)
