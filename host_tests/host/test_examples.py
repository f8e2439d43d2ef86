"""The examples start, and end as their pages say."""

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from node_board import NodeBoard

from msgin5g_testkit import Network
from msgin5g_tools.device.settings_check import read_settings
from msgin5g_tools.paths import ROOT
from test_docs_applications import UE_ID, applications

_SENSOR = ROOT / "examples" / "sleeping-sensor"


@pytest.mark.parametrize("where", [[], ["--micropython"]])
def test_a_sensor_that_sleeps(where):
    command = [Path(sys.executable).with_name("msgin5g"), "test", _SENSOR / "test_app.py", *where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_sensor_is_that_of_the_page_and_its_settings_are_valid():
    page, file = ast.parse(applications()[-1]), ast.parse((_SENSOR / "app.py").read_text())
    assert ast.dump(page) == ast.dump(ast.Module(file.body[1:], []))  # without its docstring
    assert read_settings(_SENSOR / "settings.json")[1].observe is False


def test_the_light_blinks_at_the_rate_of_the_configuration(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "firmware" / "examples")
    net = Network()
    server = net.server({UE_ID: {"blink-ms": 50}})
    ue = net.ue(UE_ID, application="blink")
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
