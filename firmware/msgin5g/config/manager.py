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

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError

EMPTY = const(0)  # no configuration was ever stored; TRIAL, GOOD and BAD are the store's
MAX_RESETS = const(3)  # before a boot lasted
_MAX_HISTORY = const(8)  # events; the oldest is forgotten first

# The causes of a roll-back, by the number that is stored: the first of the notes.
CAUSES = ("", "not confirmed in time", "reset too often", "by hand", "does not fit the schema")
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
        self.begin(EMPTY, 0, 0)

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
        self.begin(newest.state, newest.boots, now)
        if newest.state != GOOD or newest.boots:
            from msgin5g.config.trial import boot

            event = boot(self, counts, now)
            if event:
                return event
        reasons = self.use(self._running())
        if reasons and self.fallback() and self.state != BAD:
            from msgin5g.config.trial import go_back

            return go_back(self, now, _SCHEMA)
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
            if self.trial_ms or len(self.notes) > 1:
                from msgin5g.config.trial import is_refused

                if is_refused(self.notes, text, etag):
                    return self.note(now, "refused", ("ETag: rolled back, waits for a change",))
            configuration, reasons = self.schema.check(text)
            if not reasons:
                store.write(state, 0, etag, self.notes, text)
        except StorageError as error:
            reasons = (str(error),)
        except MemoryError:
            reasons = ("memory: too little is free",)
        if reasons:
            return self.note(now, "refused", reasons)
        self.configuration = configuration
        self.etag = etag
        self.sequence = store.newest.sequence
        self.begin(state, 0, now)
        return self.note(now, "applied")

    def confirm(self, now):
        """The application, or a person, says that the configuration on trial works.

        The event is confirmed; None when nothing is on trial.
        """
        if self.state != TRIAL:
            return None
        self.begin(GOOD, 0, now)
        self.save(now)
        return self.note(now, "confirmed")

    def check_passed(self):
        """The built-in check went well: `step` confirms once the boot has lasted long enough."""
        self.passed = self.state == TRIAL

    def step(self, now):
        """The clock has moved: confirm, roll back, or call the boot good. An event, or None."""
        if self.wait_ms(now) != 0:
            return None
        if self.unsaved and diff(now, self.good_at) >= 0:
            self.save(now)
        if self.safe_mode or not (self.boots or self.state == TRIAL):
            return None
        from msgin5g.config.trial import step

        return step(self, now)

    def wait_ms(self, now):
        """Milliseconds until `step` may have something to do; None means no timer runs."""
        runs = not self.safe_mode
        wait = None
        if self.unsaved or (runs and (self.passed or (self.boots and self.state != TRIAL))):
            wait = max(0, diff(self.good_at, now))
        if runs and self.state == TRIAL:
            wait = shorter(wait, max(0, diff(self.late_at, now)))
        return wait

    def begin(self, state, boots, now):
        self.state = state
        self.boots = boots
        self.passed = False
        self.late_at = add(now, self.trial_ms)
        self.good_at = add(now, self.good_after_ms)

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

    def use(self, record):
        """Make the document of a Record the configuration. The reasons why it cannot be."""
        self.configuration, reasons = self.schema.check(self.text(record))
        self.etag = b"" if reasons else record.etag
        return reasons

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
                self.good_at = add(now, self.good_after_ms)
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
