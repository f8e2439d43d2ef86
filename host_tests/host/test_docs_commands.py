"""Every command of the pages, typed as it stands: on the host, at a virtual board, at a server.

Only names are other ones, so that runs side by side do not meet: addresses, ports, and the USB
port, which is a virtual board's. The commands of the README are in test_readme.py. A command that
cannot be typed here is in a table below, with the test that runs it, or with the reason.
"""

import json
import re

import pytest
from addresses import network
from person_shell import Shell, blocks, commands, end_of_what_names

from msgin5g_tools.board import VirtualBoard
from msgin5g_tools.decode.capture_writer import CaptureWriter
from msgin5g_tools.paths import ROOT

# These do not end by themselves: a person leaves them with Ctrl-C. They end with their block.
_STAYS = re.compile(r"msgin5g (scm-server (?!.*--print-config)|board|run (?!.*--once))")
_MAKE = "test_docs.py::test_targets_of_make_and_modules_exist"
# A pattern for commands -> the test that runs the same thing.
_ELSEWHERE = {
    r"make ": _MAKE,
    r"msgin5g bench --plan": "test_bench_plan.py::test_figures_are_measured_with_each_engine",
    r"msgin5g simulate --ues 100 ": (
        "test_tour.py::test_the_chart_shows_the_figures_that_the_command_beside_it_draws_today"
    ),
    r"msgin5g simulate": "test_readme.py::test_the_simulation_of_the_page_on_gateways",
    r"msgin5g (conform|.* examples/conform/|scm-server .* --db conform.db)": (
        "test_conform.py::test_ours_passes"
    ),
    r"msgin5g demo --diagram": (
        "test_demo.py::test_the_diagram_and_the_picture_of_the_tour_show_this_run"
    ),
    r"msgin5g demo --gateway --diagram": (
        "test_demo_gateway.py::test_the_picture_of_the_tour_shows_this_run"
    ),
    r"msgin5g start ": "test_examples.py::test_an_example_ends_as_its_page_says",
    r"msgin5g test ": "test_test.py::test_each_block_of_the_page_runs",
    r"msgin5g decode --live": "test_decode_live.py::test_datagrams_of_an_interface_as_they_come",
    r"sudo -u postgres |export MSGIN5G_DB=|msgin5g (scm-server|documents import)( [^ ]+){1,2}$": (
        "test_scm_postgresql.py::test_a_server_that_is_killed_leaves_the_others_at_work"
    ),
    r"pip install .msgin5g-firmware|msgin5g scm-server .*--web |\(umask 077; echo .alice": (
        "test_web_browser.py::test_off_loopback_a_token_is_needed_and_enough"
    ),
    # It would take the boards of the person who runs the tests.
    r"msgin5g flash --all": "test_flash_ports.py::test_in_a_terminal_a_dry_run_is_a_list_too",
    r"mpremote mip install|mpremote cp settings.json|python3 -m http.server": (
        "test_mip.py::test_a_role_is_installed_and_ends_configured"
    ),
}
# A virtual board has no ROMFS partition; test_lanes.py runs the firmware from a mounted image.
_NOT_HERE = r"mpremote romfs (query|deploy)|make -C \$MICROPYTHON_TREE"

_PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "boards" / "README.md"])
_PLAYED = ["docs/applications.md", "docs/boards.md", "boards/README.md"]
_PLAYED += ["docs/operation.md", "docs/security.md", "docs/server.md"]

_UE = {"ue_id": "urn:x-msgin5g:ue:0007", "start_delay_s": 0}


def typed(page):
    """(block, its commands that are typed here)."""
    for block in blocks(page):
        mine = [command for command in commands(block) if not _elsewhere(command, block)]
        if mine:
            yield block, mine


def _elsewhere(command, block):
    # What follows "$ " is a transcript: test_readme.py types it and compares what it prints.
    told = any(line.startswith(f"    $ {command}") for line in block)
    return told or any(re.match(pattern, command) for pattern in [*_ELSEWHERE, _NOT_HERE])


def test_a_command_is_typed_here_or_in_the_test_that_is_named():
    for test in _ELSEWHERE.values():
        file, name = test.split("::")
        assert f"def {name}(" in (ROOT / "host_tests" / "host" / file).read_text()
    for page in _PAGES:
        name = page.relative_to(ROOT).as_posix()
        if name not in _PLAYED:
            assert list(typed(name)) == [], name


class Desk:
    """A folder as a person has it, two boards, and a server and a relay if asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.prefix = network()
        self._boards = [VirtualBoard(), VirtualBoard()]
        self._fill()
        self._names = {
            "192.0.2.1": f"{self.prefix}1",
            "127.0.0.": self.prefix,
            " --metrics 9100": f" --bind {self.prefix}1:5683 --metrics {self.prefix}1:9100",
            " --metrics 9101": f" --metrics {self.prefix}1:9101",
            "--link /tmp/board": f"--link {folder}/board",
        }
        self.shell = None

    def __enter__(self):
        for n, board in enumerate(self._boards):
            self._names[f"/dev/ttyACM{n}"] = board.start().port
        table = self.folder / "boards.csv"
        table.write_text(table.read_text().format(port=self._boards[0].port))
        self._names["mpremote "] = f"mpremote connect {self._boards[0].port} "
        self.shell = Shell(self._names, self.folder)
        self.shell.does(f"export HOME={self.folder} PATH={ROOT}/.venv/bin:$PATH")
        return self

    def __exit__(self, *_):
        self.shell.close()
        end_of_what_names(self.folder)
        for board in self._boards:
            board.stop()

    def serves(self):
        """A document, the server, and the relay of the examples; they stay."""
        self.shell.does("msgin5g documents import documents.json --db scm.db")
        self.shell.does("msgin5g scm-server --bind 127.0.0.1:5683 --db scm.db &")
        self.shell.does("msgin5g run --role relay --settings examples/relay.json &")

    def plays(self, page):
        """Type the commands of a page, block by block; how many they were."""
        n = 0
        for _, block in typed(page):
            for command in block:
                stays = _STAYS.match(command) and not command.endswith(" &") and "|" not in command
                if "--role relay" in command:
                    self.shell.does("kill %2; wait %2 || true")  # the one of `serves`
                self.shell.does(command + " &" if stays else command)
                n += 1
            if any(_STAYS.match(command) for command in block):
                self.shell.does("kill $!; wait $! || true")
        return n

    def _fill(self):
        """What the pages call ue.json, boards.csv and so on."""
        for name in ("firmware", "boards"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "examples").mkdir()
        light = ROOT / "examples" / "blinking-light"
        (self.folder / "examples" / light.name).symlink_to(light)
        for file in (ROOT / "examples").glob("*.json"):
            text = file.read_text().replace("127.0.0.", self.prefix)
            (self.folder / "examples" / file.name).write_text(text)
        ues = [
            {**_UE, "bind": [f"{self.prefix}3", 65401], "next_hop": [f"{self.prefix}2", 65401]},
            {"ue_id": "urn:x-msgin5g:ue:0008", "bind": [f"{self.prefix}4", 65401]},
        ]
        ues[1].update(next_hop=[f"{self.prefix}1", 5683], next_hop_is="server")
        for name, settings in {
            "ue.json": ues[0],
            "ue-1.json": ues[0],
            "ue-2.json": ues[1],
            "examples/ue.json": {**ues[1], "bind": [f"{self.prefix}5", 65401]},
            "examples/pico-w.json": {**ues[0], "wifi": {"ssid": "site", "key": "12345678"}},
            "base.json": {"start_delay_s": 0},
            "secrets.json": {"psk": "0a1b2c"},
        }.items():
            (self.folder / name).write_text(json.dumps(settings))
        document = json.loads((ROOT / "examples" / "documents.json").read_text())["documents"][0]
        document["ues"] = [ue["ue_id"] for ue in ues]
        (self.folder / "documents.json").write_text(json.dumps({"documents": [document]}))
        admin = self.folder / "admin"
        admin.mkdir(mode=0o700)
        keys = {"secret_hex": "0a" * 16, "sender-id_hex": "01", "recipient-id_hex": "02"}
        (admin / "settings.json").write_text(json.dumps(keys))
        with (self.folder / "capture.pcapng").open("wb") as file:
            addresses = (f"{self.prefix}3", 65401), (f"{self.prefix}2", 65401)
            CaptureWriter(file).write(
                0.0, *addresses, bytes.fromhex("44011234a1b2c3d4b573752d7563")
            )
        (self.folder / "boards.csv").write_text(
            "port,label,ue_id,bind,next_hop\n"
            f"{{port}},Door 1,urn:x-msgin5g:ue:0007,{self.prefix}3:65401,{self.prefix}2:65401\n"
        )


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def test_the_commands_for_applications(desk):
    (desk.folder / "app.py").write_text("def changed(node):\n    print('app: told')\n")
    assert desk.plays("docs/applications.md") == 7


def test_the_commands_for_boards(desk):
    desk.serves()
    desk.shell.does("mpremote fs mkdir :msgin5g")
    assert desk.plays("docs/boards.md") >= 6
    assert (desk.folder / "pico-w.img").exists() and (desk.folder / "ue.romfs").exists()
    assert desk.plays("boards/README.md") == 1


def test_the_commands_of_operation(desk):
    desk.serves()
    assert desk.plays("docs/operation.md") >= 14
    assert "urn:x-msgin5g:ue:0007" in (desk.folder / "labels.csv").read_text()


def test_the_commands_of_security(desk):
    base = {"start_delay_s": 0, "security": {"mode": "oscore"}}
    (desk.folder / "base.json").write_text(json.dumps(base))
    desk.serves()
    assert desk.plays("docs/security.md") >= 5


def test_the_commands_of_the_server(desk):
    assert desk.plays("docs/server.md") >= 10
    assert "urn:x-msgin5g:ue:0007" in (desk.folder / "backup.json").read_text()
