"""A configuration at rest has no Lifecycle in memory, and is the same one when it wakes."""

import sys

from checks import raises
from lifecycle_board import document
from memory_flash import MemoryFlash

from msgin5g.configuration import by_hand
from msgin5g.configuration.lifecycle import CAUSES, Lifecycle
from msgin5g.configuration.schema import Schema
from msgin5g.configuration.store import BAD, GOOD, TRIAL, StorageError, Store
from msgin5g.keeper import Keeper

TRIAL_MS = 120_000
LATER = 200_000


class Kept(Keeper):
    """A Keeper on a flash in RAM. `n_loads` counts; `is_short`: there is no memory to load."""

    def __init__(self, flash, trial_ms=0, rests=True):
        super().__init__(rests)
        self.flash = flash
        self.trial_ms = trial_ms
        self.n_loads = 0
        self.is_short = False
        self.event = self.start(0)
        self.step(0)

    def _load(self, arguments):
        if self.is_short:
            raise MemoryError
        self.n_loads += 1
        trial_ms = self.trial_ms
        return Lifecycle(Store(self.flash), Schema(), trial_ms, trial_ms // 2)

    def gets(self, name, now=0):
        event = self.offer(document(name), name.encode(), now)
        self.step(now)
        return event

    def runs(self):
        return self.configuration["MSGin5G-Server-address"][7:-8]


def resting(keeper):
    """Whether the Lifecycle is gone, its code with it."""
    return keeper._lifecycle is None and "msgin5g.configuration.lifecycle" not in sys.modules


def test_what_is_good_rests_and_is_looked_at_without_waking_it():
    keeper = Kept(MemoryFlash())
    assert resting(keeper) and keeper.configuration is None and keeper.etag == b""
    assert keeper.gets("one") == ("applied", ())
    assert resting(keeper) and keeper.n_loads == 2
    assert (keeper.runs(), keeper.etag, keeper.state) == ("one", b"one", GOOD)
    assert not keeper.safe_mode and not keeper.unsaved and keeper.reasons == ()
    assert [row[1] for row in keeper.history] == ["unconfigured", "applied"]
    assert keeper.wait_ms(LATER) is None and keeper.step(LATER) is None
    assert keeper.n_loads == 2


def test_what_is_unchanged_is_known_and_not_written():
    keeper = Kept(MemoryFlash())
    keeper.gets("one")
    for n in range(20):
        assert keeper.offer(document("one"), b"%d" % n, n) == ("unchanged", ())
        keeper.step(n)
    assert keeper.flash.n_writes == 1 and resting(keeper)
    assert keeper.etag == b"19" and keeper.runs() == "one"


def test_on_trial_it_stays_and_when_confirmed_it_rests():
    keeper = Kept(MemoryFlash(), TRIAL_MS)
    keeper.gets("one")
    assert keeper.state == TRIAL and not resting(keeper)
    keeper.check_passed()
    assert keeper.wait_ms(0) == TRIAL_MS // 2
    assert keeper.step(TRIAL_MS // 2) == ("confirmed", ())
    assert resting(keeper) and keeper.state == GOOD
    assert keeper.confirm(LATER) is None  # this wakes it
    assert not resting(keeper)
    keeper.step(LATER)
    assert resting(keeper)


def test_what_was_rolled_back_stays_refused_over_rest_and_reset():
    keeper = Kept(MemoryFlash(), TRIAL_MS)
    keeper.gets("one")
    keeper.confirm(0)
    keeper.gets("two")
    assert keeper.step(TRIAL_MS) == ("rolled_back", ("not confirmed in time",))
    assert not resting(keeper)  # this boot is not good yet
    keeper.step(2 * TRIAL_MS)
    assert resting(keeper) and (keeper.state, keeper.runs()) == (BAD, "one")
    assert keeper.reasons == ("not confirmed in time",)
    assert keeper.gets("two", LATER)[0] == "refused"
    assert CAUSES[keeper.notes[0]] == "not confirmed in time"
    again = Kept(keeper.flash, TRIAL_MS)
    assert (again.state, again.runs()) == (BAD, "one")
    assert again.gets("two")[0] == "refused"


def test_what_a_person_rolls_back_at_rest_stays_refused():
    keeper = Kept(MemoryFlash())
    keeper.gets("one")
    keeper.gets("two")
    assert resting(keeper)
    assert by_hand.roll_back(keeper.open(), 0) == ("rolled_back", ("by hand",))
    assert (keeper.state, keeper.runs()) == (BAD, "one")
    assert keeper.gets("two")[0] == "refused"
    keeper.step(LATER)
    assert resting(keeper) and keeper.gets("two", LATER)[0] == "refused"
    assert Kept(keeper.flash).gets("two")[0] == "refused"


def test_safe_mode_does_not_rest():
    flash = MemoryFlash()
    Kept(flash, TRIAL_MS).gets("one")
    for _ in range(3):
        keeper = Kept(flash, TRIAL_MS)
    assert keeper.safe_mode and keeper.event[0] == "safe_mode"
    keeper.step(LATER)
    assert keeper.safe_mode and not resting(keeper)


def test_a_record_that_is_lost_meanwhile_costs_nothing_but_the_record():
    keeper = Kept(MemoryFlash())
    keeper.gets("one")
    keeper.gets("two")
    keeper.flash.files["slot-b"] = b"?" * 600  # of "two"
    assert keeper.runs() == "two"
    assert keeper.gets("two") == ("applied", ())  # stored again, for it is not there
    assert Kept(keeper.flash).runs() == "two"


def test_without_memory_to_load_it_a_document_is_refused_and_nothing_is_lost():
    keeper = Kept(MemoryFlash())
    keeper.gets("one")
    keeper.is_short = True
    for now in range(20):
        assert keeper.gets("two", now) == ("refused", ("memory: too little is free",))
    assert resting(keeper) and (keeper.runs(), keeper.etag) == ("one", b"one")
    assert keeper.reasons == ("memory: too little is free",)
    assert [row[1] for row in keeper.history] == ["unconfigured", "applied", "refused"]
    with raises(MemoryError):
        keeper.confirm(0)
    keeper.is_short = False
    assert keeper.gets("two") == ("applied", ())
    assert keeper.runs() == "two"


def test_the_history_stays_bounded_when_there_is_memory_now_and_then():
    keeper = Kept(MemoryFlash())
    for n in range(30):
        keeper.is_short = n % 2
        keeper.gets("x%d" % n)
    assert len(keeper.history) <= 9
    assert keeper.history[-1][1] == "refused"


def test_a_lifecycle_that_others_hold_on_to_stays():
    keeper = Kept(MemoryFlash(), 0, False)
    lifecycle = keeper.open()
    keeper.gets("one")
    assert keeper.open() is lifecycle and lifecycle.configuration is keeper.configuration


def test_what_the_flash_refuses_reaches_the_caller():
    keeper = Kept(MemoryFlash())
    keeper.flash.is_full = True
    assert keeper.gets("one") == ("refused", ("storage: full",))
    keeper.flash.is_full = False

    def stuck(name):
        raise StorageError("storage: error 5")

    keeper.flash.remove = stuck
    with raises(StorageError, "error 5"):
        by_hand.remove_all(keeper, 0)
    assert keeper.gets("one") == ("applied", ())
