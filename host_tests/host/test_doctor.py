"""msgin5g doctor: one line for each check on boards that are well, empty, wrong or gone."""

import json
import re

from board_tools import mpremote
from flash_setup import BUNDLES, Site, address, msgin5g, put, ue_file, ue_id
from person_shell import blocks, shown

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.device.errors import FAILED, PORT_MISSING, DeviceError
from msgin5g_tools.device.checks import FAIL, OK, WARN, checks, examine
from msgin5g_tools.device.inventory import Inventory, take_inventory
from msgin5g_tools.device.session import open_session
from msgin5g_tools.device.starting import try_to_start

_FACTS = {
    "name": "micropython",
    "version": "1.24.1",
    "mpy": 6,
    "build": "ESP32_GENERIC",
    "machine": "Generic ESP32 module with ESP32",
    "platform": "esp32",
    "block": 4096,
    "free": 1 << 20,
    "size": 2 << 20,
    "id": "a0b1c2d3e4f5",
    "settings": None,
}
_EXAMINED = {
    "heap": 160000,
    "heap_free": 150000,
    "frozen": False,
    "boot": True,
    "broken": None,
    "main": None,
    "refused": None,
    "time": [2000, 1, 1, 0, 0, 9],
    "ping": None,
    "wlan": None,
}


def test_a_board_that_is_well_and_goes_on_afterwards(tmp_path):
    with Site(tmp_path, 1), VirtualBoard(heap="128K") as board:
        said = msgin5g("doctor", "--port", board.port, status=1)
        assert _line(said, FAIL, "installed", "nothing: run msgin5g flash")
        assert _line(said, FAIL, "settings", "there is no settings.json")
        put(board, ue_file(tmp_path, 0))
        mark = board.output.mark()
        said = msgin5g("doctor", "--port", board.port)
        assert _line(said, OK, "MicroPython", r"1\.\d+\.\d+, \.mpy version 6")
        assert _line(said, OK, "board", r".*id [0-9a-f]{12}")
        assert _line(said, OK, "heap", r"\d+ of \d+ KiB free at the prompt")
        assert _line(said, OK, "flash", r"\d+ of 1024 KiB free")
        assert _line(said, OK, "installed", r"\d+ files, \d+ bytes of msgin5g for ue, as in this")
        assert _line(said, OK, "settings", f"valid: ue {ue_id(0)}")
        assert _line(said, OK, "secrets", "none")
        assert _line(said, OK, "security", "none: traffic is plain text")
        assert _line(said, OK, "clock", r"20\d\d-")
        hop = re.escape(f"next hop {address(1)}:65401")
        assert _line(said, OK, "network", rf"{hop} answers a CoAP ping in \d+ ms")
        board.output.wait_for("soft reboot\n(.*\n)*started ", since=mark)
        page = blocks("docs/operation.md")
        (lines,) = [block for block in page if block[0].startswith("    ok    MicroPython")]
        for line in lines:
            assert shown(line.removesuffix("...")).search(said), line
        assert len(lines) == said.count("\n")
    msgin5g("doctor", "--port", tmp_path / "none", status=PORT_MISSING)


def test_what_is_not_as_it_should_be(tmp_path):
    settings = ue_file(tmp_path, 0, colour="red")
    with VirtualBoard(heap="128K") as board:
        put(board, settings)
        mpremote(board, "exec", "import os; os.mkdir('msgin5g.new')")
        mpremote(board, "exec", "f = open('msgin5g/port/wlan.mpy', 'w'); f.close()")
        mpremote(board, "exec", "f = open('msgin5g/x.mpy', 'w'); f.close()")
        mpremote(board, "exec", "f = open('msgin5g.new/x.mpy', 'w'); f.close()")
        said = msgin5g("doctor", "--port", board.port, "--tool", "ampy")
        assert _line(said, WARN, "installed", "an installation was interrupted")
        assert _line(said, WARN, "installed", "files: 1 missing .* and 1 that ue does not need")
        assert _line(said, WARN, "settings", "unknown, ignored: colour")
        assert _line(said, WARN, "network", r"next hop .*: (no answer|.*E)")
        mpremote(board, "exec", "f = open('settings.json', 'w'); f.write('{}'); f.close()")
        said = msgin5g("doctor", "--port", board.port, "--json", status=1)
        found = [json.loads(line) for line in said.splitlines()]
        assert {"mark": FAIL, "subject": "settings"}.items() <= found[-3].items()
        assert found[-3]["words"].startswith("ue_id: is missing")


def test_what_would_not_start_is_a_fault(tmp_path):
    junk = "f = open({!r}, 'w'); f.write({!r}); f.close()"
    good = ue_file(tmp_path, 0)
    with VirtualBoard(heap="384K") as board:
        put(board, good)
        session = open_session(board.port)
        for program, subject, expected in (
            (
                junk.format("secrets.json", "XSECRETX{"),
                "secrets",
                "not JSON: .* at line 1, column 1",
            ),
            (
                junk.format("secrets.json", '{"wifi": {"ssid": "plant", "key": "short"}}'),
                "secrets",
                "with the settings: wifi.key: 5 bytes are not 8 to 64",
            ),
            (
                "import os; os.remove('secrets.json'); os.remove('msgin5g/services/ping.mpy')",
                "installed",
                "msgin5g/services/ping.mpy: missing",
            ),
            (junk.format("main.py", "print(1)"), "installed", "main.py does not start msgin5g"),
            (junk.format("main.py", "import msgin5g ("), "installed", "main.py cannot be comp"),
            ("import os; os.remove('main.py')", "installed", "there is no main.py"),
            (
                junk.format("msgin5g/main.mpy", "junk"),
                "installed",
                "msgin5g cannot be loaded: ValueError: incompatible .mpy",
            ),
            (
                "import os; os.remove('msgin5g/main.mpy')",
                "installed",
                "msgin5g cannot be loaded: ImportError: ",
            ),
            (
                "import os; os.mkdir('lib'); os.rename('msgin5g', 'lib/msgin5g')",
                "installed",
                "in /lib, so that no main.py runs: mip install --target /",
            ),
        ):
            session.run(program)
            inventory = take_inventory(session)
            found = checks(inventory, {**_EXAMINED, **try_to_start(session)}, BUNDLES.of)
            said = "".join(f"{' '.join(check)}\n" for check in found)
            assert _line(said, FAIL, subject, expected), said
            assert "SECRETX" not in said
        session.close()


def test_a_board_that_hangs_on_its_files_is_a_fault():
    class Hung:
        def run(self, program):
            raise DeviceError(FAILED, "the connection was lost")

    inventory = Inventory(json.dumps(_FACTS) + "\nfile 9 00 /msgin5g/main.mpy")
    found = checks(inventory, {**_EXAMINED, **try_to_start(Hung())}, lambda role: [])
    words = "msgin5g cannot be loaded: the board hangs, reset it: msgin5g flash"
    assert (FAIL, "installed", words) in found


def test_a_boot_py_without_an_end_is_a_fault(monkeypatch):
    monkeypatch.setattr("msgin5g_tools.device.session.BOOT_S", 1)
    with VirtualBoard(heap="128K") as board:
        mpremote(board, "exec", "f = open('boot.py', 'w'); f.write('while 1: pass'); f.close()")
        session = open_session(board.port)
        inventory = take_inventory(session)
        found = checks(inventory, examine(session, inventory), BUNDLES.of)
        session.close()
        assert (
            FAIL,
            "boot.py",
            "timed out after 10 s; main.py starts after its end: correct boot.py",
        ) in found


def test_what_only_other_boards_have():
    def marks(facts, examined, **files):
        text = json.dumps({**_FACTS, **facts})
        text += "".join(f"\nfile 9 00 /{path}" for path in files.get("paths", ()))
        found = checks(Inventory(text), {**_EXAMINED, **examined}, lambda role: [])
        return [" ".join(check) for check in found]

    lines = marks({}, {"frozen": True, "wlan": [True, True, "10.0.0.7"]})
    assert "ok installed frozen into the image" in lines
    assert "ok network Wi-Fi: 10.0.0.7" in lines
    assert "warn clock not set: 2000-01-01 00:00:09" in lines
    lines = marks(
        {"version": "1.22.0", "size": 6 << 20, "free": 9000},
        {
            "heap_free": 30000,
            "fs_at": 0x220000,
            "wlan": [False, False, "0.0.0.0"],
            "time": [2030, 1, 1, 0, 0, 0],
        },
        paths=["lib/msgin5g/main.mpy"],
    )
    assert "fail MicroPython 1.22.0, .mpy version 6: 1.24 or newer is needed" in lines
    assert any("msgin5g image --size 6144K; it begins at 0x220000" in line for line in lines)
    assert "warn heap 29 of 156 KiB free at the prompt" in lines
    assert "warn flash 8 of 6144 KiB free" in lines
    assert "fail installed in /lib, so that no main.py runs: mip install --target /" in lines
    assert "warn network Wi-Fi: off; the firmware switches it on" in lines
    assert any(line.startswith("warn clock 2030-01-01 00:00:00, ") for line in lines)
    lines = marks({}, {"frozen": True}, paths=["lib/msgin5g/main.mpy"])
    assert "warn installed in /lib by mip as well; that copy does not run" in lines


def _line(said, mark, subject, words):
    return re.search(rf"^{mark} +{subject} +{words}", said, re.MULTILINE) or print(said)
