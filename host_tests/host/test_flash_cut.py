"""msgin5g flash cut short: killed after every single file, and the power cut while it commits."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from board_tools import Terminal, mpremote
from flash_setup import BUNDLES, Silent, Site, msgin5g, ue_file

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import programs
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.flashing import Job, Options, flash_board, wanted_files
from msgin5g_tools.device.install import install
from msgin5g_tools.device.inventory import take_inventory
from msgin5g_tools.device.session import Session, open_session

_OPTIONS = Options("mpremote", None, False, False, 5)
_N_MODULES = 6


class _KilledAfterFile(Silent):
    def copied(self, file):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def board():
    with VirtualBoard(heap="192K") as started:
        yield started


def flash_and_die(job, line, dies_in=None):
    """Flash in a process of its own; whether it was killed.

    dies_in: called with each program before it runs on the board; true kills the process as soon
    as the board has it.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if dies_in is not None:
                run = Session.run

                def deadly(session, program):
                    if dies_in(program):
                        session.start(program)
                        os.kill(os.getpid(), signal.SIGKILL)
                    return run(session, program)

                Session.run = deadly
            flash_board(job, _OPTIONS, BUNDLES, line)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_killed_after_every_single_file_the_board_boots_and_is_repaired(board, tmp_path):
    with Terminal(board) as terminal:
        terminal.types("import os; os.mkdir('msgin5g')")
        terminal.types("f = open('msgin5g/main.py', 'w'); n = f.write('print(\"the old one\")')")
        terminal.types("f.close(); f = open('main.py', 'w'); n = f.write('import msgin5g.main')")
        terminal.types("f.close()")
    settings = ue_file(tmp_path, 0)
    job = Job(board.port, "ue", settings.read_bytes(), b"{}")
    n_files = len(wanted_files(job, "ue", BUNDLES))
    for n in range(n_files):
        assert flash_and_die(job, _KilledAfterFile()), n
        mark = board.output.mark()
        board.reset()
        board.output.wait_for("the old one\n", since=mark)
    # Everything is on the board, nothing is in its place yet. Now killed at what comes next.
    for sign in ("for name in", "main.py.tmp", "os.rename('/main.py.tmp'"):
        assert flash_and_die(job, Silent(), lambda program, sign=sign: sign in program)
    mark = board.output.mark()
    board.reset()  # whichever main.py it was that got there
    board.output.wait_for("the old one|started ", since=mark)
    flash_and_die(job, Silent(), lambda program: "os.rmdir(new)" in program)
    mark = board.output.mark()
    board.reset()
    board.output.wait_for("started .*ue:0000", since=mark)
    with Site(tmp_path, 1):
        said = msgin5g("flash", "--port", board.port, "--settings", settings, "--watch")
        assert re.search(r"nothing to copy, configured after \d", said), said
    assert ".new" not in mpremote(board, "exec", "import os; print(os.listdir())")


@pytest.mark.parametrize("tool", ["mpremote", "ampy"])
def test_a_command_that_is_killed_at_any_time_is_repaired(tool, board, tmp_path):
    settings = ue_file(tmp_path, 0)
    arguments = ["flash", "--port", board.port, "--settings", settings, "--tool", tool]
    for n_lines in (2, 12) if tool == "mpremote" else (12,):
        child = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from msgin5g_tools.cli import main; main()",
                *map(str, arguments),
            ],
            stdout=subprocess.PIPE,
        )
        for _ in range(n_lines):
            child.stdout.readline()
        time.sleep(0.002 * n_lines)  # somewhere in the middle of a file
        child.kill()
        child.communicate()
        mark = board.output.mark()
        board.reset()
        board.output.wait_for(">>> ", since=mark)  # no main.py yet: the prompt
    said = msgin5g(*arguments, "--no-watch")
    found = re.search(r"(\d+) files copied, reset", said)
    assert found, said
    n_copied = int(found[1])
    assert 0 < n_copied < len(BUNDLES.of("ue")) - 3  # what was there already is not copied
    board.output.wait_for("started .*ue:0000", since=mark)


def test_a_power_cut_during_the_last_step_leaves_one_version_whole(board):
    def version(n):
        files = [file_of(f"msgin5g/m{i}.py", b"VERSION = %d" % n) for i in range(_N_MODULES)]
        extra = file_of(f"msgin5g/only{n}.py", b"")
        names = ", ".join(f"m{i}" for i in range(_N_MODULES))
        text = f"from msgin5g import {names}\n"
        text += f"print('runs', {{m.VERSION for m in ({names},)}}, {n})\n"
        return [*files, extra, file_of("main.py", text.encode())]

    def flash(n, cut_after_s=None):
        session = open_session(board.port)
        try:
            if cut_after_s is not None:
                run = session.run

                def cut(program):
                    if "os.rmdir(new)" not in program or "f.write" in program:
                        return run(program)
                    session.start(program)
                    time.sleep(cut_after_s)
                    board.power_cut()
                    raise InterruptedError

                session.run = cut
            install(session, take_inventory(session), version(n), Silent())
        finally:
            session.close()

    flash(0)
    for n in range(1, 13):
        with pytest.raises(InterruptedError):
            flash(n, cut_after_s=0.004 * (n - 1))
        mark = board.output.mark()
        board.power_on()
        board.output.wait_for(re.escape(f"runs {{{n}}} {n}\n"), since=mark)
        listing = mpremote(board, "exec", "import os; print(sorted(os.listdir('msgin5g')))")
        assert [name for name in eval(listing) if "only" in name] == [f"only{n}.py"]
    assert programs.STAGING not in mpremote(board, "ls")
