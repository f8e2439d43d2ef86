"""Two slots on flash, A and B, that keep the configuration through any power cut.

A slot holds one record (see record) in a file that is written whole and never changed in part.
A record is written to the slot that is not needed, read back and compared; only then it is the
newest. The record to fall back on is in the other slot, which is not touched. So no step relies
on LittleFS replacing a file atomically, although it does.

Wear: LittleFS gives each file that is written a fresh block, in turn over the whole file system.
But it keeps a small file inside its directory, and so always on the same two blocks: a record is
never that small. Each write is also noted in the directory, which LittleFS moves only after a
hundred erases, and the root directory never. So on a large file system the slots move to a new
directory from time to time. A CRC picks these writes, so that a directory does not fall on the
same blocks each time round. The directory before is removed when it is empty.

Passwords and keys are not configuration: they are in secrets.json, which the store never opens.
"""

from micropython import const
from msgin5g.config.record import BAD, GOOD, VERSION, Record, decode, encode

_A = const("slot-a")
_B = const("slot-b")
_DAMAGED = const(".bad")
_FOLDERS = const(("", "slots-0/", "slots-1/"))


class StorageError(Exception):
    """The file system refused, or lost data; `str()` is the reason and begins with "storage: "."""


class Store:
    """The two slots: `newest` and `other`, each a Record or None.

    `reports` is a list of str: what `load` or a failed `write` found damaged, and what it did.
    """

    def __init__(self, flash):
        """flash: a port.flash.Flash that raises StorageError."""
        self._flash = flash
        self.newest = self.other = None
        self.reports = []

    def load(self):
        """Read both slots; write a newest record of version 1 again in the present version.

        A damaged file is renamed to slot-a.bad or slot-b.bad, and replaces an earlier one.
        """
        self.reports = []
        self._sort(self._read(_A), self._read(_B))
        newest = self.newest
        if newest and newest.version != VERSION:
            try:
                self.write(newest.state, newest.boots, newest.etag, newest.notes)
                report = "version 1, written again as 2"
            except StorageError as error:
                report = str(error)
            self.reports.append("%s: %s" % (newest.name[-6:], report))

    def text(self, record):
        """The document of a record, bytes."""
        return self._flash.read(record.name, record.text_at, record.text_size)

    def holds(self, record, text):
        """Whether the document of a record is `text`, bytes; does not load it."""
        return len(text) == record.text_size and self._flash.same(
            record.name, record.text_at, (text,)
        )

    def write(self, state, boots, etag, notes, text=None):
        """Write a new newest record; `text` None keeps the document of the newest one.

        Writes nothing when the newest record has the same contents. StorageError when the flash
        refuses: then both records are as before, or the one to be replaced is lost.
        """
        kept = newest = self.newest
        if (
            newest
            and newest.version == VERSION
            and newest[5:] == (state, boots, etag, notes)
            and (text is None or self.holds(newest, text))
        ):
            return
        if text is None:
            text = self.text(newest)
        sequence = newest.sequence + 1 if newest else 1
        parts = encode(state, boots, sequence, etag, notes, text)
        # Keep the newest GOOD record: a trial and its confirmation replace the other one. When
        # the newest record itself turns BAD, that is the other one. Without a GOOD record, keep
        # the newest.
        other = self.other
        if other and other.state == GOOD and (newest.state != GOOD or state == BAD):
            kept = other
        slot = _B if kept and kept.name[-1] == "a" else _A
        flash = self._flash
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
        except StorageError:
            self._sort(kept, self._read(slot))
            raise
        text_at = len(parts[0])
        self._sort(
            kept,
            Record(name, VERSION, sequence, text_at, len(text), state, boots, etag, notes),
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
        self._flash.remove(names)
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
        flash = self._flash
        newest = None
        for folder in _FOLDERS:
            name = folder + slot
            reason = "unreadable"
            try:
                size = flash.size(name)
                if not size:  # absent, or the power was cut when the file had just been made
                    continue
                record = decode(flash, name, size)
                if record:
                    if not newest or newest.sequence < record.sequence:
                        newest = record
                    continue
            except StorageError as error:
                reason = str(error)
            try:
                flash.rename(name, slot + _DAMAGED)
                done = "kept as " + slot + _DAMAGED
            except StorageError:
                done = "cannot be renamed"
            self.reports.append("%s: %s, %s" % (slot, reason, done))
        return newest
