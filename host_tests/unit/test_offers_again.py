"""A document that comes again, or is lost: what runs is what is stored, and nothing else is."""

from manager_board import GOOD_MS, TRIAL_MS, Board
from msgin5g.config.store import GOOD


def no_memory(*_):
    raise MemoryError


def test_a_document_that_could_not_run_for_want_of_memory_runs_when_it_comes_again():
    board = Board("one")
    board.offer("two")
    check = board.manager.schema.check
    board.manager.schema.check = no_memory
    assert board.wait(TRIAL_MS) == ["rolled_back"] and board.runs() is None
    board.manager.schema.check = check
    assert board.offer("one") == "applied" and board.runs() == "one"
    assert board.offer("one") == "unchanged"


def test_a_document_that_is_deleted_after_another_one_has_come_is_reported_again():
    for on_deleted, event in (("keep", "deleted"), ("remove", "removed")):
        board = Board("one", on_deleted=on_deleted)
        for name in ("two", "three"):
            assert board.manager.document_deleted(board.now) == (event, ())
            assert board.manager.deleted
            assert board.offer(name) == "applied" and not board.manager.deleted
        assert board.manager.document_deleted(board.now) == (event, ())


def test_a_roll_back_whose_record_the_flash_loses_leaves_the_good_document_good():
    board = Board("one")
    board.offer("two")
    board.flash.forgets = True
    assert board.manager.roll_back(board.now)[0] == "rolled_back" and board.manager.unsaved
    board.flash.forgets = False
    board.wait(TRIAL_MS)
    assert board.runs() == "one"
    assert board.reset() == "applied" and board.where() == (GOOD, "one", False)
    board.wait(GOOD_MS)
    assert board.manager.cause == "" and board.offer("two") == "applied"
