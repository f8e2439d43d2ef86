"""The commands of the README and of two pages, typed as they stand, against a virtual board.

Only names are other ones, so that runs side by side do not meet: the addresses 127.0.0.x, the
port /tmp/board, the examples (copied for that, the UE asks at once) and the database.
"""

import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
from addresses import network

from msgin5g_tools.device import bundle
from msgin5g_tools.device.settings_check import checked_settings
from msgin5g_tools.paths import ROOT

_COMMAND = re.compile(
    r" {4}(\$ )?((?:make|python|msgin5g|mpremote|ampy|kill|\.) .*?)(?: {2,}[#(].*)?$"
)
_OTHERS = {"make demo", "make test"}  # test_demo; and this is a part of the other
_PROMPT = re.compile(r"<<(\d+)>> ")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]")
_LEAVE = {"monitor": b"\x1d", "repl": b"\x18"}
_FAILS = {"/dev/ttyACM9": 3}


def blocks(page="README.md"):
    """The indented blocks of a page: lists of lines."""
    found = [[]]
    for line in (ROOT / page).read_text().splitlines():
        if line.startswith("    "):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [block for block in found if block]


def commands(block):
    return [match[2] for match in map(_COMMAND.match, block) if match]


class Shell:
    """A person at an interactive bash in the repository; `seen` is all that was on the screen."""

    def __init__(self, names):
        self._names = names
        self.seen = ""
        pid, self._terminal = pty.fork()
        if pid == 0:
            kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            os.chdir(ROOT)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
                       {**kept, "PS1": "<<$?>> ", "TERM": "dumb", "COLUMNS": "200"})  # fmt: skip
        self._pid = pid
        self.waits(_PROMPT)

    def here(self, text):
        for name, other in self._names.items():
            text = text.replace(name, other)
        return text

    def types(self, keys):
        os.write(self._terminal, keys)

    def waits(self, pattern, since=0, timeout=120):
        """Wait until the screen shows a pattern; the match."""
        until = time.monotonic() + timeout
        while True:
            match = pattern.search(self.seen, since)
            if match:
                return match
            assert time.monotonic() < until, (pattern.pattern, self.seen[since:])
            if select.select([self._terminal], [], [], 0.1)[0]:
                text = os.read(self._terminal, 65536).decode("utf-8", "replace")
                self.seen += _ANSI.sub("", text.replace("\r\n", "\n"))

    def does(self, command, status=0):
        """Type a command, wait for its end, or until it is ready; what the screen shows of it."""
        since = len(self.seen)
        self.types(self.here(command).encode() + b"\r")
        self.waits(re.compile(r"\n"), since)
        since = self.seen.index("\n", since) + 1
        keys = [keys for word, keys in _LEAVE.items() if word in command.split()]
        if keys:
            self.waits(re.compile("unchanged|applied|to exit"), since)
            self.types(keys[0])
        ended = self.waits(_PROMPT, since)
        assert int(ended[1]) == status, (command, self.seen[since:])
        if command.endswith(" &"):
            ready = r"\S+Z info listening|\S+Z info started|/dev/pts"
            self.waits(re.compile(rf"^(.*<<0>> )?({ready}).*\n", re.MULTILINE), since)
        return self.seen[since:]

    def close(self):
        os.close(self._terminal)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


@pytest.fixture
def shell(tmp_path):
    """A Shell whose commands name things of their own; what they started ends with it."""
    prefix = network()
    for file in (ROOT / "examples").glob("*.json"):
        settings = json.loads(file.read_text().replace("127.0.0.", prefix))
        settings.update({"start_delay_s": 0} if file.name == "ue.json" else {})
        (tmp_path / file.name).write_text(json.dumps(settings))
    names = {
        "127.0.0.": prefix,
        "/tmp/board": str(tmp_path / "board"),
        "examples/": f"{tmp_path}/",
        "scm.db": str(tmp_path / "scm.db"),
        "crowd.svg": str(tmp_path / "crowd.svg"),
    }
    person = Shell(names)
    yield person
    person.close()
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).stdout
    for pid in left.split():
        os.kill(int(pid), signal.SIGTERM)


def shown(line):
    """A pattern for a line of output: numbers and hashes are other ones each time."""
    parts = re.split(r"([0-9a-f.,]*\d[0-9a-f.,]*|\s+)", line.strip())
    others = [r"\s+" if part.isspace() else "[0-9a-f.,]+" for part in parts[1::2]]
    texts = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*others, ""], strict=True)))


def test_from_an_empty_board_to_configured_as_the_readme_says(shell):
    run = set()
    all_blocks = [block for block in blocks() if set(commands(block)) - _OTHERS]
    first = all_blocks[0]
    assert 5 < len(commands(first)) == len(first) <= 10
    following = blocks()[blocks().index(first) + 1 :]
    n_lines = 0
    for block in all_blocks[:2]:
        for command in commands(block):
            screen = shell.does(command)
            run.add(command)
            if block is first and "flash" in command:
                assert re.search(r"\d+ files copied, configured after \d\.\d s\n", screen), screen
                list(_transcribed(shell, transcript("docs/operation.md")))
            elif "doctor" in command:
                assert "warn" not in screen and "fail" not in screen, screen
        if block is first:
            for output in following[: following.index(all_blocks[1])]:
                for line in output:
                    assert shown(shell.here(line)).search(shell.seen), line
                    n_lines += 1
    assert n_lines > 3
    assert " info applied configuration={" in shell.seen
    assert "11 Uri-Path        su-uc" in shell.seen
    everything = {command for block in blocks() for command in commands(block)}
    assert everything - run == _OTHERS


def test_the_simulation_of_the_page_on_gateways(shell, tmp_path):
    block = transcript("docs/gateway.md")
    shell.does(". .venv/bin/activate")
    assert list(_transcribed(shell, block)) == commands(block)
    assert (tmp_path / "crowd.svg").exists()


def transcript(page):
    """The first block of a page that shows commands after `$ ` and what they print."""
    return next(block for block in blocks(page) if block[0].startswith("    $ "))


def _transcribed(shell, block):
    """Type what follows `$ `, see what follows that; the commands."""
    screen = ""
    for line in block:
        if line.startswith("    $ "):
            command = commands([line])[0]
            screen = shell.does(command, _FAILS.get(command.split()[-1], 0))
            yield command
        else:
            assert shown(shell.here(line)).search(screen), (line, screen)


def test_the_figures_of_an_installation_are_those_of_today():
    files = bundle.build("ue")
    text = (ROOT / "docs/operation.md").read_text()
    n_files, n_bytes = map(int, re.search(r"(\d+) files, (\d+) bytes of msgin5g", text).groups())
    assert abs(n_files - len(files)) <= 2, len(files)
    today = sum(len(file.data) for file in files if file.path != "main.py")
    assert abs(n_bytes - today) < today // 20, today


def test_the_examples_for_a_pico_w_fit_together():
    ue, relay = (
        checked_settings((ROOT / "examples" / name).read_bytes(), None)
        for name in ("pico-w.json", "pico-w-relay.json")
    )
    assert not ue[1].unknown and not relay[1].unknown
    address = json.loads(ue[0])["wifi"]["address"]
    links = json.loads(relay[0])["links"]
    assert links == {ue[1].ue_id: [address, 65401]}
    documents = json.loads((ROOT / "examples" / "documents.json").read_text())["documents"]
    assert ue[1].ue_id in documents[0]["ues"]
