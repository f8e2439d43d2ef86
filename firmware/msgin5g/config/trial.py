"""What a Lifecycle does while something is on trial or rolled back; a GOOD one needs none of it.

It is loaded with the first document on trial, or at the start after one.
"""

import struct
from binascii import crc32

from micropython import const
from msgin5g.coap.ticks import add, diff
from msgin5g.config.manager import CAUSES, MAX_RESETS
from msgin5g.config.store import BAD, TRIAL

_MAX_REFUSED = const(4)  # documents that were rolled back; the oldest is forgotten first
_ROW = const("<IB8s")
_ROW_SIZE = const(13)
_LATE = const(1)  # the causes, see CAUSES
_RESETS = const(2)
_SCHEMA = const(4)


def boot(lifecycle, counts, now):
    """Count a boot against what is stored; an event when that is one too many."""
    fallback = lifecycle.fallback()
    limit = MAX_RESETS
    if lifecycle.state == BAD:
        limit = 2 * MAX_RESETS
        lifecycle.reasons = (CAUSES[lifecycle.notes[0]],)
        if not fallback:  # the good one's file is lost: this one is better than none
            lifecycle.begin(TRIAL, 0, now)
    if lifecycle.state == TRIAL or lifecycle.boots:
        if counts and lifecycle.boots < limit:
            lifecycle.boots += 1
        if lifecycle.boots >= limit:
            if lifecycle.state == TRIAL and fallback:
                return go_back(lifecycle, now, _RESETS)
            lifecycle.safe_mode = True
        lifecycle.save(now)
    return None


def step(lifecycle, now):
    """Something is due: confirm, roll back, or call the boot good. An event, or None."""
    lasted = diff(now, lifecycle.good_at) >= 0
    if lifecycle.state == TRIAL:
        if lasted and lifecycle.passed:
            return lifecycle.confirm(now)
        if diff(now, lifecycle.late_at) < 0:
            return None
        if lifecycle.fallback():
            return go_back(lifecycle, now, _LATE)
        lifecycle.late_at = add(now, lifecycle.trial_ms)  # none to go back to: it goes on
    elif not lasted:
        return None
    if lifecycle.boots:
        lifecycle.boots = 0
        lifecycle.save(now)
    return None


def is_refused(notes, text, etag):
    """Whether a document is one of those that were rolled back."""
    row = _row(text, etag)
    for i in range(1, len(notes), _ROW_SIZE):
        if notes[i : i + 4] == row[:4] or (etag and notes[i + 4 : i + 13] == row[4:]):
            return True
    return False


def go_back(lifecycle, now, cause):
    """Let the last good configuration run; the event is rolled_back."""
    newest = lifecycle.store.newest
    rows = lifecycle.notes[1:]
    if cause != _SCHEMA:  # which a new firmware may have mended
        rows += _row(lifecycle.text(newest), newest.etag)
    lifecycle.notes = bytes((cause,)) + rows[-_ROW_SIZE * _MAX_REFUSED :]
    lifecycle.begin(BAD, MAX_RESETS, now)
    lifecycle.use(lifecycle.fallback())
    lifecycle.save(now)
    return lifecycle.note(now, "rolled_back", (CAUSES[cause],))


def _row(text, etag):
    return struct.pack(_ROW, crc32(text), len(etag), etag)
