"""Run the unit tests without pytest: on the Unix port, on a board, from source or from .mpy.

    micropython -X heapsize=96K host_tests/run_mpy.py [FIRMWARE_DIR] [--only TEXT]

Each file is imported, each `test_*` called in sorted order, the module forgotten. The last line
is `N passed, N failed`; the exit status is 1 when something failed.
"""

import gc
import os
import sys


def _directory(path):
    return path[: path.rfind("/")] if "/" in path else "."


def _run_file(name, counts):
    module = __import__(name)
    for test in sorted(n for n in dir(module) if n.startswith("test_")):
        gc.collect()
        try:
            getattr(module, test)()
            counts[0] += 1
        except Exception as error:
            counts[1] += 1
            print("FAILED", name + "." + test)
            sys.print_exception(error)


def main(arguments):
    here = _directory(arguments[0] if "/" in arguments[0] else "./" + arguments[0])
    only = ""
    if "--only" in arguments:
        at = arguments.index("--only")
        only = arguments[at + 1]
        arguments = arguments[:at] + arguments[at + 2 :]
    firmware = arguments[1] if len(arguments) > 1 else here + "/../firmware"
    sys.path[:] = [here + "/unit", here, firmware] + [p for p in sys.path if p.startswith(".")]
    counts = [0, 0]
    names = [n[:-3] for n in os.listdir(here + "/unit") if n.startswith("test_")]
    for name in sorted(n for n in names if only in n):
        before = list(sys.modules)
        try:
            _run_file(name, counts)
        except Exception as error:
            counts[1] += 1
            print("FAILED", name, "(import)")
            sys.print_exception(error)
        for loaded in list(sys.modules):
            if loaded not in before:
                del sys.modules[loaded]
        gc.collect()
    print(str(counts[0]) + " passed, " + str(counts[1]) + " failed")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
