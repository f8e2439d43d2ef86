"""`msgin5g start`: what is wrong in a folder, the radios between nodes, and that nothing stays."""

import json
import shutil
import signal
import subprocess
import textwrap

import pytest
from test_examples import left_behind, started

from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.paths import ROOT
from msgin5g_tools.start.folder import Folder

_RADIO = ROOT / "tools" / "start" / "radio"
_SERVER = ["192.168.1.20", 5683]
_UE = {"ue_id": "urn:x:ue:7", "next_hop": _SERVER, "next_hop_is": "server"}
_BEHIND = {"ue_id": "urn:x:ue:7", "next_hop": ["192.168.1.30", 65401]}
_WIFI = {"ssid": "site", "key": "12345678", "address": "192.168.1.30"}
_RELAY = {
    "role": "relay",
    "ue_id": "urn:x:relay:1",
    "wifi": _WIFI,
    "server": {"address": _SERVER},
    "links": {"urn:x:ue:7": ["192.168.1.107", 65401]},
}
_DOCUMENTS = {"documents": []}


def folder_with(path, **files):
    """The Folder of a new folder with these files; x_toml is x.toml, everything else JSON."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, content in files.items():
        if name.endswith("_toml"):
            (path / name.replace("_toml", ".toml")).write_text(content)
        else:
            (path / f"{name}.json").write_text(json.dumps(content))
    return Folder(path)


def place(folder):
    """Give each node and server an address, as Processes do."""
    for each in folder.places:
        each.address = f"127.9.9.{each.host}"
    return {each.name: each.address for each in folder.places}


_MISTAKES = [
    ({}, "there is no file with settings"),
    ({"ue": _UE}, "ue.json: next_hop: 192.168.1.20: no node or server"),  # and no documents.json
    ({"ue": {**_UE, "next_hop": 5}}, r"ue.json: .*next_hop: must be \[host, port\]"),
    ({"ue": _BEHIND, "relay": {**_RELAY, "wifi": {**_WIFI, "address": "192.168.1.31"}},
      "documents": _DOCUMENTS}, "ue.json: next_hop: 192.168.1.30: no node or server"),
    ({"ue": _UE, "relay": {**_RELAY, "server": {"address": ["192.168.1.21", 5683]}},
      "documents": _DOCUMENTS}, "192.168.1.20: relay.json has another server"),
    ({"ue": {**_BEHIND, "wifi": _WIFI}, "relay": _RELAY, "documents": _DOCUMENTS},
     "192.168.1.30: is the address of relay, too"),
    ({"ue": _UE, "one_toml": "bind = 5683\n"}, "one.toml: bind: must be HOST:PORT"),
]  # fmt: skip


@pytest.mark.parametrize("files, fault", _MISTAKES, ids=lambda value: str(value)[:40])
def test_what_is_wrong_in_a_folder_is_one_line_before_anything_starts(files, fault, tmp_path):
    with pytest.raises(DeviceError, match=fault) as raised:
        folder_with(tmp_path / "site", **files)
    assert "\n" not in str(raised.value)


def test_addresses_of_boards_become_those_of_this_computer_and_names_of_servers_stay(tmp_path):
    named = {**_RELAY, "server": {"address": ["scm.example", 5683]}}
    folder = folder_with(tmp_path / "site", ue=_BEHIND, relay=named, documents=_DOCUMENTS)
    at = place(folder)
    relay, ue = folder.nodes
    assert folder.settings_here(relay) == {
        **_RELAY,
        "bind": [at["relay"], 65401],
        "server": {"address": [at["server"], 5683]},
        "links": {"urn:x:ue:7": [at["ue"], 65401]},
    }
    assert folder.settings_here(ue) == {
        **_BEHIND,
        "bind": [at["ue"], 65401],
        "next_hop": [at["relay"], 65401],
    }
    text = {"a": ["coap://192.168.1.107:5683", "192.168.1.1071", "coap://scm.example"]}
    assert folder.here(text) == {
        "a": [f"coap://{at['ue']}:5683", "192.168.1.1071", "coap://scm.example"]
    }


def test_a_relay_has_the_address_of_its_access_point_and_boards_the_mac_that_it_knows(tmp_path):
    point = {"ssid": "mine", "key": "12345678", "stations": {"urn:x:ue:7": "28:cd:c1:00:00:07"}}
    folder = folder_with(
        tmp_path / "site",
        relay={**_RELAY, "access_point": point},
        ue={**_BEHIND, "next_hop": ["192.168.4.1", 65401], "wifi": {"ssid": "mine"}},
        documents=_DOCUMENTS,
    )
    at = place(folder)
    relay, ue = folder.nodes
    assert folder.settings_here(ue)["next_hop"] == [at["relay"], 65401]
    assert folder.mac_of(ue) == bytes.fromhex("28cdc1000007")
    assert folder.mac_of(relay)[0] & 2 and folder.mac_of(relay) != folder.mac_of(ue)
    assert folder.sites() == {"site": "12345678"}, "the other one is on the air with its node"


def on_micropython(program, folder):
    """What MicroPython prints where `network` and `espnow` are those of `msgin5g start`."""
    before = f"import sys\nsys.path.insert(0, {str(_RADIO)!r})\nimport air\n"
    before += f"air.name, air.folder = {folder.name!r}, {str(folder)!r}\n"
    command = [interpreter_command(), "-c", before + textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_board_joins_an_access_point_with_its_key_only_and_is_gone_when_it_leaves(tmp_path):
    program = """
        from network import WLAN, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD, STAT_GOT_IP
        air.mac = bytes((2, 0, 0, 0, 0, 7))
        board, point = WLAN(WLAN.IF_STA), WLAN(WLAN.IF_AP)
        board.connect("a relay/1", "12345678")
        print(board.status() == STAT_NO_AP_FOUND)
        point.config(ssid="a relay/1", key="12345678")
        point.active(True)
        board.connect("a relay/1", "87654321")
        print(board.status() == STAT_WRONG_PASSWORD, point.status("stations") == [])
        board.connect("a relay/1", "12345678")
        print(board.status() == STAT_GOT_IP, point.status("stations") == [(air.mac,)])
        board.disconnect()
        print(not board.isconnected(), point.status("stations") == [])
    """
    assert on_micropython(program, tmp_path) == ["True"] * 7


def test_a_frame_arrives_if_the_peer_is_there_and_has_the_same_keys(tmp_path):
    program = """
        import select
        from espnow import ESPNow
        macs = [bytes((2, 0, 0, 0, 0, n)) for n in range(3)]
        def radio(n, key, pmk):
            made = ESPNow()
            air.mac = macs[n]
            made.active(True)
            made.set_pmk(pmk)
            for mac in macs:
                made.add_peer(mac, key)
            return made
        def sent(n, radio, mac):
            air.mac = macs[n]
            return radio.send(mac, b"hello")
        key, pmk = bytes(range(16)), bytes(range(1, 17))
        one = radio(0, key, pmk)
        print(sent(0, one, macs[1]))                 # nobody is there
        two, three = radio(1, key, pmk), radio(2, key, key)
        poll = select.poll()
        poll.register(two, select.POLLIN)
        print(list(poll.ipoll(0)) == [])
        print(sent(0, one, macs[1]), len(poll.poll(0)) == 1)
        print(two.recv(0) == (macs[0], b"hello"), two.recv(0) == (None, None))
        print(sent(0, one, macs[2]), three.recv(0) == (None, None))  # with another primary key
    """
    printed = on_micropython(program, tmp_path)
    assert printed == ["False", *["True"] * 7]


def test_a_copy_of_a_folder_starts_anywhere_and_a_signal_ends_all_of_it(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    copy = tmp_path / "my site"
    shutil.copytree(ROOT / "examples" / "espnow-pair", copy)
    with started(["msgin5g", "start", "my site"], temporary, tmp_path) as process:
        for line in process.stdout:
            if "  ue " in line and "started" in line:
                break
        assert len(left_behind(temporary)) > 2
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert left_behind(temporary) == [] and list(temporary.iterdir()) == []
