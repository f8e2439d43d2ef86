"""What is refused, and why, is known to a configuration at rest, too."""

from checks import raises
from keeper_board import LATER, TRIAL_MS, Kept, resting
from memory_flash import MemoryFlash

from msgin5g.config import by_hand
from msgin5g.config.manager import CAUSES
from msgin5g.config.store import BAD, StorageError


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
