"""The history of documents and of the deny list: what is written, by whom, and its limits."""

import getpass
import subprocess
import sys

import cbor2
import pytest
from scm_setup import UE7, Scm, database_in, document

from msgin5g_tools.scm_server import history
from msgin5g_tools.scm_server.store import Store, etag
from msgin5g_tools.scm_server.ue_config import encode

pytestmark = pytest.mark.usefixtures("each_engine")

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]


@pytest.fixture
def store(tmp_path):
    with Store(database_in(tmp_path)) as opened:
        yield opened


def rows(store):
    """The oldest first, without number and time."""
    return [(c.changed_by, c.what, c.service, c.name) for c in reversed(store.history.all())]


def test_each_change_is_in_the_history_with_both_etags_and_the_old_document(store):
    first, second = document(UE7), document(UE7, configName="two")
    store.put("s", "d", first, "alice")
    store.put("s", "d", second, "bob")
    store.put("s", "d", second, "bob")  # unchanged
    store.delete("s", "d", "carol")
    store.delete("s", "d", "carol")  # there is none
    assert rows(store) == [
        ("alice", "created", "s", "d"),
        ("bob", "changed", "s", "d"),
        ("carol", "deleted", "s", "d"),
    ]
    tags = [etag(encode(each, "d")) for each in (first, second)]
    changes = store.history.of_document("s", "d")
    assert [(c.old_etag, c.new_etag, c.body) for c in changes] == [
        (tags[1], None, 1),
        (*tags, 1),
        (None, tags[0], 0),
    ]
    assert store.history.version(changes[1].number).body == encode(first, "d")
    assert store.history.of_document("s", "d", before=changes[1].number) == changes[2:]
    assert store.history.version(changes[0].number + 1) is None


def test_the_deny_list_is_in_the_history_too(store):
    store.deny("URN:a:1", "alice")
    store.deny("urn:a:1", "alice")
    store.allow("urn:a:1", "bob")
    store.allow("urn:a:1", "bob")
    assert rows(store) == [
        ("alice", "denied", None, "URN:a:1"),
        ("bob", "allowed", None, "urn:a:1"),
    ]


def test_a_change_that_is_rolled_back_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put("s", "d", document())
        store.deny("urn:a:1")
        raise ZeroDivisionError
    assert store.history.all() == []


def test_old_documents_of_one_name_are_limited(store):
    for n in range(history.MAX_BODIES + 5):
        store.put("s", "d", document(configName=str(n)))
    changes = store.history.of_document("s", "d")
    assert len(changes) == history.MAX_BODIES + 5
    assert sum(change.body for change in changes) == history.MAX_BODIES
    assert all(change.body for change in changes[: history.MAX_BODIES])


def test_rows_and_the_size_of_all_old_documents_are_limited(store, monkeypatch):
    monkeypatch.setattr(history, "MAX_ROWS", 1500)
    monkeypatch.setattr(history, "MAX_SIZE", 20_000)
    with store.transaction():
        for n in range(1500):
            store.put("s", f"d{n}", document())
            store.put("s", f"d{n}", document(configName="x"))
    kept = store.history.all(limit=10_000)
    assert len(kept) == 1500 and kept[-1].number == 1501
    size = sum(len(store.history.version(c.number).body) for c in kept if c.body)
    assert 18_000 < size <= 20_000


def test_the_name_of_who_changed_is_cut(store):
    store.deny("urn:a:1", "x" * 10_000)
    assert store.history.all()[0].changed_by == "x" * history.MAX_BY_SIZE


def test_over_coap_the_peer_is_named(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        assert client.put("d", document(UE7)).code == "2.01"
        assert (
            client.ask("0.04", "su-uc/v1/val-services/msgin5g/ue-configurations/d").code == "2.02"
        )
        peer = f"CoAP 127.0.0.1:{client.port}"
        assert scm.call(rows) == [
            (peer, "created", "msgin5g", "d"),
            (peer, "deleted", "msgin5g", "d"),
        ]


def test_commands_name_themselves_and_their_user(tmp_path):
    file, db = tmp_path / "f.json", database_in(tmp_path)
    file.write_text(
        '{"documents": [{"ueConfigDocId": "d", "valServiceDomain": "e"}], "deny": ["urn:a:1"]}'
    )
    for arguments in (("import", file), ("allow", "urn:a:1"), ("deny", "urn:a:2")):
        subprocess.run([*COMMAND, "documents", *arguments, "--db", db], check=True, timeout=60)
    user = getpass.getuser()
    with Store(db) as store:
        assert rows(store) == [
            (f"documents import, {user}", "denied", None, "urn:a:1"),
            (f"documents import, {user}", "created", "msgin5g", "d"),
            (f"documents allow, {user}", "allowed", None, "urn:a:1"),
            (f"documents deny, {user}", "denied", None, "urn:a:2"),
        ]


def test_an_old_body_is_what_was_served(store):
    store.put("s", "d", document(UE7))
    served = store.body("s", "d")
    store.put("s", "d", document())
    number = store.history.of_document("s", "d")[0].number
    assert store.history.version(number).body == served
    assert cbor2.loads(served)["valUeIds"] == {"uris": [UE7]}
