"""How events are printed: whole, and without memory for a copy of what they contain."""

import gc

from msgin5g.node import Node


class _Role:
    receive = transmit = None


def printer(as_json, once):
    """The function that prints the events of a node."""
    node = Node(_Role(), [])
    node.as_json = as_json
    node.once = once
    return node.print_event


def test_a_large_event_is_printed_where_there_is_no_room_for_a_copy():
    event = {"event": "applied", "configuration": {"text": "x" * 3000}, "etag": None}
    printers = [printer(True, False), printer(False, True)]
    hog = [None] * 400  # made before the heap is full; some heaps grow, so there is an end
    if hasattr(gc, "mem_free"):  # not on CPython
        gc.collect()
        n = 0
        while gc.mem_free() > 2600 and n < len(hog):
            hog[n] = bytearray(256)
            n += 1
    ends = [bool(emit(event)) for emit in printers]
    del hog
    assert ends == [False, True]


def test_what_ends_a_run():
    emit = printer(False, False)
    assert emit({"event": "restarting"})
    assert not emit({"event": "timeout", "reasons": [], "etag": None})
    assert printer(True, True)({"event": "timeout"})
