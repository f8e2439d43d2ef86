"""Two slots on flash, A and B, that keep the configuration through any power cut.

A slot holds one record, a document with its state, in a file that is written whole and never
changed in part. A record is written to the slot that is not needed, read back and compared; only
then it is the newest. The record to fall back on is in the other slot, which is not touched. So no
step relies on LittleFS replacing a file atomically, although it does.

Wear: LittleFS gives each file that is written a fresh block, in turn over the whole file system.
But it keeps a small file inside its directory, and so always on the same two blocks: a record is
never that small. Each write is also noted in the directory, which LittleFS moves only after a
hundred erases, and the root directory never. So on a large file system the slots move to a new
directory from time to time. A CRC picks these writes, so that a directory does not fall on the
same blocks each time round. The directory before is removed when it is empty.

Passwords and keys are not configuration: they are in secrets.json, which the store never opens.

A record is written in version 2:

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

A document may have more than one text. They are stored one after the other, with the byte 0x1E
between them (RFC 7464), which no JSON text has.

LittleFS stores a file of up to an eighth of a block inside its directory. The zeros make a record
longer than that for blocks of 4 KiB.
"""

import struct
from binascii import crc32
from collections import namedtuple

from micropython import const

TRIAL = const(1)  # runs, and waits for its confirmation
GOOD = const(2)  # confirmed
BAD = const(3)  # rolled back

_VERSION = const(2)
_MAGIC = const(b"MG5C")
_HEAD = const(">4sBBBBIIB")
_HEAD_SIZE = const(17)
_HEAD_1 = const(">BBIH")  # what follows the version
_HEAD_1_SIZE = const(13)
_CRC_SIZE = const(4)
_CRC_OF_UNDAMAGED = const(0x2144DF1C)  # of any bytes followed by their own CRC-32
_MIN_FILE_SIZE = const(516)
_ZEROS_SIZE = const(64)  # of a part; one of them all would take a large block of heap
_SEPARATOR = const(b"\x1e")  # between the texts of a document
_A = const("slot-a")
_B = const("slot-b")
_DAMAGED = const(".bad")
_FOLDERS = const(("", "slots-0/", "slots-1/"))

# `name` is that of the file. The text stays on flash, `text_size` bytes from `text_at` on.
Record = namedtuple("Record", "name version sequence text_at text_size state boots etag notes")


class StorageError(Exception):
    """The file system refused, or lost data; `str()` is the reason and begins with "storage: "."""


class Store:
    """The two slots: `newest` and `other`, each a Record or None.

    `reports` is a list of str: what `load` or a failed `write` found damaged, and what it did.
    """

    def __init__(self, flash):
        """flash: a port.flash.Flash that raises StorageError, an attribute as well."""
        self.flash = flash
        self.newest = self.other = None
        self.reports = []

    def load(self):
        """Read both slots; write a newest record of version 1 again in the present version.

        A damaged file is renamed to slot-a.bad or slot-b.bad, and replaces an earlier one.
        """
        self.reports = []
        self._sort(self._read(_A), self._read(_B))
        newest = self.newest
        if newest and newest.version != _VERSION:
            try:
                self.write(newest.state, newest.boots, newest.etag, newest.notes)
                report = "version 1, written again as 2"
            except StorageError as error:
                report = str(error)
            self.reports.append("%s: %s" % (newest.name[-6:], report))

    def texts(self, record):
        """The texts of the document of a record, a list of memoryviews.

        When there is no record or it is unreadable, it is one empty text, which is no JSON.
        """
        document = b""
        try:
            if record:
                document = self.flash.read(record.name, record.text_at, record.text_size)
        except StorageError:
            pass
        view = memoryview(document)
        texts = []
        start = 0
        end = document.find(_SEPARATOR)
        while end >= 0:
            texts.append(view[start:end])
            start = end + 1
            end = document.find(_SEPARATOR, start)
        texts.append(view[start:])
        return texts

    def crc(self, record):
        """The CRC-32 of the document of a record, 0 when it is unreadable; does not load it."""
        try:
            return crc_of(self._pieces(record))
        except StorageError:
            return 0

    def holds(self, record, document):
        """Whether a record has this document, see `stored`; does not load it."""
        return _size(document) == record.text_size and self.flash.same(
            record.name, record.text_at, document
        )

    def _pieces(self, record):
        return self.flash.pieces(record.name, record.text_at, record.text_size)

    def write(self, state, boots, etag, notes, document=None):
        """Write a new newest record; `document` None keeps that of the newest one, see `stored`.

        Writes nothing when the newest record has the same contents. StorageError when the flash
        refuses: then both records are as before, or the one to be replaced is lost.
        """
        kept = newest = self.newest
        if (
            newest
            and newest.version == _VERSION
            and newest[5:] == (state, boots, etag, notes)
            and (document is None or self.holds(newest, document))
        ):
            return
        flash = self.flash
        if document is None:  # its file may be the one that is replaced
            document = list(self._pieces(newest))
        sequence = newest.sequence + 1 if newest else 1
        parts = _encode(state, boots, sequence, etag, notes, document)
        # Keep the newest GOOD record: a trial and its confirmation replace the other one. When
        # the newest record itself turns BAD, that is the other one. Without a GOOD record, keep
        # the newest.
        other = self.other
        if other and other.state == GOOD and (newest.state != GOOD or state == BAD):
            kept = other
        slot = _B if kept and kept.name.endswith(_A) else _A
        folder = newest.name[:-6] if newest else ""
        new_folder = _FOLDERS[2 if folder == _FOLDERS[1] else 1]
        if flash.make_folder_when_due(sequence, new_folder[:-1]):
            folder = new_folder
        name = folder + slot
        self._sort(kept, None)  # from here on the record in `slot` may be lost
        try:
            flash.write(name, parts)
            if not flash.same(name, 0, parts):
                raise StorageError("storage: %s reads back otherwise" % name)
        except (StorageError, MemoryError):
            self._sort(kept, self._read(slot))
            raise
        text_at = len(parts[0])
        self._sort(
            kept,
            Record(name, _VERSION, sequence, text_at, _size(document), state, boots, etag, notes),
        )
        try:
            flash.remove([f + slot for f in _FOLDERS if f != folder])
        except StorageError:  # an older record of this slot stays until the next write
            pass

    def erase(self):
        """Remove all that was ever stored, the record that runs last.

        So a power cut leaves the document that runs, or nothing. StorageError when the flash
        refuses.
        """
        runs = self.newest
        if runs and runs.state == BAD and self.other:
            runs = self.other
        last = runs.name if runs else ""
        names = [folder + slot for slot in (_A, _B) for folder in _FOLDERS]
        names = [_A + _DAMAGED, _B + _DAMAGED] + [name for name in names if name != last]
        if last:
            names.append(last)
        self.flash.remove(names)
        self.newest = self.other = None

    def _sort(self, a, b):
        if b and (not a or a.sequence < b.sequence):
            a, b = b, a
        self.newest = a
        self.other = b

    def _read(self, slot):
        """The Record of a slot, or None; renames a damaged file.

        A power cut may have left an older record of the slot in another folder.
        """
        flash = self.flash
        newest = None
        for folder in _FOLDERS:
            name = folder + slot
            reason = "unreadable"
            try:
                size = flash.size(name)
                if not size:  # absent, or the power was cut when the file had just been made
                    continue
                record = _decode(flash, name, size)
                if record:
                    if not newest or newest.sequence < record.sequence:
                        newest = record
                    continue
            except StorageError as error:
                reason = str(error)
            try:
                flash.rename(name, slot + _DAMAGED)
                done = ", kept as " + slot + _DAMAGED
            except StorageError:
                done = ", cannot be renamed"
            self.reports.append("%s: %s" % (slot, reason + done))
        return newest


def stored(texts):
    """A document as it is stored: a list or tuple of bytes and memoryviews, to be joined.

    texts: as for Schema.check.
    """
    if isinstance(texts, str):
        texts = texts.encode()
    if isinstance(texts, bytes):
        return (texts,)
    document = [texts[0]]
    for text in texts[1:]:
        document.append(_SEPARATOR)
        document.append(text)
    return document


def crc_of(document):
    """The CRC-32 of a document as it is stored."""
    crc = 0
    for part in document:
        crc = crc32(part, crc)
    return crc


def _encode(state, boots, sequence, etag, notes, document):
    """The parts of the file of a record, in order; the first one ends where the text begins."""
    size = _size(document)
    head = struct.pack(
        _HEAD, _MAGIC, _VERSION, state, boots, len(etag), sequence, size, len(notes)
    )
    parts = [head + etag + notes]
    parts.extend(document)
    n_zeros = max(0, _MIN_FILE_SIZE - _CRC_SIZE - len(parts[0]) - size)
    parts.extend([bytes(_ZEROS_SIZE)] * (n_zeros // _ZEROS_SIZE))
    parts.append(bytes(n_zeros % _ZEROS_SIZE))
    parts.append(struct.pack("<I", crc_of(parts)))
    return parts


def _size(document):
    return sum([len(part) for part in document])


def _decode(flash, name, size):
    """The Record in a file of `size` bytes; None when it is damaged or of a newer version."""
    head = flash.read(name, 0, _HEAD_SIZE)
    if len(head) < _HEAD_SIZE or head[:4] != _MAGIC:
        return None
    version = head[4]
    if version == _VERSION:
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
    if not 0 <= size - text_at - text_size - _CRC_SIZE <= max_zeros:
        return None
    if crc_of(flash.pieces(name, 0, size)) != _CRC_OF_UNDAMAGED:
        return None
    etag = flash.read(name, etag_at, etag_size)
    notes = flash.read(name, notes_at, notes_size)
    return Record(name, version, sequence, text_at, text_size, state, boots, etag, notes)
