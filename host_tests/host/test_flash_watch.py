"""What a first boot says, judged; and a port that leaves the bus when its board is reset."""

import os
import pty
import threading
import time
import tty

import pytest
import serial

from msgin5g_tools.device.events import SAFE_MODE
from msgin5g_tools.device.watch import Watch, watch_boot

_TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "main.py", line 3, in <module>',
    "ImportError: no module named 'msgin5g.main'",
    "MicroPython v1.28.0 on 2026-04-01; Raspberry Pi Pico W with RP2040",
)


@pytest.mark.parametrize(
    ("lines", "verdict"),
    [
        (["started role=ue", "applied etag=00"], (True, "configured after 1.0 s")),
        (["started role=ue safe_mode=True", "unchanged etag=00"],
         (True, f"{SAFE_MODE}; configured after 1.0 s")),
        (['{"event": "started", "role": "relay", "safe_mode": true}'],
         (True, f"{SAFE_MODE}; relay running after 1.0 s")),
        (['{"event": "started", "role": "ue"}', '{"event": "unchanged"}'],
         (True, "configured after 1.0 s")),
        (["started bind=['0.0.0.0', 65401] role=gateway"], (True, "gateway running after 1.0 s")),
        (["started role=ue", "rejected code=4.03 detail=not allowed title=Forbidden"],
         (False, "rejected: 4.03, Forbidden, not allowed")),
        (["started role=ue", "refused reasons=['no address', 'too long']"],
         (False, "the document is refused: no address; too long")),
        (["started role=ue", "timeout"], (False, "timeout: no answer after 1 s")),
        (["settings: next_hop: is missing", "MicroPython v1.28.0"],
         (False, "settings: next_hop: is missing")),
        (["secrets: not JSON: JSON: value at byte 0", "MicroPython v1.28.0"],
         (False, "secrets: not JSON: JSON: value at byte 0")),
        (_TRACEBACK, (False, "traceback: ImportError: no module named 'msgin5g.main'")),
        (["MicroPython v1.28.0 on 2026-04-01"], (False, "there is no main.py")),
        (["started role=ue", "stopped counters={}", "MicroPython v"], (False, "main.py ended")),
        (["MemoryError: memory allocation failed", "MicroPython v"],
         (False, "traceback: MemoryError: memory allocation failed")),
        (["rst:0x1 (POWERON_RESET)", "settings: unknown, ignored: colour", "startedx"], None),
    ],
)  # fmt: skip
def test_a_boot_is_judged_by_its_lines(lines, verdict):
    watch = Watch()
    for line in lines:
        if watch.verdict is None:
            watch.line(line, 1.0)
    assert watch.verdict == verdict


def test_what_did_not_happen_in_time_is_said():
    watch = Watch()
    assert watch.late(20) == (False, "timed out after 20 s: the board printed nothing")
    watch.line("started role=ue", 1)
    assert watch.late(20)[1] == "started, but not configured: timed out after 20 s"
    watch.line("link_down reasons=['wifi: wrong key']", 2)
    assert watch.late(20)[1] == "wifi: wrong key"
    watch.line("link_up reasons=['wifi: plant']", 2)
    assert watch.late(20)[1].startswith("started, but")
    watch.line("unresolved reasons=['next_hop: hop.example: not known']", 2)
    assert watch.late(20)[1] == "next_hop: hop.example: not known"
    watch.line("resolved reasons=['next_hop: hop.example: has an address']", 2)
    assert watch.late(20)[1].startswith("started, but")
    watch.line("bind: 10.0.0.1:65401: in use", 2)
    assert watch.late(20)[1] == "bind: 10.0.0.1:65401: in use"


def test_no_answer_says_who_was_asked_and_for_how_long():
    watch = Watch(asked="192.168.4.1:65401")
    watch.line("started role=ue", 1)
    words = (
        "started, but not configured: timed out after 20 s: no answer yet from 192.168.4.1:65401"
    )
    assert watch.late(20) == (False, words)
    watch.line("timeout", 12)
    assert watch.verdict == (False, "timeout: no answer from 192.168.4.1:65401 after 12 s")


class _Gone:
    """A port that is there no more."""

    timeout = in_waiting = 0

    def __init__(self, port):
        self.port = port

    def read(self, size):
        raise serial.SerialException("device reports readiness to read but returned no data")


class _Session:
    def __init__(self, port):
        self.serial = _Gone(port)

    def reset(self):
        pass


def test_a_port_that_leaves_and_returns_is_opened_again_and_the_boot_seen_whole():
    master, slave = pty.openpty()
    tty.setraw(slave)

    def board():
        assert os.read(master, 10) == b"\x03\x03\x02\x04"
        time.sleep(0.05)
        os.write(master, b"MPY: soft reboot\r\nstarted role=ue\r\nappl")
        time.sleep(0.05)
        os.write(master, b"ied etag=00\r\n")

    thread = threading.Thread(target=board)
    thread.start()
    session = _Session(os.ttyname(slave))
    good, text = watch_boot(session, 10)
    thread.join()
    session.serial.close()
    assert good and text.startswith("configured after ")
    os.close(slave)
    os.close(master)
