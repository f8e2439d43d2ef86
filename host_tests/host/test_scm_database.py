"""The configuration management server: an error of the database leaves nothing half done."""

import json
import random
import sqlite3
import threading
import time

import cbor2
import pytest
from click.testing import CliRunner
from killed_writers import UES, KilledWriters
from scm_setup import (
    COLLECTION,
    GET,
    OBSERVE,
    POST,
    UE7,
    UE8,
    Scm,
    database_in,
    document,
    ids,
    problem,
)

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.problem import DatabaseUnavailable
from msgin5g_tools.scm_server.store import Store

TABLES = ("documents", "uris", "imeis", "vendors", "denied", "gateways")
OLD = document(UE7, configName="old", ueVendors=["acme"])
NEW = document(UE8, configName="new", ueVendors=["other"])
NEW["valUeIds"]["imeiRanges"] = [{"tac": "12345678"}]


def fail_at(connection, table):
    """Let every row that is added to a table be an error, until `heal`."""
    connection.execute(
        f"CREATE TRIGGER failing BEFORE INSERT ON {table}"
        " BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END"
    )


def heal(connection):
    connection.execute("DROP TRIGGER failing")


def rows(connection):
    """Everything that is stored, apart from the numbers of rows."""
    found = {}
    for table in TABLES:
        number = "document" if table in ("uris", "imeis", "vendors") else "id"
        cursor = connection.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        found[table] = sorted(
            [value for name, value in zip(names, row, strict=True) if name != number]
            for row in cursor
        )
    return found


@pytest.mark.parametrize("table", ["documents", "uris", "imeis", "vendors"])
def test_an_error_of_the_database_in_the_middle_of_a_put_leaves_nothing_of_it(table, tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client, scm.client() as observer:
        client.put("a", OLD)
        path = f"{COLLECTION}/a"
        before = client.get(f"ue-uri={UE7}", path=path)
        observer.ask(GET, path, [f"ue-uri={UE7}"], [(OBSERVE, b"")])
        stored = scm.call(lambda store: rows(store.connection))
        scm.call(lambda store: fail_at(store.connection, table))
        for doc_id in ("a", "b"):  # replaced, new
            answer = client.put(doc_id, NEW)
            assert answer.code in ("5.00", "5.03") and problem(answer), doc_id
            assert scm.call(lambda store: rows(store.connection)) == stored, doc_id
            assert not scm.call(lambda store: store.connection.in_transaction)
        assert client.get(f"ue-uri={UE7}", path=path).payload == before.payload
        assert ids(client.get("ue-vendor=acme")) == ["a"]
        assert ids(client.get("ue-vendor=other")) == [] and ids(client.get()) == ["a"]
        scm.call(lambda store: heal(store.connection))
        assert client.put("a", NEW).code == "2.04" and client.put("b", NEW).code == "2.01"
        # The observer heard of nothing before that.
        assert cbor2.loads(before.payload)["configName"] == "old"
        assert cbor2.loads(observer.receive().payload)["configName"] == "new"


@pytest.mark.parametrize("n_reads", [0, 1, 2])
def test_an_error_while_the_database_is_read_for_a_put_leaves_nothing_of_it(n_reads, tmp_path):
    """The last read is for the ETag of the response, when the document is stored already."""

    def fail_after_reads(store):
        body, n = store.body, []

        def failing(service, doc_id):
            n.append(doc_id)
            if len(n) > n_reads:
                raise DatabaseUnavailable("disk I/O error")
            return body(service, doc_id)

        store.body = failing

    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("a", OLD)
        stored = scm.call(lambda store: rows(store.connection))
        for doc_id in ("a", "b"):
            scm.call(fail_after_reads)
            answer = client.put(doc_id, NEW)
            assert answer.code == "5.03" and "disk I/O error" in problem(answer)[-2]
            assert scm.call(lambda store: rows(store.connection)) == stored, doc_id
            scm.call(lambda store: store.__dict__.pop("body"))
        assert client.put("a", NEW).code == "2.04"


@pytest.mark.parametrize("table", ["documents", "uris", "imeis", "vendors"])
def test_an_error_of_the_database_in_the_middle_of_a_post_leaves_nothing_of_it(table, tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("a", OLD)
        stored = scm.call(lambda store: rows(store.connection))
        scm.call(lambda store: fail_at(store.connection, table))
        answer = client.ask(POST, payload=cbor2.dumps(NEW))
        assert answer.code in ("5.00", "5.03") and problem(answer)
        assert scm.call(lambda store: rows(store.connection)) == stored
        scm.call(lambda store: heal(store.connection))
        assert client.ask(POST, payload=cbor2.dumps(NEW)).code == "2.01"
        assert len(ids(client.get())) == 2


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("table", ["documents", "vendors", "denied", "gateways"])
def test_an_error_of_the_database_in_the_middle_of_an_import_leaves_nothing_of_it(
    table, replace, tmp_path
):
    def entry(n, **more):
        made = {"ueConfigDocId": f"d{n}", "valServiceDomain": "example.com"}
        return {**made, "ues": [f"urn:a:{n}"], "configData": "<xml/>", **more}

    file, db = tmp_path / "in.json", database_in(tmp_path)
    command = ["documents", "import", str(file), "--db", str(db)]

    def run(contents, *more):
        file.write_text(json.dumps(contents))
        return CliRunner().invoke(msgin5g, [*command, *more])

    old = {"documents": [entry(1), entry(9)], "deny": ["urn:a:9"], "gateways": ["192.0.2.7"]}
    assert run(old).exit_code == 0
    with Store(db) as store:
        stored = rows(store.connection)
        if table == "documents":  # the third one, when two were stored already
            store.connection.execute(
                "CREATE TRIGGER failing BEFORE INSERT ON documents WHEN NEW.doc_id = 'd3'"
                " BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END"
            )
        else:
            fail_at(store.connection, table)
    new = {
        "documents": [entry(1, configName="new"), entry(2), entry(3, vendors=["acme"])],
        "deny": ["urn:a:8"],
        "gateways": ["192.0.2.8"],
    }
    result = run(new, *["--replace"] * replace)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1] == f"Error: {db}: disk I/O error"
    connection = sqlite3.connect(db)
    assert rows(connection) == stored
    heal(connection)
    connection.close()
    assert run(new, *["--replace"] * replace).exit_code == 0


def test_a_disk_that_is_full_refuses_changes_loses_nothing_and_is_used_again(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        assert client.put("a", OLD).code == "2.01"
        stored = scm.call(lambda store: rows(store.connection))
        scm.call(lambda store: store.connection.execute("PRAGMA max_page_count = 1"))
        large = document(UE8, configName="x" * 900)
        answers = [client.put(f"large-{n}", large) for n in range(40)]
        refused = [answer for answer in answers if answer.code == "5.03"]
        assert refused and "full" in problem(refused[-1])[-2]
        assert client.get(f"ue-uri={UE7}").code == "2.05"
        n_stored = len([answer for answer in answers if answer.code == "2.01"])
        assert scm.call(lambda store: len(store.names())) == 1 + n_stored
        assert scm.call(lambda store: rows(store.connection))["gateways"] == stored["gateways"]
        scm.call(lambda store: store.connection.execute("PRAGMA max_page_count = 100000"))
        assert client.put("b", large).code == "2.01"


def test_kill_9_at_any_moment_of_imports_and_puts_loses_and_halves_no_document(tmp_path):
    db = database_in(tmp_path)
    Store(db).close()
    chance = random.Random(7)
    with KilledWriters(db, tmp_path) as writers:
        for n in range(100):
            writers.start()
            if n % 10 == 0:
                writers.wait_for_a_name()
            time.sleep(chance.uniform(0.005, 0.06))
            writers.kill()
    with Scm(tmp_path) as scm, scm.client() as client:
        assert client.get("ue-uri=urn:a:none").code == "4.04"
        assert client.put("after", document(UE7)).code == "2.01"
    with Store(db) as store:
        assert store.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = {doc_id for _, doc_id in store.names()}
        assert names >= writers.names != set()
        for uri in UES:
            found = store.connection.execute("SELECT count(*) FROM uris WHERE uri = ?", (uri,))
            assert found.fetchone() == (len(names) - 1,), "each document whole"


def test_who_opens_a_database_waits_for_another_process_that_makes_its_tables(tmp_path):
    path = tmp_path / "scm.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    made = threading.Timer(0.3, other.execute, ["COMMIT"])
    made.start()
    with Store(path, timeout_s=0) as store:
        assert store.put("msgin5g", "ue-0007", document(UE7))
        # From then on it waits for nobody longer than it was told to.
        assert store.value("PRAGMA busy_timeout") == 0
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable):
            store.put("msgin5g", "ue-0008", document(UE8))
        other.execute("COMMIT")
    made.join()
    other.close()
