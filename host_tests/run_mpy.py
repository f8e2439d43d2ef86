"""Run the tests without pytest: on the Unix port, on a board, from source or from .mpy.

    micropython -X heapsize=128K host_tests/run_mpy.py [FIRMWARE] [--only TEXT] [--in DIR]

FIRMWARE is the folder that has the package msgin5g (firmware/ by default), or a ROMFS image, a
file *.romfs, which is mounted at /rom. DIR is unit (the default) or nodes. TEXT is the whole name
of a file, or a part of the names of several.

Each file is imported, each `test_*` is called in sorted order, and then the file and what it
imported are removed from memory. The last line is `N passed, N failed`; the exit status is 1 when
a test failed.
"""

import gc
import os
import sys


def _directory(path):
    return path[: path.rfind("/")] if "/" in path else "."


def _run_file(name, counts):
    if hasattr(gc, "threshold"):
        gc.threshold(1024)  # as main does: else what compiling leaves behind fragments the heap
    module = __import__(name)
    if hasattr(gc, "threshold") and gc.threshold() == 1024:  # a file may want another one
        gc.threshold(-1)
    for test in sorted(n for n in dir(module) if n.startswith("test_")):
        gc.collect()
        try:
            getattr(module, test)()
            counts[0] += 1
        except Exception as error:
            counts[1] += 1
            print("FAILED", name + "." + test)
            sys.print_exception(error)


def _remove_modules(before):
    """Remove what a test file has imported, so that the next one starts with an empty heap."""
    for loaded in list(sys.modules):
        if loaded not in before:
            del sys.modules[loaded]
    gc.collect()


def _mounted(image):
    """Mount a ROMFS image; the folder where its files are."""
    import vfs

    with open(image, "rb") as file:
        data = file.read()
    vfs.mount(vfs.VfsRom(data), "/rom")
    return "/rom"


def main(arguments):
    here = _directory(arguments[0] if "/" in arguments[0] else "./" + arguments[0])
    options = {"--only": "", "--in": "unit"}
    plain = []
    i = 1
    while i < len(arguments):
        if arguments[i] in options:
            options[arguments[i]] = arguments[i + 1]
            i += 1
        else:
            plain.append(arguments[i])
        i += 1
    firmware = plain[0] if plain else here + "/../firmware"
    if firmware.endswith(".romfs"):
        firmware = _mounted(firmware)
    tests = here + "/" + options["--in"]
    support = [here + "/support", here + "/testkit"]
    frozen = [p for p in sys.path if p.startswith(".")]
    # The last one has fast_network_sim.py; among .mpy files it is in support.
    sys.path[:] = [tests] + support + [firmware] + frozen + [here + "/../tools/simulate"]
    counts = [0, 0]
    names = [n.rsplit(".", 1)[0] for n in os.listdir(tests) if n.startswith("test_")]
    only = options["--only"]
    for name in [only] if only in names else sorted(n for n in names if only in n):
        before = list(sys.modules)
        try:
            _run_file(name, counts)
        except Exception as error:
            counts[1] += 1
            print("FAILED", name, "(import)")
            sys.print_exception(error)
        _remove_modules(before)
    print(str(counts[0]) + " passed, " + str(counts[1]) + " failed")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
