"""The life of a UE's configuration: on trial, then confirmed or rolled back.

The state is that of the newest document:

    EMPTY   No document is stored. No configuration runs.
    TRIAL   The newest document runs and waits for its confirmation.
    GOOD    The newest document runs. It was confirmed.
    BAD     The newest document was rolled back. The GOOD document before it runs.

    from    what happens                                                        to
    any     `offer` takes a document                                            TRIAL
    any     the same, with `trial_ms` 0: there is no trial                      GOOD
    TRIAL   `confirm`                                                           GOOD
    TRIAL   `check_passed`, and this boot has lasted `good_after_ms`            GOOD
    TRIAL   not confirmed within `trial_ms` of the start or the offer           BAD
    TRIAL   the board was reset MAX_RESETS times                                BAD
    TRIAL   `roll_back`, or the document no longer fits the schema              BAD
    GOOD    the same                                                            BAD
    BAD     at the start, the record of the GOOD document is lost               TRIAL
    any     `document_deleted`, and `on_deleted` is "remove"                    EMPTY
    any     `remove_all`                                                        EMPTY

A roll-back needs a GOOD document to go back to. Without one, a document stays on trial however
long that takes. A document that was rolled back is refused until the server changes it; one that
does not fit the schema may be offered again, as a newer firmware may take it.

A document may have more than one text: each gives the keys that those before it lack.

A document that comes within `apply_interval_ms` of the one that was applied last is postponed: it
is kept in RAM, and `step` applies it when that time is over. A newer one takes its place. So a
server whose document changes many times a second does not wear out the flash.

A reset on trial counts as a failed boot; a wake from deep sleep does not, nor does a boot that a
person has ended (`ended_by_hand`). All of them start the time of the trial anew. After a
roll-back, boots are counted until one has lasted `good_after_ms`. Another application begins a new
count. Boots with a GOOD document are not counted and write nothing. A refresh that brings the same
document writes nothing in any state.

Safe mode begins when the board was reset MAX_RESETS times on trial and there is no GOOD document
to go back to, or MAX_RESETS times more after a roll-back. Then network, configuration client and
REPL run, the application is not started, and no trial runs out. The next start begins a new count
when safe mode has lasted `SAFE_MODE_MS`, when `offer` has taken another document, or when the
application is another one. `remove_all` ends it as well.

A power cut during any of these leaves the state before or the state after: the store writes a
record whole, to the slot that is not needed. What was not written has not happened: a trial
whose confirmation was cut off goes on, and a document whose offer was cut off is fetched again.
When the flash refuses a state, the new state holds in RAM (`unsaved`), and writing it is tried
again every `good_after_ms`. A document that the flash refuses is refused.

A record keeps, besides document, ETag and state, the number of resets and the notes:

    the cause of the last roll-back (1 byte), then for each document that was rolled back, the
    oldest first: CRC-32 of its text (4 bytes), size of its ETag (1), ETag (8, zeros at its end)
    CRC-32 of the application whose boots are counted (4 bytes), if any were

An event is a tuple (name, reasons), reasons a list or tuple of str, mostly empty. Names: applied,
unchanged, postponed, refused, confirmed, rolled_back, safe_mode, unconfigured, deleted, removed,
factory_reset, and storage (what the store found damaged, or what the flash refused). The history
also has what a service adds with `note`.
"""

import struct

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError, crc_of, stored

EMPTY = const(0)  # the other states are those of a record
MAX_RESETS = const(3)
SAFE_MODE_MS = const(300000)

_MAX_HISTORY = const(8)  # events; the oldest is dropped first
_MAX_ROLLED_BACK = const(4)  # documents; the oldest is forgotten first
_ROLLED_BACK = const("<IB8s")
_ROLLED_BACK_SIZE = const(13)
_NO_NOTES = const(b"\0")
_FAR_MS = const(1 << 28)  # three days

# Why a document was rolled back, by the number in the notes.
_CAUSES = const(
    ("", "not confirmed in time", "reset too often", "by hand", "does not fit the schema")
)
_NO_MEMORY = const(("memory: too little is free",))
_LATE = const(1)
_RESETS = const(2)
_BY_HAND = const(3)
_SCHEMA = const(4)


class ConfigurationManager:
    """The configuration of one node. `now` is in milliseconds that wrap at 2**30.

    configuration   the dict that runs, or None; a new object for each document
    etag            its ETag, b"" without one
    state           EMPTY, TRIAL, GOOD or BAD
    boots           resets counted on trial or after a roll-back
    safe_mode       holds until the next start
    unsaved         the flash did not take the state yet
    reasons         those of the last refusal, roll-back or other event that had some
    try_again       the last refusal was for want of memory or of flash, not for the document
    deleted         the server has deleted the document, kept or removed; in RAM only
    history         the last events, a list of (now, name, reasons), oldest first, in RAM only
    sequence        of the record that `state` is about, 0 without one
    notes           those of that record

    The arguments are attributes as well.
    """

    def __init__(
        self,
        store,
        schema,
        trial_ms=300_000,
        good_after_ms=60_000,
        apply_interval_ms=0,
        on_deleted="keep",
    ):
        """good_after_ms, at most trial_ms: how long a boot must last to count as good.

        on_deleted: "keep" or "remove", what happens to the document that the server has deleted.
        """
        self.store = store
        self.schema = schema
        self.trial_ms = trial_ms
        self.good_after_ms = good_after_ms
        self.apply_interval_ms = apply_interval_ms
        self.on_deleted = on_deleted
        self.history = []
        self._apply_at = None  # when the next document may be applied; None: at once
        self._clear()

    def start(self, now, counts=True, application=0):
        """Load what is stored, at boot; `configuration` is then what runs.

        The event is applied, rolled_back, safe_mode, or unconfigured, which has reasons when what
        is stored cannot run. counts: whether this start may follow a failed boot; False after
        deep sleep, and when a person inspects a board that does not run. application: the CRC-32
        of its file.
        """
        self._clear()
        store = self.store
        store.load()
        for report in store.reports:
            self.note(now, "storage", (report,))
        newest = store.newest
        if not newest:
            return self.note(now, "unconfigured")
        self.sequence = newest.sequence
        self.notes = newest.notes or _NO_NOTES
        self._begin(newest.state, newest.boots, now)
        if newest.state != GOOD or newest.boots:
            event = self._count_boot(counts, application, now)
            if event:
                return event
        reasons = self._use(self._running())
        if reasons and self._fallback() and self.state != BAD:
            return self._go_back(_SCHEMA, now)
        if self.safe_mode:
            return self.note(now, "safe_mode", ("%d resets" % self.boots,))
        return self.note(now, "unconfigured" if reasons else "applied", reasons)

    def offer(self, texts, etag, now):
        """A document has come from the server: `texts` as for Schema.check, `etag` 0 to 8 bytes.

        applied: it is stored and runs. unchanged: it runs already; its ETag is kept in RAM.
        postponed: it is valid and waits. refused: the reasons say why, and nothing has changed.
        """
        state = TRIAL if self.trial_ms else GOOD
        store = self.store
        runs = self._running()
        self.try_again = False
        try:
            document = stored(texts)
            if self.configuration is not None and runs and store.holds(runs, document):
                self.etag = etag
                self._postponed = None
                self.deleted = False
                return "unchanged", ()
            if self._was_rolled_back(document, etag):
                return self.note(now, "refused", ("ETag: rolled back, waits for a change",))
            configuration, reasons = self.schema.check(texts)
            if not reasons:
                if self._apply_at is not None:
                    self._postponed = (texts, etag)
                    return "postponed", ()
                store.write(state, 0, etag, self.notes, document)
        except StorageError as error:
            reasons = (str(error),)
            self.try_again = True
        except MemoryError:
            reasons = _NO_MEMORY
            self.try_again = True
        if reasons:
            return self.note(now, "refused", reasons)
        self.configuration = configuration
        self.etag = etag
        self.sequence = store.newest.sequence
        self.deleted = False
        self._begin(state, 0, now)
        if self.apply_interval_ms:
            self._apply_at = add(now, self.apply_interval_ms)
        return self.note(now, "applied")

    def document_deleted(self, now):
        """The server has deleted the document. An event, or None.

        on_deleted "keep": deleted, once; what runs goes on. "remove": removed, when nothing is
        stored and nothing runs any more; storage, when the flash refuses that, and all is as
        before. None when nothing was held.
        """
        if self.configuration is None and not self.store.newest:
            return None
        if self.on_deleted == "keep":
            if self.deleted:
                return None
            self.deleted = True
            return self.note(now, "deleted")
        safe_mode = self.safe_mode
        try:
            self.store.erase()
        except StorageError as error:
            return self.note(now, "storage", (str(error),))
        self._clear()
        self.safe_mode = safe_mode  # the application was not imported: see Application
        self.deleted = True
        return self.note(now, "removed")

    def confirm(self, now):
        """The application, or a person, says that the configuration on trial works.

        The event is confirmed; None when nothing is on trial.
        """
        if self.state != TRIAL:
            return None
        self._begin(GOOD, 0, now)
        self._save(now)
        return self.note(now, "confirmed")

    def check_passed(self):
        """The built-in check has passed: `step` confirms once the boot has lasted long enough."""
        self._passed = self.state == TRIAL

    def ended_by_hand(self, now):
        """A person ends this boot, which has not failed then: it does not count."""
        if self._is_counted and not self.safe_mode:
            self.boots = self._boots_before
            self._save(now)
            self._is_counted = False

    def step(self, now):
        """The clock has moved: confirm, roll back, or call the boot good. An event, or None."""
        if self.wait_ms(now) != 0:
            return None
        if self._apply_at is not None and diff(now, self._apply_at) >= 0:
            self._apply_at = None
            if self._postponed:
                texts, etag = self._postponed
                self._postponed = None
                return self.offer(texts, etag, now)
        if self.unsaved and diff(now, self._good_at) >= 0:
            self._save(now)
        if self.safe_mode:
            if self.boots == self._boots_before or self.safe_mode_ms(now):
                return None
            self.boots = self._boots_before
            self._save(now)
            return self.note(now, "safe_mode", ("the next start runs the application again",))
        lasted = diff(now, self._good_at) >= 0
        if self.state == TRIAL:
            if lasted and self._passed:
                return self.confirm(now)
            if diff(now, self._late_at) < 0:
                return None
            if self._fallback():
                return self._go_back(_LATE, now)
            self._late_at = add(now, self.trial_ms)  # there is none to go back to: it goes on
        elif not lasted:
            return None
        if self.boots:
            self.boots = 0
            self._is_counted = False
            self._save(now)
        return None

    def wait_ms(self, now):
        """Milliseconds until `step` may have something to do; None means no timer runs."""
        runs = not self.safe_mode
        wait = None
        if self.unsaved or (runs and (self._passed or (self.boots and self.state != TRIAL))):
            wait = max(0, diff(self._good_at, now))
        if self.safe_mode and self.boots != self._boots_before:
            wait = shorter(wait, self.safe_mode_ms(now))
        if runs and self.state == TRIAL:
            wait = shorter(wait, max(0, diff(self._late_at, now)))
        if self._apply_at is not None:
            wait = shorter(wait, max(0, diff(self._apply_at, now)))
        return wait

    def safe_mode_ms(self, now):
        """Milliseconds of safe mode until the next start runs the application again."""
        return 0 if self.boots == self._boots_before else max(0, diff(self._safe_until, now))

    def roll_back(self, now):
        """A person, a button or the application brings the good document before this one back.

        The event is rolled_back; None when there is none to go back to.
        """
        if self.state == BAD or not self._fallback():
            return None
        return self._go_back(_BY_HAND, now)

    def remove_all(self, now):
        """Remove all configuration: factory_reset. StorageError when the flash refuses."""
        self.store.erase()
        self._clear()
        return self.note(now, "factory_reset")

    def stored(self, newest):
        """(state, configuration) of the newest document, or of the one before; None without one.

        The configuration is None when the document does not fit the schema.
        """
        record = self.store.newest if newest else self.store.other
        return record and (record.state, self.schema.check(self.store.texts(record))[0])

    @property
    def cause(self):
        """Why the last document that was rolled back was, "" when none ever was."""
        return _CAUSES[self.notes[0]]

    def pause_timers(self, now):
        """Let no trial run out for some days: a person inspects a node that does not run."""
        self._late_at = self._good_at = self._safe_until = add(now, _FAR_MS)

    def note(self, now, name, reasons=()):
        """Add an event to the history, unless the last one is the same; gives the event."""
        if reasons and name != "safe_mode":
            self.reasons = reasons
        history = self.history
        if not history or history[-1][1:] != (name, reasons):
            history.append((now, name, reasons))
            del history[:-_MAX_HISTORY]
        return name, reasons

    def _clear(self):
        """Forget all but the history."""
        self.configuration = self._postponed = None  # texts and ETag of the one that waits
        self.etag = b""
        self.safe_mode = self.unsaved = self.deleted = self.try_again = False
        self.reasons = ()
        self.notes = _NO_NOTES
        self.sequence = 0
        self._safe_until = 0
        self._begin(EMPTY, 0, 0)

    def _begin(self, state, boots, now):
        self.state = state
        self.boots = self._boots_before = boots  # the latter: what `boots` returns to
        self._passed = self._is_counted = False
        self._late_at = add(now, self.trial_ms)
        self._good_at = add(now, self.good_after_ms)

    def _count_boot(self, counts, application, now):
        """Count a boot against what is stored; an event when it was rolled back for that."""
        fallback = self._fallback()
        limit = MAX_RESETS
        if self.state == BAD:
            limit = 2 * MAX_RESETS  # MAX_RESETS have led to the roll-back
            self.reasons = (self.cause,)
            if not fallback:  # the record of the good one is lost: this one is better than none
                self._begin(TRIAL, 0, now)
        if self.state == TRIAL or self.boots:
            none = MAX_RESETS if self.state == BAD else 0  # what a count begins with
            if counts:
                notes = _rows(self.notes) + struct.pack("<I", application)
                if notes != self.notes:
                    self.notes = notes
                    self.boots = none
                self._boots_before = self.boots
                if self.boots < limit:
                    self.boots += 1
                    self._is_counted = True
            if self.boots >= limit:
                if self.state == TRIAL and fallback:
                    return self._go_back(_RESETS, now)
                self.safe_mode = True
                self._boots_before = none
                self._safe_until = add(now, SAFE_MODE_MS)
            self._save(now)
        return None

    def _go_back(self, cause, now):
        """Let the good document before the newest one run; the event is rolled_back."""
        newest = self.store.newest
        rows = _rows(self.notes)[1:]
        if cause != _SCHEMA:  # a newer firmware may take it
            rows += _rolled_back(self.store.crc(newest), newest.etag)
        self.notes = bytes((cause,)) + rows[-_ROLLED_BACK_SIZE * _MAX_ROLLED_BACK :]
        self._begin(BAD, MAX_RESETS, now)
        self._use(self._fallback())
        self._save(now)
        return self.note(now, "rolled_back", (self.cause,))

    def _was_rolled_back(self, document, etag):
        """Whether a document was rolled back, by its text or by its ETag."""
        notes = _rows(self.notes)
        if len(notes) == 1:
            return False
        row = _rolled_back(crc_of(document), etag)
        for i in range(1, len(notes), _ROLLED_BACK_SIZE):
            if notes[i : i + 4] == row[:4] or (etag and notes[i + 4 : i + 13] == row[4:]):
                return True
        return False

    def _fallback(self):
        """The Record of the good document behind the newest one, or None."""
        other = self.store.other
        return other if other and other.state == GOOD else None

    def _running(self):
        """The Record whose document runs, or None."""
        if self.state == BAD:
            return self._fallback()
        newest = self.store.newest
        return newest if newest and newest.sequence == self.sequence else None

    def _use(self, record):
        """Let the document of a Record run. The reasons why it cannot."""
        self.configuration = None  # the one before is not needed: there is room for this one
        try:
            self.configuration, reasons = self.schema.check(self.store.texts(record))
        except MemoryError:
            reasons = _NO_MEMORY
        self.etag = b"" if reasons else record.etag
        return reasons

    def _save(self, now):
        """Store the state, unless the record that it is about was lost."""
        store = self.store
        newest = store.newest
        self.unsaved = False
        if newest and newest.sequence == self.sequence:
            try:
                store.write(self.state, self.boots, newest.etag, self.notes)
                self.sequence = store.newest.sequence
                return
            except StorageError as error:
                reasons = (str(error),)
            except MemoryError:
                reasons = _NO_MEMORY
            self.unsaved = True
            self._good_at = add(now, self.good_after_ms)
            self.note(now, "storage", reasons)


def _rows(notes):
    """The notes without the CRC-32 of the application at their end."""
    return notes[: len(notes) - (len(notes) - 1) % _ROLLED_BACK_SIZE]


def _rolled_back(crc, etag):
    """The row of a document in the notes; crc: the CRC-32 of its text."""
    return struct.pack(_ROLLED_BACK, crc, len(etag), etag)
