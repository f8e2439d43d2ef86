"""Which of its two files the store of OSCORE numbers writes: never the one that counts."""

from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.oscore.sequence_store import FILES, SequenceStore

_RESERVED = 64  # numbers for a write


def store(flash):
    return SequenceStore(flash, bytes(range(16)), b"board-1")


def written(it, flash):
    """The names of the files that change while as many numbers are given as a write reserves."""
    before = dict(flash.files)
    for _ in range(_RESERVED):
        it.next()
    return [name for name in FILES if flash.files[name] != before[name]]


def test_a_new_store_writes_its_files_in_turn():
    flash = MemoryFlash()
    it = store(flash)
    assert it.create()
    assert [written(it, flash) for _ in range(6)] == [[FILES[0]], [FILES[1]]] * 3


def test_after_a_start_the_file_with_the_lower_bound_is_written_first():
    for n_writes in range(1, 6):
        flash = MemoryFlash()
        it = store(flash)
        it.create()
        for _ in range(n_writes):
            last = written(it, flash)
        for random in (None, xorshift(n_writes)):
            it = store(flash)
            assert it.load(random)
            first = written(it, flash)
            assert first != last and len(first) == 1, n_writes
            last = first
