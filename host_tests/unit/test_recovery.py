"""Resets on trial, safe mode, and flash that fails: what brings a configuration back."""

from manager_board import GOOD_MS, TRIAL_MS, Board
from msgin5g_testkit.memory_flash import flipped
from msgin5g.config.manager import EMPTY, SAFE_MODE_MS, ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError, Store


def test_a_reset_loop_on_trial_brings_the_last_good_one_back():
    board = Board("one")
    board.offer("two")
    for _ in range(2):
        assert board.reset() == "applied"
        assert board.where() == (TRIAL, "two", False)
    assert board.reset() == "rolled_back"
    assert board.manager.reasons == ("reset too often",)
    assert board.where() == (BAD, "one", False)
    assert board.manager.etag == b"one"
    assert board.offer("two") == "refused"
    assert board.wait(TRIAL_MS) == []  # this boot was good
    for _ in range(20):
        assert board.reset() == "applied"
    assert board.where() == (BAD, "one", False)


def test_a_reset_loop_that_goes_on_leads_to_safe_mode():
    board = Board("one")
    board.offer("two")
    events = [board.reset() for _ in range(7)]
    assert events == ["applied"] * 2 + ["rolled_back"] + ["applied"] * 2 + ["safe_mode"] * 2
    assert board.where() == (BAD, "one", True)
    n_writes = board.flash.n_writes
    for _ in range(20):
        assert board.reset() == "safe_mode"
        assert board.wait(SAFE_MODE_MS - 1000) == []
    assert board.flash.n_writes == n_writes
    assert board.manager.roll_back(board.now) is None  # there is no other one to go back to


def test_a_boot_in_safe_mode_that_has_lasted_leads_out_with_the_next_start():
    for names in (("one",), ()):
        board = Board(*names)
        board.offer("two")
        while board.reset() != "safe_mode":
            pass
        assert board.wait(SAFE_MODE_MS) == ["safe_mode"]
        assert board.event[1] and board.manager.safe_mode
        n_writes = board.flash.n_writes
        assert board.wait(10_000_000) == [] and board.flash.n_writes == n_writes
        assert [board.reset() for _ in range(3)] == ["applied"] * 2 + ["safe_mode"]


def test_safe_mode_whose_count_the_flash_refused_lasts_as_long_as_any():
    board = Board()
    board.offer("one")
    board.reset()
    board.reset()
    board.flash.is_full = True
    assert board.reset() == "safe_mode" and board.manager.unsaved
    board.flash.is_full = False
    assert board.wait(SAFE_MODE_MS - 1) == [] and not board.manager.unsaved
    assert board.wait(1) == ["safe_mode"]
    assert board.reset() == "applied"


def test_a_boot_that_a_person_ends_does_not_count():
    for names in (("one",), ()):
        board = Board(*names)
        board.offer("two")
        for _ in range(10):
            assert board.reset() == "applied"
            board.manager.ended_by_hand(board.now)
            board.manager.ended_by_hand(board.now)
        assert board.where() == (TRIAL, "two", False)
        assert [board.reset() for _ in range(2)] == ["applied"] * 2  # those that crash do
        board.manager.ended_by_hand(board.now)
        assert board.reset() == "applied"
        assert board.reset() == ("rolled_back" if names else "safe_mode")
        board.manager.ended_by_hand(board.now)
        n_writes = board.flash.n_writes
        board.reset()
        assert board.manager.safe_mode is (not names) and board.flash.n_writes - n_writes < 2


def test_resets_that_are_counted_already_go_on_for_a_good_document_too():
    board = Board("one")
    notes = b"\0" + bytes(4)  # of no application
    board.manager.store.write(GOOD, 2, b"one", notes)
    assert board.reset() == "safe_mode" and board.manager.boots == 3
    board = Board("one")
    board.manager.store.write(GOOD, 1, b"one", notes)
    assert board.reset() == "applied" and board.manager.boots == 2
    board.wait(GOOD_MS)
    assert board.manager.boots == 0


def test_a_boot_that_has_lasted_and_is_ended_by_hand_brings_no_count_back():
    board = Board("one")
    board.offer("two")
    for _ in range(4):
        board.reset()
    assert board.manager.boots == 4
    board.wait(GOOD_MS)
    board.manager.ended_by_hand(board.now)
    assert board.manager.boots == 0


def test_another_application_begins_a_new_count():
    for names in (("one",), ()):
        board = Board(*names)
        board.application = 0x11111111
        board.offer("two")
        while board.reset() != "safe_mode":
            pass
        board.application = 0x22222222
        events = [board.reset() for _ in range(3)]
        assert events == ["applied", "applied", "safe_mode"], events
        if names:
            # What was rolled back is remembered beside it.
            assert board.manager.state == BAD and board.offer("two") == "refused"


def test_a_first_boot_of_another_application_that_a_person_ends_does_not_count():
    board = Board()
    board.application = 1
    board.offer("one")
    assert [board.reset() for _ in range(2)] == ["applied"] * 2
    board.application = 2
    board.reset()
    board.manager.ended_by_hand(board.now)
    assert [board.reset() for _ in range(3)] == ["applied", "applied", "safe_mode"]


def test_an_inspection_and_a_deep_sleep_change_no_count_of_another_application():
    board = Board()
    board.application = 1
    board.offer("one")
    for _ in range(3):
        board.reset()
    n_writes = board.flash.n_writes
    board.application = 2
    assert board.reset(counts=False) == "safe_mode" and board.flash.n_writes == n_writes
    board.manager.pause_timers(board.now)
    assert board.wait(10_000_000) == [] and board.flash.n_writes == n_writes


def test_a_changed_document_leads_out_of_safe_mode():
    board = Board("one")
    board.offer("two")
    for _ in range(6):
        board.reset()
    assert board.offer("two") == "refused"
    assert board.offer("one") == "unchanged"
    assert board.offer("three") == "applied"
    board.manager.check_passed()
    assert board.wait(TRIAL_MS) == []  # not until the application has run with it
    assert board.where() == (TRIAL, "three", True)
    assert board.reset() == "applied"
    assert board.where() == (TRIAL, "three", False)
    board.manager.check_passed()
    assert board.wait(GOOD_MS) == ["confirmed"]


def test_a_first_document_that_crashes_leads_to_safe_mode_and_is_kept():
    board = Board()
    board.offer("one")
    assert [board.reset() for _ in range(4)] == ["applied"] * 2 + ["safe_mode"] * 2
    assert board.where() == (TRIAL, "one", True)
    assert board.offer("one") == "unchanged"
    assert board.offer("two") == "applied"
    assert board.reset() == "applied"
    assert board.where() == (TRIAL, "two", False)


def test_resets_long_after_the_boot_do_not_count_against_a_first_document():
    board = Board()
    board.offer("one")
    for _ in range(10):
        assert board.reset() == "applied"
        board.wait(TRIAL_MS)
    assert board.where() == (TRIAL, "one", False)


def test_a_wake_from_deep_sleep_is_no_failed_boot():
    board = Board("one")
    board.offer("two")
    n_writes = board.flash.n_writes
    for _ in range(20):
        assert board.reset(counts=False) == "applied"
    assert board.where() == (TRIAL, "two", False)
    assert board.flash.n_writes == n_writes


def test_a_person_who_inspects_a_trial_for_longer_than_it_lasts_does_not_roll_it_back():
    board = Board("one")
    board.offer("two")
    n_writes = board.flash.n_writes
    board.reset(counts=False)  # the board does not run: a person opens what is stored
    board.manager.pause_timers(board.now)
    board.manager.check_passed()
    assert board.wait(10 * TRIAL_MS) == []
    assert board.manager.step(board.now) is None
    assert board.where() == (TRIAL, "two", False) and board.flash.n_writes == n_writes
    board.reset()
    assert board.wait(TRIAL_MS) == ["rolled_back"]  # when it runs the trial counts again


def test_factory_reset_removes_everything():
    board = Board("one", "two")
    board.offer("three")
    assert board.manager.remove_all(board.now) == ("factory_reset", ())
    assert board.where() == (EMPTY, None, False)
    assert board.flash.files == {}
    assert board.reset() == "unconfigured"
    assert board.offer("three") == "applied"


def stored_boards(on_deleted):
    """Boards with a document in each state: on trial, good, rolled back."""
    for state in (TRIAL, GOOD, BAD):
        board = Board("one", on_deleted=on_deleted)
        board.offer("two")
        if state == GOOD:
            board.manager.confirm(board.now)
        elif state == BAD:
            board.wait(TRIAL_MS)
        assert board.manager.state == state
        yield state, board


def test_a_deleted_document_is_kept_and_reported_once():
    for state, board in stored_boards("keep"):
        manager = board.manager
        runs = board.runs()
        before = dict(board.flash.files)
        assert manager.document_deleted(board.now) == ("deleted", ())
        assert manager.document_deleted(board.now) is None
        assert manager.deleted and board.where() == (state, runs, False)
        assert board.flash.files == before
        assert board.offer(runs) == "unchanged"
        assert not manager.deleted
        assert manager.document_deleted(board.now) == ("deleted", ())


def test_a_deleted_document_is_removed_and_no_reset_or_roll_back_brings_one_back():
    for _, board in stored_boards("remove"):
        manager = board.manager
        assert manager.document_deleted(board.now) == ("removed", ())
        assert board.where() == (EMPTY, None, False)
        assert (manager.etag, board.flash.files) == (b"", {})
        assert manager.document_deleted(board.now) is None
        assert manager.roll_back(board.now) is None and manager.confirm(board.now) is None
        assert board.wait(TRIAL_MS) == [] and board.flash.files == {}
        assert manager.deleted
        assert board.reset() == "unconfigured"
        assert board.manager.document_deleted(board.now) is None
        for name in ("one", "two"):
            assert board.offer(name) == "applied", name


def test_a_removal_that_the_flash_refuses_changes_nothing_and_is_tried_again():
    board = Board("one", on_deleted="remove")
    remove = board.flash.remove

    def stuck(names):
        raise StorageError("storage: error 5")

    board.flash.remove = stuck
    assert board.manager.document_deleted(board.now) == ("storage", ("storage: error 5",))
    assert board.where() == (GOOD, "one", False) and board.manager.etag == b"one"
    board.flash.remove = remove
    assert board.manager.document_deleted(board.now) == ("removed", ())
    assert board.flash.files == {}


def test_a_removal_takes_the_document_that_waits_along():
    board = Board(trial_ms=0, apply_interval_ms=5000, on_deleted="remove")
    board.offer("one")
    assert board.offer("two") == "postponed"
    assert board.manager.document_deleted(board.now) == ("removed", ())
    assert board.wait(20000) == []
    assert board.where() == (EMPTY, None, False) and board.flash.files == {}


def test_a_removal_in_safe_mode_ends_it_with_the_next_start():
    board = Board(on_deleted="remove")
    board.offer("one")
    for _ in range(3):
        board.reset()
    assert board.manager.document_deleted(board.now) == ("removed", ())
    assert board.where() == (EMPTY, None, True)
    assert board.reset() == "unconfigured"
    assert board.where() == (EMPTY, None, False)


def test_a_full_flash_refuses_and_keeps_the_old_one():
    board = Board("one")
    board.flash.is_full = True
    assert board.offer("two") == "refused"
    assert board.event[1] == ("storage: full",)
    assert board.where() == (GOOD, "one", False)
    board.reset()
    assert board.where() == (GOOD, "one", False)
    board.flash.is_full = False
    assert board.offer("two") == "applied"


def test_a_confirmation_that_the_flash_refuses_is_stored_later():
    board = Board("one")
    board.offer("two")
    board.flash.is_full = True
    assert board.manager.confirm(board.now) == ("confirmed", ())
    assert board.manager.unsaved
    assert board.wait(10 * TRIAL_MS) == []
    assert board.where() == (GOOD, "two", False)
    board.flash.is_full = False
    board.wait(GOOD_MS)
    assert not board.manager.unsaved
    assert board.manager.wait_ms(board.now) is None
    board.reset()
    assert board.where() == (GOOD, "two", False)


def test_a_roll_back_that_the_flash_refuses_is_stored_later():
    board = Board("one")
    board.offer("two")
    board.flash.is_full = True
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"
    board.flash.is_full = False
    board.wait(2 * GOOD_MS)
    board.reset()
    assert board.where() == (BAD, "one", False)


def test_a_record_that_the_flash_loses_does_not_take_the_good_one_along():
    board = Board("one")
    board.offer("two")
    board.flash.forgets = True
    board.manager.confirm(board.now)  # the slot of "two" is spoilt
    board.flash.forgets = False
    board.wait(TRIAL_MS)
    assert board.where() == (GOOD, "two", False)
    assert board.reset() == "applied"
    assert board.where() == (GOOD, "one", False)
    assert board.offer("two") == "applied"


def test_a_bit_that_flips_brings_the_other_document_and_a_report():
    for state, survivor in ((TRIAL, "one"), (GOOD, "one"), (BAD, "two")):
        board = Board("one")
        board.offer("two")
        if state == GOOD:
            board.manager.confirm(board.now)
        elif state == BAD:
            board.wait(TRIAL_MS + GOOD_MS)
        name = "slot-b" if state == BAD else "slot-a"
        board.flash.files[name] = flipped(board.flash.files[name], 333)
        board.reset()
        assert board.runs() == survivor, state
        report = name + ": unreadable, kept as " + name + ".bad"
        assert board.manager.history[0] == (board.now, "storage", (report,))
        assert board.manager.etag == survivor.encode()


def test_a_stored_document_that_the_firmware_no_longer_takes():
    board = Board("one", "two")
    strict = Schema()
    strict.declare("blink_ms", int, required=True)
    board.manager = ConfigurationManager(Store(board.flash), strict)
    event = board.manager.start(board.now)
    assert event == ("rolled_back", ("does not fit the schema",))
    assert (board.runs(), board.manager.etag) == (None, b"")  # nor does the one before
    assert board.offer("two") == "refused"
    assert board.event[1] == ["blink_ms: missing"]
    board.wait(GOOD_MS)
    board.reset()  # the firmware of before
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "applied"
