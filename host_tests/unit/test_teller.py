"""How events are told: whole, and without memory for a copy of what they hold."""

import gc
import json  # noqa: F401  # what tells loads it when there is memory

from msgin5g.main import teller


def test_a_large_event_is_told_where_there_is_no_room_for_it_again():
    event = {"event": "applied", "configuration": {"text": "x" * 3000}, "etag": None}
    tellers = [teller(True, False), teller(False, True)]
    hog = []
    if hasattr(gc, "mem_free"):  # not on CPython
        gc.collect()
        while gc.mem_free() > 2600 and len(hog) < 400:  # some heaps grow
            hog.append(bytearray(256))
    ends = [bool(tell(event)) for tell in tellers]
    del hog
    assert ends == [False, True]


def test_what_ends_a_run():
    tell = teller(False, False)
    assert tell({"event": "restarting"})
    assert not tell({"event": "timeout", "reasons": [], "etag": None})
    assert teller(True, True)({"event": "timeout"})
