"""`msgin5g test` on CPython, MicroPython and a board; the page of the test kit; the fixture."""

import re
import shutil
import subprocess
import sys
import textwrap

import pytest
from board_tools import mpremote

import msgin5g_testkit
from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.build.test_files import needed_by
from msgin5g_tools.paths import ROOT

_PAGE = ROOT / "docs" / "testkit.md"
_EXAMPLE = ROOT / "examples" / "test_my_app.py"
_BLOCK = re.compile(r"^(?: {4}.*\n(?:\n(?= {4}))*)+", re.MULTILINE)
_FAILING = """
import helper

def test_good():
    assert helper.double(2) == 4

def test_wrong():
    value = helper.double(3)
    assert value == 7
"""


def run(*arguments, timeout=120):
    """(status, output) of a command line of Python."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout


def command_test(*arguments):
    return run("-c", "from msgin5g_tools.cli import main; main()", "test", *arguments)


@pytest.fixture
def failing(tmp_path):
    (tmp_path / "helper.py").write_text("def double(n):\n    return 2 * n\n")
    file = tmp_path / "test_failing.py"
    file.write_text(_FAILING)
    return file


@pytest.fixture(scope="module")
def board():
    with VirtualBoard(heap="304K") as started:
        yield started


def test_the_example_passes_on_micropython_and_on_a_board_in_less_than_2_s(board):
    for where in (["--micropython"], ["--port", board.port]):
        status, output = command_test(_EXAMPLE, *where)
        assert status == 0 and output.endswith("1 passed, 0 failed\n"), output
        assert float(re.search(r"^ok .*  (\d+\.\d+) s$", output, re.MULTILINE)[1]) < 2, output


def test_a_failure_has_status_1_and_the_line_of_the_file_everywhere(failing, board):
    line = 1 + _FAILING[: _FAILING.index("assert value")].count("\n")
    for where, traceback in (
        ([], f"test_failing.py:{line}: AssertionError"),
        (["--micropython"], f'test_failing.py", line {line}, in test_wrong'),
        (["--port", board.port], f'File "test_failing.py", line {line}, in test_wrong'),
    ):
        status, output = command_test(failing, *where)
        assert status == 1 and traceback in output, (where, output)
        assert re.search(r"test_good PASSED|ok +test_good", output), output
        assert "1 passed" in output and "1 failed" in output, output
        status, output = command_test(failing, "-k", "good", *where)
        assert status == 0 and "test_wrong" not in output, output
    assert "msgin5g.test" not in mpremote(board, "exec", "import os; print(os.listdir('/'))")


def test_what_cannot_be_run_is_one_line(tmp_path, failing):
    for name in ("test-a.py", "test_a.txt"):
        (tmp_path / name).write_text("")
        status, output = command_test(tmp_path / name)
        assert status == 2 and "must be that of a Python module" in output, output
    assert command_test(failing, "--micropython", "--port", "x")[0] == 2
    status, output = command_test(failing, "--port", "/dev/ttyACM77")
    assert status == 3 and output.count("\n") == 1, output
    empty = tmp_path / "test_empty.py"
    empty.write_text("x = 1\n")
    for where in ([], ["--micropython"]):
        status, output = command_test(empty, *where)
        assert status == 1 and "Error: no test was found" in output, output
    empty.write_text("x = = 1\n")
    status, output = command_test(empty, "--micropython")
    assert status == 1 and "FAILED test_empty (import)" in output and "SyntaxError" in output


def test_a_board_gets_the_test_what_it_imports_or_names_and_nothing_else_of_its_folder(tmp_path):
    for name, text in {
        "test_a": "import one\nNAME = 'two'\n",
        "one": "import three\n",
        "two": "",
        "three": "",
        "four": "",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    needed = {name for name in needed_by(tmp_path / "test_a.py") if "testkit" not in name}
    assert needed == {"test_a", "one", "two", "three"}
    assert "msgin5g_testkit.cpython" not in needed_by(_EXAMPLE)
    assert "msgin5g_testkit.ue" in needed_by(_EXAMPLE)


def _of_python():
    """The blocks of the page in Python, as text."""
    found = map(textwrap.dedent, _BLOCK.findall(_PAGE.read_text()))
    return [text for text in found if re.match(r"from |def |import ", text)]


def test_each_block_of_the_page_runs(tmp_path):
    application, test, *others, fixture = _of_python()
    assert len(others) == 6
    (tmp_path / "lamp.py").write_text(application)
    (tmp_path / "test_lamp.py").write_text(test)
    for n, text in enumerate(others):
        body = textwrap.indent(text, "    ")
        (tmp_path / "test_lamp.py").open("a").write(f"\ndef test_block_{n}():\n{body}\n")
    status, output = command_test(tmp_path / "test_lamp.py", "--micropython")
    assert status == 0 and "7 passed" in output, output
    (tmp_path / "test_fixture.py").write_text(fixture)
    status, output = command_test(tmp_path / "test_lamp.py", tmp_path / "test_fixture.py")
    assert status == 0 and "8 passed" in output, output


def test_the_fixture_disturbs_nobody(tmp_path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n"
        "def test_nothing_of_it_is_imported():\n"
        "    assert not [name for name in sys.modules if name.startswith('msgin5g_testkit')]\n"
        "    assert 'micropython' not in sys.modules\n"
    )
    options = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    status, output = run(*options, "--rootdir", tmp_path, tmp_path)
    assert status == 0, output


def test_every_public_name_is_there_and_has_a_docstring():
    assert sorted(msgin5g_testkit.HOMES) == sorted(msgin5g_testkit.__all__)
    for name in msgin5g_testkit.__all__:
        assert getattr(msgin5g_testkit, name).__doc__, name


def test_the_project_of_a_user_needs_no_checkout(tmp_path):
    for name in ("my_app.py", "test_my_app.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    status, output = command_test(tmp_path / "test_my_app.py")
    assert status == 0 and "1 passed" in output, output
