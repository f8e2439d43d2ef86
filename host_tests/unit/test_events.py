"""How events are printed: whole, and without memory for a copy of what they contain."""

import gc
import io
import json

import msgin5g.node as node_module
from msgin5g.node import Node


class _Role:
    receive = transmit = None


def printer(as_json, once):
    """The function that prints the events of a node."""
    node = Node(_Role(), [])
    node.as_json = as_json
    node.once = once
    return node.print_event


class Console(io.IOBase):
    """Stands for `sys`, its stdout and `print`; notes what comes, and takes no heap for that."""

    def __init__(self):
        self.stdout = self
        self.n_x = self.n_lines = self.size = 0

    def print(self, text):
        self.n_lines += 1
        self.size += len(text)
        self.n_x += text.count("x")

    def write(self, data):
        for c in data:
            self.n_x += c == 0x78 or c == "x"
        self.size += len(data)
        return len(data)

    def flush(self):
        pass


def test_a_large_event_is_printed_where_there_is_no_room_for_a_copy():
    event = {"event": "applied", "configuration": {"long": "x" * 3000}, "etag": None}
    size = len(json.dumps(event))
    printers = [printer(True, False), printer(False, True)]
    consoles = [Console(), Console()]
    ends = [None, None]
    hog = [None] * 400  # made before the heap is full; some heaps grow, so there is an end
    is_full = hasattr(gc, "mem_free")  # not on CPython
    if is_full:
        gc.collect()
        n = 0
        while gc.mem_free() > 2600 and n < len(hog):
            hog[n] = bytearray(256)
            n += 1
        is_full = gc.mem_free() <= 2600
    real = node_module.sys
    for i in range(2):
        node_module.sys = consoles[i]
        node_module.print = consoles[i].print
        ends[i] = printers[i](event)
    node_module.sys = real
    del node_module.print, hog
    assert [bool(end) for end in ends] == [False, True]
    as_json, as_text = consoles
    # JSON is for programs: whole, in one line, in pieces if need be.
    assert (as_json.n_x, as_json.size, as_json.n_lines) == (3000, size, 1)
    # A person gets at least what has happened.
    assert as_text.n_lines == 1
    if is_full:
        assert as_text.size == len("applied")
    else:
        assert as_text.n_x == 3000


def test_what_ends_a_run():
    emit = printer(False, False)
    assert emit({"event": "restarting"})
    assert not emit({"event": "timeout", "reasons": [], "etag": None})
    assert printer(True, True)({"event": "timeout"})
    assert not printer(True, True)({"event": "backing_off"})


def test_an_event_is_one_line_with_its_name_first_and_nothing_that_it_does_not_have():
    event = {"event": "refused", "reasons": ["a: 1"], "etag": None, "code": "4.03", "b": []}
    for as_json, expected in ((False, "refused code=4.03 reasons=['a: 1']"), (True, None)):
        lines = []
        node_module.print = lines.append
        try:
            printer(as_json, False)(event)
        finally:
            del node_module.print
        (line,) = lines
        assert line == expected if expected else json.loads(line) == event
