"""Keys on boards, without a board: its programs run here, on files in a folder."""

import hashlib
import json
from contextlib import contextmanager

import pytest
from scm_setup import UE7, UE8

from msgin5g_tools.device import flashing, gateway_keys
from msgin5g_tools.device.board_key import (
    KEY,
    NOTHING,
    REST,
    BoardKey,
    JoinedSecrets,
    OwnKey,
    holds_key,
    joined_secrets,
    read_numbers,
    with_key,
)
from msgin5g_tools.device.errors import FAILED, NOT_MICROPYTHON, WRONG_INPUT, DeviceError
from msgin5g_tools.device.flashing import Bundles, Job, Options, flash_board
from msgin5g_tools.device.gateway_keys import Node, gateway_key_sources
from msgin5g_tools.device.programs import INVENTORY
from msgin5g_tools.device.server_contexts import open_contexts
from msgin5g_tools.device.server_keys import KeySource, has_gateway_key, has_seal_c_key, key_owner
from msgin5g_tools.device.settings_check import checked_settings
from msgin5g_tools.scm_server.contexts import ACTIVE, GATEWAY, RETIRING, REVOKED, UE, Contexts
from msgin5g_tools.scm_server.problem import DatabaseError
from msgin5g_tools.scm_server.store import Store

BOARD = b"\xe6\x61\x64\x07"
OTHER_BOARD = b"\xe6\x61\x64\x08"
GATEWAY_URI = "urn:x-msgin5g:gateway:1"
_FACTS = {"name": "micropython", "version": "1.28.0", "mpy": 6, "settings": None}


class Folder:
    """Stands for a Session with a board whose files are in a folder; `id` is its unique_id."""

    def __init__(self, path, id=BOARD):
        path.mkdir()
        self.path = path
        self.id = id

    def put(self, name, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        (self.path / name).write_bytes(data)

    def run(self, program):
        if program == INVENTORY:
            return json.dumps({**_FACTS, "id": self.id.hex()}) + "\r\n"
        printed = []
        exec(program.replace('"/', f'"{self.path}/'), {"print": printed.append})
        return "".join(f"{line}\r\n" for line in printed)


def new_key(n=1):
    return BoardKey(bytes([n]) * 16, b"\x07", b"\x00", is_new=True)


def test_the_numbers_of_a_new_key_are_for_it_and_its_board_alone(tmp_path):
    board, key = Folder(tmp_path / "board"), new_key()
    assert read_numbers(board) == {}
    for file in key.new_numbers(BOARD):
        board.put(file.path, file.data)
    numbers = read_numbers(board)
    assert len(numbers) == 2 and key.has_numbers(numbers, BOARD)
    assert not key.has_numbers(numbers, OTHER_BOARD)
    assert not new_key(2).has_numbers(numbers, BOARD)
    assert not key.has_numbers({}, BOARD)
    used = BoardKey(key.master_secret, key.sender_id, key.recipient_id)
    assert used.has_numbers(numbers, BOARD)
    with pytest.raises(AssertionError):
        used.new_numbers(BOARD)  # they may have been used
    board.run = lambda program: "Traceback"
    with pytest.raises(DeviceError, match="the board's numbers could not be read") as caught:
        read_numbers(board)
    assert caught.value.status == FAILED


def test_a_key_goes_into_secrets_beside_what_is_there():
    group = {"master_secret": "01" * 16, "sender_id": "07", "recipient_id": "00"}
    for given, key, ues, expected in (
        (None, new_key(), None, {"security": group}),
        (b'{"wifi": 1}', new_key(), None, {"wifi": 1, "security": group}),
        (b'{"security": 1}', new_key(), {"u": 2}, {"security": {**group, "ues": {"u": 2}}}),
        (None, OwnKey(), {"u": 2}, {"security": {"ues": {"u": 2}}}),
        (None, OwnKey(), None, {"security": {}}),
    ):
        made = with_key(given, key, ues)
        assert json.loads(made) == expected
        assert holds_key(made) == isinstance(key, BoardKey)
    assert not holds_key(b"{}") and not holds_key(b'{"security": [1]}')
    assert repr(new_key()) == "BoardKey(07)", "no secret"


def test_a_board_joins_the_secrets_that_it_has_with_those_that_it_gets(tmp_path):
    had = {"wifi": "a", "security": {"master_secret": "old", "ues": {"u": 1, "v": 2}}}
    new, old = {"master_secret": "new"}, {"master_secret": "old"}
    for n, (has, part, keeps, ues, expected) in enumerate((
        (None, {"wifi": "b"}, KEY, (), {"wifi": "b"}),
        (b"no JSON", {"security": new}, REST, (), {"security": new}),
        (b"[1]", {"security": {}}, NOTHING, (), {"security": {}}),
        (had, {"wifi": "b"}, KEY, (), {**had, "wifi": "b"}),
        ({"wifi": "a", "x": 1}, {"wifi": "b"}, KEY, (), {"wifi": "b"}),
        (had, {"security": {}}, NOTHING, (), {"security": old}),
        (had, {"security": new}, REST, (), {"wifi": "a", "security": new}),
        (had, {"security": new}, NOTHING, (), {"security": new}),
        (had, {"security": new}, REST, ("v",),
         {"wifi": "a", "security": {**new, "ues": {"v": 2}}}),
        (had, {"security": {**new, "ues": {"v": 3}}}, REST, ("u", "v", "x"),
         {"wifi": "a", "security": {**new, "ues": {"u": 1, "v": 3}}}),
        (had, {"security": {"ues": {"w": 4}}}, REST, ("u",),
         {"wifi": "a", "security": {"master_secret": "old", "ues": {"u": 1, "w": 4}}}),
    )):  # fmt: skip
        board = Folder(tmp_path / str(n))
        if has is not None:
            board.put("secrets.json", has)
        file = joined_secrets(board, json.dumps(part).encode(), keeps, ues)
        for program in file.programs(str(board.path)):
            board.run(program)
        stored = (board.path / "secrets.json").read_bytes()
        assert json.loads(stored) == expected, (has, part, keeps, ues)
        assert file.sha256 == hashlib.sha256(stored).hexdigest()
        again = joined_secrets(board, json.dumps(part).encode(), keeps, ues)
        assert again.sha256 == file.sha256, "what has not changed keeps its bytes"


@pytest.fixture
def db(tmp_path):
    Store(tmp_path / "scm.db").close()
    return str(tmp_path / "scm.db")


def contexts_of(db, change=lambda contexts: None):
    """{kid: state} after a change(Contexts)."""
    with Store(db) as store:
        contexts = Contexts(store)
        change(contexts)
        return {context.kid: context.state for context in contexts.list()}


def test_a_board_keeps_the_key_that_it_has_numbers_of_and_else_gets_another_one(db):
    source = KeySource(db, UE, UE7)
    assert source.key_with(lambda key: True) is None, "there is none"
    first = source.new_key()
    assert first.is_new and contexts_of(db) == {first.sender_id: ACTIVE}
    offered = []
    assert source.key_with(offered.append) is None
    kept = source.key_with(lambda key: True)
    for key in (*offered, kept):
        assert key.group() == first.group() and not key.is_new
    assert KeySource(db, UE, UE7, keeps=False).key_with(lambda key: True) is None
    second = source.new_key()
    assert contexts_of(db) == {second.sender_id: ACTIVE}, "no board has used the first one"

    def use(contexts):
        contexts.note_use(contexts.list()[0])

    contexts_of(db, use)
    third = source.new_key()
    assert contexts_of(db) == {second.sender_id: RETIRING, third.sender_id: ACTIVE}
    source.installed(third)
    assert contexts_of(db) == {second.sender_id: REVOKED, third.sender_id: ACTIVE}


class Flash:
    """flash_board at a board in a folder, up to the files that it shall have."""

    def __init__(self, folder, monkeypatch):
        self.board = Folder(folder)
        self.said, self.wanted = [], []
        self.board.boot_ended, self.board.reset = True, lambda: None

        @contextmanager
        def session_at(port, tool):
            yield self.board

        monkeypatch.setattr(flashing, "session_at", session_at)
        monkeypatch.setattr(flashing, "install", self._install)
        monkeypatch.setattr(flashing.bundle, "build", lambda role: [])

    def _install(self, session, inventory, wanted, line, dry_run):
        self.wanted = wanted
        for file in () if dry_run else wanted:
            if isinstance(file, JoinedSecrets):
                for program in file.programs(str(session.path)):
                    session.run(program)
            else:
                session.put(file.path, file.data)
            found = (session.path / file.path).read_bytes()
            assert hashlib.sha256(found).hexdigest() == file.sha256
        return len(wanted)

    def say(self, text):
        self.said.append(text)

    def run(self, secrets=None, source=None, dry_run=False):
        """The names of the files that the board shall have."""
        options = Options("mpremote", None, dry_run, False, 20)
        flash_board(Job("/dev/x", "ue", None, secrets, source), options, Bundles(), self)
        return [file.path for file in self.wanted]

    def secrets(self):
        return json.loads((self.board.path / "secrets.json").read_bytes())


@pytest.fixture
def flash(tmp_path, monkeypatch):
    return Flash(tmp_path / "board", monkeypatch)


def test_a_board_gets_a_key_with_its_numbers_once_and_the_server_has_the_same(flash, db):
    source = KeySource(db, UE, UE7)
    assert flash.run(b'{"wifi": 1}', source) == ["secrets.json", "oscore-a", "oscore-b"]
    ((kid, state),) = contexts_of(db).items()
    assert flash.said[-1] == f"a new key: {kid.hex()}" and state == ACTIVE
    first = flash.secrets()
    assert first["wifi"] == 1 and first["security"]["sender_id"] == kid.hex()
    for secrets, wifi in ((None, 1), (b'{"wifi": 2}', 2)):
        assert flash.run(secrets, source) == ["secrets.json"], "its numbers stay"
        assert flash.secrets() == {**first, "wifi": wifi}
    asked = KeySource(db, UE, UE7, (UE8,))
    for dry_run, listed in ((True, []), (False, [(UE7, UE8)])):
        assert flash.run(None, asked, dry_run) == ["secrets.json"]
        with Store(db) as store:
            assert Contexts(store).gateway_ues() == listed, "a dry run changes nothing"
    (flash.board.path / "oscore-a").unlink()
    (flash.board.path / "oscore-b").unlink()
    assert flash.run(None, source, dry_run=True) == []
    assert flash.said[-1] == "would make a key, for the board and for the server"
    assert contexts_of(db) == {kid: ACTIVE}, "a dry run changes nothing"
    assert flash.run(None, source) == ["secrets.json", "oscore-a", "oscore-b"]
    ((other, _),) = contexts_of(db).items()
    second = flash.secrets()
    assert other != kid and second["security"]["sender_id"] == other.hex()
    assert second["wifi"] == 2, "what a board has beside its key stays"


def test_a_board_without_a_unique_id_gets_no_key(flash, db):
    flash.board.id = b""
    with pytest.raises(DeviceError) as caught:
        flash.run(None, KeySource(db, UE, UE7))
    assert caught.value.status == NOT_MICROPYTHON
    assert str(caught.value) == "it has no unique_id, to which a key could be bound"
    assert contexts_of(db) == {}


def test_secrets_without_a_key_leave_the_board_its_own(flash):
    assert flash.run(None) == []
    had = {"wifi": 1, "security": {"master_secret": "a"}}
    flash.board.put("secrets.json", had)
    assert flash.run(b'{"wifi": 2}') == ["secrets.json"]
    assert flash.secrets() == {**had, "wifi": 2}
    other = {"security": {"master_secret": "b"}}
    flash.run(json.dumps(other).encode())
    assert flash.secrets() == other


def test_whose_key_a_board_has_follows_from_its_role_and_its_next_hop():
    at, server = ["10.0.0.1", 65401], {"address": ["10.0.0.9", 5683]}
    via = {"next_hop": at, "next_hop_is": "gateway"}
    links = {UE8: ["10.0.0.8", 65401]}
    gateway = {"role": "gateway", "bind": at, "server": server, "links": links}
    relay = {"role": "relay", "bind": at, "server": server, "links": links}
    apart = {**gateway, "seal_c": {"mode": "separated", "bind": at, "peer": at}}
    for made, owner, at_gateway, at_seal_c in (
        ({"next_hop": at}, (UE, UE7), False, False),
        ({"next_hop": at, "security": {"mode": "none"}}, None, False, False),
        (via, None, True, False),
        ({**via, "security": {"mode": "none"}}, None, False, False),
        (gateway, (GATEWAY, UE7), False, False),
        (apart, None, False, True),
        ({**apart, "security": {"mode": "none"}}, None, False, False),
        (relay, None, False, False),
        ({**relay, "own_configuration": True}, (UE, UE7), False, False),
    ):
        made = {"ue_id": UE7, "security": {"mode": "oscore"}, **made}
        settings = checked_settings(json.dumps(made).encode())[1]
        assert key_owner(settings) == owner, made
        assert has_gateway_key(settings) == at_gateway, made
        assert has_seal_c_key(settings) == at_seal_c, made


def test_what_is_no_database_is_one_line(tmp_path):
    missing, other = tmp_path / "none.db", tmp_path / "other.db"
    other.write_text("no database, but a text that is long enough to be none " * 40)
    for path, expected in ((missing, "no such database"), (other, "")):
        with pytest.raises(DeviceError) as caught:
            KeySource(str(path), UE, UE7).new_key()
        assert caught.value.status == WRONG_INPUT
        assert str(caught.value).startswith(f"{path}: {expected}")
        assert str(caught.value).count(str(path)) == 1
    assert not missing.exists()


def test_a_fault_of_the_database_while_keys_are_read_is_one_line_that_names_it(db):
    with pytest.raises(DeviceError) as caught, open_contexts(db):
        raise DatabaseError("disk I/O error")
    assert caught.value.status == WRONG_INPUT
    assert str(caught.value).startswith(f"{db}: disk I/O error")


class Site:
    """A gateway and two UEs, which have their keys with it, at the ports g, a and b."""

    def __init__(self, folder, db, monkeypatch):
        self.db = db
        at = ["10.0.0.1", 65401]
        via = {"role": "ue", "next_hop": at, "next_hop_is": "gateway"}
        links = {UE7: ["10.0.0.7", 65401], UE8: ["10.0.0.8", 65401]}
        server = {"address": ["10.0.0.9", 5683]}
        self.boards = {port: Folder(folder / port, b"") for port in "gab"}
        self.root = self._node(
            "g", GATEWAY_URI, role="gateway", bind=at, server=server, links=links
        )
        self.ues = [self._node("a", UE7, **via), self._node("b", UE8, **via)]

        @contextmanager
        def session_at(port, tool):
            yield self.boards[port]

        monkeypatch.setattr(gateway_keys, "session_at", session_at)

    def _node(self, port, ue_id, **more):
        made = {"ue_id": ue_id, "security": {"mode": "oscore"}, **more}
        self.boards[port].put("settings.json", made)
        return Node(checked_settings(json.dumps(made).encode())[1], port, ())

    def secrets(self):
        """{port: the group `security` of its secrets}."""
        files = {port: board.path / "secrets.json" for port, board in self.boards.items()}
        return {port: json.loads(file.read_bytes())["security"] for port, file in files.items()}

    def provision(self, n_ues=2):
        """Give keys to the gateway and so many UEs; (ports that got one, UE IDs that lost one)."""
        root = self.root._replace(members=self.ues[:n_ues])
        sources, lost = gateway_key_sources(self.db, root, "mpremote")
        for port, source in sources.items():
            board = self.boards[port]
            numbers = read_numbers(board)
            key = source.key_with(lambda key, numbers=numbers: key.has_numbers(numbers, b""))
            key = key or source.new_key()
            data = with_key(None, key, key.entries(source.ue_keys, board, b""))
            kept_ues = () if key.is_new else source.kept_ues
            file = joined_secrets(board, data, REST, kept_ues)
            for program in file.programs(str(board.path)):
                board.run(program)
            for file in key.new_numbers(b"") if key.is_new else ():
                board.put(file.path, file.data)
            source.installed(key)
        assert all(holder is root for holder, _ in lost)
        return list(sources), [ue_id for _, ue_id in lost]


@pytest.fixture
def site(tmp_path, db, monkeypatch):
    return Site(tmp_path, db, monkeypatch)


def test_a_gateway_and_each_of_its_ues_have_one_key_that_no_other_one_has(site, db):
    contexts_of(db, lambda contexts: contexts.add(UE, UE7))
    assert site.provision() == (["g", "a", "b"], [])
    has = site.secrets()
    own, entries = has["g"], has["g"]["ues"]
    assert list(entries) == [UE7, UE8]
    for port, ue_id in (("a", UE7), ("b", UE8)):
        key = {name: has[port][name] for name in ("master_secret", "sender_id", "recipient_id")}
        assert {**key, "board": entries[ue_id]["board"]} == entries[ue_id]
        assert len(key["master_secret"]) == 32 and key["recipient_id"] == "00"
        assert len(bytes.fromhex(key["sender_id"])) == 2
    for name in ("master_secret", "sender_id"):
        assert len({own[name], has["a"][name], has["b"][name]}) == 3
    with Store(db) as store:
        contexts = Contexts(store)
        (gateway,) = contexts.list(GATEWAY)
        assert (gateway.kid.hex(), gateway.state) == (own["sender_id"], ACTIVE)
        assert contexts.list(UE, UE7)[0].state == REVOKED, "it is secured at the gateway now"
        assert contexts.gateway_ues() == [(GATEWAY_URI, UE7), (GATEWAY_URI, UE8)]


def test_a_second_run_changes_nothing_and_mends_what_one_of_both_lacks(site):
    site.provision()
    first = site.secrets()
    assert site.provision() == (["g"], []) and site.secrets() == first
    (site.boards["b"].path / "secrets.json").unlink()
    assert site.provision() == (["g", "b"], [])
    second = site.secrets()
    assert second["a"] == first["a"] and second["b"] != first["b"]
    assert second["g"]["ues"][UE7] == first["g"]["ues"][UE7]
    assert second["g"]["ues"][UE8]["master_secret"] == second["b"]["master_secret"]
    assert second["g"]["master_secret"] == first["g"]["master_secret"]


def test_a_ue_that_a_run_leaves_out_keeps_its_key_as_long_as_the_gateway_keeps_its_own(site):
    site.provision()
    first = site.secrets()
    assert site.provision(n_ues=1) == (["g"], []) and site.secrets() == first
    for path in site.boards["g"].path.glob("oscore-*"):
        path.unlink()
    assert site.provision(n_ues=1) == (["g", "a"], [UE8])
    second = site.secrets()
    assert list(second["g"]["ues"]) == [UE7]
    assert second["g"]["master_secret"] != first["g"]["master_secret"]
    assert second["g"]["ues"][UE7]["master_secret"] == second["a"]["master_secret"]
    assert second["a"]["master_secret"] != first["a"]["master_secret"]


def test_a_fault_of_one_board_ends_the_run(site):
    site.boards["b"].run = lambda program: "no inventory"
    with pytest.raises(DeviceError, match="inventory"):
        site.provision()
