"""A traceback on a flashed board names the files and lines of the repository."""

import ast
import json
import re

import pytest
from board_tools import Terminal, mpremote
from flash_setup import PORT, address, msgin5g, put, ue_settings

from msgin5g_tools.board import VirtualBoard

_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')
_SERVER = {"address": [address(0), 5683]}
# Nobody answers: each role only has to run.
SETTINGS = {
    "ue": ue_settings(0),
    "relay": {"ue_id": "urn:x:1", "bind": [address(1), PORT], "server": _SERVER},
    "gateway": {"ue_id": "urn:x:1", "bind": [address(1), PORT], "server": _SERVER},
    "seal-c": {
        "ue_id": "urn:x:1",
        "bind": [address(1), PORT],
        "server": _SERVER,
        "seal_c": {"bind": [address(2), PORT], "peer": [address(3), PORT]},
    },
}
# Its first step raises in the firmware: the time for long work is a number.
APPLICATION = '''\
"""An application with a mistake."""


def step(node, now):
    node.work("long")
'''


def flash(board, folder, role):
    settings = folder / "settings.json"
    settings.write_text(json.dumps({"role": role, **SETTINGS[role]}))
    put(board, settings, role)


def statement_at(repository, file, line, function):
    """The text of the statement at a line of a source file, which is inside `function`."""
    source = (repository / file).read_text()
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= node.end_lineno
    ]
    functions = [n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    assert functions[-1:] == [function], (file, line, functions)
    return ast.get_source_segment(source, max(nodes, key=lambda node: node.lineno))


def frames_in_the_firmware(repository, text):
    """[(file, line, function)]; each calls the frame after it at this line of the repository."""
    frames = [(file, int(line), name) for file, line, name in _FRAME.findall(text)]
    for (file, line, name), called in zip(frames, [*frames[1:], None], strict=True):
        if file.startswith("firmware/"):
            statement = statement_at(repository, file, line, name)
            # A class is called by its own name, the function of the loop by its attribute.
            if called and called[2] not in ("__init__", "run"):
                assert called[2] + "(" in statement, (file, line, statement, called)
    return [frame for frame in frames if frame[0].startswith("firmware/")]


@pytest.mark.parametrize("role", SETTINGS)
def test_a_role_that_raises_at_the_repl(role, repository, tmp_path):
    with VirtualBoard(heap="256K") as board:
        flash(board, tmp_path, role)
        board.output.wait_for(f"started .*role={role} ")
        with Terminal(board) as terminal:
            terminal.presses(b"\x03")
            terminal.types("from msgin5g import node")
            text = terminal.types("node.current.receive(0, None, None, 0)")
    assert "TypeError" in text
    frames = frames_in_the_firmware(repository, text)
    assert (
        len(frames) > 1
        and frames[0][2] == "receive"
        and frames[-1][0].startswith("firmware/msgin5g/coap/")
    )


def test_an_application_that_raises_under_the_monitor(repository, tmp_path):
    with VirtualBoard(heap="192K") as board:
        flash(board, tmp_path, "ue")
        (tmp_path / "app.py").write_text(APPLICATION)
        mpremote(board, "cp", tmp_path / "app.py", ":")
        text = msgin5g("monitor", "--port", board.port, "--reset", "--for", 4)
    assert re.search(r'File "/?app.py", line 5, in step', text), text
    files = [frame[0] for frame in frames_in_the_firmware(repository, text)]
    assert "firmware/msgin5g/services/application.py" in files
    assert "firmware/msgin5g/port/event_loop.py" in files
