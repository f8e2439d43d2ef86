"""What a role on this host prints, as lines of a log: its stream, its level, its text."""

import contextlib
import io
import json
import re
import sys

import pytest

from msgin5g_tools.device.role_log import RoleLog
from msgin5g_tools.log_lines import Log

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """logged(stdout, stderr, as_json, level): the lines of each stream, without their time."""

    def log(stdout=b"", stderr=b"", as_json=False, level="info"):
        with contextlib.ExitStack() as stack:
            for name in ("stdout", "stderr"):
                file = stack.enter_context(open(tmp_path / name, "w", encoding="utf-8"))
                monkeypatch.setattr(sys, name, file)
            role = RoleLog(Log(as_json, level))
            role.read(io.BytesIO(stdout), io.BytesIO(stderr))
            role.close()
        texts = [(tmp_path / name).read_text("utf-8") for name in ("stdout", "stderr")]
        return [[without_time(line, as_json) for line in lines(text)] for text in texts]

    return log


def lines(text):
    return text.split("\n")[:-1]


def without_time(line, as_json):
    if not as_json:
        assert re.match(f"{_TIME} ", line), line
        return line.partition(" ")[2]
    entry = json.loads(line)
    assert re.fullmatch(_TIME, entry.pop("time")), line
    return entry


def test_each_line_has_the_level_of_what_it_says(logged):
    out, err = logged(
        b"started role=relay ue_id=urn:x:1\r\n"
        b"rejected code=4.04\n"
        b"safe_mode\n"
        b"hello \x1b[2J\xff\n"
        b"settings: unknown, ignored: x\n"
        b"settings: ue_id: is missing\n"
        b"no end of line"
    )
    assert out == [
        "info started role=relay ue_id=urn:x:1",
        "warning rejected code=4.04",
        "error safe_mode",
        "info hello \\x1b[2J\\xff",
        "warning settings: unknown, ignored: x",
        "info no end of line",
    ]
    assert err == ["error settings: ue_id: is missing"], "the role does not start"


def test_a_traceback_is_an_error_to_its_last_line(logged):
    trace = (
        b"Traceback (most recent call last):\n"
        b'  File "app.py", line 1, in main\n'
        b"    f()\n"
        b"ValueError: x\n"
    )
    out, err = logged(stderr=b"before\n" + trace + b"after\n" + trace)
    shown = [f"error {line}" for line in lines(trace.decode())]
    assert (out, err) == ([], ["info before", *shown, "info after", *shown])
    assert logged(stdout=trace + b"after\n")[0] == [*shown, "info after"]


def test_what_a_person_asked_for_is_printed_at_every_level(logged):
    out, err = logged(
        b"started role=relay\nrefused reasons=x\ncounters malformed=1\ndatagram n=1\n"
        b"unconfigured\n",
        b"hello\nwifi: no password\n",
        level="error",
    )
    assert out == ["info counters malformed=1", "debug datagram n=1", "error unconfigured"]
    assert err == ["error wifi: no password"]


def test_as_json_an_object_of_the_application_is_one_and_other_text_is_a_message(logged):
    deep = b"[" * 60_000
    out, err = logged(
        b'{"event": "timeout", "n": 1}\nstarted role=ue\n{"a": 1, "level": 7}\n'
        b"[1]\nhello\n\n" + deep + b"\n",
        b"ue: hello\n",
        as_json=True,
    )
    assert out[0] == {"level": "warning", "event": "timeout", "n": 1}
    assert out[-1] == {"level": "info", "a": 1} and len(out) == 3
    texts = {entry["text"] for entry in err}
    assert texts == {"[1]", "hello", "ue: hello", deep.decode()} and len(err) == 4
    assert {entry["event"] for entry in err} == {"message"}


def test_a_line_of_more_than_64_kib_comes_in_pieces(logged):
    out, _ = logged(b"x" * 65_536 + b"y" * 65_535 + b"\nz\n")
    assert out == ["info " + "x" * 65_536, "info " + "y" * 65_535, "info z"]
