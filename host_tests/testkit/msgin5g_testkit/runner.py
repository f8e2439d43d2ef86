"""Runs a file of tests without pytest, on MicroPython: on a PC, on a board. See `msgin5g test`."""

import gc
import sys
import time

_COLLECT_AFTER = 4096  # bytes: else garbage lies between the modules, and a small heap has holes


def run(name: str, only: str = "") -> int:
    """Run the tests of a module whose names contain `only`, a line each; how many have failed.

    The last line is `N passed, N failed`.
    """
    gc.threshold(_COLLECT_AFTER)
    passed = failed = 0
    tests = []
    try:
        module = __import__(name)
        tests = sorted([n for n in dir(module) if n.startswith("test_") and only in n])
    except Exception as error:
        failed = 1
        _show("FAILED", name + " (import)", None)
        sys.print_exception(error)
    for test in tests:
        gc.collect()
        start = time.ticks_ms()
        try:
            getattr(module, test)()
            passed += 1
            _show("ok    ", test, start)
        except Exception as error:
            failed += 1
            _show("FAILED", test, start)
            sys.print_exception(error)
    print("%d passed, %d failed" % (passed, failed))
    return failed


def _show(word, name, start):
    ms = 0 if start is None else time.ticks_diff(time.ticks_ms(), start)
    print("%s %s  %d.%02d s" % (word, name, ms // 1000, ms % 1000 // 10))
