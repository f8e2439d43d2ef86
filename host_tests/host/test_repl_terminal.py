"""`from msgin5g import repl` on a virtual board, at mpremote's terminal, as a person sees it."""

import re
from contextlib import contextmanager

import pytest
from board_tools import mpremote
from node_board import NodeBoard, Person

COMMANDS = (
    "status config history why diff confirm rollback fetch trace links link_up link_down "
    "factory_reset help"
).split()
BLINK = "examples/blinking-light/app.py"
SECRETS = {"wifi": {"key": "swordfish-1"}, "mine": "swordfish-2"}


@pytest.fixture(scope="module")
def app(repository):
    return (repository / BLINK).read_text()


@contextmanager
def registered(app, folder):
    """A UE with the example application, which has got three documents: 500, refused, 100 ms."""
    settings = {"confirm": "application", "prompt": True, "trial_s": 600, "secrets": SECRETS}
    with NodeBoard(folder, app, **settings) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told(r"registered with(.*\n)*.*confirmed", mark)
        ue.serve(blink_ms=20)
        ue.told("refused .*'blink-ms: 20, less than 50'", mark)
        ue.serve(blink_ms=100, wifi_password="swordfish")
        ue.told("every 100 ms(.*\n)*.*registered with(.*\n)*.*confirmed", mark)
        yield ue


@contextmanager
def prompt(ue):
    """The prompt while main.py runs."""
    with Person(ue.board) as person:
        person.types("", "msgin5g> ")

        def does(line):
            return fits(person.types(line, "msgin5g> "))

        does.person = person
        yield does


@pytest.fixture(scope="module")
def ue(app, tmp_path_factory):
    """For tests that leave its configurations as they are, in any order."""
    with registered(app, tmp_path_factory.mktemp("ue")) as ue:
        yield ue


@pytest.fixture(scope="module")
def running(ue):
    with prompt(ue) as does:
        yield does


@pytest.fixture
def another(app, tmp_path):
    """A UE for a test that changes its configurations, and its prompt."""
    with registered(app, tmp_path) as ue, prompt(ue) as does:
        yield ue, does


@pytest.fixture
def stopped(tmp_path):
    """The board's own REPL after Ctrl-C, with a configuration on trial."""
    with NodeBoard(tmp_path, None, confirm="ping", trial_s=600) as ue:
        ue.serve()
        mark = ue.reset()
        ue.told("applied", mark)
        ue.told("unchanged", mark)
        with Person(ue.board) as person:
            person.presses(b"\x03")
            person.types("from msgin5g import repl")
            person.ue = ue
            person.does = lambda line: fits(person.types(line))
            yield person


def session(repository, prompt):
    """[(line, what it printed)] of the session at a prompt in docs/operation.md."""
    text = (repository / "docs/operation.md").read_text()
    text = text[text.index("## At the REPL\n") :]
    block = re.search(rf"^    {prompt}.*\n(    .*\n)+", text, re.MULTILINE)[0]
    parts = re.sub("^    ", "", block, flags=re.MULTILINE).split(prompt)
    return [part.split("\n", 1) for part in parts[1:]]


def plain(text):
    """What two sessions of other addresses, times and ETags have in common."""
    text = re.sub(r"127(\.\d+){3}", "ADDRESS", text.replace("\x1b[K", ""))
    text = re.sub(r"\b[0-9a-f]{16}\b", "ETAG", text)
    return " ".join(re.sub(r"\d+", "N", text).split())


def fits(text):
    """What was printed, every line of it within 80 columns."""
    for line in text.splitlines():
        assert len(line) <= 80, line
    assert "Traceback" not in text, text
    assert "swordfish" not in text
    return text


def test_the_documented_session_while_main_runs(repository, ue, running):
    lines = session(repository, "msgin5g> ")
    assert len(lines) == 10
    for line, printed in lines:
        mark = ue.board.output.mark()
        text = plain(running(line))
        assert plain(printed).startswith(text), line
        if "fetch" in line:
            ue.told("unchanged etag=.*\n", mark)
            for shown in plain(printed)[len(text) :].split(" <- "):
                assert shown.strip() in plain(ue.board.output.text(mark)).replace("msginNg> ", "")
        else:
            assert plain(printed) == text


def test_help_lists_every_command_and_explains_each(running):
    listed = re.findall(r"^  repl\.(\w+)\(\) +\S", running("repl.help()"), re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
    for command in COMMANDS:
        text = running(f"repl.help('{command}')")
        assert text.startswith(f"repl.{command}()\n  ") and len(text) > 50
    assert running("repl.help(repl.diff)") == running("repl.help('diff')")
    assert "There is no repl.reboot()" in running("repl.help('reboot')")


def test_status_while_main_runs(ue, running):
    text = running("repl.status()")
    assert text.startswith("ue urn:x-msgin5g:ue:0007\n  version      0.1.0, MicroPython ")
    assert re.search(r"\n  state        running for \d+ s\n", text)
    assert re.search(r"\n  ETag         [0-9a-f]{16}\n", text)
    assert f"\n  bound to     {ue.address}:65401\n" in text
    assert f"\n  asks         {ue.server}:5683\n" in text
    assert "\n  configuration good\n" in text
    assert "\n  document     ue-0007, observed\n" in text
    assert "\n  application  running\n" in text
    assert re.search(r"\n  memory       \d+ bytes free\n", text)


def test_config_shows_all_keys_and_no_secret(ue, running):
    text = running("repl.config()")
    assert f"  MSGin5G-Server-address   coap://{ue.server}:5683\n" in text
    assert "  Segment-size             not set\n" in text
    assert "  blink-ms                 100\n" in text
    assert "  wifi-password            (not shown)  (not known here)\n" in text
    assert re.search(r"  \(ETag\) +[0-9a-f]{16}\n", text)


def test_diff_shows_what_changed(running):
    text = running("repl.diff()")
    assert text == "- before: good\n+ newest: good\n  - blink-ms: 500\n  + blink-ms: 100\n" + (
        "  + wifi-password: (not shown)\n"
    )


def test_history_and_why_tell_what_was_refused_with_key_and_rule(running):
    text = running("repl.history()")
    assert text.startswith("Since the start, oldest first:\n")
    words = re.findall(r"s ago  (\w+)", text)
    assert words == "unconfigured applied confirmed refused applied confirmed".split()
    assert "ago  refused reasons=['blink-ms: 20, less than 50']\n" in text
    text = running("repl.why()")
    assert text.startswith("The newest configuration runs: it was confirmed.\n")
    assert "\nThe last one that was refused:\n  blink-ms: 20, less than 50\n" in text


def test_fetch_and_trace_while_main_runs(ue, running):
    mark = ue.board.output.mark()
    assert running("repl.trace()") == "Messages are shown until repl.trace(0).\n"
    assert running("repl.fetch()") == "Request queued; the answer is printed when it arrives.\n"
    ue.told(r"-> 127[\d.]+:5683 +CON GET mid \d+ observe 0  \d+ bytes\n +/su-uc/v1/", mark)
    ue.told(r"<- 127[\d.]+:5683 +ACK 2\.03 mid \d+ observe \d+  \d+ bytes\n", mark)
    ue.told("unchanged etag=", mark)
    assert running("repl.trace(0)") == "Messages are not shown any more.\n"
    fits(ue.board.output.text(mark).replace("\x1b[K", ""))


def test_links_confirm_and_factory_reset_while_main_runs(ue, running):
    assert f"  next hop     {ue.server}:5683\n" in running("repl.links()")
    assert running("repl.confirm()") == "Nothing is on trial.\n"
    text = running("repl.factory_reset()")
    assert text.startswith("This removes every configuration") and '("erase")' in text
    assert "blink-ms" in running("repl.config()")


def test_the_prompt_is_a_prompt(running):
    assert running("6 * 7") == "42\n"
    assert running("x = 1") == "" and running("x") == "1\n"
    text = running("len(node.transports)")
    assert text == "1\n"


def test_tab_completes_up_brings_back_and_a_block_goes_on(running):
    person = running.person
    text = person.presses(b"repl.his\t\r", "\nmsgin5g> $")
    assert text.replace("\x1b[K", "").startswith("repl.history\n<function")
    assert "confirmed" in person.presses(b"\x1b[A()\r", "\nmsgin5g> $")
    text = person.presses(b"for i in range(3):\r  i * 2\r\r", "\nmsgin5g> $")
    assert text.endswith("     ... \n0\n2\n4\nmsgin5g> ")


def test_rollback_while_main_runs_reaches_the_application(another):
    ue, running = another
    mark = ue.board.output.mark()
    assert running("repl.rollback()").startswith(
        "Rolled back: the configuration before it runs, until"
    )
    ue.told("blink: every 500 ms(.*\n)*.*registered with", mark)
    text = running("repl.why()")
    assert "newest one was rolled back, by hand." in text and text.count("by hand") == 1
    assert "  blink-ms                 500  (the default)\n" in running("repl.config()")
    assert "  configuration the last good one; the newest was rolled back\n" in running(
        "repl.status()"
    )
    assert "+ newest: rolled back\n" in running("repl.diff()")


def test_no_secret_was_told_by_any_event_or_command(another):
    ue, running = another
    mark = ue.board.output.mark()
    running("repl.rollback()")
    ue.told("blink: every 500 ms(.*\n)*.*registered with", mark)
    for command in COMMANDS:
        if command not in ("fetch", "trace", "link_up", "link_down"):
            running(f"repl.{command}()")
    running("repl.trace()")
    mark = ue.board.output.mark()
    running("repl.fetch()")
    ue.told("refused etag=", mark)
    running("repl.trace(0)")
    assert running("len(open('secrets.json').read()) > 50") == "True\n"  # they are there
    mark = ue.board.output.mark()
    ue.serve(blink_ms=300, wifi_password="swordfish-3", mqtt={"tokens": ["swordfish-4"], "qos": 1})
    ue.told(r"registered with(.*\n)*.*confirmed", mark)
    text = running("repl.config()")
    assert "  mqtt                     {qos: 1, tokens: (not shown)}  (not known here)\n" in text
    for at in ("['wifi-password']", "['mqtt']['tokens'][0]"):  # the application has them
        assert running(f"'sword' + 'fish' in node.configuration.configuration{at}") == "True\n"
    said = ue.board.output.text()
    assert "'wifi-password': '(not shown)'" in said and said.count("applied configuration") == 3
    for form in ("swordfish", b"swordfish".hex()):
        assert form not in said


def test_an_error_at_the_prompt_does_not_end_the_node(running):
    assert "ZeroDivisionError" in running.person.types("1/0", "msgin5g> ")
    assert "  state        running for " in running("repl.status()")


def test_the_documented_session_after_ctrl_c(repository, stopped):
    lines = session(repository, ">>> ")
    assert len(lines) == 8
    for line, printed in lines:
        if line == "repl.fetch()":
            stopped.ue.serve(Segment_size=512)
        said = plain(stopped.does(line))
        assert said == plain(printed), line
    # And the node is still there.
    assert "+ newest: rolled back\n" in stopped.does("repl.diff()")
    assert "There is no good configuration to go back to." in stopped.does("repl.rollback()")
    assert "Nothing is on trial." in stopped.does("repl.confirm()")
    assert len(re.findall("applied|confirmed", stopped.does("repl.history()"))) == 3
    assert "next hop" in stopped.does("repl.links()")
    assert stopped.does("repl.help()").count("\n") == len(COMMANDS)
    assert "  Segment-size             not set\n" in stopped.does("repl.config()")
    assert "by hand" in stopped.does("repl.why()")


def test_after_ctrl_c_trace_lets_it_work(stopped):
    text = stopped.does("repl.trace(1)")
    assert text.startswith("Messages of the next 1 s; Ctrl-C ends it.\n")
    text = stopped.does('repl.factory_reset("erase")')
    assert text.startswith("All configuration is removed.")
    assert stopped.does("repl.config()") == "There is no configuration yet.\n"
    assert "none yet" in stopped.does("repl.status()")


def test_without_main_the_settings_and_the_store_are_opened(tmp_path):
    with NodeBoard(tmp_path, None, confirm="ping") as ue:
        ue.serve()
        say = "from msgin5g import repl; repl.status(); repl.fetch(); repl.status(); repl.config()"
        text = fits(mpremote(ue.board, "exec", say))
        assert "  state        stopped" in text and "none yet" in text
        assert "  configuration on trial, 0 of 3 resets\n" in text
        assert "  MSGin5G-UE-Service-id    user-7@example.com\n" in text
        ue.serve(**{"evil\x1b[31m\nname": "v\x1b[2J\x9b\x7f\r\u00e4"})
        text = fits(
            mpremote(ue.board, "exec", "from msgin5g import repl; repl.fetch(); repl.config()")
        )
        assert (
            "  evil\\u001b[31m\\u000aname v\\u001b[2J\\u009b\\u007f\\u000d\u00e4"
            "  (not known here)\n" in text
        )
        assert "\x1b" not in text and "\x9b" not in text
        mpremote(ue.board, "rm", "settings.json")
        text = mpremote(ue.board, "exec", "from msgin5g import repl; repl.status()")
        assert text == "settings: settings.json: cannot be read\n"
