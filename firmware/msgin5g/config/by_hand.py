"""What only a person, a button or an application asks of a Lifecycle; it stays out of the heap."""

from micropython import const
from msgin5g.config.store import BAD

_BY_HAND = const(3)  # a cause, see lifecycle


def roll_back(lifecycle, now):
    """Bring the good configuration before this one back. lifecycle: a Keeper's, `open()`.

    The event is rolled_back; None when there is none to go back to.
    """
    if lifecycle.state == BAD or not lifecycle.fallback():
        return None
    from msgin5g.config.trial import go_back

    return go_back(lifecycle, now, _BY_HAND)


def remove_all(lifecycle, now):
    """Remove all configuration. StorageError when the flash refuses."""
    erase(lifecycle.store)
    lifecycle.clear()
    return lifecycle.note(now, "factory_reset", ())


def stored(lifecycle, newest):
    """(state, configuration) of the newest document, or the one before; None without one.

    The configuration is None when it does not fit the schema.
    """
    record = lifecycle.store.newest if newest else lifecycle.store.other
    return record and (record.state, lifecycle.schema.check(lifecycle.text(record))[0])


def erase(store):
    """Remove all that was ever stored, what runs last: a power cut leaves it, or nothing."""
    runs = store.newest
    if runs and runs.state == BAD and store.other:
        runs = store.other
    last = runs.name if runs else ""
    for slot in ("slot-a", "slot-b"):
        store.flash.remove(slot + ".bad")
        store.remove(slot, last)
    if runs:
        store.flash.remove(last)
    store.newest = store.other = None
