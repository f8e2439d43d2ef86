"""msgin5g flash on a board that stores a file wrong: reported, and never run half."""

import re

import pytest
from flash_setup import Silent

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import programs
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.errors import FAILED, DeviceError
from msgin5g_tools.device.install import install
from msgin5g_tools.device.inventory import take_inventory
from msgin5g_tools.device.session import open_session

# One byte of a file is another one on flash.
SPOIL = "g=open({path!r},'r+b');n=g.read();n=g.seek({at});n=g.write(b'#');g.close()"


@pytest.fixture(scope="module")
def board():
    with VirtualBoard(heap="192K") as started:
        yield started


def version(n):
    """A program of three modules, which prints its version."""
    files = [file_of(f"msgin5g/m{i}.py", b"VERSION = %d\n" % n) for i in range(3)]
    text = f"from msgin5g import m0, m1, m2  # {n}\n"
    text += "print('runs', (m0.VERSION, m1.VERSION, m2.VERSION))\n"
    return [*files, file_of("main.py", text.encode())]


def flash(board, n, spoilt=(), after=None):
    """Install a version; the programs that the board was given.

    spoilt: the paths of files that the board has stored wrong once it has run the program for
    which after(program) is true.
    """
    session = open_session(board.port)
    given = []
    run = session.run

    def spoiling(program):
        given.append(program)
        printed = run(program)
        if after is not None and after(program):
            for path in spoilt:
                run(SPOIL.format(path=path, at=0))
        return printed

    session.run = spoiling
    try:
        install(session, take_inventory(session), version(n), Silent())
    except DeviceError as error:
        assert error.status == FAILED
        return given, str(error)
    finally:
        session.close()
    return given, None


def commits(program):
    """Whether a program is the one that moves everything into place."""
    return "os.rmdir(new)" in program and "f.write" not in program


def runs(board, n):
    mark = board.output.mark()
    board.reset()
    board.output.wait_for(re.escape(f"runs ({n}, {n}, {n})\n"), since=mark)


def test_a_file_that_the_board_stages_wrong_is_reported_before_the_commit(board):
    assert flash(board, 0)[1] is None
    runs(board, 0)
    n = 0
    for names in (["msgin5g/m1.py"], ["main.py"], ["msgin5g/m0.py", "main.py"]):
        n += 1
        last = f"f=open('/{programs.STAGING}/main.py'"
        spoilt = [f"/{programs.STAGING}/{name}" for name in names]
        given, reason = flash(board, n, spoilt, lambda program, last=last: last in program)
        more = " and 1 more" if len(names) > 1 else ""
        assert reason == f"{names[0]}{more} read back wrong: flash it again"
        assert not any(map(commits, given)), "nothing is moved into place"
        runs(board, 0)  # what was there before
    # Flashed again it is repaired: what was stored right is not written once more.
    given, reason = flash(board, n)
    assert reason is None and any(map(commits, given))
    written = re.findall(r"/msgin5g\.new/(\S+?)'", "".join(p for p in given if "f.write" in p))
    assert written == ["msgin5g/m0.py", "main.py"]
    runs(board, n)


def test_a_file_that_the_board_installs_wrong_is_reported_at_the_end(board):
    assert flash(board, 10)[1] is None
    for names in (["msgin5g/m2.py"], ["main.py"], ["msgin5g/m2.py", "msgin5g/m1.py"]):
        spoilt = [f"/{name}" for name in names]
        given, reason = flash(board, 11, spoilt, commits)
        first = names[0] if len(names) == 1 else "msgin5g/m1.py and 1 more"
        assert reason == f"{first} read back wrong: flash it again"
        assert commits(given[-2]) and given[-1] == programs.INVENTORY
        assert flash(board, 11)[1] is None, "flashed again it is repaired"
        runs(board, 11)
        assert flash(board, 10)[1] is None
