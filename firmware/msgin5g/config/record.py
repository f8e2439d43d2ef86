"""The layout of a record: one stored document and its state, in a file of its own.

Version 2 is what is written:

     0  "MG5C"            magic
     4  version           2
     5  state             TRIAL, GOOD or BAD
     6  boots             resets that count against the document (see manager)
     7  etag size         0 to 8
     8  sequence          4 bytes; the record with the higher one is the newer
    12  text size         4 bytes
    16  notes size        1 byte
    17  etag, notes (bytes of the manager), text (configData), zeros
        CRC-32            4 bytes, least significant first, of all that comes before

Version 1 is only read; the store writes such a record again in version 2:

     4  version           1
     5  state
     6  etag size
     7  sequence          4 bytes
    11  text size         2 bytes
    13  etag, text, CRC-32

Numbers are most significant first, except the CRC. With its bytes in that order, the CRC-32 of a
whole undamaged file is always the same number.

LittleFS stores a file of up to an eighth of a block inside its directory. The zeros make a record
longer than that for blocks of 4 KiB: see store for the reason.
"""

import struct
from binascii import crc32
from collections import namedtuple

from micropython import const

TRIAL = const(1)  # runs, and waits for its confirmation
GOOD = const(2)  # confirmed
BAD = const(3)  # rolled back
VERSION = const(2)

_MAGIC = const(b"MG5C")
_HEAD = const(">4sBBBBIIB")
_HEAD_SIZE = const(17)
_HEAD_1 = const(">BBIH")  # what follows the version
_HEAD_1_SIZE = const(13)
_CRC_SIZE = const(4)
_CRC_OF_UNDAMAGED = const(0x2144DF1C)  # of any bytes followed by their own CRC-32
_MIN_FILE_SIZE = const(516)

# `name` is that of the file. The text stays on flash, `text_size` bytes from `text_at` on.
Record = namedtuple("Record", "name version sequence text_at text_size state boots etag notes")


def encode(state, boots, sequence, etag, notes, text):
    """The parts of the file of a record, in order; the first one ends where the text begins."""
    head = struct.pack(
        _HEAD, _MAGIC, VERSION, state, boots, len(etag), sequence, len(text), len(notes)
    )
    head += etag + notes
    zeros = bytes(max(0, _MIN_FILE_SIZE - _CRC_SIZE - len(head) - len(text)))
    crc = crc32(zeros, crc32(text, crc32(head)))
    return head, text, zeros, struct.pack("<I", crc)


def decode(flash, name, size):
    """The Record in a file of `size` bytes; None when it is damaged or of a newer version."""
    head = flash.read(name, 0, _HEAD_SIZE)
    if len(head) < _HEAD_SIZE or head[:4] != _MAGIC:
        return None
    version = head[4]
    if version == VERSION:
        fields = struct.unpack_from(_HEAD, head)
        _, _, state, boots, etag_size, sequence, text_size, notes_size = fields
        etag_at = _HEAD_SIZE
        max_zeros = _MIN_FILE_SIZE - 1
    elif version == 1:
        state, etag_size, sequence, text_size = struct.unpack_from(_HEAD_1, head, 5)
        etag_at = _HEAD_1_SIZE
        boots = notes_size = max_zeros = 0
    else:
        return None
    notes_at = etag_at + etag_size
    text_at = notes_at + notes_size
    # A file is loaded only when its size is what its head says: a damaged head costs no memory.
    if not 0 <= size - text_at - text_size - _CRC_SIZE <= max_zeros:
        return None
    data = flash.read(name, 0, size)
    if crc32(data) != _CRC_OF_UNDAMAGED:
        return None
    etag = data[etag_at:notes_at]
    notes = data[notes_at:text_at]
    return Record(name, version, sequence, text_at, text_size, state, boots, etag, notes)
