"""What flash does with a board, without a board: the inventory, the plan, the first boot."""

import io
import json
import re
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from msgin5g_tools.device import bundle, errors, flashing, programs
from msgin5g_tools.device.boards import BOARDS, board_fault, write_command
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.errors import (
    FAILED,
    NOT_CONFIGURED,
    NOT_MICROPYTHON,
    WRONG_INPUT,
    DeviceError,
    device_error,
)
from msgin5g_tools.device.flashing import Bundles, Job, Options, flash_board, wanted_files
from msgin5g_tools.device.install import install
from msgin5g_tools.device.inventory import (
    Inventory,
    conflict,
    feed_watchdog,
    plan,
    room_fault,
    take_inventory,
)
from msgin5g_tools.device.ports import all_ports, on_each
from msgin5g_tools.device.progress import reporter
from msgin5g_tools.device.serial_port import list_ports
from msgin5g_tools.device.session import BOOT_FAULT
from msgin5g_tools.device.settings_check import (
    asked_by,
    checked_secrets,
    checked_settings,
    file_text,
    read_file,
    read_secrets,
    read_settings,
    role_on_board,
)

_FACTS = {
    "name": "micropython", "version": "1.28.0", "mpy": 6, "build": "RPI_PICO_W",
    "machine": "Raspberry Pi Pico W with RP2040", "platform": "rp2", "block": 4096,
    "free": 400 << 10, "size": 848 << 10, "id": "e6616407e3", "settings": None,
}  # fmt: skip
_SETTINGS = {"ue_id": "urn:x-msgin5g:ue:1", "next_hop": ["10.0.0.1", 65401]}


def text_of(files=(), folders=(), **facts):
    """What a board prints; files: Files as they are on it."""
    lines = [json.dumps({**_FACTS, **facts})]
    lines += [f"folder /{path}" for path in folders]
    lines += [f"file {len(f.data)} {f.sha256} /{f.path}" for f in files]
    return "\r\n".join(lines) + "\r\n"


def board(files=(), folders=(), **facts):
    return Inventory(text_of(files, folders, **facts))


def hexed(settings):
    return json.dumps(settings).encode().hex()


def refused(work, *arguments):
    with pytest.raises(DeviceError) as error:
        work(*arguments)
    return error.value.status, str(error.value)


A, B = file_of("msgin5g/a.mpy", b"a"), file_of("msgin5g/b.mpy", b"bb")
MAIN = file_of("main.py", b"import msgin5g")
WANTED = [A, B, MAIN]


def staged(file):
    return file._replace(path=f"{programs.STAGING}/{file.path}")


def changed(file):
    return file_of(file.path, file.data + b"!")


def test_an_inventory_has_what_the_board_printed():
    spaced = file_of("msgin5g/a b.py", b"xyz")
    found = board([A, spaced, MAIN, staged(B)], ["msgin5g"], settings=b"{}".hex())
    assert found.files[spaced.path] == spaced.sha256
    assert found.folders == {"msgin5g"} and found.settings == b"{}"
    assert found.n_bytes == len(A.data) + len(spaced.data), "those of the package alone"
    assert found.staged == {B.path: B.sha256}
    assert set(found.installed) == {A.path, spaced.path, "main.py"}
    assert board().settings is None and "settings" not in board().facts


def test_what_is_no_inventory_is_one_line():
    for text in ("", "junk", "{}", "[]", text_of().replace("\r\n", "\nfile x\n", 1),
                 text_of() + "file many 00 /msgin5g/a", text_of(settings="0g"),
                 text_of(settings=5)):  # fmt: skip
        assert refused(Inventory, text) == (FAILED, "the board's inventory could not be read")


def test_only_a_micropython_that_loads_our_files_is_taken():
    board().require_micropython()
    status, words = refused(board(name="circuitpython").require_micropython)
    assert (status, words) == (NOT_MICROPYTHON, "this is circuitpython, not MicroPython")
    for version in (5, 7):
        status, words = refused(board(mpy=version, version="1.18.0").require_micropython)
        assert status == NOT_MICROPYTHON
        assert words.startswith(f"MicroPython 1.18.0 loads .mpy version {version}, and version 6")


def test_another_python_is_refused_when_its_inventory_is_taken():
    status, _ = refused(take_inventory, Board(text_of(name="circuitpython")))
    assert status == NOT_MICROPYTHON
    assert take_inventory(Board(text_of([A]))).installed == {A.path: A.sha256}


class Board:
    """Stands for a Session: it notes the programs, and gives these inventories in turn."""

    port = "/dev/board"
    serial = None

    def __init__(self, *inventories, boot_ended=True):
        self.given = []
        self.n_resets = 0
        self.boot_ended = boot_ended
        self._inventories = list(inventories)

    def run(self, program):
        if program == programs.INVENTORY:
            return self._inventories.pop(0)
        self.given.append(program)
        return ""

    def reset(self):
        self.n_resets += 1


def test_a_watchdog_in_the_settings_is_fed():
    for settings, ms in (
        ({"watchdog_s": 1}, 1000), ({"watchdog_s": 3600}, 3600000), ({"watchdog_s": 60}, 60000),
        ({"watchdog_s": 0}, None), ({"watchdog_s": -1}, None), ({"watchdog_s": 3601}, None),
        ({"watchdog_s": "60"}, None), ({}, None), ([], None),
    ):  # fmt: skip
        session = Board()
        feed_watchdog(session, board(settings=hexed(settings)))
        fed = [int(re.search(r"ms = (\d+)", program)[1]) for program in session.given]
        assert fed == ([] if ms is None else [ms]), settings
    session = Board()
    feed_watchdog(session, board())
    feed_watchdog(session, board(settings=b"not json".hex()))
    assert session.given == []


def test_a_plan_copies_what_differs_and_main_py_with_it():
    empty = plan(board(), WANTED)
    assert (empty.copy, empty.missing, empty.leftovers, empty.unwanted) == (WANTED, WANTED, [], [])
    assert plan(board(WANTED), WANTED) == ([], [], [], [])
    one = plan(board([changed(A), B, MAIN]), WANTED)
    assert one.copy == one.missing == [A, MAIN]
    main = plan(board([A, B, changed(MAIN)]), WANTED)
    assert main.copy == main.missing == [MAIN], "once"


def test_a_plan_removes_modules_that_a_role_does_not_need_and_nothing_else():
    others = [
        file_of(path, b"x")
        for path in ("msgin5g/old.py", "msgin5g/old.mpy", "msgin5g/notes.txt", "app.py",
                     "lib/msgin5g/x.mpy", "settings.json")
    ]  # fmt: skip
    found = plan(board([*WANTED, *others]), WANTED)
    assert found.unwanted == ["/msgin5g/old.mpy", "/msgin5g/old.py"]
    assert found.copy == found.missing == [MAIN]


def test_what_an_earlier_attempt_staged_right_is_not_copied_again():
    found = plan(board([staged(A), staged(changed(B)), staged(file_of("x", b""))]), WANTED)
    assert found.copy == [B, MAIN] and found.missing == WANTED
    assert found.leftovers == ["/msgin5g.new/msgin5g/b.mpy", "/msgin5g.new/x"]
    done = plan(board([*WANTED, staged(A)]), WANTED)
    assert (done.copy, done.leftovers) == ([], ["/msgin5g.new/msgin5g/a.mpy"])


def test_a_folder_in_the_place_of_a_file_and_a_file_in_that_of_a_folder_are_conflicts():
    assert conflict(board(WANTED, ["msgin5g"]), WANTED) is None
    for path in ("main.py", "msgin5g/a.mpy", "msgin5g.new/main.py", "msgin5g.new/msgin5g/a.mpy"):
        assert conflict(board(folders=[path]), WANTED) == (
            f"/{path} is a folder, where a file must go: remove it from the board"
        )
    deep = [file_of("msgin5g/coap/x.mpy", b"")]
    for path in ("msgin5g", "msgin5g/coap", "msgin5g.new", "msgin5g.new/msgin5g/coap"):
        assert conflict(board([file_of(path, b"")]), deep) == (
            f"/{path} is a file, where a folder must go: remove it from the board"
        )


def test_the_room_that_files_take_is_counted_in_blocks():
    def needed(files):
        fault = room_fault(board(free=0), files)
        return int(re.fullmatch(r"0 KiB are free on the board, (\d+) KiB are needed", fault)[1])

    small, limit = file_of("msgin5g/s", b"x" * 512), file_of("msgin5g/l", b"x" * 513)
    one, two = file_of("msgin5g/1", b"x" * 4096), file_of("msgin5g/2", b"x" * 4097)
    other = file_of("msgin5g/coap/2", b"x" * 4097)
    assert needed([]) == 8, "two blocks always"
    assert needed([small]) == 16, "a folder two, and a small file lies in it"
    assert needed([limit]) == needed([one]) == 20
    assert needed([two]) == 24 and needed([one, two, small]) == 28 and needed([two, other]) == 40
    assert room_fault(board(free=24 << 10), [two]) is None
    assert room_fault(board(free=(24 << 10) - 1), [two]).startswith("23 KiB are free")


class Line:
    def __init__(self):
        self.said, self.copies, self.totals = [], [], []

    def say(self, text):
        self.said.append(text)

    def total(self, n_files):
        self.totals.append(n_files)

    def copied(self, file):
        self.copies.append(file)


def test_an_installation_stages_verifies_commits_and_verifies():
    before = board([changed(A), file_of("msgin5g/old.py", b"")])
    session = Board(text_of([staged(f) for f in WANTED]), text_of(WANTED))
    line = Line()
    assert install(session, before, WANTED, line) == 3
    assert line.copies == WANTED and line.totals == [3]
    prepare, *writes, commit = session.given
    folders = re.search(r"for p in (\['/msg.*?\])", prepare)[1]
    assert folders == "['/msgin5g.new', '/msgin5g.new/msgin5g']"
    assert all(f"'/msgin5g.new/{f.path}'" in w for f, w in zip(WANTED, writes, strict=False))
    assert "os.rmdir(new)" in commit and "/msgin5g/old.py" in commit
    assert "/main.py.tmp" in "".join(writes[3:])


def test_an_installation_with_nothing_to_do_writes_nothing_but_removes_leftovers():
    session = Board()
    assert install(session, board(WANTED), WANTED, Line()) == 0 and session.given == []
    assert install(session, board([*WANTED, staged(A)]), WANTED, Line()) == 0
    (program,) = session.given
    assert "/msgin5g.new/msgin5g/a.mpy" in program


def test_a_dry_run_says_what_would_be_done_and_does_nothing():
    session, line = Board(), Line()
    found = board([A, file_of("msgin5g/old.py", b"")], free=0)
    assert install(session, found, WANTED, line, dry_run=True) == 2
    assert line.said == [
        "would copy msgin5g/b.mpy (2 bytes)",
        "would copy main.py (14 bytes)",
        "would remove /msgin5g/old.py",
    ]
    assert session.given == []


def test_no_room_and_a_conflict_are_said_before_anything_is_written():
    session = Board()
    assert refused(install, session, board(free=0), WANTED, Line())[0] == FAILED
    status, words = refused(install, session, board(folders=["main.py"]), WANTED, Line(), True)
    assert status == FAILED and words.startswith("/main.py is a folder")
    assert session.given == []


def test_files_that_read_back_wrong_are_named_before_the_commit_and_after_it():
    wrong, missing = staged(changed(A)), [staged(B), staged(MAIN)]
    for files, words in (
        ([wrong, *missing], f"{A.path} read back wrong: flash it again"),
        ([wrong, staged(B)], f"{A.path} and 1 more read back wrong: flash it again"),
        ([], f"{A.path} and 2 more read back wrong: flash it again"),
    ):
        session = Board(text_of(files))
        assert refused(install, session, board(), WANTED, Line()) == (FAILED, words)
        assert not any("os.rmdir(new)" in program for program in session.given)
    session = Board(text_of([staged(f) for f in WANTED]), text_of([A, changed(B), MAIN]))
    assert refused(install, session, board(), WANTED, Line()) == (
        FAILED, f"{B.path} read back wrong: flash it again",
    )  # fmt: skip
    assert "os.rmdir(new)" in session.given[-1]


def test_a_long_file_is_written_in_pieces_that_give_its_bytes():
    for size in (0, 1, 2048, 2049, 5000):
        data = bytes(i & 255 for i in range(size))
        given = list(programs.write_file("/x", data))
        assert len(given) == max(1, -(-size // 2048))
        written = io.BytesIO()
        written.close = lambda: None
        names = {"open": lambda *_: written}
        exec("from binascii import a2b_base64 as a", names)
        for program in given:
            exec(program, names)
        assert written.getvalue() == data and given[-1].endswith("f.close()\n")
        assert sum("open(" in program for program in given) == 1


@contextmanager
def at(session):
    yield session


@pytest.fixture
def flash(monkeypatch):
    """flash(session, job, options): what flash_board says, and the verdicts it waited for."""
    waited = []

    def watch_boot(session, wait_s, until_started, asked):
        assert asked == "10.0.0.1:65401"
        waited.append((wait_s, until_started))
        return True, "configured"

    monkeypatch.setattr(flashing, "watch_boot", watch_boot)
    monkeypatch.setattr(flashing.bundle, "build", lambda role: WANTED)

    def run(session, job, watch=None, dry_run=False, board=None):
        monkeypatch.setattr(flashing, "session_at", lambda port, tool: at(session))
        line = Line()
        options = Options("mpremote", board, dry_run, watch, 20)
        said = flash_board(Job("/dev/x", *job), options, Bundles(), line)
        return said, line.said, waited.copy()

    return run


def test_the_first_boot_is_watched_for_a_configuration_when_anything_was_copied(flash):
    known = {"settings": hexed(_SETTINGS)}
    copied = Board(text_of(**known), text_of([staged(f) for f in WANTED]), text_of(WANTED))
    said, line, waited = flash(copied, (None, None, None))
    assert said == "3 files copied, configured" and waited == [(20, False)]
    assert line[0] == "connecting" and line[-1] == "3 files copied, watching the first boot"
    said, _, waited = flash(Board(text_of(WANTED, **known)), (None, None, None))
    assert said == "nothing to copy, configured" and waited[1:] == [(20, True)]
    assert flash(Board(text_of(WANTED, **known)), (None, None, None), True)[2][2:] == [(20, False)]


def test_without_watching_or_without_settings_the_board_is_reset(flash):
    unwatched = Board(text_of(WANTED, settings=hexed(_SETTINGS)))
    said, _, waited = flash(unwatched, (None, None, None), watch=False)
    assert (said, unwatched.n_resets, waited) == ("nothing to copy, reset", 1, [])
    empty = Board(text_of(WANTED))
    said, _, waited = flash(empty, (None, None, None))
    assert said == "nothing to copy, no settings.json: pass --settings FILE"
    assert (empty.n_resets, waited) == (1, [])


def test_settings_of_the_job_go_on_an_empty_board(flash):
    data = json.dumps(_SETTINGS).encode()
    brought = file_of("settings.json", data)
    session = Board(text_of(WANTED), text_of([staged(brought), staged(MAIN)]),
                    text_of([*WANTED, brought]))  # fmt: skip
    # main.py comes along, and was staged already.
    said, _, waited = flash(session, (None, data, None))
    assert said == "2 files copied, configured" and waited == [(20, False)]


def test_a_dry_run_of_flash_says_how_many_files_or_that_it_is_up_to_date(flash):
    session = Board(text_of())
    said, *_ = flash(session, ("relay", None, None), dry_run=True)
    assert said == "3 files would be copied (relay)" and session.given == []
    gateway = {**_SETTINGS, "role": "gateway", "server": {"address": ["10.0.0.9", 5683]}}
    known = Board(text_of(settings=hexed(gateway)))
    assert flash(known, (None, None, None), dry_run=True)[0] == "3 files would be copied (gateway)"
    assert flash(Board(text_of(WANTED)), (None, None, None), dry_run=True)[0] == "up to date"
    said, *_ = flash(Board(text_of()), (None, None, None), dry_run=True)
    assert said == "3 files would be copied (ue)", "a board without settings is a UE"


def test_another_board_than_the_named_one_is_refused_before_it_is_changed(flash):
    session = Board(text_of())
    with pytest.raises(DeviceError) as error:
        flash(session, (None, None, None), board=BOARDS["ESP32_GENERIC"])
    assert error.value.status == NOT_MICROPYTHON and session.given == []
    assert str(error.value) == "this is RPI_PICO_W, not ESP32_GENERIC"


def test_a_board_is_named_by_its_build_its_machine_or_its_platform():
    named = BOARDS["RPI_PICO_W"]
    for build, machine, words in (
        ("RPI_PICO-V", "Pico", "RPI_PICO"), ("", "Pico", "Pico"), ("", "", "rp2"),
    ):  # fmt: skip
        facts = {"build": build, "machine": machine, "platform": "rp2"}
        assert board_fault(named, facts) == f"this is {words}, not RPI_PICO_W"
    for build, machine in (("RPI_PICO_W-V", "x"), ("", "x with RP2040")):
        assert board_fault(named, {"build": build, "machine": machine}) is None
    assert board_fault(named, {"build": "X", "machine": "x with RP2040"}) is not None
    assert board_fault(None, {}) is None


def test_exit_statuses_are_those_of_the_documentation():
    names = "WRONG_INPUT PORT_MISSING PORT_BUSY NOT_MICROPYTHON FAILED NOT_CONFIGURED"
    names += " WOULD_RESTART INTERRUPTED"
    assert [getattr(errors, name) for name in names.split()] == [1, 3, 4, 5, 6, 7, 8, 130]


def test_a_role_that_does_not_build_is_wrong_input(monkeypatch):
    def fails(role):
        raise bundle.BuildError(f"{role}: x.py")

    monkeypatch.setattr(bundle, "role_files", fails)
    assert refused(bundle.build, "ue") == (WRONG_INPUT, "build: ue: x.py")


def test_secrets_that_do_not_go_with_the_settings_on_the_board_are_refused(flash):
    on_board = hexed({**_SETTINGS, "wifi": {"ssid": "plant"}})
    secrets = b'{"wifi": {"key": "short"}}'
    session = Board(text_of(WANTED, settings=on_board))
    with pytest.raises(DeviceError) as error:
        flash(session, (None, None, secrets))
    assert error.value.status == WRONG_INPUT and "wifi.key" in str(error.value)
    assert session.given == []


def test_a_boot_py_without_an_end_is_said_and_the_first_boot_fails(flash):
    session = Board(text_of(WANTED, settings=hexed(_SETTINGS)), boot_ended=False)
    with pytest.raises(DeviceError) as error:
        flash(session, (None, None, None))
    assert error.value.status == NOT_CONFIGURED and BOOT_FAULT in str(error.value)
    assert session.n_resets == 1
    dry = Board(text_of(WANTED), boot_ended=False)
    assert flash(dry, (None, None, None), dry_run=True)[1] == ["connecting", BOOT_FAULT]
    well = Board(text_of(WANTED))
    assert flash(well, (None, None, None), dry_run=True)[1] == ["connecting"]


def test_each_role_is_compiled_once(monkeypatch):
    built = []
    monkeypatch.setattr(flashing.bundle, "build", lambda role: built.append(role) or [MAIN])
    bundles = Bundles()
    assert (
        bundles.of("ue") is bundles.of("ue") and bundles.of("relay") and built == ["ue", "relay"]
    )
    files = wanted_files(Job("", None, b"s", b"k"), "ue", bundles)
    assert [(f.path, f.data) for f in files[1:]] == [("settings.json", b"s")]
    assert wanted_files(Job("", None, None, None), "ue", bundles) == [MAIN]


def test_settings_and_secrets_are_checked_by_the_firmwares_rules():
    data = json.dumps(_SETTINGS).encode()
    assert checked_settings(data)[0] == data
    assert checked_settings(data, "ue")[0] == data, "the role that it has already"
    relay, parsed = checked_settings(
        json.dumps({**_SETTINGS, "server": {"address": ["10.0.0.9", 5683]}}).encode(), "relay"
    )
    assert json.loads(relay)["role"] == "relay" == parsed.role
    padded = data + b" " * (16384 - len(data))
    assert checked_settings(padded)[0] == padded
    assert refused(checked_settings, padded + b" ") == (
        WRONG_INPUT, "settings: 16385 bytes are above 16384",
    )  # fmt: skip
    assert refused(checked_settings, b"{}")[1].startswith("settings: ue_id: is missing")
    assert checked_secrets(b'{"psk": "x"}') == b'{"psk": "x"}'
    assert refused(checked_secrets, b"[]") == (WRONG_INPUT, "secrets: must be a JSON object")
    for wrong in (b"SECRET", b'{"psk": SECRET}', b"[" * 100000):
        status, words = refused(checked_secrets, wrong)
        assert status == WRONG_INPUT and words.startswith("secrets: not JSON")
        assert "SECRET" not in words
    assert asked_by(data) == "10.0.0.1:65401" and asked_by(b"{}") is None
    assert asked_by(relay) is None, "only a UE asks by itself"
    assert role_on_board(board()) is None
    assert role_on_board(board(settings=b"{}".hex())) is None
    assert role_on_board(board(settings=hexed(_SETTINGS))) == "ue"


def test_a_file_of_settings_that_is_wrong_is_named_with_what_is_wrong_in_it(tmp_path):
    file = tmp_path / "s.json"
    for read in (file_text, read_file, read_settings, read_secrets):
        status, words = refused(read, file)
        assert status == WRONG_INPUT and words.startswith(str(file)), words
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(_SETTINGS).encode())
    assert read_file(file) == json.dumps(_SETTINGS).encode() == read_settings(file)[0]
    file.write_text("{}")
    status, words = refused(read_settings, file)
    assert status == WRONG_INPUT and str(file) in words and "ue_id" in words
    file.write_text("[]")
    status, words = refused(read_secrets, file)
    assert status == WRONG_INPUT and str(file) in words


def test_the_command_that_writes_an_image_names_tool_and_address():
    assert write_command(BOARDS["ESP32_GENERIC"], "x.img") == (
        "esptool write_flash 0x200000 x.img"
    )
    assert write_command(BOARDS["RPI_PICO_W"], "x.img") == (
        "picotool load -t bin x.img -o 0x1012c000"
    )
    assert write_command(BOARDS["RPI_PICO2_W"], "x.img").endswith("-o 0x10180000")
    sizes = {name: (b.fs_size, b.offset, b.prog_size) for name, b in BOARDS.items()}
    assert sizes == {
        "ESP32_GENERIC": (0x200000, 0x200000, 32),
        "ESP32_GENERIC_S3": (0x600000, 0x200000, 32),
        "ESP32_GENERIC_C3": (0x200000, 0x200000, 32),
        "RPI_PICO_W": (0xD4000, 0x12C000, 256),
        "RPI_PICO2_W": (0x280000, 0x180000, 256),
    }


def test_progress_goes_to_standard_output_where_no_other_is_named(capsys):
    with reporter(["a"]) as lines:
        lines.lines["a"].end(True, "done")
    assert capsys.readouterr().out == "a: done\n"


def test_ports_are_those_on_usb_in_order(monkeypatch):
    found = [SimpleNamespace(device=name, vid=vid) for name, vid in
             (("/dev/b", 1), ("/dev/a", 0), ("/dev/ttyS0", None))]  # fmt: skip
    monkeypatch.setattr(list_ports, "comports", lambda: found)
    assert all_ports() == ["/dev/a", "/dev/b"]


def test_each_port_has_its_result_or_its_error():
    def work(port):
        if port == "b":
            raise DeviceError(4, "busy")
        if port == "c":
            raise KeyError("x")
        return port * 2

    results = on_each(["a", "b", "c"], work)
    assert results["a"] == ("aa", None)
    assert results["b"][0] is None and results["b"][1].status == 4
    error = results["c"][1]
    assert error.status == FAILED
    assert re.match(r"a bug in msgin5g: KeyError\('x'\) at test_device_plan.py:\d+", str(error))
    assert device_error(error) is error


def test_progress_is_a_line_for_each_thing_with_its_port():
    stream = io.StringIO()
    with reporter(["a", "b"], stream) as lines:
        first, second = lines.lines["a"], lines.lines["b"]
        first.total(2)
        first.copied(A)
        second.say("x\x1b[2J")
        first.copied(MAIN)
        first.end(True, "done")
        second.end(False, "failed: why")
    assert stream.getvalue().splitlines() == [
        "a: 1/2 msgin5g/a.mpy", "b: x\\x1b[2J", "a: 2/2 main.py", "a: done", "b: failed: why",
    ]  # fmt: skip


class _Tty(io.StringIO):
    def isatty(self):
        return True


def test_in_a_terminal_progress_is_a_bar_and_its_end_is_a_line_in_full(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = _Tty()
    with reporter(["/dev/a", "/dev/[b]"], stream) as bars:
        first, second = bars.lines["/dev/a"], bars.lines["/dev/[b]"]
        first.total(2)
        first.copied(A)
        second.say("[red]x\x1b[2J")
        first.end(True, "configured [1]")
        second.end(False, "no \x1b[2J")
    said = stream.getvalue()
    assert "/dev/a: configured [1]\n" in said and "/dev/[b]: no \\x1b[2J\n" in said
    assert "1/2" in said and "0/0" in said and "[2J" not in said.replace("\\x1b[2J", "")
    assert "done" in said and "failed" in said
    plain = _Tty()
    with reporter(["a"], plain, bars=False) as lines:
        lines.lines["a"].say("x")
    assert plain.getvalue() == "a: x\n"
