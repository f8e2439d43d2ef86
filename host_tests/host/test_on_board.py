"""The unit tests run on a board, and leave it as it was."""

import re
import subprocess
import sys

from board_tools import mpremote, write

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.paths import ROOT


def on_board(port, *text):
    done = subprocess.run(
        [sys.executable, "-m", "msgin5g_tools.checks.board_tests", port, *text],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_the_unit_tests_on_a_board():
    with VirtualBoard(heap="96K") as board:
        write(board, "main.py", "print('still here')")
        mark = board.output.mark()
        status, lines = on_board(board.port, "test_re")
        assert status == 0, lines
        assert [line.split(":")[0] for line in lines[:-1]] == [
            "test_recovery",
            "test_replies",
            "test_resolver",
        ]
        assert re.match(r"[1-9]\d+ passed, 0 failed$", lines[-1])
        board.output.wait_for("still here", since=mark)
        assert mpremote(board, "exec", "import os; print(os.listdir('/'))") == "['main.py']\n"
        assert on_board(board.port, "test_of_nobody") == (1, ["0 passed, 0 failed"])
    status, lines = on_board("/dev/ttyACM9")
    assert status == 1 and lines == [
        "/dev/ttyACM9: Error: there is no such port; no board is connected"
    ]
