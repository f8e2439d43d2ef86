"""msgin5g image: real MicroPython mounts it, boots it, writes to it, and is configured."""

import hashlib
import json
import subprocess

from board_tools import mpremote
from flash_setup import Site, msgin5g, ue_file, ue_id

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device import bundle
from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.device.errors import FAILED, WRONG_INPUT
from msgin5g_tools.commands.image import make_image
from msgin5g_tools.commands.run import interpreter_command


def test_an_image_boots_and_ends_configured(tmp_path):
    settings, out = ue_file(tmp_path, 0), tmp_path / "ue.img"
    (tmp_path / "secrets").write_text('{"psk": "0102"}')
    arguments = ["image", "--board", "RPI_PICO_W", "--settings", settings, "-o", out]
    said = msgin5g(*arguments, "--secrets", tmp_path / "secrets")
    assert f"ue {ue_id(0)}; file system of 848 KiB" in said
    assert f"picotool load -t bin {out} -o 0x1012c000" in said
    assert hashlib.sha256(out.read_bytes()).hexdigest() in said
    assert out.stat().st_size == 848 << 10 and out.stat().st_mode & 0o077 == 0
    with Site(tmp_path, 1), VirtualBoard(heap="128K", image=out) as board:
        board.output.wait_for("started .*\n(.*\n)*applied ")
        # Nothing differs from what flash would copy, and small files are read whole.
        said = msgin5g("flash", "--port", board.port, "--settings", settings)
        assert "nothing to copy" in said
        assert json.loads(mpremote(board, "cat", "secrets.json")) == {"psk": "0102"}
        assert "868352" in mpremote(board, "df")


def test_every_board_has_an_image_and_it_is_the_same_each_time(tmp_path):
    files = [*bundle.build("relay"), bundle.file_of("settings.json", b"{}")]
    for board in BOARDS.values():
        made = make_image(files, board.fs_size, board.prog_size)
        assert len(made) == board.fs_size, board
        assert make_image(files, board.fs_size, board.prog_size) == made
        assert board.offset % 4096 == 0
        (tmp_path / "out").write_bytes(made)
        with VirtualBoard(heap="96K", image=tmp_path / "out") as started:
            program = "f = open('x', 'w'); print(f.write('y' * 9000)); f.close()"
            assert mpremote(started, "exec", program) == "9000\n"
            said = mpremote(started, "sha256sum", "settings.json")
            assert hashlib.sha256(b"{}").hexdigest() in said


def test_what_does_not_fit_or_is_wrong_is_one_line(tmp_path):
    settings = ue_file(tmp_path, 0)
    start = ["image", "--board", "ESP32_GENERIC", "-o", tmp_path / "out"]
    for more, status, expected in (
        (["--settings", settings, "--size", "64K"], FAILED, "64 KiB is too small"),
        (["--settings", tmp_path / "none"], WRONG_INPUT, "No such file"),
        (["--settings", settings, "--role", "relay"], WRONG_INPUT, "server.address: is missing"),
        (["--settings", settings, "-o", tmp_path / "no" / "x"], WRONG_INPUT, "No such file"),
        (["--settings", settings, "--size", "5000"], 2, "whole blocks"),
    ):
        said = msgin5g(*start, *more, status=status)
        assert expected in said, said
    assert not (tmp_path / "out").exists()
    for more, expected in (
        (["--romfs"], "--romfs needs --role or --settings"),
        (["--romfs", "--role", "ue", "-o", tmp_path / "out.bin"], "end in .romfs or .img"),
        (["--romfs", "--role", "ue", "--size", "1M"], "do not go with --romfs"),
        (["--role", "ue"], "--board is missing"),
    ):
        said = msgin5g("image", "-o", tmp_path / "out.romfs", *more, status=2)
        assert expected in said, said
    said = msgin5g(
        "image", "--romfs", "--settings", tmp_path / "none", "-o", "x.romfs", status=WRONG_INPUT
    )
    assert "No such file" in said


def test_a_romfs_image_starts_a_ue_from_rom(tmp_path):
    out = tmp_path / "ue.romfs"
    said = msgin5g("image", "--romfs", "--settings", ue_file(tmp_path, 0), "-o", out)
    assert "the modules of a ue" in said and f"mpremote romfs deploy {out}" in said
    assert hashlib.sha256(out.read_bytes()).hexdigest() in said
    assert msgin5g("image", "--romfs", "--role", "ue", "-o", tmp_path / "again.romfs")
    assert (tmp_path / "again.romfs").read_bytes() == out.read_bytes()
    settings = ue_file(tmp_path, 0)
    program = (
        "import sys, vfs\n"
        f"vfs.mount(vfs.VfsRom(open({str(out)!r}, 'rb').read()), '/rom')\n"
        "sys.path.insert(0, '/rom')\n"
        "from msgin5g.main import main\n"
        f"print(main({str(settings)!r}, {str(tmp_path)!r}, True, True))\n"
    )
    with Site(tmp_path, 1):
        done = subprocess.run(
            [interpreter_command(), "-X", "heapsize=256K", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert '"applied"' in done.stdout, done.stdout + done.stderr
    assert done.stdout.strip().endswith("0")
