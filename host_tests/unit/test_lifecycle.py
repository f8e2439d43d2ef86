"""Trial, confirmation, roll-back, resets, safe mode: in virtual time, on flash in RAM."""

from checks import no_alloc
from memory_flash import MemoryFlash, flipped
from msgin5g.coap.ticks import add
from msgin5g.configuration.lifecycle import EMPTY, Lifecycle
from msgin5g.configuration.schema import Schema
from msgin5g.configuration.store import BAD, GOOD, TRIAL, Store

_TRIAL_MS = 300_000
_GOOD_MS = 60_000
_EPOCH = 0x3FFFFF00  # soon before the clock wraps


def _document(name):
    return (
        '{"MSGin5G-Server-address": "coap://' + name + '.example", "MSGin5G-UE-Service-id": "ue"}'
    ).encode()


class _Board:
    """A node that can be reset: its flash and its clock stay, all else is new."""

    def __init__(self, *good):
        self.flash = MemoryFlash()
        self.now = _EPOCH
        self.reset()
        for name in good:
            self.offer(name)
            self.lifecycle.confirm(self.now)

    def reset(self, counts=True):
        self.lifecycle = Lifecycle(Store(self.flash), Schema())
        self.event = self.lifecycle.start(self.now, counts)
        return self.event[0]

    def offer(self, name, etag=None):
        self.event = self.lifecycle.offer(_document(name), etag or name.encode(), self.now)
        return self.event[0]

    def wait(self, ms):
        """The events while `ms` pass, `step` called only when it asked to be."""
        events = []
        while True:
            wait = self.lifecycle.wait_ms(self.now)
            if wait is None or wait > ms:
                self.now = add(self.now, ms)
                return events
            ms -= wait
            self.now = add(self.now, wait)
            event = self.lifecycle.step(self.now)
            if event:
                events.append(event[0])

    def runs(self):
        """The name of the document that runs."""
        configuration = self.lifecycle.configuration
        return configuration and configuration["MSGin5G-Server-address"][7:-8]

    def where(self):
        lifecycle = self.lifecycle
        return lifecycle.state, self.runs(), lifecycle.safe_mode


def test_a_new_board_has_no_configuration():
    board = _Board()
    assert board.event == ("unconfigured", ())
    assert board.where() == (EMPTY, None, False)
    assert board.lifecycle.etag == b""
    assert board.lifecycle.wait_ms(board.now) is None
    assert board.wait(10_000_000) == []
    assert board.flash.n_writes == 0


def test_a_first_document_is_applied_on_trial():
    board = _Board()
    assert board.offer("one") == "applied"
    assert board.where() == (TRIAL, "one", False)
    assert board.lifecycle.etag == b"one"
    assert board.flash.n_writes == 1


def test_str_and_bytes_are_the_same_document():
    board = _Board()
    assert board.lifecycle.offer(str(_document("one"), "utf-8"), b"e", board.now)[0] == "applied"
    assert board.offer("one") == "unchanged"


def test_the_application_confirms():
    board = _Board()
    board.offer("one")
    assert board.lifecycle.confirm(board.now) == ("confirmed", ())
    assert board.where() == (GOOD, "one", False)
    assert board.lifecycle.confirm(board.now) is None
    assert board.lifecycle.wait_ms(board.now) is None
    assert board.reset() == "applied"
    assert board.where() == (GOOD, "one", False)
    assert board.lifecycle.etag == b"one"


def test_the_check_confirms_only_when_the_boot_has_lasted():
    board = _Board("one")
    board.offer("two")
    board.lifecycle.check_passed()
    assert board.lifecycle.wait_ms(board.now) == _GOOD_MS
    assert board.wait(_GOOD_MS - 1) == []
    assert board.lifecycle.state == TRIAL
    assert board.wait(1) == ["confirmed"]
    assert board.where() == (GOOD, "two", False)


def test_a_check_that_passed_before_a_reset_is_forgotten():
    board = _Board("one")
    board.offer("two")
    board.lifecycle.check_passed()
    board.wait(_GOOD_MS - 1)
    board.reset()
    assert board.wait(_TRIAL_MS) == ["rolled_back"]
    board.lifecycle.check_passed()
    assert board.lifecycle.confirm(board.now) is None
    assert board.where() == (BAD, "one", False)


def test_what_nobody_confirms_is_rolled_back():
    board = _Board("one")
    board.offer("two")
    assert board.lifecycle.wait_ms(board.now) == _TRIAL_MS
    assert board.wait(_TRIAL_MS - 1) == []
    assert board.wait(1) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.lifecycle.etag == b"one"
    assert board.lifecycle.reasons == ("not confirmed in time",)
    board.wait(_GOOD_MS)
    assert board.reset() == "applied"
    assert board.where() == (BAD, "one", False)
    assert board.lifecycle.reasons == ("not confirmed in time",)


def test_a_first_document_stays_on_trial_for_there_is_none_to_go_back_to():
    board = _Board()
    board.offer("one")
    assert board.wait(10 * _TRIAL_MS) == []
    assert board.where() == (TRIAL, "one", False)
    assert board.flash.n_writes == 1
    board.lifecycle.check_passed()
    assert board.wait(1) == ["confirmed"]


def test_a_document_rolled_back_is_not_tried_again_until_it_changes():
    board = _Board("one")
    board.offer("two")
    board.wait(_TRIAL_MS)
    n_writes = board.flash.n_writes
    for _ in range(2):
        for etag in (b"two", b"other"):  # a new ETag does not make it another document
            assert board.offer("two", etag) == "refused"
            assert board.event[1] == ("ETag: rolled back, waits for a change",)
        assert board.offer("three", b"two") == "refused"  # the server says that it is the same
        assert board.flash.n_writes == n_writes
        board.wait(_GOOD_MS)
        n_writes = board.flash.n_writes
        board.reset()
    assert board.offer("one") == "unchanged"
    assert board.offer("three") == "applied"
    assert board.where() == (TRIAL, "three", False)


def test_the_documents_rolled_back_are_remembered_up_to_a_limit():
    board = _Board("good")
    names = ["bad%d" % n for n in range(5)]
    for name in names:
        assert board.offer(name) == "applied"
        board.wait(_TRIAL_MS)
    board.offer("better")
    board.lifecycle.confirm(board.now)
    board.reset()
    for name in names[1:]:
        assert board.offer(name) == "refused", name
    assert board.offer(names[0]) == "applied"  # the oldest was forgotten


def test_documents_without_an_etag_are_known_by_their_text():
    board = _Board("one")
    for name in ("two", "three"):
        board.lifecycle.offer(_document(name), b"", board.now)
        board.wait(_TRIAL_MS)
    assert board.lifecycle.offer(_document("two"), b"", board.now)[0] == "refused"
    assert board.lifecycle.offer(_document("four"), b"", board.now)[0] == "applied"


def test_a_reset_loop_on_trial_brings_the_last_good_one_back():
    board = _Board("one")
    board.offer("two")
    for _ in range(2):
        assert board.reset() == "applied"
        assert board.where() == (TRIAL, "two", False)
    assert board.reset() == "rolled_back"
    assert board.lifecycle.reasons == ("reset too often",)
    assert board.where() == (BAD, "one", False)
    assert board.lifecycle.etag == b"one"
    assert board.offer("two") == "refused"
    assert board.wait(_TRIAL_MS) == []  # this boot was good
    for _ in range(20):
        assert board.reset() == "applied"
    assert board.where() == (BAD, "one", False)


def test_a_reset_loop_that_goes_on_leads_to_safe_mode():
    board = _Board("one")
    board.offer("two")
    events = [board.reset() for _ in range(7)]
    assert events == ["applied"] * 2 + ["rolled_back"] + ["applied"] * 2 + ["safe_mode"] * 2
    assert board.where() == (BAD, "one", True)
    n_writes = board.flash.n_writes
    assert board.lifecycle.wait_ms(board.now) is None
    assert board.wait(10_000_000) == []
    for _ in range(20):
        assert board.reset() == "safe_mode"
    assert board.flash.n_writes == n_writes


def test_a_changed_document_leads_out_of_safe_mode():
    board = _Board("one")
    board.offer("two")
    for _ in range(6):
        board.reset()
    assert board.offer("two") == "refused"
    assert board.offer("one") == "unchanged"
    assert board.offer("three") == "applied"
    board.lifecycle.check_passed()
    assert board.wait(_TRIAL_MS) == []  # not until the application has run with it
    assert board.where() == (TRIAL, "three", True)
    assert board.reset() == "applied"
    assert board.where() == (TRIAL, "three", False)
    board.lifecycle.check_passed()
    assert board.wait(_GOOD_MS) == ["confirmed"]


def test_a_first_document_that_crashes_leads_to_safe_mode_and_is_kept():
    board = _Board()
    board.offer("one")
    assert [board.reset() for _ in range(4)] == ["applied"] * 2 + ["safe_mode"] * 2
    assert board.where() == (TRIAL, "one", True)
    assert board.offer("one") == "unchanged"
    board.lifecycle.forgive(board.now)
    assert board.reset() == "applied"
    assert board.where() == (TRIAL, "one", False)


def test_resets_long_after_the_boot_do_not_count_against_a_first_document():
    board = _Board()
    board.offer("one")
    for _ in range(10):
        assert board.reset() == "applied"
        board.wait(_TRIAL_MS)
    assert board.where() == (TRIAL, "one", False)


def test_a_wake_from_deep_sleep_is_no_failed_boot():
    board = _Board("one")
    board.offer("two")
    n_writes = board.flash.n_writes
    for _ in range(20):
        assert board.reset(counts=False) == "applied"
    assert board.where() == (TRIAL, "two", False)
    assert board.flash.n_writes == n_writes


def test_a_boot_with_a_good_configuration_writes_nothing():
    board = _Board("one", "two")
    n_writes = board.flash.n_writes
    for _ in range(100):
        assert board.reset() == "applied"
        assert board.wait(10_000_000) == []
    assert board.flash.n_writes == n_writes
    assert board.where() == (GOOD, "two", False)


def test_ten_thousand_refreshes_without_change_write_nothing():
    board = _Board("one", "two")
    n_writes = board.flash.n_writes
    document = _document("two")
    for n in range(10_000):
        etag = b"two" if n & 1 else b"%d" % n
        assert board.lifecycle.offer(document, etag, board.now)[0] == "unchanged"
    assert board.flash.n_writes == n_writes
    assert board.lifecycle.etag == b"two"
    assert len(board.lifecycle.history) == 5  # unconfigured, twice applied and confirmed


def test_a_new_document_replaces_the_one_on_trial_never_the_last_good_one():
    board = _Board("zero", "one")
    for name in ("two", "three", "four"):
        assert board.offer(name) == "applied"
    assert board.where() == (TRIAL, "four", False)
    assert board.wait(_TRIAL_MS) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "applied"  # it was replaced, not rolled back


def test_a_trial_that_is_replaced_starts_anew():
    board = _Board("one")
    board.offer("two")
    board.wait(_TRIAL_MS - 1)
    board.lifecycle.check_passed()
    board.offer("three")
    assert board.wait(_TRIAL_MS - 1) == []
    assert board.wait(1) == ["rolled_back"]


def test_a_bad_document_is_refused_and_changes_nothing():
    board = _Board("one")
    n_writes = board.flash.n_writes
    event = board.lifecycle.offer(b'{"MSGin5G-UE-Service-id": 1}', b"x", board.now)
    assert event == (
        "refused",
        ["MSGin5G-Server-address: missing", "MSGin5G-UE-Service-id: must be of type str"],
    )
    assert board.lifecycle.reasons == event[1]
    assert board.where() == (GOOD, "one", False)
    assert (board.lifecycle.etag, board.flash.n_writes) == (b"one", n_writes)


def test_a_person_rolls_back():
    board = _Board("one", "two")
    assert board.lifecycle.roll_back(board.now) == ("rolled_back", ("by hand",))
    assert board.where() == (BAD, "one", False)
    assert board.lifecycle.roll_back(board.now) is None
    board.reset()
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"
    board.lifecycle.forgive(board.now)
    assert board.offer("two") == "applied"
    assert board.lifecycle.roll_back(board.now)[0] == "rolled_back"  # also while on trial
    assert _Board("one").lifecycle.roll_back(0) is None


def test_factory_reset_removes_everything():
    board = _Board("one", "two")
    board.offer("three")
    assert board.lifecycle.factory_reset(board.now) == ("factory_reset", ())
    assert board.where() == (EMPTY, None, False)
    assert board.flash.files == {}
    assert board.reset() == "unconfigured"
    assert board.offer("three") == "applied"


def test_a_full_flash_refuses_and_keeps_the_old_one():
    board = _Board("one")
    board.flash.is_full = True
    assert board.offer("two") == "refused"
    assert board.event[1] == ("storage: full",)
    assert board.where() == (GOOD, "one", False)
    board.reset()
    assert board.where() == (GOOD, "one", False)
    board.flash.is_full = False
    assert board.offer("two") == "applied"


def test_a_confirmation_that_the_flash_refuses_is_stored_later():
    board = _Board("one")
    board.offer("two")
    board.flash.is_full = True
    assert board.lifecycle.confirm(board.now) == ("confirmed", ())
    assert board.lifecycle.unsaved
    assert board.wait(10 * _TRIAL_MS) == []
    assert board.where() == (GOOD, "two", False)
    board.flash.is_full = False
    board.wait(_GOOD_MS)
    assert not board.lifecycle.unsaved
    assert board.lifecycle.wait_ms(board.now) is None
    board.reset()
    assert board.where() == (GOOD, "two", False)


def test_a_roll_back_that_the_flash_refuses_is_stored_later():
    board = _Board("one")
    board.offer("two")
    board.flash.is_full = True
    assert board.wait(_TRIAL_MS) == ["rolled_back"]
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "refused"
    board.flash.is_full = False
    board.wait(2 * _GOOD_MS)
    board.reset()
    assert board.where() == (BAD, "one", False)


def test_a_record_that_the_flash_loses_does_not_take_the_good_one_along():
    board = _Board("one")
    board.offer("two")
    board.flash.forgets = True
    board.lifecycle.confirm(board.now)  # the slot of "two" is spoilt
    board.flash.forgets = False
    board.wait(_TRIAL_MS)
    assert board.where() == (GOOD, "two", False)
    assert board.reset() == "applied"
    assert board.where() == (GOOD, "one", False)
    assert board.offer("two") == "applied"


def test_a_bit_that_flips_brings_the_other_document_and_a_report():
    for state, survivor in ((TRIAL, "one"), (GOOD, "one"), (BAD, "two")):
        board = _Board("one")
        board.offer("two")
        if state == GOOD:
            board.lifecycle.confirm(board.now)
        elif state == BAD:
            board.wait(_TRIAL_MS + _GOOD_MS)
        name = "slot-b" if state == BAD else "slot-a"
        board.flash.files[name] = flipped(board.flash.files[name], 333)
        board.reset()
        assert board.runs() == survivor, state
        report = name + ": unreadable, kept as " + name + ".bad"
        assert board.lifecycle.history[0] == (board.now, "storage", (report,))
        assert board.lifecycle.etag == survivor.encode()


def test_a_stored_document_that_the_firmware_no_longer_takes():
    board = _Board("one", "two")
    strict = Schema()
    strict.declare("blink_ms", int, required=True)
    board.lifecycle = Lifecycle(Store(board.flash), strict)
    event = board.lifecycle.start(board.now)
    assert event == ("rolled_back", ("does not fit the schema",))
    assert (board.runs(), board.lifecycle.etag) == (None, b"")  # nor does the one before
    assert board.offer("two") == "refused"
    assert board.event[1] == ["blink_ms: missing"]
    board.wait(_GOOD_MS)
    board.reset()  # the firmware of before
    assert board.where() == (BAD, "one", False)
    assert board.offer("two") == "applied"


def test_the_two_stored_documents_can_be_compared():
    board = _Board()
    assert board.lifecycle.stored(True) is None
    board = _Board("one")
    board.offer("two")
    state, configuration = board.lifecycle.stored(True)
    assert (state, configuration["MSGin5G-Server-address"]) == (TRIAL, "coap://two.example")
    state, configuration = board.lifecycle.stored(False)
    assert (state, configuration["MSGin5G-Server-address"]) == (GOOD, "coap://one.example")


def test_the_history_is_bounded_and_says_nothing_twice():
    board = _Board("one")
    for _ in range(10):
        board.lifecycle.offer(b"{", b"", board.now)
    names = [row[1] for row in board.lifecycle.history]
    assert names == ["unconfigured", "applied", "confirmed", "refused"]
    for n in range(10):
        board.offer("x%d" % n)
        board.lifecycle.confirm(board.now)
    assert len(board.lifecycle.history) == 8


def test_waiting_takes_no_memory():
    board = _Board("one")
    lifecycle = board.lifecycle
    now = board.now
    for _ in range(2):
        no_alloc(lambda: lifecycle.wait_ms(now))
        no_alloc(lambda: lifecycle.step(now))
        board.offer("two")
