"""The files under the store: of LittleFS on MicroPython, of the host on CPython."""

import os
from binascii import crc32

import msgin5g.port.flash as flash_module
from msgin5g_testkit.checks import raises
from flash_directory import with_flash
from heap_in_pieces import HeapInPieces
from msgin5g.config.store import GOOD, TRIAL, StorageError, Store
from msgin5g.port.flash import Flash

try:
    import ram_disk
except ImportError:
    ram_disk = None


def _store(flash):
    store = Store(flash)
    store.load()
    return store


def _text(store):
    return store.texts(store.newest)[0]


def test_files_are_written_read_renamed_and_removed():
    def test(directory):
        flash = Flash(directory, StorageError)
        assert flash.size("f") is None
        parts = (b"head", b"x" * 200, b"")
        flash.write("f", parts)
        assert flash.size("f") == 204
        assert flash.read("f", 2, 4) == b"adxx"
        assert flash.read("f", 200, 100) == b"xxxx"
        assert b"".join(flash.pieces("f", 2, 202)) == b"ad" + b"x" * 200
        assert flash.same("f", 0, parts)
        assert flash.same("f", 3, (b"d", b"x" * 64))
        assert not flash.same("f", 0, (b"head", b"x" * 199, b"y"))
        assert not flash.same("f", 0, (b"head", b"x" * 201))
        flash.write("g", (b"shorter",))
        flash.rename("f", "g")
        assert flash.size("f") is None
        assert flash.size("g") == 204
        flash.write("g", (b"shorter",))
        assert flash.size("g") == 7
        flash.remove(("g",))
        flash.remove(("g",))
        assert os.listdir(directory) == []

    with_flash(test, n_blocks=16)


def test_a_file_that_is_not_there_is_a_storage_error():
    def test(directory):
        flash = Flash(directory + "/", StorageError)
        for call in (
            lambda: flash.read("f", 0, 1),
            lambda: list(flash.pieces("f", 0, 1)),
            lambda: flash.same("f", 0, (b"x",)),
            lambda: flash.rename("f", "g"),
            lambda: Flash(directory + "/none", StorageError).write("f", (b"",)),
        ):
            with raises(StorageError, "storage: error 2"):
                call()

    with_flash(test, n_blocks=16)


def test_the_store_lives_in_files():
    def test(directory):
        store = _store(Flash(directory, StorageError))
        store.write(GOOD, 0, b"1", b"", (b"old" * 100,))
        store.write(TRIAL, 0, b"2", b"", (b"new" * 300,))
        store = _store(Flash(directory, StorageError))
        assert (_text(store), store.texts(store.other)[0]) == (b"new" * 300, b"old" * 100)
        store.erase()
        assert os.listdir(directory) == []

    with_flash(test, n_blocks=16)


def test_in_a_heap_in_small_pieces_documents_are_stored_and_confirmed():
    def test(directory):
        old, new = b"o" * 3000, b"n" * 100
        store = _store(Flash(directory, StorageError))
        heap = HeapInPieces(320)
        try:
            store.write(TRIAL, 0, b"1", b"", (old,))
            store.write(GOOD, 0, b"1", b"")
            store.write(TRIAL, 0, b"2", b"", (new,))
            store.load()
            assert store.holds(store.newest, (new,)) and store.holds(store.other, (old,))
            assert store.crc(store.other) == crc32(old)
        finally:
            heap.release()
        assert (_text(store), store.texts(store.other)[0]) == (new, old)

    with_flash(test, n_blocks=16)


def test_a_full_file_system_refuses_and_keeps_what_it_has():
    if not ram_disk:
        return  # the host's disk is not ours to fill

    def test(directory):
        flash = Flash(directory, StorageError)
        store = _store(flash)
        for n_slots in (0, 1, 2):
            _fill(directory)
            before = _contents(directory)
            with raises(StorageError, "storage: full"):
                store.write(TRIAL, 0, b"", b"", (b"n" * 600,))
            assert _contents(directory) == before
            os.remove(directory + "/ballast")
            store.write(GOOD, n_slots, b"", b"", (b"o" * 600,))
            assert _text(_store(flash)) == b"o" * 600

    with_flash(test, n_blocks=16)


def _contents(directory):
    """The name and the bytes of every file, of the ballast only the name."""
    contents = {}
    for name in os.listdir(directory):
        with open(directory + "/" + name, "rb") as file:
            contents[name] = file.read() if name != "ballast" else b""
    return contents


def _fill(directory):
    """Leave no free block."""
    block = bytes(512)
    with open(directory + "/ballast", "wb") as file:
        try:
            while True:
                file.write(block)
                file.flush()
        except OSError:
            return


class _Os:
    """A file system of `n_blocks` that takes one folder."""

    def __init__(self, n_blocks):
        self.n_blocks = n_blocks
        self.made = []

    def statvfs(self, path):
        return (512, 512, self.n_blocks)

    def mkdir(self, path):
        if self.made:
            raise OSError(17)
        self.made.append(path)


def _moves(n_blocks, n_writes):
    """The numbers of the writes that go to a new folder, of so many."""
    moves = []
    for sequence in range(1, n_writes + 1):
        flash_module.os = _Os(n_blocks)
        if Flash("/", StorageError).make_folder_when_due(sequence, "new"):
            assert flash_module.os.made == ["/new"]
            assert not Flash("/", StorageError).make_folder_when_due(sequence, "new"), (
                "there it is"
            )
            moves.append(sequence)
    flash_module.os = os
    return moves


def test_a_large_file_system_gets_a_new_folder_once_in_so_many_writes_at_no_fixed_distance():
    assert _moves(16, 100) == _moves(159, 100) == []
    for n_blocks in (160, 212, 512, 640):
        often = n_blocks // 20
        moves = _moves(n_blocks, 20 * often - 1)
        assert [n // often for n in moves] == list(range(moves[0] // often, 20)), moves
        assert len({n % often for n in moves}) > 4, moves


def test_a_folder_goes_with_its_last_file():
    def test(directory):
        flash = Flash(directory, StorageError)
        os.mkdir(directory + "/new")
        flash.write("new/f", (b"1",))
        flash.write("new/g", (b"2",))
        flash.remove(("new/f",))
        assert flash.read("new/g", 0, 9) == b"2"
        flash.remove(("new/g",))
        assert os.listdir(directory) == []
        os.mkdir(directory + "/new")  # and the power was cut
        flash.remove(("new/f",))
        assert os.listdir(directory) == []

    with_flash(test, n_blocks=16)


class _File:
    """A file that notes what is done with it."""

    def __init__(self, log):
        self._log = log

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._log.append("close")

    def write(self, part):
        self._log.append(part)

    def flush(self):
        self._log.append("flush")

    def fileno(self):
        return 42


class _Synced:
    """`os` with fsync, as CPython has it; a board's flush does what it does."""

    def __init__(self, log):
        self.fsync = lambda number: log.append(("sync", number))


def test_writing_flushes_and_syncs_in_this_order_before_the_file_is_closed():
    for has_fsync in (True, False):
        log = []
        flash_module.open = lambda path, mode: log.append((path, mode)) or _File(log)
        flash_module.os = _Synced(log) if has_fsync else None
        try:
            Flash("/flash", StorageError).write("f", (b"head", b"text"))
        finally:
            del flash_module.open
            flash_module.os = os
        synced = ["flush", ("sync", 42)] if has_fsync else ["flush"]
        assert log == [("/flash/f", "wb"), b"head", b"text"] + synced + ["close"], log


def test_an_error_of_the_file_system_without_a_number_is_one_of_storage():
    real = flash_module.os

    class Os:
        def rename(self, name, new_name):
            raise OSError

    flash_module.os = Os()
    try:
        with raises(StorageError, "storage: error"):
            Flash("/", StorageError).rename("a", "b")
    finally:
        flash_module.os = real


def test_a_refusal_of_the_file_system_has_its_reason_and_a_file_that_is_away_is_none():
    real = flash_module.os

    class Os:
        def __init__(self, number):
            self.number = number

        def _refuse(self, *_):
            raise OSError(self.number, "")

        rename = remove = stat = statvfs = rmdir = _refuse

    flash = Flash("/", StorageError)
    try:
        for number, text in ((28, "storage: full"), (27, "storage: error 27"),
                             (2, "storage: error 2"), (5, "storage: error 5")):  # fmt: skip
            flash_module.os = Os(number)
            with raises(StorageError, text):
                flash.rename("a", "b")
            assert not flash.make_folder_when_due(8, "new")
            if number == 2:
                assert flash.size("a") is None
                flash.remove(("a", "new/b"))
            else:
                for verb, what in ((flash.size, "a"), (flash.remove, ("a",))):
                    with raises(StorageError, text):
                        verb(what)
    finally:
        flash_module.os = real


def test_the_crc_of_the_first_file_that_is_there():
    def test(directory):
        missing, first, second = [directory + "/" + name for name in ("m", "a.py", "b.mpy")]
        assert flash_module.crc_of((missing,)) == 0
        for path, size in ((first, 600), (second, 1)):
            with open(path, "wb") as file:
                file.write(bytes(size))
        crc = flash_module.crc_of((missing, first, second))
        assert crc == crc32(bytes(600)) == flash_module.crc_of((first,))
        assert flash_module.crc_of((second, first)) == crc32(b"\0")

    with_flash(test, n_blocks=16)
