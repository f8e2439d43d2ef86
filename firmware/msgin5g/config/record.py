"""Version 1 of a slot, which had neither boots nor notes nor zeros. From byte 5 on:

state, etag size, sequence (4 bytes), text size (2 bytes), etag, text, CRC-32
"""

import struct
from binascii import crc32

from micropython import const
from msgin5g.config.store import Record

_HEAD = const(">BBIH")
_HEAD_SIZE = const(13)
_CRC_SIZE = const(4)
_SOUND = const(0x2144DF1C)  # as in store


def record_1(flash, name, size, head):
    """The Record in a file of `size` bytes, its notes None; None when it is not a sound one."""
    state, etag_size, sequence, text_size = struct.unpack_from(_HEAD, head, 5)
    text_at = _HEAD_SIZE + etag_size
    if size != text_at + text_size + _CRC_SIZE:
        return None
    data = flash.read(name, 0, size)
    if crc32(data) != _SOUND:
        return None
    return Record(name, sequence, text_at, text_size, state, 0, data[_HEAD_SIZE:text_at], None)


def rewrite(store, refusal):
    """Write a newest record of version 1 again in this one; what has become of it.

    refusal: StorageError, as the store knows it.
    """
    newest = store.newest
    try:
        store.write(newest.state, 0, newest.etag, b"")
        return "version 1, written again as 2"
    except refusal as error:
        return str(error)
