"""The checks of doctor, and the tables of provision, without a board."""

import calendar
import json
import time

import pytest

from msgin5g_tools.device import checks as checks_module
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.checks import FAIL, OK, WARN, checks, examine
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.device.events import SAFE_MODE
from msgin5g_tools.device.inventory import Inventory
from msgin5g_tools.device.starting import start_faults, try_to_start
from msgin5g_tools.device.table import read_table

NOW = calendar.timegm((2026, 5, 4, 3, 2, 1))
_SETTINGS = {"ue_id": "urn:x-msgin5g:ue:1", "next_hop": ["10.0.0.1", 65401]}
_FACTS = {
    "name": "micropython", "version": "1.24.0", "mpy": 6, "build": "ESP32_GENERIC",
    "machine": "Generic ESP32 module with ESP32", "platform": "esp32", "block": 4096,
    "free": 64 << 10, "size": 2 << 20, "id": "a0b1", "settings": None,
}  # fmt: skip
_EXAMINED = {
    "heap": 160 << 10, "heap_free": 64 << 10, "frozen": False, "boot": True, "broken": None,
    "main": "", "refused": None, "safe_mode": False, "time": [2026, 5, 4, 3, 2, 1],
    "known": True, "ping": 12, "wlan": None, "fs_at": None,
}  # fmt: skip
PACKAGE = [file_of("msgin5g/main.mpy", b"m" * 10), file_of("msgin5g/a.mpy", b"a")]
MAIN = file_of("main.py", b"import msgin5g")
WANTED = [*PACKAGE, MAIN]


def inventory(files=(), settings=None, **facts):
    given = None if settings is None else json.dumps(settings).encode().hex()
    text = json.dumps({**_FACTS, "settings": given, **facts})
    text += "".join(f"\nfile {len(f.data)} {f.sha256} /{f.path}" for f in files)
    return Inventory(text)


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    monkeypatch.setattr(checks_module.time, "time", lambda: NOW)


def marks(files=WANTED, settings=_SETTINGS, facts=(), **examined):
    """All checks as tuples, for a board that is well otherwise."""
    roles = []
    found = inventory(files, settings, **dict(facts))
    result = checks(found, {**_EXAMINED, **examined}, lambda role: roles.append(role) or WANTED)
    result = [tuple(check) for check in result]
    assert len(roles) == 1
    return result


def words_of(subject, found):
    return [(mark, words) for mark, about, words in found if about == subject]


def test_a_board_that_is_well_has_these_checks_in_this_order():
    assert marks() == [
        (OK, "MicroPython", "1.24.0, .mpy version 6"),
        (OK, "board", "Generic ESP32 module with ESP32 (ESP32_GENERIC), id a0b1"),
        (OK, "heap", "64 of 160 KiB free at the prompt"),
        (OK, "flash", "64 of 2048 KiB free"),
        (OK, "installed", "3 files, 11 bytes of msgin5g for ue, as in this checkout"),
        (OK, "settings", "valid: ue urn:x-msgin5g:ue:1"),
        (OK, "secrets", "none"),
        (OK, "security", "none: traffic is plain text"),
        (OK, "clock", "2026-05-04 03:02:01 UTC"),
        (OK, "network", "next hop 10.0.0.1:65401 answers a CoAP ping in 12 ms"),
    ]


def test_limits_of_version_heap_and_flash():
    for version, mark in (("1.23.0", FAIL), ("1.24.1", OK), ("1.30.0", OK), ("2.0.0", OK)):
        assert words_of("MicroPython", marks(facts={"version": version}))[0][0] == mark, version
    assert words_of("heap", marks(heap_free=(64 << 10) - 1))[0] == (
        WARN, "63 of 160 KiB free at the prompt",
    )  # fmt: skip
    assert words_of("flash", marks(facts={"free": (64 << 10) - 1}))[0] == (
        WARN, "63 of 2048 KiB free",
    )  # fmt: skip


def test_a_board_with_another_file_system_is_told_how_images_are_made_for_it():
    (found,) = words_of("board", marks(facts={"size": 6 << 20}, fs_at=0x220000))
    assert found[1].endswith(
        "; its file system takes msgin5g image --size 6144K; it begins at 0x220000"
    )
    (same,) = words_of("board", marks(fs_at=0x200000))
    assert same[1].endswith("id a0b1")
    (other,) = words_of("board", marks(facts={"build": "", "size": 1}, fs_at=1))
    assert other[1] == "Generic ESP32 module with ESP32 (esp32), id a0b1"
    (variant,) = words_of("board", marks(facts={"build": "ESP32_GENERIC-SPIRAM", "size": 1 << 20}))
    assert "--size 1024K" in variant[1]


def test_safe_mode_and_a_boot_py_without_an_end_are_faults():
    subject, _, words = SAFE_MODE.partition(": ")
    assert marks(safe_mode=True)[0] == (FAIL, subject, words) and subject == "safe mode"
    ((mark, words),) = words_of("boot.py", marks(boot=False))
    assert mark == FAIL and words.startswith("timed out after 10 s")


def test_what_is_installed_is_compared_with_this_checkout():
    def installed(files=WANTED, **more):
        return words_of("installed", marks(files, **more))

    differs = [PACKAGE[0], file_of("msgin5g/a.mpy", b"b"), MAIN]
    assert installed(differs) == [
        (WARN, "files: 1 missing or different from this checkout: msgin5g flash")
    ]
    old = file_of("msgin5g/old.mpy", b"")
    assert installed([*WANTED, old]) == [(WARN, "files: 1 that ue does not need: msgin5g flash")]
    assert installed([*differs, old])[0][1] == (
        "files: 1 missing or different from this checkout and 1 that ue does not need:"
        " msgin5g flash"
    )
    assert installed([PACKAGE[0], MAIN]) == [(FAIL, "msgin5g/a.mpy: missing: msgin5g flash")]
    assert installed(PACKAGE, main=None) == [(FAIL, "there is no main.py: msgin5g flash")]
    half = file_of("msgin5g.new/x", b"")
    assert installed([*WANTED, half])[0] == (
        WARN, "an installation was interrupted: msgin5g flash completes it",
    )  # fmt: skip


def test_a_package_that_is_frozen_or_in_lib_or_away():
    def installed(files=(), **more):
        return words_of("installed", marks(files, **more))

    lib = [file_of("lib/msgin5g/main.mpy", b"")]
    assert installed() == [(FAIL, "nothing: run msgin5g flash")]
    assert installed(frozen=True) == [(OK, "frozen into the image")]
    assert installed(lib) == [(WARN, "in /lib, which msgin5g flash leaves alone")]
    for main in (None, "does not start msgin5g"):
        assert installed(lib, main=main) == [
            (FAIL, "in /lib, so that no main.py runs: mip install --target /")
        ]
    twice = (WARN, "in /lib by mip as well; that copy does not run")
    assert installed([*WANTED, *lib])[0] == twice and len(installed([*WANTED, *lib])) == 2
    assert installed(lib, frozen=True) == [twice, (OK, "frozen into the image")]


def test_settings_that_are_wrong_unknown_or_away():
    wrong = marks(settings={"ue_id": "x"}, ping=None)
    ((mark, words),) = words_of("settings", wrong)
    assert mark == FAIL and words.startswith("ue_id: ")
    assert not words_of("security", wrong) and not words_of("network", wrong)
    away = marks(settings=None, refused="settings: x: y")
    assert words_of("settings", away) == [(FAIL, "there is no settings.json")]
    assert words_of("secrets", away) == [(OK, "none")]
    unknown = words_of("settings", marks(settings={**_SETTINGS, "colour": 1, "size": 2}))
    assert unknown[1] == (WARN, "unknown, ignored: colour, size")


def test_whether_traffic_is_protected_is_said_for_each_role():
    server = {"address": ["10.0.0.2", 5683]}
    relay = {"role": "relay", "ue_id": "urn:x:r", "server": server}
    oscore = {"security": {"mode": "oscore"}}
    for settings, words in (
        (_SETTINGS, "none: traffic is plain text"),
        ({**_SETTINGS, **oscore}, "OSCORE: what the board asks for is protected"),
        (relay, "none of its own: it relays what UEs protect as it is"),
        ({**relay, **oscore}, "OSCORE: what the board asks for is protected"),
        (
            {**relay, **oscore, "role": "gateway"},
            "OSCORE: what it asks for is protected; it serves UEs with a key only",
        ),
        (
            {**relay, "role": "gateway", "security": {"mode": "oscore", "required": False}},
            "OSCORE: what it asks for is protected; it serves UEs without a key, too",
        ),
    ):
        assert words_of("security", marks(settings=settings)) == [(OK, words)]
    for line in ("no key: secrets.json needs x", "oscore-a and oscore-b have no numbers"):
        refused = marks(settings={**_SETTINGS, **oscore}, refused=f"security: oscore: {line}")
        assert words_of("security", refused) == [(FAIL, f"oscore: {line}")]


def test_secrets_are_present_or_refused_and_never_shown():
    secrets = file_of("secrets.json", b"x")
    with_secrets = [*WANTED, secrets]
    assert words_of("secrets", marks(with_secrets)) == [
        (OK, "present; their values are never shown")
    ]
    refused = "settings: wifi.key: is missing"
    assert words_of("secrets", marks(with_secrets, refused=refused)) == [
        (FAIL, "with the settings: wifi.key: is missing")
    ]
    assert (FAIL, "wifi.key: is missing") in words_of("settings", marks(refused=refused))
    assert words_of("secrets", marks(with_secrets, refused="secrets: not JSON")) == [
        (FAIL, "not JSON")
    ]


def test_a_clock_is_right_within_a_minute():
    for off, expected in ((60, OK), (-60, OK), (61, WARN), (-61, WARN)):
        ((mark, words),) = words_of("clock", marks(time=list(time.gmtime(NOW + off)[:6])))
        assert mark == expected, off
        if mark == WARN:
            assert words.endswith(f", 61 s {'ahead' if off > 0 else 'behind'}")
    assert words_of("clock", marks(time=[2024, 12, 31, 0, 0, 0])) == [
        (WARN, "not set: 2024-12-31 00:00:00")
    ]
    ((_, words),) = words_of("clock", marks(time=[2025, 1, 1, 0, 0, 0]))
    assert words.endswith(" behind")


def test_the_network_is_said_with_the_wifi_and_the_next_hop():
    def network(**more):
        return words_of("network", marks(**more))

    assert network(wlan=[True, True, "10.0.0.7"])[0] == (OK, "Wi-Fi: 10.0.0.7")
    assert network(wlan=[True, False, "0.0.0.0"])[0] == (WARN, "Wi-Fi: not connected")
    assert network(wlan=[False, False, "0.0.0.0"])[0] == (
        WARN, "Wi-Fi: off; the firmware switches it on",
    )  # fmt: skip
    hop = "next hop 10.0.0.1:65401"
    assert network(ping="no answer") == [(WARN, f"{hop}: no answer")]
    assert network(ping="not known", known=False) == [(FAIL, f"{hop}: not known")]
    on, off = [True, True, "10.0.0.7"], [True, False, "0.0.0.0"]
    assert network(ping="not known", known=False, wlan=on)[1] == (FAIL, f"{hop}: not known")
    assert network(ping="not known", known=False, wlan=off)[1] == (WARN, f"{hop}: not known")
    gateway = {**_SETTINGS, "role": "gateway", "server": {"address": ["10.0.0.9", 5683]}}
    assert network(settings=gateway) == [(OK, "server 10.0.0.9:5683 answers a CoAP ping in 12 ms")]


class Board:
    """Stands for a Session: it gives these texts in turn, or raises."""

    boot_ended = True

    def __init__(self, *texts):
        self._texts = list(texts)
        self.given = []

    def run(self, program):
        self.given.append(program)
        text = self._texts.pop(0)
        if isinstance(text, Exception):
            raise text
        return text


def test_a_board_is_examined_with_a_ping_to_whom_it_asks():
    def program(settings, **more):
        facts = {"broken": None, "main": "", "frozen": False, "refused": False}
        session = Board('{"heap": 1}', json.dumps({**facts, **more}), " True\r\n")
        found = examine(session, inventory((), settings))
        return session.given, found

    given, found = program(_SETTINGS)
    assert "target = ['10.0.0.1', 65401]" in given[0] and "if None:" in given[0]
    assert found["safe_mode"] is True and found["heap"] == 1 and found["boot"] is True
    gateway = {**_SETTINGS, "role": "gateway", "server": {"address": ["10.0.0.9", 5683]},
               "bind": ["127.0.0.7", 65401]}  # fmt: skip
    given, _ = program(gateway)
    assert "target = ['10.0.0.9', 5683]" in given[0] and "if '127.0.0.7':" in given[0]
    given, _ = program(None)
    assert "target = None" in given[0] and len(given) == 3
    given, found = program(_SETTINGS, broken="ImportError: x")
    assert len(given) == 2 and found["safe_mode"] is False


def test_whether_a_board_would_start_is_what_it_prints_last():
    facts = {"frozen": False, "broken": None, "main": "", "refused": True}
    said = try_to_start(Board(f"x\r\nsettings: ue_id: is missing\r\n{json.dumps(facts)}\r\n"))
    assert said["refused"] == "settings: ue_id: is missing"
    assert try_to_start(Board(json.dumps(facts)))["refused"] is None
    facts["refused"] = False
    assert try_to_start(Board(f"x\n{json.dumps(facts)}\n"))["refused"] is None
    assert try_to_start(Board(DeviceError(6, "lost"))) == {
        "frozen": False, "broken": "the board hangs, reset it", "main": "", "refused": None,
    }  # fmt: skip


def test_why_a_board_would_not_start():
    def faults(files, broken=None, main="", frozen=False):
        starting = {"broken": broken, "main": main, "frozen": frozen}
        return list(start_faults(starting, inventory(files), WANTED))

    flash = ": msgin5g flash"
    assert faults(WANTED) == []
    assert faults(WANTED, broken="ValueError: x") == [
        f"msgin5g cannot be loaded: ValueError: x{flash}"
    ]
    assert faults([PACKAGE[0], MAIN]) == [f"msgin5g/a.mpy: missing{flash}"]
    assert faults([PACKAGE[1], MAIN]) == [], "it is another version, or that is said elsewhere"
    more = [*WANTED, file_of("msgin5g/b.mpy", b"")]
    starting = {"broken": None, "main": "", "frozen": False}
    assert list(start_faults(starting, inventory([PACKAGE[0]]), more)) == [
        f"msgin5g/a.mpy and 1 more: missing{flash}"
    ]
    assert faults(PACKAGE, main=None) == [f"there is no main.py{flash}"]
    assert faults(PACKAGE, main=None, frozen=True) == []
    assert faults(WANTED, main="cannot be compiled") == [f"main.py cannot be compiled{flash}"]


BASE = {"next_hop": ["10.0.0.1", 65401]}
_NO_ID = "unique_id: must be bytes in hex, as msgin5g doctor prints it"


def table(*lines):
    return read_table("\n".join(lines), BASE, "boards.csv")


def test_a_row_has_its_own_settings_and_those_of_all():
    rows, faults = table(
        "port, unique_id,label,ue_id,next_hop,wifi.ssid,refresh.min_s,secrets.wifi.key",
        "/dev/a,,Door 1,urn:x:1,,,,",
        "",
        ",E6:61:64,,urn:x:2,10.0.0.2:7,12345,30,12345678",
    )
    assert faults == []
    first, second = rows
    assert (first.number, first.port, first.unique_id, first.label) == (
        1,
        "/dev/a",
        None,
        "Door 1",
    )
    assert json.loads(first.settings) == {**BASE, "ue_id": "urn:x:1"} and first.secrets is None
    assert (second.number, second.port, second.unique_id) == (2, None, "e66164")
    assert second.label == "" and json.loads(second.secrets) == {"wifi": {"key": "12345678"}}
    assert json.loads(second.settings) == {
        "next_hop": ["10.0.0.2", 7], "ue_id": "urn:x:2", "wifi": {"ssid": "12345"},
        "refresh": {"min_s": 30},
    }  # fmt: skip


def test_rows_that_name_no_board_or_the_same_one_are_faults():
    head = "port,unique_id,ue_id,bind,secrets.psk"
    for lines, fault in (
        ((",,urn:x:1,,",), "row 1: port or unique_id is missing"),
        ((",e6616,urn:x:1,,",), f"row 1: {_NO_ID}"),
        ((",e6,urn:x:1,,",), f"row 1: {_NO_ID}"),
        (("a,,urn:x:1,,", "a,,urn:x:2,,"), "row 2: port: a is also in row 1"),
        ((",e661,urn:x:1,,", ",E661,urn:x:2,,"), "row 2: unique_id: e661 is also in row 1"),
        (("a,,urn:x:1,,", "b,,urn:x:1,,"), "row 2: ue_id: urn:x:1 is also in row 1"),
        (("a,,urn:x:1,10.0.0.7:5,", "b,,urn:x:2,10.0.0.7:5,"),
         "row 2: bind: 10.0.0.7:5 is also in row 1"),
        (("a,,urn:x:1,,s", "b,,urn:x:2,,s"), "row 2: secrets: the same secrets as row 1"),
    ):  # fmt: skip
        assert table(head, *lines)[1] == [fault], lines
    shared = table(head, "a,,urn:x:1,0.0.0.0:5,", "b,,urn:x:2,0.0.0.0:5,")
    assert shared[1] == [] and len(shared[0]) == 2


def test_a_fault_in_a_row_is_said_and_the_others_are_read():
    rows, faults = table("port,ue_id,colour", "a,none,", "b,urn:x:1,red", "c,urn:x:2,")
    assert [row.port for row in rows] == ["b", "c"]
    assert faults[0].startswith("row 1: ue_id: ")
    assert faults[1:] == ["row 2: colour: no such setting"]


def test_what_is_no_table_is_said_with_its_source():
    for text, fault in (
        ("", "it names no board"),
        ("port,ue_id\n", "it names no board"),
        ("port,port\na,b\n", "the heading has port twice"),
        ("port\na,b\n", "row 1: has more cells than the heading"),
        ("port,\na,b\n", "row 1: has more cells than the heading"),
        ("port,wifi,wifi.ssid\na,x,y\n", "wifi.ssid: wifi is not a group of settings"),
        ("{}", "must be a JSON array of objects"),
        ("[1]", "must be a JSON array of objects"),
        ('[{"port": 1}]', "row 1: port: must be a text"),
        ('[{}, {"secrets": 1}]', "row 2: secrets: must be an object"),
        ('[{"settings": []}]', "row 1: settings: must be an object"),
    ):
        with pytest.raises(DeviceError) as error:
            read_table(text, BASE, "boards")
        assert str(error.value) == f"boards: {fault}" and error.value.status == 1, text


def test_json_and_cells_give_the_same_rows():
    rows, faults = table(
        '{"boards": [{"port": "a", "ue_id": "urn:x:1", "refresh.min_s": 30,',
        '"settings": {"wifi": {"ssid": "plant"}}, "secrets": {"wifi": {"key": "12345678"}}}]}',
    )
    cells, more = table(
        "port,ue_id,refresh.min_s,wifi.ssid,secrets.wifi.key", "a,urn:x:1,30,plant,12345678"
    )
    assert faults == more == []
    assert json.loads(rows[0].settings) == json.loads(cells[0].settings)
    assert rows[0].secrets == cells[0].secrets


def test_groups_of_a_row_are_added_to_those_of_all_and_cells_are_json_where_they_look_so():
    base = {**BASE, "wifi": {"ssid": "plant"}, "refresh": {"min_s": 5}}
    rows, faults = read_table("port,ue_id,wifi.ssid,refresh.max_s,observe,next_hop\n"
                              'a,urn:x:1,hall,50,false,"[""10.0.0.8"", 9]"\n', base)  # fmt: skip
    assert faults == []
    found = json.loads(rows[0].settings)
    assert found["wifi"] == {"ssid": "hall"} and found["refresh"] == {"min_s": 5, "max_s": 50}
    assert found["observe"] is False and found["next_hop"] == ["10.0.0.8", 9]
    assert base["wifi"]["ssid"] == "plant" and base["refresh"] == {"min_s": 5}
