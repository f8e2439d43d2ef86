"""What is unchanged, refused or kept, with a trial and without one."""

from msgin5g_testkit.checks import raises
from manager_board import GOOD_MS, TRIAL_MS, Board, document
from msgin5g.config.store import BAD, GOOD, StorageError

_LITTLE_MEMORY = ("memory: too little is free",)


def no_memory(*_):
    raise MemoryError


def test_without_a_trial_a_document_is_good_at_once():
    board = Board(trial_ms=0)
    assert board.offer("one") == "applied"
    assert board.where() == (GOOD, "one", False)
    assert board.manager.wait_ms(board.now) is None
    assert board.manager.step(board.now) is None
    assert [row[1] for row in board.manager.history] == ["unconfigured", "applied"]
    assert board.flash.n_writes == 1


def test_what_is_unchanged_is_not_written():
    board = Board(trial_ms=0)
    board.offer("one")
    for n in range(20):
        assert board.manager.offer(document("one"), b"%d" % n, n) == ("unchanged", ())
        board.manager.step(n)
    assert board.flash.n_writes == 1
    assert board.manager.etag == b"19" and board.runs() == "one"


def test_a_record_that_is_lost_while_it_runs_is_stored_again():
    board = Board(trial_ms=0)
    board.offer("one")
    board.offer("two")
    board.flash.files["slot-b"] = b"?" * 600  # of "two"
    assert board.runs() == "two"
    assert board.offer("two") == "applied"
    board.reset()
    assert board.runs() == "two"


def test_what_was_rolled_back_stays_refused_over_a_reset():
    board = Board("one")
    board.offer("two")
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.manager.wait_ms(board.now) == GOOD_MS  # this boot is not good yet
    board.wait(GOOD_MS)
    assert board.manager.wait_ms(board.now) is None
    assert board.where() == (BAD, "one", False)
    assert board.manager.reasons == ("not confirmed in time",)
    assert board.offer("two") == "refused"
    assert board.manager.cause == "not confirmed in time"
    board.reset()
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"


def test_what_a_person_rolls_back_without_a_trial_stays_refused():
    board = Board(trial_ms=0)
    board.offer("one")
    board.offer("two")
    assert board.manager.roll_back(board.now) == ("rolled_back", ("by hand",))
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"
    board.wait(TRIAL_MS)
    assert board.offer("two") == "refused"
    board.reset()
    assert board.offer("two") == "refused"


def test_a_document_that_comes_soon_after_another_is_applied_later_and_the_newest_wins():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    assert board.offer("one") == "applied"  # the first one at once
    board.wait(1000)
    for name in ("two", "three", "four"):
        assert board.offer(name) == "postponed"
        # What runs is what is stored: nobody says that the newer one is held.
        assert (board.runs(), board.manager.etag) == ("one", b"one")
    assert board.flash.n_writes == 1
    assert board.manager.wait_ms(board.now) == 4000
    assert board.wait(3999) == []
    assert board.wait(1) == ["applied"]
    assert (board.runs(), board.manager.etag) == ("four", b"four")
    assert board.flash.n_writes == 2
    assert board.wait(5000) == [] and board.manager.wait_ms(board.now) is None
    assert board.offer("five") == "applied"
    assert [row[1] for row in board.manager.history].count("postponed") == 0


def test_four_hundred_documents_in_ten_seconds_are_three_writes():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    for n in range(400):
        board.offer("n%d" % n)
        board.wait(25)
    board.wait(5000)
    assert board.runs() == "n399"
    assert board.flash.n_writes == 3  # at 0, 5 and 10 s


def test_a_document_that_waits_is_dropped_when_the_server_returns_to_the_one_that_runs():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    board.offer("one")
    assert board.offer("two") == "postponed"
    assert board.offer("one", b"again") == "unchanged"
    assert board.wait(20000) == []
    assert (board.runs(), board.manager.etag, board.flash.n_writes) == ("one", b"again", 1)


def test_a_refused_document_does_not_replace_the_one_that_waits():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    board.offer("one")
    assert board.offer("two") == "postponed"
    assert board.manager.offer(b"{", b"x", board.now)[0] == "refused"
    assert board.wait(5000) == ["applied"] and board.runs() == "two"


def test_a_document_that_waits_does_not_outlive_a_reset():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    board.offer("one")
    assert board.offer("two") == "postponed"
    board.reset()
    assert board.wait(20000) == []
    assert (board.runs(), board.manager.etag) == ("one", b"one")
    assert board.offer("two") == "applied"


def test_the_interval_is_over_also_when_the_clock_has_wrapped_meanwhile():
    board = Board(trial_ms=0, apply_interval_ms=5000)
    board.offer("one")
    for _ in range(6):
        assert board.wait(0x18000000) == []  # less than half a board's period
        assert board.manager.wait_ms(board.now) is None
    assert board.offer("two") == "applied"


def test_a_trial_is_replaced_by_the_document_that_waited():
    board = Board("good")
    board.manager.apply_interval_ms = 5000
    board.offer("one")
    assert board.offer("two") == "postponed"
    board.manager.check_passed()  # of "one"
    assert board.wait(5000) == ["applied"]
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.runs() == "good"
    assert board.offer("two") == "refused"
    assert board.offer("one") == "applied"  # it was replaced, not rolled back


def test_the_end_of_a_trial_does_not_apply_the_document_that_waits_any_sooner():
    board = Board("good")
    board.manager.apply_interval_ms = 2 * TRIAL_MS
    board.offer("one")
    assert board.offer("two") == "postponed"
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.runs() == "good"
    assert board.wait(TRIAL_MS - 1) == []
    assert board.wait(1) == ["applied"] and board.runs() == "two"


def test_without_memory_a_document_is_refused_and_nothing_is_lost():
    board = Board(trial_ms=0)
    board.offer("one")
    check = board.manager.schema.check
    board.manager.schema.check = no_memory
    for _ in range(20):
        assert board.offer("two") == "refused" and board.event[1] == _LITTLE_MEMORY
        board.wait(1000)
    assert (board.runs(), board.manager.etag) == ("one", b"one")
    assert board.manager.reasons == _LITTLE_MEMORY
    assert [row[1] for row in board.manager.history] == ["unconfigured", "applied", "refused"]
    board.manager.schema.check = check
    assert board.offer("two") == "applied"
    assert board.runs() == "two"


def test_a_confirmation_without_memory_is_stored_later():
    board = Board("one")
    board.offer("two")
    pieces = board.flash.pieces
    board.flash.pieces = no_memory
    assert board.manager.confirm(board.now) == ("confirmed", ())
    assert board.manager.unsaved and board.manager.state == GOOD
    board.flash.pieces = pieces
    board.wait(GOOD_MS)
    assert not board.manager.unsaved
    board.reset()
    assert board.where() == (GOOD, "two", False)


def test_a_roll_back_without_memory_runs_nothing_and_the_good_one_after_the_next_start():
    board = Board("one")
    board.offer("two")
    board.manager.schema.check = no_memory
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.where() == (BAD, None, False) and board.manager.etag == b""
    board.reset()
    assert board.where() == (BAD, "one", False)


def test_without_memory_to_write_the_other_record_serves_and_the_next_document_is_stored():
    board = Board("one")
    board.offer("two")
    write = board.flash.write

    def half_written(name, parts):
        write(name, parts[:1])
        raise MemoryError

    board.flash.write = half_written
    assert board.offer("three") == "refused" and board.event[1] == _LITTLE_MEMORY
    board.flash.write = write
    board.manager.confirm(board.now)  # of "two", whose record is lost
    assert board.runs() == "two"
    board.reset()
    assert board.where() == (GOOD, "one", False)
    assert board.offer("three") == "applied"
    board.reset()
    assert board.runs() == "three"


def test_the_history_stays_bounded_when_there_is_memory_now_and_then():
    board = Board(trial_ms=0)
    check = board.manager.schema.check
    for n in range(30):
        board.manager.schema.check = no_memory if n % 2 else check
        board.offer("x%d" % n)
    assert len(board.manager.history) <= 9
    assert board.manager.history[-1][1] == "refused"


def test_what_the_flash_refuses_reaches_the_caller():
    board = Board(trial_ms=0)
    board.flash.is_full = True
    assert board.offer("one") == "refused" and board.event[1] == ("storage: full",)
    board.flash.is_full = False

    def stuck(names):
        raise StorageError("storage: error 5")

    board.flash.remove = stuck
    with raises(StorageError, "error 5"):
        board.manager.remove_all(board.now)
    assert board.offer("one") == "applied"
