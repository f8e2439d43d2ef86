"""The life of a configuration: on trial, then confirmed or rolled back. No I/O but the store's.

    offer --> TRIAL --confirm(), or the check passed and the boot lasted--> GOOD
                |  not confirmed within trial_ms, or reset MAX_RESETS times
                v
               BAD: the last good one runs, the document is not taken again until it changes
                |  reset MAX_RESETS times more before a boot lasted
                v
            safe mode: REPL, network and configuration client only

A first configuration has none to fall back on. It stays on trial however long that takes, and
MAX_RESETS resets lead to safe mode with it still in place. A changed document leads out of safe
mode, at the next start. A boot with a GOOD configuration writes nothing, nor does a refresh.

What must outlive a reset is in the newest record of the store: the state, the resets, and as its
notes the cause of the last roll-back (1 byte) and the documents that were rolled back, each as
the CRC-32 of its text (4 bytes), the size of its ETag (1) and the ETag (8, zeros at its end).
The history is in RAM.

An event is a tuple (name, reasons), reasons a list or tuple of str, mostly empty. Names:
applied, unchanged, refused, confirmed, rolled_back, safe_mode, unconfigured, factory_reset, and
in the history also storage: what the store found damaged, or the flash would not take.
"""

import struct
from binascii import crc32

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.configuration.store import BAD, GOOD, TRIAL, StorageError

EMPTY = const(0)  # no configuration was ever stored; TRIAL, GOOD and BAD are the store's
MAX_RESETS = const(3)  # before a boot lasted
_MAX_REFUSED = const(4)  # documents that were rolled back; the oldest is forgotten first
_MAX_HISTORY = const(8)  # events; the same

_ROW = const("<IB8s")
_ROW_SIZE = const(13)
# The causes of a roll-back, by the number that is stored: the first of the notes.
CAUSES = ("", "not confirmed in time", "reset too often", "by hand", "does not fit the schema")
_LATE = const(1)
_RESETS = const(2)
_SCHEMA = const(4)


class Lifecycle:
    """One node's configuration. `now` is in milliseconds that wrap at 2**30.

    `configuration` is the dict that is to run, or None; `etag` its ETag, b"" for none. `state`
    is EMPTY, TRIAL, GOOD or BAD, of the newest document: when that is BAD, the last good one
    runs. `boots` counts resets on trial and after a roll-back. `safe_mode` holds until the next
    start. `unsaved`: the flash did not take the state; it is tried again. `reasons` are those of
    the last refusal or roll-back. `history` is a list of (now, name, reasons), oldest first.
    """

    def __init__(self, store, schema, trial_ms=300_000, good_after_ms=60_000):
        """`good_after_ms`, within `trial_ms`, is how long a boot must last to count as good.

        With `trial_ms` 0 what is offered is good at once, without a trial.
        """
        self.store = store
        self.schema = schema
        self.trial_ms = trial_ms
        self.good_after_ms = good_after_ms
        self.history = []
        self.clear()

    def clear(self):
        """Forget all but the history."""
        self.configuration = None
        self.etag = b""
        self.safe_mode = self.unsaved = False
        self.reasons = ()
        self.notes = b"\0"
        self.sequence = 0
        self._begin(EMPTY, 0, 0)

    def start(self, now, counts=True):
        """Load what is stored, at boot; `configuration` is then what is to run.

        The event is applied, rolled_back, safe_mode, or unconfigured, with reasons if what is
        stored cannot run. `counts` is False for a wake from deep sleep, which is no failed boot.
        """
        self.clear()
        store = self.store
        store.load()
        for report in store.reports:
            self.note(now, "storage", (report,))
        newest = store.newest
        if not newest:
            return self.note(now, "unconfigured")
        self.sequence = newest.sequence
        self.notes = newest.notes or b"\0"
        self._begin(newest.state, newest.boots, now)
        fallback = self.fallback()
        limit = MAX_RESETS
        if self.state == BAD:
            limit = 2 * MAX_RESETS
            self.reasons = (CAUSES[self.notes[0]],)
            if not fallback:  # the good one's file is lost: this one is better than none
                self._begin(TRIAL, 0, now)
        if self.state == TRIAL or self.boots:
            if counts and self.boots < limit:
                self.boots += 1
            if self.boots >= limit:
                if self.state == TRIAL and fallback:
                    return self.go_back(now, _RESETS)
                self.safe_mode = True
            self.save(now)
        reasons = self._use(self._running())
        if reasons and fallback and self.state != BAD:
            return self.go_back(now, _SCHEMA)
        if self.safe_mode:
            return self.note(now, "safe_mode", ("%d resets" % self.boots,))
        return self.note(now, "unconfigured" if reasons else "applied", reasons)

    def offer(self, text, etag, now):
        """A document has come from the server: `text` is bytes or str, `etag` 0 to 8 bytes.

        applied: it is stored and on trial. unchanged: it runs already; only its ETag is new, and
        kept in RAM. refused: the reasons say why; nothing has changed.
        """
        state = TRIAL if self.trial_ms else GOOD
        if isinstance(text, str):
            text = text.encode()
        store = self.store
        runs = self._running()
        try:
            if self.configuration is not None and runs and store.holds(runs, text):
                self.etag = etag
                return "unchanged", ()
            row = self._row(text, etag)
            notes = self.notes
            for i in range(1, len(notes), _ROW_SIZE):
                if notes[i : i + 4] == row[:4] or (etag and notes[i + 4 : i + 13] == row[4:]):
                    return self.note(now, "refused", ("ETag: rolled back, waits for a change",))
            configuration, reasons = self.schema.check(text)
            if not reasons:
                store.write(state, 0, etag, notes, text)
        except StorageError as error:
            reasons = (str(error),)
        except MemoryError:
            reasons = ("memory: too little is free",)
        if reasons:
            return self.note(now, "refused", reasons)
        self.configuration = configuration
        self.etag = etag
        self.sequence = store.newest.sequence
        self._begin(state, 0, now)
        return self.note(now, "applied")

    def confirm(self, now):
        """The application, or a person, says that the configuration on trial works.

        The event is confirmed; None when nothing is on trial.
        """
        if self.state != TRIAL:
            return None
        self._begin(GOOD, 0, now)
        self.save(now)
        return self.note(now, "confirmed")

    def check_passed(self):
        """The built-in check went well: `step` confirms once the boot has lasted long enough."""
        self._passed = self.state == TRIAL

    def step(self, now):
        """The clock has moved: confirm, roll back, or call the boot good. An event, or None."""
        lasted = diff(now, self._good_at) >= 0
        if lasted and self.unsaved:
            self.save(now)
        if self.safe_mode:
            return None
        if self.state == TRIAL:
            if lasted and self._passed:
                return self.confirm(now)
            if diff(now, self._late_at) < 0:
                return None
            if self.fallback():
                return self.go_back(now, _LATE)
            self._late_at = add(now, self.trial_ms)  # none to go back to: it goes on
        elif not lasted:
            return None
        if self.boots:
            self.boots = 0
            self.save(now)
        return None

    def wait_ms(self, now):
        """Milliseconds until `step` may have something to do; None means no timer runs."""
        runs = not self.safe_mode
        wait = None
        if self.unsaved or (runs and (self._passed or (self.boots and self.state != TRIAL))):
            wait = max(0, diff(self._good_at, now))
        if runs and self.state == TRIAL:
            wait = shorter(wait, max(0, diff(self._late_at, now)))
        return wait

    def _begin(self, state, boots, now):
        self.state = state
        self.boots = boots
        self._passed = False
        self._late_at = add(now, self.trial_ms)
        self._good_at = add(now, self.good_after_ms)

    def fallback(self):
        """The Record of the good document behind the newest one, or None."""
        other = self.store.other
        return other if other and other.state == GOOD else None

    def _running(self):
        """The Record whose document runs, or None."""
        if self.state == BAD:
            return self.fallback()
        newest = self.store.newest
        return newest if newest and newest.sequence == self.sequence else None

    def text(self, record):
        """The document of a Record; b"", which is no JSON, when there is none to be read."""
        try:
            return self.store.text(record) if record else b""
        except StorageError:
            return b""

    def _use(self, record):
        """Make the document of a Record the configuration. The reasons why it cannot be."""
        self.configuration, reasons = self.schema.check(self.text(record))
        self.etag = b"" if reasons else record.etag
        return reasons

    def go_back(self, now, cause):
        newest = self.store.newest
        rows = self.notes[1:]
        if cause != _SCHEMA:  # which a new firmware may have mended
            rows += self._row(self.text(newest), newest.etag)
        self.notes = bytes((cause,)) + rows[-_ROW_SIZE * _MAX_REFUSED :]
        self._begin(BAD, MAX_RESETS, now)
        self._use(self.fallback())
        self.save(now)
        return self.note(now, "rolled_back", (CAUSES[cause],))

    def _row(self, text, etag):
        return struct.pack(_ROW, crc32(text), len(etag), etag)

    def save(self, now):
        """Store the state, unless the record that it is about was lost."""
        store = self.store
        newest = store.newest
        self.unsaved = False
        if newest and newest.sequence == self.sequence:
            try:
                store.write(self.state, self.boots, newest.etag, self.notes)
                self.sequence = store.newest.sequence
            except StorageError as error:
                self.unsaved = True
                self._good_at = add(now, self.good_after_ms)
                self.note(now, "storage", (str(error),))

    def note(self, now, name, reasons=()):
        """Note an event, unless it says the same as the one before."""
        if reasons:
            self.reasons = reasons
        history = self.history
        if not history or history[-1][1:] != (name, reasons):
            history.append((now, name, reasons))
            del history[:-_MAX_HISTORY]
        return name, reasons
