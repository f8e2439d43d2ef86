"""The two slots, on flash that forgets, fills up and loses bits."""

import struct
from binascii import crc32

from msgin5g_testkit.checks import raises
from msgin5g_testkit.memory_flash import MemoryFlash, flipped
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError, Store

_SLOTS = ("slot-a", "slot-b")


def _store(flash):
    store = Store(flash)
    store.load()
    return store


def _summary(record):
    return record and (record.state, record.boots, record.sequence, record.etag, record.notes)


def _text(store):
    return store.texts(store.newest)[0]


def _version_1(state, sequence, etag, text):
    head = struct.pack(">4sBBBIH", b"MG5C", 1, state, len(etag), sequence, len(text))
    data = head + etag + text
    return data + struct.pack("<I", crc32(data))


def test_an_empty_flash_has_no_record():
    store = _store(MemoryFlash())
    assert (store.newest, store.other, store.reports) == (None, None, [])


def test_a_record_comes_back_after_a_reset():
    flash = MemoryFlash()
    _store(flash).write(TRIAL, 3, b"\x01\x02", b"notes", (b"text",))
    store = _store(flash)
    assert _summary(store.newest) == (TRIAL, 3, 1, b"\x01\x02", b"notes")
    assert _text(store) == b"text"
    assert store.other is None
    assert store.reports == []
    assert list(flash.files) == ["slot-a"]


def test_documents_of_any_size_come_back():
    flash = MemoryFlash()
    store = _store(flash)
    for size in (0, 1, 480, 495, 500, 2000):
        store.write(GOOD, 0, b"12345678", b"", (b"x" * size,))
        assert store.reports == []
        again = _store(flash)
        assert _text(again) == b"x" * size, size
        assert again.reports == [], size


def test_a_slot_is_never_so_small_that_littlefs_keeps_it_in_a_directory():
    flash = MemoryFlash()
    _store(flash).write(TRIAL, 0, b"", b"", (b"{}",))
    assert flash.size("slot-a") > 512


def test_the_record_to_fall_back_on_is_left_alone():
    # the states written one after another, and the slot that each must go to
    for steps in (
        ((TRIAL, 0), (TRIAL, 1), (TRIAL, 0), (GOOD, 1)),  # nothing to fall back on: in turn
        ((GOOD, 0), (TRIAL, 1), (TRIAL, 1), (GOOD, 1), (TRIAL, 0), (BAD, 0), (BAD, 0)),
        ((GOOD, 0), (TRIAL, 1), (BAD, 1), (TRIAL, 1), (GOOD, 1), (GOOD, 0), (GOOD, 1)),
        ((GOOD, 0), (GOOD, 1), (BAD, 1), (BAD, 1), (TRIAL, 1)),  # by hand, twice good
    ):
        flash = MemoryFlash()
        store = _store(flash)
        for number, (state, slot) in enumerate(steps):
            before = dict(flash.files)
            store.write(state, number, b"", b"", (b"text %d" % number,))
            changed = [n for n in _SLOTS if before.get(n) != flash.files.get(n)]
            assert changed == [_SLOTS[slot]], (steps, number)
            again = _store(flash)
            assert _summary(again.newest) == _summary(store.newest), (steps, number)
            assert _summary(again.other) == _summary(store.other), (steps, number)
            assert _text(again) == b"text %d" % number


def test_without_a_text_the_document_stays():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(TRIAL, 0, b"e", b"", (b"text",))
    store.write(GOOD, 0, b"e", b"n")
    assert _text(_store(flash)) == b"text"
    assert _summary(_store(flash).newest) == (GOOD, 0, 2, b"e", b"n")


def test_nothing_is_written_when_nothing_changed():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 1, b"e", b"n", (b"text",))
    for _ in range(1000):
        store.write(GOOD, 1, b"e", b"n", (b"text",))
        store.write(GOOD, 1, b"e", b"n")
    assert flash.n_writes == 1
    store.write(GOOD, 1, b"e", b"n", (b"texT",))
    assert flash.n_writes == 2


def test_holds_compares_the_whole_document():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 1, b"e", b"n", (b"text",))
    assert store.holds(store.newest, (b"text",))
    for other in (b"", b"tex", b"texts", b"Text", b"text\x00"):
        assert not store.holds(store.newest, (other,)), other


def test_any_bit_that_flips_is_noticed_and_the_other_slot_serves():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 0, b"1", b"old", (b"the old one",))
    store.write(TRIAL, 1, b"2", b"new", (b"the new one",))
    sound = dict(flash.files)
    n_flips = 0
    for name, survivor in (("slot-a", b"the new one"), ("slot-b", b"the old one")):
        for bit in range(8 * len(sound[name])):
            flash.files = dict(sound)
            flash.files[name] = damaged = flipped(sound[name], bit)
            store = _store(flash)
            assert _text(store) == survivor, (name, bit)
            assert store.other is None
            assert store.reports == [name + ": unreadable, kept as " + name + ".bad"], (name, bit)
            assert flash.files[name + ".bad"] == damaged
            assert name not in flash.files
            n_flips += 1
    print(n_flips, "bits flipped, each was noticed")


def _refuses(flash, sound, damaged):
    flash.files = dict(sound)
    flash.files["slot-b"] = damaged
    store = _store(flash)
    assert _text(store) == b"the old one", len(damaged)
    assert len(store.reports) == 1


def test_a_slot_cut_short_or_grown_is_noticed():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 0, b"1", b"", (b"the old one",))
    store.write(TRIAL, 0, b"2", b"", (b"the new one",))
    sound = dict(flash.files)
    whole = sound["slot-b"]
    for size in range(1, len(whole)):
        _refuses(flash, sound, whole[:size])
    for damaged in (whole + b"\x00", whole * 2, b"\x00" * 600, b"\xff" * 600):
        _refuses(flash, sound, damaged)
    flash.files["slot-b"] = b""  # its writing had not begun: not damaged, only not there
    store = _store(flash)
    assert (_text(store), store.reports) == (b"the old one", [])


def test_one_damaged_file_of_each_slot_is_kept():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 0, b"", b"", (b"text",))
    for n in range(5):
        flash.files["slot-b"] = b"damaged %d" % n
        _store(flash)
    assert sorted(flash.files) == ["slot-a", "slot-b.bad"]
    assert flash.files["slot-b.bad"] == b"damaged 4"


def test_a_slot_that_the_flash_cannot_read_is_set_aside_with_its_reason():
    flash = MemoryFlash()
    store = Store(flash)
    store.load()
    for name in (b"one", b"two"):
        store.write(GOOD, 0, name, b"\0", (name,))
    slot = store.newest.name
    read = flash.read

    def failing(name, offset, size):
        if name == slot:
            raise StorageError("storage: error 5")
        return read(name, offset, size)

    flash.read = failing
    store = Store(flash)
    store.load()
    assert store.texts(store.newest)[0] == b"one" and store.other is None
    (report,) = store.reports
    assert "storage: error 5, kept as " in report and slot not in flash.files
    assert len(flash.files) == 2


def test_a_record_of_a_newer_firmware_is_kept_aside():
    flash = MemoryFlash()
    data = _version_1(GOOD, 1, b"", b"text" * 20).replace(b"MG5C\x01", b"MG5C\x03")
    flash.files["slot-a"] = data[:-4] + struct.pack("<I", crc32(data[:-4]))
    store = _store(flash)
    assert store.newest is None
    assert store.reports == ["slot-a: unreadable, kept as slot-a.bad"]


def test_an_undamaged_file_of_another_kind_is_kept_aside():
    flash = MemoryFlash()
    _store(flash).write(GOOD, 0, b"e", b"", (b"text",))
    data = b"MG5D" + flash.files["slot-a"][4:-4]
    flash.files["slot-a"] = data + struct.pack("<I", crc32(data))
    store = _store(flash)
    assert store.newest is None
    assert store.reports == ["slot-a: unreadable, kept as slot-a.bad"]


def test_version_1_is_read_and_the_newest_written_again():
    for state in (TRIAL, GOOD, BAD):
        flash = MemoryFlash()
        flash.files["slot-a"] = _version_1(state, 8, b"new", b"the new one")
        flash.files["slot-b"] = _version_1(GOOD, 7, b"old", b"the old one")
        store = _store(flash)
        assert _summary(store.newest) == (state, 0, 9, b"new", b""), state
        assert _text(store) == b"the new one"
        assert store.reports == ["slot-a: version 1, written again as 2"]
        assert flash.n_writes == 1
        if state != GOOD:
            assert (store.other.etag, store.texts(store.other)[0]) == (b"old", b"the old one")
        again = _store(flash)
        assert _summary(again.newest) == _summary(store.newest)
        assert again.reports == []
        assert flash.n_writes == 1


def test_a_version_1_slot_with_a_flipped_bit_is_set_aside():
    older = _version_1(GOOD, 7, b"old", b"the old one")
    newer = _version_1(TRIAL, 8, b"new", b"the new one")
    for bit in range(8 * len(newer)):
        flash = MemoryFlash()
        damaged = flipped(newer, bit)
        flash.files = {"slot-a": damaged, "slot-b": older}
        store = _store(flash)
        assert _text(store) == b"the old one" and store.newest.state == GOOD, bit
        assert store.reports[0] == "slot-a: unreadable, kept as slot-a.bad", bit
        assert flash.files["slot-a.bad"] == damaged, bit
        # The one that is sound has been written again in the version of today.
        assert store.reports[1:] == ["slot-b: version 1, written again as 2"], bit
        flash.files = {"slot-a": damaged}
        store = _store(flash)
        assert (store.newest, store.other, list(flash.files)) == (None, None, ["slot-a.bad"]), bit


def test_a_migration_that_fails_leaves_version_1_in_use():
    flash = MemoryFlash()
    flash.files["slot-a"] = _version_1(GOOD, 8, b"e", b"text")
    flash.is_full = True
    store = _store(flash)
    assert (_text(store), store.newest.etag) == (b"text", b"e")
    assert store.reports == ["slot-a: storage: full"]


def test_a_full_flash_leaves_everything_as_it_was():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 0, b"", b"", (b"old",))
    before = dict(flash.files)
    flash.is_full = True
    with raises(StorageError, "storage: full"):
        store.write(TRIAL, 0, b"", b"", (b"new",))
    assert flash.files == before
    assert (_text(store), store.newest.state) == (b"old", GOOD)
    flash.is_full = False
    store.write(TRIAL, 0, b"", b"", (b"new",))
    assert _text(_store(flash)) == b"new"


def test_flash_that_forgets_is_noticed_at_once():
    flash = MemoryFlash()
    store = _store(flash)
    store.write(GOOD, 0, b"", b"", (b"old",))
    flash.forgets = True
    with raises(StorageError, "storage: slot-b reads back otherwise"):
        store.write(TRIAL, 0, b"", b"", (b"new",))
    assert (_text(store), store.other) == (b"old", None)
    assert store.reports == ["slot-b: unreadable, kept as slot-b.bad"]


def test_the_slots_move_to_a_new_folder_and_the_old_files_go():
    flash = MemoryFlash()
    flash.moves_at = (3, 6, 7)
    store = _store(flash)
    places = []
    for number in range(1, 10):
        store.write(GOOD, 0, b"", b"", (b"text %d" % number,))
        places.append(store.newest.name)
        assert len(flash.files) == min(number, 2), flash.files
        again = _store(flash)
        assert (_text(again), again.reports) == (b"text %d" % number, []), number
        if number > 1:
            assert again.texts(again.other)[0] == b"text %d" % (number - 1)
    assert (
        places
        == (
            "slot-a slot-b slots-0/slot-a slots-0/slot-b slots-0/slot-a "
            "slots-1/slot-b slots-0/slot-a slots-0/slot-b slots-0/slot-a"
        ).split()
    )


def test_what_a_power_cut_left_in_an_older_folder_is_older_and_goes_with_the_next_write():
    flash = MemoryFlash()
    flash.moves_at = (3,)
    store = _store(flash)
    store.write(GOOD, 0, b"", b"", (b"one",))
    store.write(GOOD, 0, b"", b"", (b"two",))
    left = dict(flash.files)
    store.write(GOOD, 0, b"", b"", (b"three",))
    flash.files.update(left)
    store = _store(flash)
    assert (_text(store), store.texts(store.other)[0], store.reports) == (b"three", b"two", [])
    store.write(GOOD, 0, b"", b"", (b"four",))
    store.write(GOOD, 0, b"", b"", (b"five",))
    assert sorted(flash.files) == ["slots-0/slot-a", "slots-0/slot-b"]
    flash.files.update(left)
    flash.files["slots-0/slot-a"] = b"damaged"
    store = _store(flash)
    assert (_text(store), store.texts(store.other)[0]) == (b"four", b"one")
    flash.files.update(left)
    _store(flash).erase()
    assert flash.files == {}


def test_erase_leaves_nothing_and_takes_what_runs_last():
    for states, last in (
        ((GOOD, GOOD, TRIAL), "slot-a"),
        ((GOOD, TRIAL, BAD), "slot-a"),
        ((GOOD, GOOD), "slot-b"),
        ((TRIAL,), "slot-a"),
    ):
        flash = MemoryFlash()
        store = _store(flash)
        for number, state in enumerate(states):
            store.write(state, number, b"", b"", (b"text %d" % number,))
        flash.files["slot-a.bad"] = flash.files["slot-b.bad"] = b""
        removed = []
        flash.remove = removed.extend
        store.erase()
        names = [folder + slot for slot in _SLOTS for folder in ("", "slots-0/", "slots-1/")]
        assert sorted(removed) == sorted(names + ["slot-a.bad", "slot-b.bad"])
        assert removed[-1] == last, states
        assert (store.newest, store.other) == (None, None)


def test_a_file_is_padded_to_516_bytes_and_a_longer_one_is_not():
    flash = MemoryFlash()
    store = _store(flash)
    for size, n_bytes in ((1, 516), (2000, None), (2001, None)):
        store.write(GOOD, 0, b"e", b"", (b"x" * size,))
        found = len(flash.files[store.newest.name])
        if n_bytes:
            assert found == n_bytes
            head = store.newest.text_at
        else:
            assert found == head + size + 4, size
