"""A configuration at rest has no Lifecycle in memory, and is the same one when it wakes."""

from keeper_board import LATER, TRIAL_MS, Kept, resting
from lifecycle_board import document
from memory_flash import MemoryFlash

from msgin5g.config.store import GOOD, TRIAL


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


def test_a_lifecycle_that_others_hold_on_to_stays():
    keeper = Kept(MemoryFlash(), 0, False)
    lifecycle = keeper.open()
    keeper.gets("one")
    assert keeper.open() is lifecycle and lifecycle.configuration is keeper.configuration
