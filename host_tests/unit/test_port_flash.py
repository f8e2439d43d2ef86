"""The files under the store: of LittleFS on MicroPython, of the host on CPython."""

import gc
import os

from checks import raises
from msgin5g.configuration.store import GOOD, TRIAL, StorageError, Store
from msgin5g.port.flash import Flash

try:
    import ram_disk
except ImportError:
    ram_disk = None
    import tempfile


def _store(flash):
    store = Store(flash)
    store.load()
    return store


def _text(store):
    return store.text(store.newest)


def _with_files(test):
    """Call `test` with an empty directory."""
    if ram_disk:
        disk = ram_disk.RamDisk(512, 16)
        ram_disk.format_disk(disk)
        ram_disk.mount(disk, "/flash")
        try:
            test("/flash")
        finally:
            ram_disk.unmount("/flash")
            gc.collect()
    else:
        with tempfile.TemporaryDirectory() as directory:
            test(directory)


def test_files_are_written_read_renamed_and_removed():
    def test(directory):
        flash = Flash(directory)
        assert flash.size("f") is None
        parts = (b"head", b"x" * 200, b"")
        flash.write("f", parts)
        assert flash.size("f") == 204
        assert flash.read("f", 2, 4) == b"adxx"
        assert flash.read("f", 200, 100) == b"xxxx"
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
        flash.remove("g")
        flash.remove("g")
        assert os.listdir(directory) == []

    _with_files(test)


def test_a_file_that_is_not_there_is_a_storage_error():
    def test(directory):
        flash = Flash(directory + "/")
        for call in (
            lambda: flash.read("f", 0, 1),
            lambda: flash.same("f", 0, (b"",)),
            lambda: flash.rename("f", "g"),
            lambda: Flash(directory + "/none").write("f", (b"",)),
        ):
            with raises(StorageError, "storage: error 2"):
                call()

    _with_files(test)


def test_the_store_lives_in_files():
    def test(directory):
        store = _store(Flash(directory))
        store.write(GOOD, 0, b"1", b"", b"old" * 100)
        store.write(TRIAL, 0, b"2", b"", b"new" * 300)
        store = _store(Flash(directory))
        assert (_text(store), store.text(store.other)) == (b"new" * 300, b"old" * 100)
        store.erase()
        assert os.listdir(directory) == []

    _with_files(test)


def test_a_full_file_system_refuses_and_keeps_what_it_has():
    if not ram_disk:
        return  # the host's disk is not ours to fill

    def test(directory):
        flash = Flash(directory)
        store = _store(flash)
        for n_slots in (0, 1, 2):
            _fill(directory)
            before = _contents(directory)
            with raises(StorageError, "storage: full"):
                store.write(TRIAL, 0, b"", b"", b"n" * 600)
            assert _contents(directory) == before
            os.remove(directory + "/ballast")
            store.write(GOOD, n_slots, b"", b"", b"o" * 600)
            assert _text(_store(flash)) == b"o" * 600

    _with_files(test)


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
