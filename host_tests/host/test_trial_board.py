"""A configuration on trial on a virtual board: an application that crashes or hangs, real resets,
a check by ping, the watchdog, the button."""

import json
import re
import time

import pytest
from addresses import host
from board_tools import Terminal, mpremote, wait_until
from flash_setup import msgin5g
from node_board import NodeBoard

CRASHES = """
def declare(schema):
    schema.declare("blink-ms", int, default=500, low=50, high=10_000)


def changed(node):
    print("application runs with", node.configuration["blink-ms"])
    if node.configuration["blink-ms"] == 100:
        BAD
"""
POLLS = """
def main(node):
    n = 0
    while True:
        node.work(20)
        n += 1
        if node.changed():
            print("told of", node.configuration["MSGin5G-UE-Service-id"], n > 0)
"""


def trial(folder, application, **settings):
    return NodeBoard(folder, application, **{"confirm": "application", **settings})


def confirmed(ue):
    """The board runs with a good configuration."""
    ue.serve()
    mark = ue.reset()
    ue.told("application runs with 500\n", mark)
    with Terminal(ue.board) as terminal:
        terminal.presses(b"\x03")
        terminal.types("from msgin5g import repl")
        assert "Confirmed" in terminal.types("repl.confirm()")
    mark = ue.reset()
    ue.told("application runs with 500\n", mark)
    return mark


def test_what_crashes_the_application_at_once_is_rolled_back_without_a_person(tmp_path):
    with trial(tmp_path, CRASHES.replace("BAD", "raise ValueError('no such rate')")) as ue:
        mark = confirmed(ue)
        n_resets = len(ue.board.resets)
        ue.serve(blink_ms=100)
        ue.told("rolled_back reasons=\\['reset too often'\\]\n(.*\n)*.*runs with 500\n", mark, 40)
        ue.told("refused .*rolled back, waits for a change", mark)
        text = ue.board.output.text(mark)
        assert text.count("application runs with 100\n") == 3
        assert text.count("\ncrashed reasons=['ValueError: no such rate']\n") == 3
        assert ue.board.resets[n_resets:] == ("hard reset",) * 3
        ue.serve(blink_ms=200)
        ue.told("application runs with 200\n", mark)


def test_what_hangs_the_application_is_rolled_back_by_the_watchdog(tmp_path):
    application = CRASHES.replace("BAD", "while True: pass")
    with trial(tmp_path, application, watchdog_s=1, confirm="lasting") as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("application runs with 500\n", mark)
        with Terminal(ue.board) as terminal:
            terminal.presses(b"\x03")
            terminal.types("from msgin5g import repl")
            terminal.types("repl.confirm()")
            time.sleep(1.5)  # at the REPL the watchdog is quiet
            assert "fed by a timer" in terminal.types("repl.status()")
        assert "watchdog" not in ue.board.resets
        mark = ue.reset()
        ue.told("application runs with 500\n", mark)
        time.sleep(2.5)  # longer than the watchdog's time without a message
        assert "watchdog" not in ue.board.resets
        ue.serve(blink_ms=100)
        ue.told("rolled_back reasons=\\['reset too often'\\]\n(.*\n)*.*runs with 500\n", mark, 60)
        assert ue.board.resets.count("watchdog") == 3


def test_the_watchdog_is_not_starved_by_a_server_that_does_not_answer(tmp_path):
    settings = {"watchdog_s": 1, "transmission": {"ack_timeout_ms": 2500}}
    with NodeBoard(tmp_path, None, next_hop=[host(), 5683], **settings) as ue:
        mark = ue.reset()
        ue.told("started", mark)
        time.sleep(7)  # one retransmission, and waits of more than the watchdog's time
        assert ue.board.resets[-1] == "hard reset"
        with Terminal(ue.board) as terminal:  # it has been running: unless it is fed it bites
            terminal.presses(b"\x03")
            mark = ue.board.output.mark()
            terminal.types("from msgin5g import node; node.current.watchdog.release()")
            ue.told("started", mark)
        assert ue.board.resets[-1] == "watchdog"


def test_a_bad_value_is_refused_and_the_application_goes_on(tmp_path):
    with trial(tmp_path, CRASHES, confirm="at_once") as ue:
        ue.serve(blink_ms=300)
        mark = ue.reset()
        ue.told("application runs with 300\n", mark)
        ue.serve(blink_ms=20)
        ue.told("refused etag=[0-9a-f]+ reasons=\\['blink-ms: 20, less than 50'\\]", mark)
        ue.serve(blink_ms="fast")
        ue.told("refused etag=[0-9a-f]+ reasons=\\['blink-ms: must be of type int'\\]", mark)
        ue.serve(blink_ms=60, Segment_size=1)
        ue.told("refused etag=[0-9a-f]+ reasons=\\['Segment-size: 1, less than 64'\\]", mark)
        assert ue.board.output.text(mark).count("application runs") == 1
        with Terminal(ue.board) as terminal:
            terminal.presses(b"\x03")
            terminal.types("from msgin5g import repl")
            assert "blink-ms                 300\r\n" in terminal.types("repl.config()")


def test_the_check_by_ping_rolls_back_what_names_a_silent_server(tmp_path):
    with NodeBoard(tmp_path, None, confirm="ping", trial_s=10) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("\nconfirmed\n", mark)
        ue.serve(MSGin5G_Server_address=None, **{"MSGin5G-Server-address": f"{host()}:9"})
        ue.told("\nrolled_back reasons=\\['not confirmed in time'\\]\n", mark, 25)


@pytest.mark.parametrize("heap", ["192K"])
def test_an_application_with_a_loop_of_its_own_polls(tmp_path, heap):
    with trial(tmp_path, POLLS, heap=heap, confirm="at_once") as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("told of user-7@example.com True\n", mark)
        ue.serve(**{"MSGin5G-UE-Service-id": "other@example.com"})
        ue.told("told of other@example.com True\n", mark)
        with Terminal(ue.board) as terminal:
            assert b"stopped" in terminal.presses(b"\x03")


def test_the_example_blinks_and_confirms_the_configuration(repository, tmp_path):
    example = (repository / "examples/blinking-light/app.py").read_text()
    with trial(tmp_path, example) as ue:
        ue.serve(blink_ms=50)
        mark = ue.reset()
        ue.told(f"blink: registered with coap://{ue.server}:5683\n", mark)
        ue.told("\nconfirmed\n", mark)
        for level in (0, 1, 0, 1):
            wait_until(lambda level=level: ue.board.pin(25) == level)
        ue.serve(blink_ms=250)
        ue.told("blink: every 250 ms", mark)
        for level in (0, 1, 0, 1):
            wait_until(lambda level=level: ue.board.pin(25) == level)


def test_a_button_held_for_ten_seconds_removes_the_configuration(tmp_path):
    with NodeBoard(tmp_path, None, button_pin=9) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("applied", mark)
        ue.told("unchanged", mark)
        mark = ue.board.output.mark()
        ue.board.set_pin(9, 0)
        time.sleep(3)
        ue.board.set_pin(9, 1)
        time.sleep(1.5)
        ue.board.set_pin(9, 0)
        ue.told("factory_reset reasons=\\['button'\\]\nrestarting", mark, 60)
        ue.board.set_pin(9, 1)
        ue.told("stopped(.*\n)*started(.*\n)*applied", mark)
        assert ue.board.resets[-1] == "hard reset"


LOOK = "from msgin5g import repl; repl.status(); repl.why(); repl.history()"


def test_who_looks_from_outside_leaves_a_trial_as_it_is(tmp_path):
    """The application hangs at once, and each time somebody looks before pressing reset."""
    with NodeBoard(tmp_path, CRASHES.replace("BAD", "while True: pass")) as ue:
        mark = confirmed(ue)
        ue.serve(blink_ms=100)
        for n_resets in range(3):
            ue.told("application runs with 100\n", mark)
            for _ in range(2):
                text = mpremote(ue.board, "exec", LOOK)
                assert f"  configuration on trial, {n_resets} of 3 resets\n" in text
                assert "  application  not started\n" in text
                assert "confirmed\n" not in text and "rolled back\n" not in text
            mark = ue.reset()
        ue.told("rolled_back reasons=\\['reset too often'\\]\n(.*\n)*.*runs with 500\n", mark)
        assert "newest one was rolled back, reset too often." in mpremote(
            ue.board, "exec", LOOK
        ).replace("\n", " ")


def test_who_looks_leaves_it_to_the_next_start_to_confirm_at_once(tmp_path):
    with NodeBoard(tmp_path, CRASHES) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("application runs with 500\n", mark)
        (tmp_path / "settings.json").write_text(json.dumps({**ue.settings, "confirm": "at_once"}))
        mpremote(ue.board, "cp", tmp_path / "settings.json", ":")
        for _ in range(2):
            text = mpremote(ue.board, "exec", LOOK)
            assert "  configuration on trial, 0 of 3 resets\n" in text
            assert "on trial: it waits for its confirmation.\n" in text
        mark = ue.reset()
        ue.told("application runs with 500\n", mark)
        assert "  configuration good\n" in mpremote(ue.board, "exec", LOOK)


def test_without_the_keys_of_the_application_nothing_is_stored(tmp_path):
    with NodeBoard(tmp_path, CRASHES) as ue:
        mark = confirmed(ue)
        ue.told("unchanged", mark)
        slots = "import os; print([open(d + n, 'rb').read() "
        slots += "for d in ('/', '/slots-0/', '/slots-1/') if d[1:-1] in os.listdir('/') + [''] "
        slots += "for n in os.listdir(d) if 'slot-' in n])"
        before = mpremote(ue.board, "exec", slots)
        assert "user-7@example.com" in before
        ue.serve(blink_ms=20)  # which the application forbids
        for command in ("fetch", "trace"):
            say = f"from msgin5g import repl; repl.{command}()"
            assert mpremote(ue.board, "exec", say) == (
                "Not without the keys of app: run main.py (Ctrl-D), press Ctrl-C, try again.\n"
            )
        say = "from msgin5g import repl; repl.confirm(); repl.trace(0)"
        text = mpremote(ue.board, "exec", say)
        assert text == "Nothing is on trial.\nMessages are not shown any more.\n"
        assert mpremote(ue.board, "exec", slots) == before
        ue.serve(blink_ms=200)
        mark = ue.reset()
        ue.told("application runs with 200\n", mark)
        say = "from msgin5g import repl; repl.confirm(); repl.status()"
        text = mpremote(ue.board, "exec", say)
        assert text.startswith("Not without the keys of app: ")
        assert "on trial, 0 of 3 resets\n" in text


COUNTS = """
n = 0


def step(node, now):
    global n
    n += 1
    if n == 3:
        print("application runs")
    return 100
"""
# Without a `step`: Ctrl-C in one counts as a failure, because it may have hung.
RUNS = """
import asyncio


async def main(node):
    await asyncio.sleep(0.3)
    print("application runs")
    await asyncio.sleep(1000)
"""
FAILS = "def changed(node):\n    if node.configuration:\n        raise ValueError('no')\n"


def counted(ue):
    """What repl.status() says of the resets."""
    text = mpremote(ue.board, "exec", "from msgin5g import repl; repl.status()")
    return re.search(r"on trial, (\d) of 3 resets", text)[1]


def test_restarts_by_hand_never_lead_to_safe_mode(tmp_path):
    with trial(tmp_path, RUNS) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("application runs\n", mark)
        for _ in range(3):
            mark = ue.board.output.mark()
            with Terminal(ue.board) as terminal:
                terminal.presses(b"\x03")
                terminal.presses(b"\x04", b"soft reboot\r\n")
            ue.told("application runs\n", mark)
            mark = ue.board.output.mark()
            mpremote(ue.board, "reset")
            ue.told("stopped(.*\n)*.*started .*\n(.*\n)*application runs\n", mark)
        text = ue.board.output.text()
        assert counted(ue) == "0" and "safe_mode" not in text, text


def test_safe_mode_is_the_first_line_and_another_app_leads_out_of_it(tmp_path):
    with trial(tmp_path, FAILS) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("started .*safe_mode=True", mark, 40)
        text = mpremote(ue.board, "exec", "from msgin5g import repl; repl.status()")
        assert text.startswith("Safe mode: the board was reset too often")
        said = msgin5g("doctor", "--port", ue.board.port, status=1)
        assert said.splitlines()[0].startswith("fail  safe mode ")
        said = msgin5g("flash", "--port", ue.board.port, "--watch")
        assert "safe mode: the board was reset too often" in said.splitlines()[-1], said
        mark = ue.board.output.mark()
        (tmp_path / "app.py").write_text(COUNTS)
        mpremote(ue.board, "cp", tmp_path / "app.py", ":")
        ue.reset()
        ue.told("application runs\n", mark)
        assert counted(ue) == "0"
