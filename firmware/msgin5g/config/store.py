"""Two slots on flash that keep the configuration through any power cut.

A slot is a file of its own, written whole and never changed in part:

     0  "MG5C"            magic
     4  version           of this layout
     5  state             TRIAL, GOOD or BAD
     6  boots             resets counted against it (lifecycle)
     7  etag size         0 to 8
     8  sequence          4 bytes; the record with the higher one is the newest
    12  text size         4 bytes
    16  notes size        1 byte
    17  etag, notes (the lifecycle's own bytes), text (configData), zeros
        CRC-32            4 bytes, least significant first, of all that comes before

Version 1 was simpler, see migration.
Numbers are most significant first, save the CRC: so the CRC-32 of a whole sound file is always
the same number.

A slot is written to the older file, read back and compared; only then its record is the newest.
The record to fall back on is in the other file and is not touched (`write`). So no step
relies on LittleFS replacing a file in one piece, and on LittleFS that comes on top.

Wear: LittleFS gives each file written a fresh block, in turn over the whole file system, but
keeps a file of up to an eighth of a block inside its directory, and so always on the same two
blocks. The zeros make a slot longer than that for blocks of 4 KiB. Each write is noted in the
directory as well, which LittleFS moves after a hundred erases only, and the root never. So on a
large file system the slots move to a new directory from time to time, at writes that a CRC picks
lest a directory falls on the same blocks each time round; the one before goes when it is empty.

Passwords and keys are not configuration: they live in secrets.json, which this never touches.
"""

import struct
from binascii import crc32
from collections import namedtuple

from micropython import const

TRIAL = const(1)  # running, not yet confirmed
GOOD = const(2)  # confirmed
BAD = const(3)  # tried and rolled back

_MARK = const(b"MG5C\x02")  # magic and version
_HEAD = const(">BBBIIB")
_HEAD_SIZE = const(17)
_CRC_SIZE = const(4)
_SOUND = const(0x2144DF1C)  # the CRC-32 of anything followed by its own CRC-32
_MIN_FILE_SIZE = const(516)
_A = const("slot-a")
_B = const("slot-b")
_ASIDE = const(".bad")
_FOLDERS = const(("", "slots-0/", "slots-1/"))


class StorageError(Exception):
    """The file system refused or forgot; `str()` is the reason and begins with "storage: "."""


# What a slot holds, its text left on flash. `name` is that of its file; `notes` is None for one of
# version 1.
Record = namedtuple("Record", "name sequence text_at text_size state boots etag notes")


class Store:
    """The two slots: `newest` and `other`, each a Record or None.

    `reports` is a list of str: what was found wrong on flash, and what was done about it.
    """

    def __init__(self, flash):
        """`flash` is a port.flash.Flash."""
        self.flash = flash
        self.newest = self.other = None
        self.reports = []

    def load(self):
        """Read both slots, and write a newest record of an older version again in this one.

        An unreadable slot is renamed to slot-a.bad or slot-b.bad, in place of an earlier one.
        """
        self.reports = []
        self._sort(self._read(_A), self._read(_B))
        newest = self.newest
        if newest and newest.notes is None:
            from msgin5g.config.record import rewrite

            self.reports.append("%s: %s" % (newest.name[-6:], rewrite(self, StorageError)))

    def text(self, record):
        """The document of a record, bytes."""
        return self.flash.read(record.name, record.text_at, record.text_size)

    def holds(self, record, text):
        """Whether the document of a record is `text`, bytes; does not load it."""
        return len(text) == record.text_size and self.flash.same(
            record.name, record.text_at, (text,)
        )

    def write(self, state, boots, etag, notes, text=None):
        """Make a record the newest one; `text` None keeps the newest one's document.

        Writes nothing when the newest record is like that. StorageError when the flash refuses:
        then both records are as before, or the one that was to be replaced is gone.
        """
        kept = newest = self.newest
        if (
            newest
            and newest[4:] == (state, boots, etag, notes)
            and (text is None or self.holds(newest, text))
        ):
            return
        if text is None:
            text = self.text(newest)
        sequence = newest.sequence + 1 if newest else 1
        head = (
            _MARK
            + struct.pack(_HEAD, state, boots, len(etag), sequence, len(text), len(notes))
            + etag
            + notes
        )
        zeros = bytes(max(0, _MIN_FILE_SIZE - _CRC_SIZE - len(head) - len(text)))
        crc = crc32(zeros, crc32(text, crc32(head)))
        parts = (head, text, zeros, struct.pack("<I", crc))
        # The newest GOOD record is kept, which a trial and its confirmation leave alone; when the
        # newest itself turns BAD it is the other one; when there is no GOOD one, the newest.
        other = self.other
        if other and other.state == GOOD and (newest.state != GOOD or state == BAD):
            kept = other
        slot = _B if kept and kept.name[-1] == "a" else _A
        folder = newest.name[:-6] if newest else ""
        new = _FOLDERS[2 if folder == _FOLDERS[1] else 1]
        if self.flash.moves(sequence, new[:-1]):
            folder = new
        name = folder + slot
        try:
            self.flash.write(name, parts)
            if not self.flash.same(name, 0, parts):
                raise StorageError("storage: %s reads back otherwise" % name)
        except StorageError:
            self._sort(kept, self._read(slot))
            raise
        record = Record(name, sequence, len(head), len(text), state, boots, etag, notes)
        self._sort(kept, record)
        try:
            self.remove(slot, name)
        except StorageError:  # it is older, and goes with the next write
            pass

    def remove(self, slot, kept):
        """Remove the files of a slot, but for the one of the name `kept`."""
        for folder in _FOLDERS:
            if folder + slot != kept:
                self.flash.remove(folder + slot)

    def _sort(self, a, b):
        if b and (not a or a.sequence < b.sequence):
            a, b = b, a
        self.newest = a
        self.other = b

    def _read(self, slot):
        """The Record of a slot, None when it has none; an unreadable file is set aside."""
        newest = None
        for folder in _FOLDERS:
            name = folder + slot
            why = "unreadable"
            try:
                size = self.flash.size(name)
                if not size:  # absent, or the power was cut when the file had just been made
                    continue
                record = self._decode(name, size)
                if record:
                    if not newest or newest.sequence < record.sequence:
                        newest = record
                    continue
            except StorageError as error:
                why = str(error)
            try:
                self.flash.rename(name, slot + _ASIDE)
                done = "kept as " + slot + _ASIDE
            except StorageError:
                done = "cannot be renamed"
            self.reports.append("%s: %s, %s" % (slot, why, done))
        return newest

    def _decode(self, name, size):
        """The Record in a file of `size` bytes; None when it is not a sound one."""
        head = self.flash.read(name, 0, _HEAD_SIZE)
        if len(head) < _HEAD_SIZE or head[:4] != _MARK[:4]:
            return None
        if head[4] == 1:
            from msgin5g.config.record import record_1

            return record_1(self.flash, name, size, head)
        if head[4] != 2:
            return None
        fields = struct.unpack_from(_HEAD, head, 5)
        state, boots, etag_size, sequence, text_size, notes_size = fields
        notes_at = _HEAD_SIZE + etag_size
        text_at = notes_at + notes_size
        # Only a file of the size that its head tells is read whole.
        if not 0 <= size - text_at - text_size - _CRC_SIZE < _MIN_FILE_SIZE:
            return None
        data = self.flash.read(name, 0, size)
        if crc32(data) != _SOUND:
            return None
        etag = data[_HEAD_SIZE:notes_at]
        notes = data[notes_at:text_at]
        return Record(name, sequence, text_at, text_size, state, boots, etag, notes)
