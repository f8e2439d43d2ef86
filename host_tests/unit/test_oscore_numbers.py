"""The numbers of protected messages: none twice, whatever happens to the power or to a file."""

from msgin5g_testkit.checks import raises, xorshift
from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.config.store import GOOD, Store
from msgin5g.oscore.context import ProtectionError
from msgin5g.oscore.sequence_store import FILES, SequenceStore

KEY = bytes(range(16))
BOARD = b"board-1"


def store(flash, key=KEY, board=BOARD):
    return SequenceStore(flash, key, board)


def started(flash, seed=1):
    it = store(flash)
    assert it.load(xorshift(seed))
    return it


def new_flash(first=0):
    flash = MemoryFlash()
    assert store(flash).create(first)
    return flash


def test_64_numbers_cost_one_write_and_a_start_none():
    flash = new_flash()
    n = flash.n_writes
    it = started(flash)
    assert flash.n_writes == n
    numbers = [it.next() for _ in range(64)]
    assert flash.n_writes == n + 1 and numbers == list(range(numbers[0], numbers[0] + 64))
    it.next()
    assert flash.n_writes == n + 2


def test_a_start_begins_after_all_numbers_of_the_run_before():
    flash = new_flash()
    highest = -1
    for seed in range(1, 300):
        it = started(flash, seed)
        for _ in range(seed % 130):
            number = it.next()
            assert number > highest
            highest = number


def test_the_flash_has_the_bound_before_a_number_is_used():
    flash = new_flash()
    it = started(flash)
    flash.is_full = True
    with raises(ProtectionError, "oscore_no_number"):
        it.next()
    flash.is_full = False
    n = flash.n_writes
    for _ in range(59):  # a node asks once a second: the flash is written once a minute
        with raises(ProtectionError, "oscore_no_number"):
            it.next()
    assert flash.n_writes == n
    first = it.next()
    assert started(flash).next() >= first + 64


def test_a_damaged_file_never_brings_a_number_back():
    for damaged in FILES:
        for n in (1, 64, 65, 130, 200):
            flash = new_flash()
            it = store(flash)
            assert it.load(lambda: 255)  # the longest skip
            for _ in range(n):
                last = it.next()
            flash.files[damaged] = flash.files[damaged][:9]
            again = store(flash)
            assert again.load(None) and again.next() > last, (damaged, n)
            last = again.next()
            again = store(flash)
            assert again.load(None) and again.next() > last, (damaged, n)


def test_the_two_files_are_written_in_turn():
    flash = new_flash()
    it = started(flash)
    written = []
    for _ in range(6):
        before = dict(flash.files)
        for _ in range(64):
            it.next()
        written.append([name for name in FILES if flash.files[name] != before[name]])
    assert written == [[FILES[0]], [FILES[1]]] * 3


def test_a_bound_that_the_flash_does_not_hold_is_not_used():
    flash = new_flash()
    it = started(flash)
    flash.forgets = True
    with raises(ProtectionError, "oscore_no_number"):
        it.next()


def test_a_key_without_its_numbers_is_not_used():
    flash = MemoryFlash()
    assert not store(flash).load(xorshift(1))
    flash = new_flash()
    assert not store(flash, bytes(16)).load(xorshift(1))  # another key
    assert not store(flash, KEY, b"board-2").load(xorshift(1))  # a copy on another board
    for name in FILES:
        flash.files[name] = b""
    assert not store(flash).load(xorshift(1))


def test_runs_from_an_old_image_do_not_meet_and_a_wake_from_deep_sleep_skips_nothing():
    flash = new_flash()
    image = dict(flash.files)
    random = xorshift(77)
    runs = []
    for _ in range(20):
        flash.files = dict(image)
        it = store(flash)
        assert it.load(random)
        first = it.next()
        for other in runs:
            assert abs(first - other) > 1000
        runs.append(first)
    it = store(flash)
    assert it.load(None) and it.next() == first + 64


def test_a_start_skips_as_many_numbers_as_three_random_bytes_say():
    for skipped in (b"\x81\x02\x03", b"\x00\x00\x00", b"\xff\xff\xff", b"\x00\x01\x00"):
        it = store(new_flash(1000))
        left = list(skipped)
        assert it.load(lambda left=left: left.pop(0))
        assert it.next() == 1000 + int.from_bytes(skipped, "big"), skipped


def test_after_the_last_number_there_is_none():
    last = (1 << 40) - 1
    assert started(new_flash(last - 64 - (1 << 24))).next() <= last - 64
    with raises(ProtectionError, "oscore_no_number"):
        started(new_flash(last - 63)).next()


def test_a_factory_reset_leaves_the_numbers_as_it_leaves_the_key():
    flash = new_flash()
    config = Store(flash)
    config.write(GOOD, 0, b"e", b"", (b"{}",))
    last = started(flash).next()
    config.erase()
    assert started(flash).next() > last
