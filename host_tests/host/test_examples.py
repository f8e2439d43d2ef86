"""The examples start with the command of their pages, and end as these say."""

import ast
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from node_board import NodeBoard
from person_shell import blocks, commands

from msgin5g_testkit import Network
from msgin5g_tools.device.settings_check import read_settings
from msgin5g_tools.paths import ROOT
from test_docs_applications import UE_ID, applications

_EXAMPLES = ROOT / "examples"
_SENSOR = _EXAMPLES / "sleeping-sensor"
_FOLDERS = sorted(page.parent.name for page in _EXAMPLES.glob("*/README.md"))
_LIMIT_S = 300
_BIN = Path(sys.executable).parent
_PAGE = re.compile(r"http://\S+/")


def page(name):
    """(the command of a page, the lines that it promises): its first two blocks."""
    command, promised = blocks(f"examples/{name}/README.md")[:2]
    return commands(command)[0], [line.strip() for line in promised]


def missing(promised, output):
    """The lines that were not printed; `...` stands for anything in a line."""
    shown = [" ".join(line.split()) for line in output.splitlines()]

    def is_shown(line):
        pattern = ".*".join(map(re.escape, " ".join(line.split()).split("...")))
        return any(re.fullmatch(pattern, each) for each in shown)

    return [line for line in promised if not is_shown(line)]


@contextmanager
def started(command, folder, here=ROOT):
    """The command, typed by somebody who has activated .venv; folder: for temporary files."""
    process = subprocess.Popen(
        command,
        cwd=here,
        env={**os.environ, "PATH": f"{_BIN}:{os.environ['PATH']}", "TMPDIR": str(folder)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    guard = threading.Timer(_LIMIT_S, process.send_signal, [signal.SIGINT])
    guard.start()
    try:
        yield process
    finally:
        guard.cancel()
        process.send_signal(signal.SIGINT)  # nothing, when it has ended
        process.communicate(timeout=60)


def left_behind(folder):
    """The processes that have something to do with this folder for temporary files."""
    name = os.fsencode(folder)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if name in (process / "cmdline").read_bytes():
                found.append((process / "cmdline").read_bytes())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return found


@pytest.mark.parametrize("name", sorted({*_FOLDERS} - {"operator-postgresql"}))
def test_an_example_ends_as_its_page_says(name, tmp_path):
    command, promised = page(name)
    with started(command.split(), tmp_path) as process:
        output = process.stdout.read()
    assert process.returncode == 0, output
    assert promised and missing(promised, output) == [], output
    assert left_behind(tmp_path) == []
    assert [path for path in tmp_path.iterdir() if path.name.startswith("msgin5g-demo")] == []


def test_the_servers_with_postgresql_stay_until_ctrl_c_and_show_their_pages(short_folder):
    command, promised = page("operator-postgresql")
    with started(command.split(), short_folder) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if not missing(promised[-1:], line):
                break
        output = "".join(lines)
        assert missing(promised, output) == [], output
        pages = _PAGE.findall(output)
        assert len(pages) == 2
        for address in pages:
            with urllib.request.urlopen(f"{address}fleet", timeout=20) as answer:
                fleet = answer.read().decode()
            assert "urn:x-msgin5g:ue:0007" in fleet and "urn:x-msgin5g:ue:0008" in fleet
    assert process.returncode == 0
    assert left_behind(short_folder) == [] and os.listdir(short_folder) == []


@pytest.fixture
def short_folder():
    """A folder whose name leaves room for that of a Unix socket, for every user."""
    with tempfile.TemporaryDirectory(prefix="ex-") as folder:
        os.chmod(folder, 0o755)
        yield folder


def test_each_folder_is_in_the_index_with_its_command():
    index = (_EXAMPLES / "README.md").read_text()
    for name in _FOLDERS:
        row = next(line for line in index.splitlines() if f"]({name}/README.md)" in line)
        assert f"`{' '.join(page(name)[0].split()[:2])}`" in row, row
    folders = {path.name for path in _EXAMPLES.iterdir() if path.is_dir()}
    assert folders - {*_FOLDERS} <= {"conform", "__pycache__"}


@pytest.mark.parametrize("name", _FOLDERS)
def test_a_page_is_short(name):
    assert len((_EXAMPLES / name / "README.md").read_text().splitlines()) <= 40


def test_a_sensor_that_sleeps_on_micropython(tmp_path):
    with started([*page("sleeping-sensor")[0].split(), "--micropython"], tmp_path) as process:
        output = process.stdout.read()
    assert process.returncode == 0 and "1 passed" in output, output


def test_the_sensor_is_that_of_the_page_and_its_settings_are_valid():
    shown, file = ast.parse(applications()[-1]), ast.parse((_SENSOR / "app.py").read_text())
    assert ast.dump(shown) == ast.dump(ast.Module(file.body[1:], []))  # without its docstring
    assert read_settings(_SENSOR / "settings.json")[1].observe is False


def test_the_light_blinks_at_the_rate_of_the_configuration(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples" / "blinking-light")
    net = Network()
    server = net.server({UE_ID: {"blink-ms": 50}})
    ue = net.ue(UE_ID, application="app")
    for ms in (50, 250):
        server.serve(UE_ID, {"blink-ms": ms})
        net.sleep(10)
        ue.pin("LED").levels.clear()
        net.sleep(10)
        levels = ue.pin("LED").levels
        assert {b[0] - a[0] for a, b in itertools.pairwise(levels)} <= {ms, ms + 1}
        assert all(a[1] != b[1] for a, b in itertools.pairwise(levels))


def test_the_sensor_sleeps_and_wakes_on_a_virtual_board(tmp_path):
    settings = json.loads((_SENSOR / "settings.json").read_text())
    mine = {key: settings[key] for key in ("start_delay_s", "observe", "confirm")}
    app = (_SENSOR / "app.py").read_text().replace("low=10", "low=1")
    with NodeBoard(tmp_path, app, **mine) as ue:
        ue.serve(sleep_s=1)
        mark = ue.reset()
        wake = "app: measurement %d\n(.*\n)*?.*%s "
        ue.told(wake % (1, "applied"), mark)
        for n in (2, 3):  # 2.03: what is stored is the newest
            ue.told(wake % (n, "unchanged"), mark)
        assert ue.board.resets[-2:] == ("deep sleep", "deep sleep")
