"""How events are printed: whole, and without memory for a copy of what they contain."""

import gc

from msgin5g.events import EventPrinter


def test_a_large_event_is_printed_where_there_is_no_room_for_a_copy():
    event = {"event": "applied", "configuration": {"text": "x" * 3000}, "etag": None}
    printers = [EventPrinter(True, False), EventPrinter(False, True)]
    hog = []
    if hasattr(gc, "mem_free"):  # not on CPython
        gc.collect()
        while gc.mem_free() > 2600 and len(hog) < 400:  # some heaps grow
            hog.append(bytearray(256))
    ends = [bool(printer.emit(event)) for printer in printers]
    del hog
    assert ends == [False, True]


def test_what_ends_a_run():
    emit = EventPrinter(False, False).emit
    assert emit({"event": "restarting"})
    assert not emit({"event": "timeout", "reasons": [], "etag": None})
    assert EventPrinter(True, True).emit({"event": "timeout"})
