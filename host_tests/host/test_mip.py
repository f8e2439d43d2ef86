"""`mpremote mip install` puts a role on the virtual board, from a checkout served on loopback."""

import functools
import http.server
import re
import threading

import pytest
from board_tools import mpremote
from flash_setup import Site, ue_file, ue_id

from msgin5g_tools.checks import packages
from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.paths import FIRMWARE, ROOT


@pytest.fixture
def served():
    """The address of firmware/, served as `python -m http.server` does."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=str(FIRMWARE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def documented(page, served):
    """The arguments of the one `mpremote mip install` of ours that a page shows."""
    text = (ROOT / page).read_text()
    (found,) = re.findall(r"mpremote (mip install .*http://127\.0\.0\.1:8000/\w+\.json)", text)
    return found.replace("http://127.0.0.1:8000", served).split()


@pytest.fixture
def board():
    with VirtualBoard(heap="192K") as started:
        yield started


def test_the_packages_are_in_order():
    assert list(packages.faults()) == []


def test_a_package_that_is_not_in_order(tmp_path, monkeypatch):
    found = packages.packages()
    assert "msgin5g/relay.py" in found["relay.json"]
    assert "msgin5g/relay.py" not in found["ue.json"]
    assert "msgin5g/coap/responder.py" in found["microcoapy.json"]
    for name in ("msgin5g", "main.py", "microcoapy"):
        (tmp_path / name).symlink_to(FIRMWARE / name)
    monkeypatch.setattr(packages, "FIRMWARE", tmp_path)
    monkeypatch.setattr(packages, "ROOT", tmp_path)
    monkeypatch.setattr(packages, "packages", lambda: {"ue.json": ["main.py", "a.py"]})
    assert list(packages.faults()) == ["ue.json: is missing"]
    wrong = ["b.py", "msgin5g/main.py"]
    (tmp_path / "ue.json").write_text(packages.text_of(wrong))
    assert list(packages.faults()) == [
        "ue.json: b.py does not exist, or is not where it belongs",
        "ue.json: a.py is needed and not listed",
        "ue.json: main.py is needed and not listed",
        "ue.json: b.py is listed and not needed",
        "ue.json: msgin5g/main.py is listed and not needed",
    ]


def test_a_role_is_installed_and_ends_configured(served, board, tmp_path):
    mpremote(board, *documented("docs/boards.md", served))
    listed = mpremote(board, "ls")
    assert "main.py" in listed and "msgin5g/" in listed
    for name in ("main.py", "msgin5g/ue.py"):
        mpremote(board, "cp", f":{name}", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (FIRMWARE / name).read_bytes(), name
    mpremote(board, "cp", ue_file(tmp_path, 0), ":settings.json")
    with Site(tmp_path, 1):
        mark = board.output.mark()
        board.reset()
        board.output.wait_for(f"started .*role=ue ue_id={ue_id(0)}\n(.*\n)*applied ", since=mark)


def test_the_drop_in_is_installed_into_lib(served, board):
    mpremote(board, *documented("docs/applications.md", served))
    program = "import microcoapy; print(microcoapy.Coap().get('127.0.0.1', 9, 'x'))"
    assert mpremote(board, "exec", program) == "[microcoapy]: not started\n0\n"
