"""An empty directory on LittleFS on MicroPython, on the host's file system on CPython."""

import gc

try:
    import ram_disk
except ImportError:
    ram_disk = None
    import tempfile


def with_flash(test, n_blocks=32):
    """Call `test` with the directory. n_blocks: the size of the flash, in blocks of 512 bytes."""
    if ram_disk:
        disk = ram_disk.RamDisk(512, n_blocks)
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
