"""The examples start, and end as their pages say."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from msgin5g_tools.device.settings_check import read_settings
from msgin5g_tools.paths import ROOT
from test_docs_applications import applications

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
