"""What a board's firmware does between reset and prompt: mount the flash, boot.py, main.py."""

import gc
import os
import struct
import sys

import machine
import uctypes
import vfs
from flash import Flash
from implementation import BoardSys


def mount(raw, control, image, state, blank, about):
    """Take over the host's descriptors, put the image where its files were, and return `run`.

    about: the board's name and machine, for sys.implementation.
    """
    machine.control = control = open(control, "wb")
    machine.state = open(state, "r+b")
    del machine.__file__
    # What a program writes to stdout.buffer is bytes; in what it prints, a board's console turns
    # newlines into CR LF. Two descriptors tell the supervisor which is which. The descriptor is
    # the first field after the type in MicroPython's file object.
    number = uctypes.bytearray_at(id(sys.stdout.buffer) + struct.calcsize("P"), 4)
    struct.pack_into("i", number, 0, raw)
    flash = Flash(open(image, "r+b"))
    vfs.umount("/")
    try:
        if blank:
            vfs.VfsLfs2.mkfs(flash, progsize=256)  # as a Pico W's own firmware does
        vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/")
    except OSError as error:
        control.write(b"failed %d" % (error.errno or 0))
        sys.stdin.read(1)
    os.chdir("/")
    os.putenv("MICROPYINSPECT", "1")  # from here on the end of this script is a prompt
    sys.path[:] = ["", ".frozen", "/lib"]
    sys.argv.clear()
    sys.modules["sys"] = BoardSys(*about)
    for name in ("flash", "implementation", "start"):
        del sys.modules[name]
    del globals()["mount"]  # garbage from here on
    return run


def run(names, namespace):
    """Run the files as a board does: an exception ends the row, SystemExit is a soft reset."""
    control = machine.control
    end = machine.ending(namespace)
    sys.atexit(end)
    gc.collect()
    try:
        control.write(b"ready")
        for name in names:
            if name in os.listdir():
                execfile(name, namespace)  # noqa: F821  # MicroPython's own
    except SystemExit:
        end()
        control.write(b"soft")
        sys.stdin.read(1)
    except BaseException as error:
        control.write(b"exception")
        sys.print_exception(error, control)
        control.write(b"\0end")
    control.write(b"repl")
