"""For the tests of the conformance kit: the examples of its page, and the kit in this process."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from addresses import network
from peers import ROOT

from msgin5g_tools.conform.check import perform_all, select
from msgin5g_tools.conform.profile import Profile, missing
from msgin5g_tools.conform.roles import ROLES

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

EXAMPLES = ROOT / "examples" / "conform"
PROGRAM = "from msgin5g_tools.cli import main; main()"
_LIMIT_S = 150


class Examples:
    """The files of examples/conform, with addresses that nobody else has."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.prefix = network()
        for path in EXAMPLES.iterdir():
            text = path.read_text().replace("127.0.0.", self.prefix)
            (self.folder / path.name).write_text(text)

    def settings(self, role):
        return json.loads((self.folder / f"{role}.json").read_text())

    def profile(self, role):
        return tomllib.loads((self.folder / f"{role}.toml").read_text())


class Kit:
    """`msgin5g conform ROLE` as a process; `report` waits for its end."""

    def __init__(self, role, *arguments):
        command = [sys.executable, "-c", PROGRAM, "conform", role, *arguments, "--json"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def report(self):
        """(exit status, {check: row})."""
        out, err = self._process.communicate(timeout=_LIMIT_S)
        assert out, err.decode()
        rows = {row["check"]: row for row in json.loads(out)["checks"]}
        return self._process.returncode, rows

    @property
    def is_running(self):
        return self._process.poll() is None

    def kill(self):
        self._process.kill()
        self._process.communicate()


def run_kit(role, only=(), **values):
    """{check: Row} of a run in this process; a running event loop may be the peer's."""
    return asyncio.run(perform_role(role, only, **values))


async def perform_role(role, only=(), **values):
    profile = Profile(**values)
    async with ROLES[role].bench(profile) as bench:
        rows = await perform_all(
            select(ROLES[role].checks, only),
            bench.new_case,
            lambda check: missing(check, profile),
            ROLES[role].parallel,
            lambda row: None,
        )
    return {row.check.name: row for row in rows}


def with_verdict(rows, verdict):
    """The names of the checks that ended so."""
    return sorted(name for name, row in rows.items() if row.verdict == verdict)
