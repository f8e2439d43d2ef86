"""Trial, confirmation and roll-back of a configuration, in virtual time."""

from msgin5g_testkit.checks import no_alloc
from manager_board import GOOD_MS, TRIAL_MS, Board, document
from msgin5g.config.manager import EMPTY
from msgin5g.config.store import BAD, GOOD, TRIAL


def test_a_new_board_has_no_configuration():
    board = Board()
    assert board.event == ("unconfigured", ())
    assert board.where() == (EMPTY, None, False)
    assert board.manager.etag == b""
    assert board.manager.wait_ms(board.now) is None
    assert board.wait(10_000_000) == []
    assert board.flash.n_writes == 0


def test_a_first_document_is_applied_on_trial():
    board = Board()
    assert board.offer("one") == "applied"
    assert board.where() == (TRIAL, "one", False)
    assert board.manager.etag == b"one"
    assert board.flash.n_writes == 1


def test_str_and_bytes_are_the_same_document():
    board = Board()
    assert board.manager.offer(str(document("one"), "utf-8"), b"e", board.now)[0] == "applied"
    assert board.offer("one") == "unchanged"


def test_both_texts_of_a_document_are_stored_and_a_change_of_either_is_one():
    board = Board(trial_ms=0)
    manager = board.manager
    for common, event in (
        (b'{"blink-ms": 1}', "applied"),
        (b'{"blink-ms": 1}', "unchanged"),
        (b'{"blink-ms": 2}', "applied"),
    ):
        texts = (memoryview(document("one")), memoryview(common))
        assert manager.offer(texts, b"e", board.now)[0] == event, common
    assert board.reset() == "applied"
    assert (board.runs(), board.manager.configuration["blink-ms"]) == ("one", 2)
    assert board.flash.n_writes == 2
    assert board.offer("one") == "applied"
    assert "blink-ms" not in board.manager.configuration


def test_the_application_confirms():
    board = Board()
    board.offer("one")
    assert board.manager.confirm(board.now) == ("confirmed", ())
    assert board.where() == (GOOD, "one", False)
    assert board.manager.confirm(board.now) is None
    assert board.manager.wait_ms(board.now) is None
    assert board.reset() == "applied"
    assert board.where() == (GOOD, "one", False)
    assert board.manager.etag == b"one"


def test_the_check_confirms_only_when_the_boot_has_lasted():
    board = Board("one")
    board.offer("two")
    board.manager.check_passed()
    assert board.manager.wait_ms(board.now) == GOOD_MS
    assert board.wait(GOOD_MS - 1) == []
    assert board.manager.state == TRIAL
    assert board.wait(1) == ["confirmed"]
    assert board.where() == (GOOD, "two", False)


def test_a_check_that_passed_before_a_reset_is_forgotten():
    board = Board("one")
    board.offer("two")
    board.manager.check_passed()
    board.wait(GOOD_MS - 1)
    board.reset()
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    board.manager.check_passed()
    assert board.manager.confirm(board.now) is None
    assert board.where() == (BAD, "one", False)


def test_what_nobody_confirms_is_rolled_back():
    board = Board("one")
    board.offer("two")
    assert board.manager.wait_ms(board.now) == TRIAL_MS
    assert board.wait(TRIAL_MS - 1) == []
    assert board.wait(1) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.manager.etag == b"one"
    assert board.manager.reasons == ("not confirmed in time",)
    board.wait(GOOD_MS)
    assert board.reset() == "applied"
    assert board.where() == (BAD, "one", False)
    assert board.manager.reasons == ("not confirmed in time",)


def test_a_first_document_stays_on_trial_for_there_is_none_to_go_back_to():
    board = Board()
    board.offer("one")
    assert board.wait(10 * TRIAL_MS) == []
    assert board.where() == (TRIAL, "one", False)
    assert board.flash.n_writes == 1
    board.manager.check_passed()
    assert board.wait(1) == ["confirmed"]


def test_a_document_rolled_back_is_not_tried_again_until_it_changes():
    board = Board("one")
    board.offer("two")
    board.wait(TRIAL_MS)
    n_writes = board.flash.n_writes
    for _ in range(2):
        for etag in (b"two", b"other"):  # a new ETag does not make it another document
            assert board.offer("two", etag) == "refused"
            assert board.event[1] == ("ETag: rolled back, waits for a change",)
        assert board.offer("three", b"two") == "refused"  # the server says that it is the same
        assert board.flash.n_writes == n_writes
        board.wait(GOOD_MS)
        n_writes = board.flash.n_writes
        board.reset()
    assert board.offer("one") == "unchanged"
    assert board.offer("three") == "applied"
    assert board.where() == (TRIAL, "three", False)


def test_the_documents_rolled_back_are_remembered_up_to_a_limit():
    board = Board("good")
    names = ["bad%d" % n for n in range(5)]
    for name in names:
        assert board.offer(name) == "applied"
        board.wait(TRIAL_MS)
    board.offer("better")
    board.manager.confirm(board.now)
    board.reset()
    for name in names[1:]:
        assert board.offer(name) == "refused", name
    assert board.offer(names[0]) == "applied"  # the oldest was forgotten


def test_documents_without_an_etag_are_known_by_their_text():
    board = Board("one")
    for name in ("two", "three"):
        board.manager.offer(document(name), b"", board.now)
        board.wait(TRIAL_MS)
    assert board.manager.offer(document("two"), b"", board.now)[0] == "refused"
    assert board.manager.offer(document("four"), b"", board.now)[0] == "applied"


def test_a_boot_with_a_good_configuration_writes_nothing():
    board = Board("one", "two")
    n_writes = board.flash.n_writes
    for _ in range(100):
        assert board.reset() == "applied"
        assert board.wait(10_000_000) == []
    assert board.flash.n_writes == n_writes
    assert board.where() == (GOOD, "two", False)


def test_ten_thousand_refreshes_without_change_write_nothing():
    board = Board("one", "two")
    n_writes = board.flash.n_writes
    text = document("two")
    for n in range(10_000):
        etag = b"two" if n & 1 else b"%d" % n
        assert board.manager.offer(text, etag, board.now)[0] == "unchanged"
    assert board.flash.n_writes == n_writes
    assert board.manager.etag == b"two"
    assert len(board.manager.history) == 5  # unconfigured, twice applied and confirmed


def test_a_new_document_replaces_the_one_on_trial_never_the_last_good_one():
    board = Board("zero", "one")
    for name in ("two", "three", "four"):
        assert board.offer(name) == "applied"
    assert board.where() == (TRIAL, "four", False)
    assert board.wait(TRIAL_MS) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "applied"  # it was replaced, not rolled back


def test_a_trial_that_is_replaced_starts_anew():
    board = Board("one")
    board.offer("two")
    board.wait(TRIAL_MS - 1)
    board.manager.check_passed()
    board.offer("three")
    assert board.wait(TRIAL_MS - 1) == []
    assert board.wait(1) == ["rolled_back"]


def test_a_bad_document_is_refused_and_changes_nothing():
    board = Board("one")
    n_writes = board.flash.n_writes
    event = board.manager.offer(b'{"MSGin5G-UE-Service-id": 1}', b"x", board.now)
    assert event == (
        "refused",
        ["MSGin5G-Server-address: missing", "MSGin5G-UE-Service-id: must be of type str"],
    )
    assert board.manager.reasons == event[1]
    assert board.where() == (GOOD, "one", False)
    assert (board.manager.etag, board.flash.n_writes) == (b"one", n_writes)


def test_a_person_rolls_back():
    board = Board("one", "two")
    assert board.manager.roll_back(board.now) == ("rolled_back", ("by hand",))
    assert board.where() == (BAD, "one", False)
    assert board.manager.roll_back(board.now) is None
    board.reset()
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"
    assert board.offer("three") == "applied"
    assert board.manager.roll_back(board.now)[0] == "rolled_back"  # also while on trial
    assert Board("one").manager.roll_back(0) is None


def test_the_two_stored_documents_can_be_compared():
    board = Board()
    assert board.manager.stored(True) is None
    board = Board("one")
    board.offer("two")
    state, configuration = board.manager.stored(True)
    assert (state, configuration["MSGin5G-Server-address"]) == (TRIAL, "coap://two.example")
    state, configuration = board.manager.stored(False)
    assert (state, configuration["MSGin5G-Server-address"]) == (GOOD, "coap://one.example")


def test_the_history_is_bounded_and_says_nothing_twice():
    board = Board("one")
    for _ in range(10):
        board.manager.offer(b"{", b"", board.now)
    names = [row[1] for row in board.manager.history]
    assert names == ["unconfigured", "applied", "confirmed", "refused"]
    for n in range(10):
        board.offer("x%d" % n)
        board.manager.confirm(board.now)
    assert len(board.manager.history) == 8


def test_waiting_takes_no_memory():
    board = Board("one")
    manager = board.manager
    now = board.now
    for _ in range(2):
        no_alloc(lambda: manager.wait_ms(now))
        no_alloc(lambda: manager.step(now))
        board.offer("two")
