"""Mistakes of a person at the command line: one line that names what, where, and what to do.

A row is a command line, its exit status, and parts of the line. Files are those of `_files`.
"""

import json
import shlex
import socket
import struct

import addresses
import pytest
from forked_commands import ForkedCommands

from msgin5g_tools.cli import COMMANDS
from msgin5g_tools.device.errors import (
    FAILED,
    PORT_MISSING,
    WRONG_INPUT,
)

_USAGE = 2
_HOST = addresses.host()
_UE = {
    "role": "ue",
    "ue_id": "urn:x:1",
    "bind": [_HOST, 65401],
    "next_hop": [_HOST, 1],
    "server": {"recipient": "coap://scm.example"},
}
_RELAY = {"role": "relay", "ue_id": "urn:x:r", "bind": [_HOST, 0]}
_PCAP = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_ROW = "/dev/none,urn:x:1,h:1\n"

# name -> what is in it: a text, bytes, or the value of JSON.
_FILES = {
    "ue.json": _UE,
    "broken.json": '{"role": "ue",\n "ue_id" 1}',
    "list.json": [],
    "empty.json": "",
    "latin.json": '{"ue_id": "tür"}'.encode("latin-1"),
    "zeros.json": bytes(40),
    "deep.json": "[" * 3000,
    "twice.json": '{"role": "ue", "role": "relay"}',
    "role.json": {**_UE, "role": "janitor"},
    "type.json": {**_UE, "bind": "here"},
    "port.json": {**_UE, "bind": [_HOST, 70000]},
    "unnamed.json": {key: value for key, value in _UE.items() if key != "ue_id"},
    "lost.json": {key: value for key, value in _UE.items() if key != "next_hop"},
    "host.json": {**_UE, "next_hop": ["no.such.invalid", 65401]},
    "foreign.json": {**_UE, "bind": ["10.9.9.9", 5683]},
    "busy.json": {**_UE, "bind": [_HOST, 5683]},
    "keyless.json": {**_UE, "security": {"mode": "oscore"}},
    "links.json": {
        **_RELAY,
        "server": {"address": [_HOST, 9]},
        "links": {"urn:x:1": [_HOST, 1], "urn:x:2": [_HOST, 1]},
    },
    "key.json": {"security": {"master_secret": "00" * 16}},
    "empty.csv": "",
    "nobody.csv": "port,ue_id\n",
    "twice.csv": "port,port\na,b\n",
    "cells.csv": "port,ue_id\na,b,c\n",
    "quote.csv": 'port,ue_id\n"a,b\n',
    "where.csv": "ue_id,next_hop\nurn:x:1,h:1\n",
    "hex.csv": "unique_id,ue_id,next_hop\nzz,urn:x:1,h:1\n",
    "colour.csv": "port,ue_id,next_hop,colour\n/dev/none,urn:x:1,h:1,red\n",
    "same.csv": "port,ue_id,next_hop\n" + 2 * _ROW,
    "good.csv": "port,ue_id,next_hop\n" + _ROW,
    "keys.csv": "port,ue_id,next_hop,security.mode\n/dev/none,urn:x:1,h:1,oscore\n",
    "text.db": "hello, world; " * 100,
    "good.db.json": {"documents": []},
    "partial.json": {"documents": [{"ueConfigDocId": "a"}]},
    "typo.json": {"documnts": []},
    "five.json": {"documents": [5]},
    "text.pcap": "hello, world, this is no capture",
    "cut.pcap": _PCAP + b"\1\2",
    "short.img": "1234",
    "prot.d/msgin5g.toml": 'prot = "COM3"\n',
    "quote.d/msgin5g.toml": "port = COM3\n",
    "board.d/msgin5g.toml": 'board = "PICO"\n',
    "test_one.py": "def test_one():\n    pass\n",
}

# (command line, exit status, parts of the line). `@folder` at the beginning: run it in there.
_MISTAKES = [
    # the command line itself
    ("flsh", _USAGE, "No such command 'flsh'. Did you mean 'flash'?", "msgin5g --help"),
    ("--verison", _USAGE, "'--verison'", "'--version'"),
    ("--port x flash", _USAGE, "'--port'"),
    ("documents lst", _USAGE, "No such command 'lst'. Did you mean 'list'?"),
    ("keys rotat x --db y", _USAGE, "'rotat'", "'rotate'"),
    ("fleet", _USAGE, "Missing option '--db'", "msgin5g fleet --help"),
    ("fleet --db none.db", WRONG_INPUT, "none.db: no such database"),
    ("fleet --db text.db", WRONG_INPUT, "text.db: "),
    ("fleet urn:x:1 --state newest --db y", _USAGE, "neither --state nor --search"),
    ("flash --prot a", _USAGE, "'--prot'", "'--port'", "msgin5g flash --help"),
    ("flash extra --port a", _USAGE, "extra argument (extra)"),
    ("new folder", WRONG_INPUT, "folder: exists already"),
    ("run --settings ue.json --app none.py", WRONG_INPUT, "--app: none.py: No such file"),
    ("start", _USAGE, "Missing argument 'FOLDER'", "msgin5g start --help"),
    ("start nowhere", _USAGE, "'nowhere' does not exist"),
    ("start folder", WRONG_INPUT, "folder: there is no file with settings"),
    ("test ue.json", _USAGE, "FILE", "ue.json: the name must be that of a Python module"),
    ("ports extra", _USAGE, "extra argument (extra)"),
    ("bench --jsn", _USAGE, "'--jsn'", "'--json'"),
    # ports
    ("flash", _USAGE, "--port PORT", "--all"),
    ("flash --port a --all", _USAGE, "either --port", "or --all"),
    ("flash --all", PORT_MISSING, "no board is connected"),
    ('flash --port ""', _USAGE, "--port: an empty argument", "variable"),
    ("flash --port /dev/none", PORT_MISSING, "/dev/none: ", "no such port", "connected"),
    ("flash --port ue.json", PORT_MISSING, "ue.json: ", "not a serial port"),
    ("flash --port a --port a", _USAGE, "--port: a is named twice"),
    ("doctor", _USAGE, "Missing option '--port'", "msgin5g doctor --help"),
    ("doctor --port /dev/none", PORT_MISSING, "/dev/none: ", "no such port"),
    ("doctor --port folder", PORT_MISSING, "folder: ", "not a serial port"),
    ("monitor", _USAGE, "Missing option '--port'"),
    ("monitor --port /dev/none", PORT_MISSING, "/dev/none: ", "no such port"),
    ("monitor --port /dev/null", PORT_MISSING, "/dev/null: ", "not a serial port"),
    ("monitor --port a --for -3", _USAGE, "'--for'", "'-3'", "0 to "),
    ("monitor --port a --for nan", _USAGE, "'--for'", "'nan'"),
    ("provision good.csv", PORT_MISSING, "row 1 (urn:x:1)", "/dev/none: there is no such port"),
    # settings and secrets
    ("flash --port a --settings missing.json", WRONG_INPUT, "missing.json: No such file"),
    ("flash --port a --settings folder", WRONG_INPUT, "folder: Is a directory"),
    ("flash --port a --settings empty.json", WRONG_INPUT, "empty.json: ", "line 1, column 1"),
    ("flash --port a --settings broken.json", WRONG_INPUT, "broken.json: ", "line 2, column 10"),
    ("flash --port a --settings list.json", WRONG_INPUT, "list.json: ", "JSON object"),
    ("flash --port a --settings latin.json", WRONG_INPUT, "latin.json: line 1", "save the file"),
    ("flash --port a --settings zeros.json", WRONG_INPUT, "zeros.json: ", "save the file"),
    ("flash --port a --settings deep.json", WRONG_INPUT, "deep.json: ", "nested too deep"),
    ("flash --port a --settings twice.json", WRONG_INPUT, "twice.json: ", "key role twice"),
    ("flash --port a --settings role.json", WRONG_INPUT, "role.json: ", "janitor", "ue, relay"),
    ("flash --port a --settings type.json", WRONG_INPUT, "type.json: ", "bind", "[host, port]"),
    ("flash --port a --settings port.json", WRONG_INPUT, "port.json: ", "bind", "70000", "65535"),
    ("flash --port a --settings unnamed.json", WRONG_INPUT, "unnamed.json: ", "ue_id", "a URI"),
    ("flash --port a --settings lost.json", WRONG_INPUT, "lost.json: ", "next_hop", "[host,"),
    ("flash --port a --settings ue.json --role relay", WRONG_INPUT, "ue.json: ", "server.address"),
    ("flash --port a --secrets missing.json", WRONG_INPUT, "missing.json: No such file"),
    ("flash --port a --settings ue.json --secrets list.json", WRONG_INPUT, "list.json: secrets"),
    ("flash --port a --port b --settings ue.json", WRONG_INPUT, "a and b", "urn:x:1", "provision"),
    (
        "flash --port a --port b --secrets ue.json --secrets ue.json --secrets ue.json",
        _USAGE,
        "--secrets: once for each port",
    ),
    ("flash --port a --role captain", _USAGE, "'--role'", "'captain'", "'relay'"),
    ("flash --port a --board PICO", _USAGE, "'--board'", "'PICO'", "'RPI_PICO_W'"),
    ("flash --port a --tool scp", _USAGE, "'--tool'", "'scp'", "'mpremote'"),
    ("flash --port a --wait soon", _USAGE, "'--wait'", "'soon'", "a number"),
    ("flash --port a --wait -1", _USAGE, "'--wait'", "'-1'", "0 to "),
    # the project file
    ("@prot.d flash --port a", WRONG_INPUT, "msgin5g.toml: line 1", "'prot'", "'port'"),
    ("@quote.d doctor", WRONG_INPUT, "msgin5g.toml: line 1, column 8: not TOML"),
    ("@board.d image -o x", WRONG_INPUT, "msgin5g.toml: line 1", "'PICO'", "RPI_PICO_W"),
    # tables of boards
    ("provision", _USAGE, "Missing argument 'TABLE'"),
    ("provision missing.csv", WRONG_INPUT, "missing.csv: No such file"),
    ("provision folder", WRONG_INPUT, "folder: Is a directory"),
    ("provision empty.csv", WRONG_INPUT, "empty.csv: it names no board"),
    ("provision nobody.csv", WRONG_INPUT, "nobody.csv: it names no board"),
    ("provision twice.csv", WRONG_INPUT, "twice.csv: the heading has port twice"),
    ("provision cells.csv", WRONG_INPUT, "cells.csv: row 1: ", "more cells"),
    ("provision quote.csv", WRONG_INPUT, "quote.csv: not CSV", "quotation mark"),
    ("provision where.csv", WRONG_INPUT, "where.csv: row 1: port or unique_id is missing"),
    ("provision hex.csv", WRONG_INPUT, "hex.csv: row 1: unique_id: ", "msgin5g doctor"),
    ("provision colour.csv", WRONG_INPUT, "colour.csv: row 1: colour: no such setting"),
    ("provision broken.json", WRONG_INPUT, "broken.json: not JSON", "line 2, column 10"),
    ("provision list.json", WRONG_INPUT, "list.json: it names no board"),
    ("provision good.csv --settings list.json", WRONG_INPUT, "list.json: ", "JSON object"),
    ("provision good.csv --labels no/x.csv", WRONG_INPUT, "--labels: no/x.csv: ", "no folder no"),
    ("provision keys.csv", WRONG_INPUT, "keys.csv: row 1: security.mode: ", "--db FILE"),
    ("provision keys.csv --db no.db", WRONG_INPUT, "no.db: no such database"),
    ("provision keys.csv --db text.db", WRONG_INPUT, "text.db: file is not a database"),
    # images
    ("image", _USAGE, "Missing option '-o' / '--output'"),
    ("image -o x", _USAGE, "--board is missing"),
    ("image -o x --board RPI_PICO_W", _USAGE, "--settings is missing"),
    ("image -o no/x --board RPI_PICO_W --settings ue.json", WRONG_INPUT, "no/x: No such file"),
    ("image -o folder --board RPI_PICO_W --settings ue.json", WRONG_INPUT, "folder: Is a direct"),
    ("image -o x --size big", _USAGE, "'--size'", "'big'", "2M"),
    ("image -o x --size ²", _USAGE, "'--size'", "'²'", "2M"),
    ("image -o x --size 1000", _USAGE, "'--size'", "'1000'", "4096"),
    (
        "image -o x --board RPI_PICO_W --settings ue.json --size 64K",
        FAILED,
        "64 KiB is too small: give a larger --size",
    ),
    (
        "image -o x --board RPI_PICO_W --settings keyless.json --secrets key.json",
        WRONG_INPUT,
        "key.json: security.master_secret: ",
        "msgin5g provision",
    ),
    ("image -o x.romfs --romfs", _USAGE, "--romfs needs --role or --settings"),
    ("image -o x.bin --romfs --role ue", _USAGE, "--output: ", ".romfs or .img"),
    # a role on this host
    ("run", _USAGE, "Missing option '--settings'"),
    ("run --settings missing.json", WRONG_INPUT, "missing.json: No such file"),
    ("run --settings broken.json", WRONG_INPUT, "broken.json: ", "line 2, column 10"),
    ("run --settings role.json", WRONG_INPUT, "role.json: ", "janitor", "ue, relay"),
    ("run --settings foreign.json", WRONG_INPUT, "bind: 10.9.9.9:5683", "0.0.0.0"),
    ("run --settings busy.json", WRONG_INPUT, f"bind: {_HOST}:5683: in use"),
    ("run --settings busy.json --json", WRONG_INPUT, f"bind: {_HOST}:5683: in use"),
    ("run --settings host.json --once", WRONG_INPUT, "host.json: ", "no.such.invalid: no such"),
    ("run --settings keyless.json", WRONG_INPUT, "security: oscore: no key", "master_secret"),
    ("run --settings links.json", WRONG_INPUT, "links.json: ", "urn:x:2", "urn:x:1"),
    ("run --settings ue.json --heap much", _USAGE, "'--heap'", "much", "96K"),
    ("run --settings ue.json --heap 1K", _USAGE, "'--heap'", "1K", "32K"),
    ("run --settings ue.json --heap 32K", WRONG_INPUT, "heap: too small", "larger --heap"),
    ("run --settings ue.json --interpreter ruby", _USAGE, "'--interpreter'", "'cpython'"),
    ("run --settings ue.json --state ue.json/x", WRONG_INPUT, "--state: ue.json/x: Not a dir"),
    ("run --settings ue.json --metrics here", _USAGE, "--metrics: 'here' is not HOST:PORT"),
    # the server, its documents and keys
    ("scm-server --db x.db --metrics here", _USAGE, "--metrics: 'here' is not HOST:PORT"),
    ("scm-server", _USAGE, "Missing option '--db'"),
    ("scm-server --db no/x.db", WRONG_INPUT, "no/x.db: there is no folder no"),
    ("scm-server --db folder", WRONG_INPUT, "folder: ", "name a file"),
    ("scm-server --db text.db", WRONG_INPUT, "text.db: file is not a database"),
    ("scm-server --db x.db --bind here", _USAGE, "--bind: 'here' is not HOST:PORT"),
    ("scm-server --db x.db --bind 127.0.0.1:99999", _USAGE, "--bind: ", "0 to 65535"),
    (f"scm-server --db x.db --bind {_HOST}:5683", WRONG_INPUT, f"{_HOST}:5683: ", "in use"),
    ("scm-server --db x.db --bind 10.9.9.9:5683", WRONG_INPUT, "bind 10.9.9.9:5683", "assign"),
    ("scm-server --db x.db --bind no.such.invalid:1", WRONG_INPUT, "no.such.invalid:1", "resol"),
    ("scm-server --db x.db --max-age -1", _USAGE, "--max-age: -1 is not between 0 and"),
    ("scm-server --db x.db --max-age old", _USAGE, "'--max-age'", "'old'"),
    ("scm-server --db x.db --max-rate nan", _USAGE, "--max-rate: nan"),
    ('scm-server --db x.db --recipient "no uri"', _USAGE, "--recipient: 'no uri' is not a URI"),
    ("scm-server --db x.db --recipient-option 11", _USAGE, "--recipient-option: 11 ", "256"),
    (
        f"scm-server --db x.db --bind {_HOST}:0 --administrator nobody",
        WRONG_INPUT,
        "nobody: no such directory: msgin5g keys administrator",
    ),
    ("documents import good.db.json", _USAGE, "Missing option '--db'"),
    ("documents import missing.json --db x.db", WRONG_INPUT, "missing.json: No such file"),
    ("documents import broken.json --db x.db", WRONG_INPUT, "broken.json: line 2, column 10"),
    ("documents import latin.json --db x.db", WRONG_INPUT, "latin.json: line 1", "save the file"),
    ("documents import list.json --db x.db", WRONG_INPUT, "list.json: ", '"documents"'),
    ("documents import typo.json --db x.db", WRONG_INPUT, "typo.json: documnts: is not a key"),
    ("documents import five.json --db x.db", WRONG_INPUT, "five.json: documents[0]: is not an"),
    ("documents import partial.json --db x.db", WRONG_INPUT, "documents[0] (a)", "is missing"),
    ("documents import good.db.json --db no/x.db", WRONG_INPUT, "no/x.db: there is no folder"),
    ("documents import good.db.json --db text.db", WRONG_INPUT, "text.db: file is not a data"),
    ("documents list --db no.db", WRONG_INPUT, "no.db: no such database"),
    ("documents export no/x.json --db scm.db", WRONG_INPUT, "no/x.json: No such file"),
    ('documents deny "no uri" --db scm.db', _USAGE, "'no uri' is not a URI", "documents deny"),
    ('documents deny "" --db scm.db', _USAGE, "an empty argument", "variable"),
    ('documents entitle "no host" --db scm.db', _USAGE, "'no host' is not an IP address"),
    ("keys list --db no.db", WRONG_INPUT, "no.db: no such database"),
    ("keys list urn:x:9 --db scm.db", WRONG_INPUT, "urn:x:9: has no key: msgin5g keys list"),
    ("keys rotate urn:x:9 --db scm.db", WRONG_INPUT, "urn:x:9: has no key"),
    ("keys rotate urn:x:9 --db scm.db --overlap 1y", _USAGE, "'--overlap'", "14d, 36h or 30m"),
    ("keys administrator A folder --db scm.db", WRONG_INPUT, "folder: exists already", "new dir"),
    # datagrams
    ("test", _USAGE, "Missing argument 'FILE...'", "msgin5g test --help"),
    ("test missing.py", _USAGE, "'missing.py' does not exist"),
    ("test test_one.py --micropython --port x", _USAGE, "--micropython and --port exclude"),
    ("test test_one.py --micropython --heap 1", _USAGE, "heap 1: from 32K"),
    ("test test_one.py --port /dev/none", PORT_MISSING, "/dev/none: ", "no such port"),
    ("conform serve", _USAGE, "No such command 'serve'"),
    ("conform server", _USAGE, "Missing option '--address'", "msgin5g conform server --help"),
    ("conform server --address here", _USAGE, "'here': write HOST:PORT"),
    ("conform server --address no.such.invalid:1", 1, "no.such.invalid: no such host"),
    ("conform server --only 9.9", _USAGE, "--only: '9.9' is no clause and no check: see --list"),
    ("conform server --profile missing.toml", _USAGE, "missing.toml: No such file"),
    ("conform server --profile list.json", _USAGE, "list.json: must be an object"),
    ("conform server --profile ue.json", _USAGE, "ue.json: unknown key 'role'"),
    (f"conform ue --address {_HOST}:1 --ue urn:x:1", _USAGE, "Missing option '--bind'"),
    (
        f"conform ue --address {_HOST}:1 --ue urn:x:1 --bind {_HOST}:5683",
        1,
        f"{_HOST}:5683: cannot listen there: Address already in use",
    ),
    ("decode", _USAGE, "HEX, -, --pcap FILE or --live INTERFACE is missing"),
    ("decode 4", WRONG_INPUT, "4: not hex: ", "odd"),
    ("decode hello", WRONG_INPUT, "hello: not hex: 'h' at digit 1"),
    ("decode --oneline --json 40011234", _USAGE, "--oneline and --json exclude each other"),
    ("decode --pcap missing.pcap", WRONG_INPUT, "missing.pcap: No such file"),
    ("decode --pcap folder", WRONG_INPUT, "folder: Is a directory"),
    ("decode --pcap text.pcap", WRONG_INPUT, "text.pcap: neither pcap nor pcapng"),
    ("decode --pcap cut.pcap", WRONG_INPUT, "cut.pcap: byte 24: the file ends"),
    ("decode --pcap text.pcap --port 99999", _USAGE, "'--port'", "'99999'", "65535"),
    ("decode 40011234 --svg x.svg", _USAGE, "--svg draws a capture: --pcap FILE is missing"),
    ("decode --pcap cut.pcap --svg cut.pcap", _USAGE, "--svg: 'cut.pcap' does not end in .svg"),
    ("decode --pcap cut.pcap --svg no/x.svg", WRONG_INPUT, "--svg", "there is no folder no"),
    ("decode --content-format -5 40011234", _USAGE, "'--content-format'", "'-5'", "65535"),
    ("wireshark", _USAGE, "--install [--folder PATH] or --print"),
    ("wireshark --install --folder ue.json", _USAGE, "'--folder'", "'ue.json' is a file"),
    # the rest
    ("demo --gateway --oscore", _USAGE, "--gateway and --oscore"),
    ("demo --pcap no/x.pcap", _USAGE, "'--pcap'", "'no/x.pcap'", "No such file"),
    ("simulate --ues many", _USAGE, "'--ues'", "'many'", "1 to 100000"),
    ("simulate --role ue", _USAGE, "'--role'", "'ue'", "relay or gateway"),
    ("simulate --missing 60 --denied 60", _USAGE, "--missing and --denied", "100"),
    ("simulate --picture x.gif", _USAGE, "--picture: 'x.gif'", ".png or .svg"),
    ("simulate --picture no/x.png", WRONG_INPUT, "--picture: 'no/x.png'", "no folder no"),
    ("simulate --settings ue.json", WRONG_INPUT, "ue.json: role: ue", "relay, gateway"),
    ("simulate --settings broken.json", WRONG_INPUT, "broken.json: ", "line 2, column 10"),
    ("bench --simulate many", _USAGE, "'--simulate'", "1000,3000"),
    ("board --heap much", _USAGE, "'--heap'", "much", "96K"),
    ("board --image folder", WRONG_INPUT, "image folder: Is a directory"),
    ("board --image short.img", WRONG_INPUT, "image short.img: not a LittleFS image"),
    ("board --link ue.json", WRONG_INPUT, "link ue.json: exists already"),
    ("board --board PICO", _USAGE, "'--board'", "'PICO'", "'RPI_PICO_W'"),
]


@pytest.fixture(scope="module")
def msgin5g():
    with ForkedCommands() as commands:
        yield commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory, msgin5g):
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "folder").mkdir()
    for name, content in _FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = msgin5g("documents", "import", "good.db.json", "--db", "scm.db", cwd=folder)
    assert done.status == 0, done
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind((_HOST, 5683))
        yield folder


def test_the_table_has_every_command_and_no_line_twice():
    lines = [line for line, *_ in _MISTAKES]
    assert len(set(lines)) == len(lines) >= 83
    assert set(COMMANDS) <= {word for line in lines for word in line.split()}


@pytest.mark.parametrize(
    "mistake", _MISTAKES, ids=lambda mistake: mistake[0].replace(_HOST, "HOST")
)
def test_a_mistake_is_one_line_that_says_what_and_where(mistake, msgin5g, folder):
    line, status, *parts = mistake
    words = shlex.split(line)
    if words[0].startswith("@"):
        folder /= words.pop(0)[1:]
    done = msgin5g(*words, cwd=folder)
    said = done.err.decode()
    assert done.status == status, said
    assert said.count("\n") == 1 and said.endswith("\n"), said
    for part in parts:
        assert part in said, said
    assert done.out == (f"{words[2]}: connecting\n".encode() if _opens_ports(words) else b"")
    assert not (folder / "x").exists() and not (folder / "x.db-wal").exists()


def _opens_ports(words):
    """Whether the work at a port begins, which the standard output says."""
    return words[0] == "flash" and words[2:] in (["/dev/none"], ["ue.json"])
