"""The configuration management server: what many documents cost."""

import json

import pytest
from click.testing import CliRunner
from scm_setup import COLLECTION, UE7, Scm, document, ids, problem

from msgin5g_tools.bench import scm_server as bench
from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.store import Store


def fill(scm, n, **more):
    def put(store):
        with store.transaction():
            for i in range(n):
                store.put("msgin5g", f"d{i:05}", document(f"urn:a:{i}", **more))

    scm.call(put)


def work(scm, ask):
    """How many hundreds of SQLite's instructions the server takes for this."""
    n = []

    def count():
        n.append(1)  # the answer is None: SQLite goes on

    scm.call(lambda store: store.connection.set_progress_handler(count, 100))
    ask()
    scm.call(lambda store: store.connection.set_progress_handler(None, 0))
    return len(n)


def test_what_one_datagram_costs_does_not_grow_with_the_number_of_documents(tmp_path):
    costs = []
    with Scm(tmp_path, max_documents=50) as scm, scm.client() as client:
        for n in (200, 6000):
            fill(scm, n, ueVendors=["acme"], valUeIds={"imeiRanges": [{"tac": "12345678"}]})
            for _ in range(50):  # turns in which the log of these changes is read
                client.get("ue-uri=urn:a:7")
            costs.append([])
            for query, path in (
                ((), COLLECTION),
                (("ue-vendor=acme",), COLLECTION),
                (("ue-type=12345678",), COLLECTION),
                (("ue-snr=5",), COLLECTION),
                (("ue-uri=urn:a:7",), COLLECTION),
                (("ue-uri=urn:a:7",), f"{COLLECTION}/d00007"),
                ((), ".well-known/core"),
            ):
                costs[-1].append(
                    work(scm, lambda query=query, path=path: client.get(*query, path=path))
                )
    for few, many in zip(*costs, strict=True):
        assert many <= 2 * few + 2, costs


def test_more_documents_than_the_limit_are_403_and_the_limit_itself_is_not(tmp_path):
    with Scm(tmp_path, max_documents=20) as scm, scm.client() as client:
        fill(scm, 20)
        assert client.get().code == "2.05"
        scm.call(lambda store: store.put("msgin5g", "one-more", document(UE7)))
        answer = client.get()
        assert answer.code == "4.03" and "more than 20" in problem(answer)[-2]
        assert ids(client.get(f"ue-uri={UE7}")) == ["one-more"], "a query for fewer"


def test_documents_of_many_bytes_are_403_together_and_served_alone(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        for n in range(2):
            made = document(UE7, configName="x" * 700_000)
            scm.call(lambda store, n=n, made=made: store.put("msgin5g", f"d{n}", made))
        assert client.get(f"ue-uri={UE7}").code == "4.03"
        assert client.get(f"ue-uri={UE7}", path=f"{COLLECTION}/d0").code == "2.05"
        scm.call(lambda store: store.delete("msgin5g", "d1"))
        assert client.get(f"ue-uri={UE7}").code == "2.05"


def test_the_list_of_resources_has_every_service_once_in_order(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        assert store.services() == []
        for service in ("b", "a", "c", "a", "b"):
            store.put(service, f"d{len(store.documents())}", document(UE7))
        assert store.services() == ["a", "b", "c"] and store.services(2) == ["a", "b"]


def import_file(tmp_path, n, *more):
    file = tmp_path / "in.json"
    entries = [
        {"ueConfigDocId": f"d{i:05}", "valServiceDomain": "example.com", "ues": [f"urn:a:{i}"]}
        for i in range(n)
    ]
    file.write_text(json.dumps({"documents": entries}))
    command = ["documents", "import", str(file), "--db", str(tmp_path / "scm.db"), *more]
    return CliRunner().invoke(msgin5g, command)


def test_an_import_that_breaks_off_leaves_whole_documents_and_is_resumed(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        store.connection.execute(
            "CREATE TRIGGER failing BEFORE INSERT ON documents WHEN NEW.doc_id = 'd01100'"
            " BEGIN SELECT RAISE(FAIL, 'disk I/O error'); END"
        )
        result = import_file(tmp_path, 1200)
        assert result.exit_code == 1 and "disk I/O error" in result.stderr
        assert len(store.names()) == 1000, "pieces of 500"
        assert store.connection.execute("SELECT count(*) FROM uris").fetchone() == (1000,)
        store.connection.execute("DROP TRIGGER failing")
    assert import_file(tmp_path, 1200).stdout == "200 created, 0 changed, 1000 unchanged\n"


def test_an_import_lets_others_write_between_its_pieces(tmp_path, monkeypatch):
    written = []

    def write(seconds):
        assert seconds > 0
        with Store(tmp_path / "scm.db", timeout_s=0) as other:
            written.append(other.put("msgin5g", f"other-{len(written)}", document(UE7)))

    monkeypatch.setattr("msgin5g_tools.commands.documents.time.sleep", write)
    assert import_file(tmp_path, 1200).exit_code == 0
    assert written == ["created", "created"]


def test_a_large_import_shows_its_progress(tmp_path):
    result = import_file(tmp_path, 5100)
    assert result.stdout == "5100 created, 0 changed, 0 unchanged\n"
    assert "5000 of 5100 imported\n" in result.stderr
    result = import_file(tmp_path, 10, "--replace")
    assert result.stdout == "0 created, 0 changed, 10 unchanged, 5090 deleted\n"


@pytest.mark.slow
def test_the_benchmark_of_the_server_reports_each_of_its_figures(tmp_path):
    figures = {}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    bench.observers(tmp_path / "one", 20, figures.__setitem__)
    assert figures["observers"] == "20"
    for way in ("import", "PUT"):
        assert figures[f"one document changed by {way}: notified, median"].endswith(" ms")
    assert figures["all documents changed: slowest GET of others"].endswith(" ms")
    bench.flood(tmp_path / "two", figures.__setitem__, n_requests=200, n_peers=50, lifetime_s=0)
    assert figures["200 requests from 50 sources: memory"].endswith(" MB")
