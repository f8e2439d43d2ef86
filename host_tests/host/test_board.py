"""The virtual board under real, unmodified mpremote and ampy, and as a command."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from addresses import host
from board_tools import COMMAND, Terminal, ampy, children, mpremote, tool, wait_until, write

from msgin5g_tools.board import BoardError, VirtualBoard

_EVERY_BYTE = bytes(range(256))


@pytest.fixture
def board():
    with VirtualBoard(heap="96K") as started:
        yield started


def test_mpremote_copies_files_there_and_back(board, tmp_path):
    back = tmp_path / "back"
    for name, data in (("every", _EVERY_BYTE), ("long", os.urandom(40 * 1024)), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        mpremote(board, "cp", tmp_path / name, f":{name}", "+", "cp", f":{name}", back)
        assert back.read_bytes() == data, name
    listing = mpremote(board, "ls")
    assert {tuple(line.split()) for line in listing.splitlines()[1:]} == {
        ("256", "every"),
        ("40960", "long"),
        ("0", "empty"),
    }
    assert "1048576" in mpremote(board, "df")


def test_mpremote_makes_shows_and_removes(board, tmp_path):
    (tmp_path / "note").write_text("one\ntwo\n")
    mpremote(board, "mkdir", "d", "+", "cp", tmp_path / "note", ":d/n")
    assert mpremote(board, "cat", "d/n") == "one\ntwo\n"
    mpremote(board, "rm", "d/n")
    assert mpremote(board, "ls", "d") == "ls :d\n"
    mpremote(board, "rmdir", "d")
    assert mpremote(board, "exec", "import os; print(os.listdir(), os.getcwd())") == "[] /\n"


def test_mpremote_copies_a_tree(board, tmp_path):
    inner = tmp_path / "tree" / "inner"
    inner.mkdir(parents=True)
    (inner / "every").write_bytes(_EVERY_BYTE)
    (tmp_path / "tree" / "code.py").write_text("print('imported')\n")
    mpremote(board, "cp", "-r", tmp_path / "tree", ":")
    assert mpremote(board, "exec", "import tree.code") == "imported\n"
    back = tmp_path / "back"
    back.mkdir()
    mpremote(board, "cp", "-r", ":tree", back)
    assert (back / "tree" / "inner" / "every").read_bytes() == _EVERY_BYTE


def test_mpremote_executes_and_runs(board, tmp_path):
    (tmp_path / "program.py").write_text("import sys\nprint(sys.platform, 6 * 7, sys.path)\n")
    ran = mpremote(board, "run", tmp_path / "program.py")
    assert ran == "linux 42 ['', '.frozen', '/lib']\n"
    assert "ZeroDivisionError" in mpremote(board, "exec", "1/0", status=1)
    assert mpremote(board, "exec", "import sys; n = sys.stdout.buffer.write(b'a\\nb')") == "a\nb"


def test_mpremote_mounts_a_directory_of_the_host(board, tmp_path):
    (tmp_path / "data").write_bytes(_EVERY_BYTE)
    (tmp_path / "module.py").write_text(
        "with open('data', 'rb') as f: data = f.read()\n"
        "with open('copy', 'wb') as f: n = f.write(data)\n"
        "print(n, data == bytes(range(256)), __file__)\n"
    )
    said = mpremote(board, "mount", tmp_path, "exec", "import module")
    assert said.endswith("256 True module.py\n")
    assert (tmp_path / "copy").read_bytes() == _EVERY_BYTE


def test_mpremote_resets(board):
    write(board, "boot.py", "print('boot', end='!')")
    write(board, "main.py", "import machine\nprint('main', machine.reset_cause())\n")
    mark = board.output.mark()
    mpremote(board, "soft-reset")  # into the raw REPL, as on every board: without main.py
    assert board.output.wait_for(r"soft reboot\n(.*)raw REPL", since=mark)[1] == "boot!"
    for press_reset in (board.reset, lambda: mpremote(board, "reset")):
        mark = board.output.mark()
        press_reset()
        board.output.wait_for("boot!main 2\nMicroPython ", since=mark)
    assert board.resets[0] == "power on" and board.resets[-1] == "hard reset"


def test_ampy_puts_gets_lists_removes_and_runs(board, tmp_path):
    (tmp_path / "every").write_bytes(_EVERY_BYTE)
    ampy(board, "put", tmp_path / "every")
    ampy(board, "get", "every", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == _EVERY_BYTE
    assert ampy(board, "ls") == "/every\n"
    ampy(board, "rm", "every")
    assert ampy(board, "ls") == ""
    (tmp_path / "program.py").write_text("print(6 * 7)\n")
    assert ampy(board, "run", tmp_path / "program.py") == "42\n"


def test_both_tools_interrupt_an_endless_main(board, tmp_path):
    write(board, "main.py", "import time\nprint('on')\nwhile True:\n    time.sleep(1000)\n")
    (tmp_path / "program.py").write_text("print('mine')\n")
    for interrupting in (mpremote, ampy):
        mark = board.output.mark()
        board.reset()
        board.output.wait_for("on\n", since=mark)
        assert interrupting(board, "run", tmp_path / "program.py") == "mine\n"


def test_two_boards_talk_over_udp(board):
    mine = host()
    bind = (
        "import socket\ns = socket.socket(2, 2)\n"
        f"a = lambda port: socket.getaddrinfo({mine!r}, port)[0][-1]\n"
    )
    with VirtualBoard(heap="96K") as other, Terminal(board) as terminal:
        assert other.port != board.port
        terminal.pastes(bind + "s.bind(a(65401))\nprint('bound')\nprint(s.recv(99))")
        terminal.presses(b"", b"bound\r\n")
        mpremote(other, "exec", bind + "n = s.sendto(b'hi', a(65401))")
        assert terminal.presses(b"") == b"b'hi'\r\n>>> "


def test_files_survive_a_power_cut(tmp_path):
    image = tmp_path / "flash.img"
    with VirtualBoard(image=image) as board:
        identity = mpremote(board, "exec", "import machine; print(machine.unique_id())")
        mpremote(board, "cp", __file__, ":kept")
        with pytest.raises(BoardError, match="another board uses it"):
            VirtualBoard(image=image).start()
        with Terminal(board) as terminal:
            terminal.pastes("while True:\n with open('busy', 'w') as f: n = f.write('x' * 5000)")
            time.sleep(0.05)
            board.power_cut()
            board.power_on()
        mpremote(board, "cp", ":kept", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == Path(__file__).read_bytes()
    process, port = _start_command("--image", image)
    tool("mpremote", "connect", port, "exec", "f = open('last', 'w'); f.write('word'); f.close()")
    found = children(process.pid)
    process.kill()
    process.communicate()
    assert len(found) == 1
    wait_until(lambda: _gone(found[0]))
    with VirtualBoard(image=image) as board:
        program = "import machine; print(open('last').read()); print(machine.unique_id())"
        assert mpremote(board, "exec", program) == "word\n" + identity


def test_the_command_prints_the_port_and_cleans_up(tmp_path):
    link = tmp_path / "port"
    for number in (signal.SIGTERM, signal.SIGINT):
        process, port = _start_command("--heap", "96K", "--link", link)
        assert os.readlink(link) == port
        assert tool("mpremote", "connect", link, "exec", "print(1)") == "1\n"
        found = children(process.pid)
        assert found and not any(_gone(child) for child in found)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == 0
        assert not link.is_symlink()
        assert all(_gone(child) for child in found)


def test_bad_arguments_give_one_line(tmp_path):
    (tmp_path / "text").write_text("not a file system " * 1000)
    with VirtualBoard(image=tmp_path / "damaged", image_size=64 * 1024):
        pass
    with open(tmp_path / "damaged", "r+b") as file:
        for block in (0, 4096):
            file.seek(block + 20)
            file.write(b"\x55" * 3000)
    for arguments in (
        ("--heap", "much"),
        ("--heap", "1K"),
        ("--image", tmp_path),
        ("--image", tmp_path / "text"),
        ("--image", tmp_path / "damaged"),
        ("--image", tmp_path / "missing" / "image"),
        ("--link", tmp_path / "text"),
    ):
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode != 0 and done.stdout == "", arguments
        assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1, done.stderr


def _start_command(*arguments):
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def _gone(pid):
    """Ended; it may still wait for whoever inherited it to ask for its status."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
