"""A person who types the commands of a page at an interactive bash, and reads the screen."""

import os
import pty
import re
import select
import signal
import time
from pathlib import Path

from msgin5g_tools.paths import ROOT

_COMMAND = re.compile(
    r" {4}(\$ )?((?:make|python3?|msgin5g|mpremote|ampy|kill|curl|tshark|\.) .*?)(?: {2,}[#(].*)?$"
)
# The prompt has the status of the last command, and the number of this one: what works in the
# background writes between them at any time.
_PROMPT = "<<$?:\\#>> "
_ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]")
# What a person leaves: the keys for it, and what is on the screen by then. "|": a role that stays.
_LEAVE = {
    "--reset": (b"\x1d", "unchanged|applied"),
    "monitor": (b"\x1d", "leaves"),
    "repl": (b"\x18", "to exit"),
    "|": (b"\x03", "2[.]05"),
}


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


def shown(line):
    """A pattern for a line of output: numbers and hashes are other ones each time."""
    parts = re.split(r"([0-9a-f.,]*\d[0-9a-f.,]*|\s+)", line.strip())
    others = [r"\s+" if part.isspace() else "[0-9a-f.,]+" for part in parts[1::2]]
    texts = [re.escape(part) for part in parts[::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*others, ""], strict=True)))


class Shell:
    """A person at an interactive bash; `seen` is all that was on the screen.

    `names` maps what a page writes to what is typed in its place.
    """

    def __init__(self, names, folder=ROOT):
        self._names = names
        self.seen = ""
        pid, self._terminal = pty.fork()
        if pid == 0:
            kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
                       {**kept, "PS1": _PROMPT, "TERM": "dumb", "COLUMNS": "200"})  # fmt: skip
        self._pid = pid
        self._number = 1
        self._prompt(0)

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
        word = next((word for word in _LEAVE if word in command.split()), None)
        if word:
            keys, pattern = _LEAVE[word]
            self.waits(re.compile(pattern), since)
            self.types(keys)
            status = 130 if keys == b"\x03" else status
        self._number += 1
        ended = self._prompt(since)
        assert int(ended[1]) == status, (command, self.seen[since:])
        if command.endswith(" &"):
            ready = r"\S+Z info listening|\S+Z info started|/dev/pts|.*Serving HTTP"
            self.waits(re.compile(rf"^(.*<<0:[0-9]+>> )?({ready}).*\n", re.MULTILINE), since)
        return self.seen[since:]

    def _prompt(self, since):
        return self.waits(re.compile(rf"<<(\d+):{self._number}>> "), since)

    def close(self):
        os.close(self._terminal)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def end_of_what_names(folder):
    """End every process that works in this folder, or has it in its command line."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == folder
            if here or os.fsencode(folder) in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGTERM)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass  # it has ended by itself, or is another user's
