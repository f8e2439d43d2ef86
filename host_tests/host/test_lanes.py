"""The trees that the lanes run from are what the real tools put on a board."""

import functools
import http.server
import subprocess
import threading
from pathlib import Path

import pytest
from board_tools import mpremote
from flash_setup import put, ue_file
from littlefs import LittleFS, UserContext

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.checks import lanes
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.device import bundle
from msgin5g_tools.paths import FIRMWARE

_BLOCK_SIZE = 4096
# Prints path and content of every file of a mounted image.
_LIST = """
import os, sys, vfs
with open(sys.argv[1], "rb") as file:
    vfs.mount(vfs.VfsRom(file.read()), "/rom")
def show(folder):
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            show(path)
        else:
            with open(path, "rb") as file:
                print(path[5:], file.read().hex())
show("/rom")
"""


def files_of(image):
    """{path: bytes} of a board's flash."""
    blocks = len(image) // _BLOCK_SIZE
    context = UserContext(buffer=bytearray(image))
    system = LittleFS(context=context, block_size=_BLOCK_SIZE, block_count=blocks)
    found = {}
    for folder, _, names in system.walk("/"):
        for name in names:
            path = f"{folder}/{name}".lstrip("/")
            with system.open(path, "rb") as file:
                found[path] = file.read()
    return found


@pytest.mark.parametrize("role", bundle.ROLES)
def test_the_flash_lane_has_what_flash_copies(tmp_path, role):
    image = tmp_path / "board.img"
    with VirtualBoard(heap="192K", image=image) as board:
        put(board, ue_file(tmp_path, 0), role)
    found = files_of(image.read_bytes())
    expected = {file.path: file.data for file in bundle.build(role)}
    assert {path: found.get(path) for path in expected} == expected
    assert {path for path in found if path.startswith("msgin5g/")} <= set(expected)
    assert expected.items() <= lanes.flash_files().items()


def test_the_mip_lane_has_what_mip_installs(tmp_path):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(FIRMWARE))
    image = tmp_path / "board.img"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            package = f"http://127.0.0.1:{server.server_address[1]}/package.json"
            with VirtualBoard(heap="192K", image=image) as board:
                mpremote(board, "mip", "install", "--target", "/", package)
        finally:
            server.shutdown()
            thread.join()
    assert files_of(image.read_bytes()) == lanes.mip_files()


def test_the_romfs_lane_has_the_bytes_of_the_flash_lane(tmp_path):
    image = build_romfs(target=tmp_path / "all.romfs")
    (tmp_path / "list.py").write_text(_LIST)
    command = [interpreter_command(), "-X", "heapsize=4M", tmp_path / "list.py", image]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {path: bytes.fromhex(data) for path, data in map(str.split, done.stdout.splitlines())}
    expected = lanes.flash_files()
    del expected["main.py"]  # it stays on the board's own file system
    assert found == expected


def test_all_lanes_have_the_same_modules():
    def modules(files):
        return {Path(path).with_suffix("") for path in files}

    assert modules(lanes.mip_files()) == modules(lanes.flash_files())
    assert {row[0] for row in lanes.LANES if row[1] == "nodes"} == set(lanes.FORMS)
