"""Servers on one PostgreSQL: changes reach all, one that ends disturbs no other, and none hangs or
forgets anything when the database is away. What a server does on either engine is tested where
each_engine is used."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import cbor2
import psycopg
import pytest
from aiocoap.numbers import codes
from click.testing import CliRunner
from killed_writers import UES, KilledWriters
from oscore_client import KeyHolder
from postgresql_server import WITH_PASSWORD
from scm_setup import COLLECTION, GET, MAX_AGE, OBSERVE, TIMEOUT_S, UE7, UE8, Client, Scm
from scm_setup import document, ids, problem

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server import listing, schema
from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.database_url import redacted
from msgin5g_tools.scm_server.engine_postgresql import PostgresqlEngine
from msgin5g_tools.scm_server.fleet import Fleet
from msgin5g_tools.scm_server.problem import DatabaseUnavailable, ScmError
from msgin5g_tools.scm_server.store import Store

DOC = f"{COLLECTION}/ue-0007"
COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import msgin5g; msgin5g()"]
LATE_S = 3600.0  # a period of polling that is longer than the test: only a notification is in time


@pytest.fixture
def db(postgresql):
    yield postgresql.new_database()
    postgresql.start()  # if a test has failed while it was stopped
    postgresql.drop_databases()


def observe(client, path=DOC, uri=UE7):
    answer = client.ask(GET, path, [f"ue-uri={uri}"], [(OBSERVE, b"")])
    assert answer.code == "2.05" and OBSERVE in answer.options


def notified(client):
    """The code and the name of the next notification."""
    message = client.receive()
    assert message is not None, "no notification"
    client.acknowledge(message)
    name = cbor2.loads(message.payload)["configName"] if message.code == "2.05" else None
    return message.code, name


def run(*arguments):
    result = CliRunner().invoke(msgin5g, arguments)
    return result.exit_code, result.output


def test_a_change_made_anywhere_reaches_the_observers_at_every_server(db, tmp_path):
    one, other = (Scm(tmp_path, db=db, poll_s=LATE_S) for _ in range(2))
    with one, other, one.client() as writer, other.client() as observer, one.client() as third:
        assert writer.put("ue-0007", document(UE7, configName="a")).code == "2.01"
        observe(observer)
        observe(third)
        assert (one.n_observers(), other.n_observers()) == (1, 1)
        assert writer.put("ue-0007", document(UE7, configName="b")).code == "2.04"
        assert notified(observer) == notified(third) == ("2.05", "b")
        entry = {"ueConfigDocId": "ue-0007", "valServiceDomain": "example.com", "ues": [UE7]}
        (tmp_path / "in.json").write_text(
            json.dumps({"documents": [{**entry, "configName": "c"}]})
        )
        assert run("documents", "import", str(tmp_path / "in.json"), "--db", db)[0] == 0
        assert notified(observer) == notified(third) == ("2.05", "c")
        assert run("documents", "deny", UE7, "--db", db)[0] == 0
        assert notified(observer) == notified(third) == ("4.03", None)


def test_what_no_notification_told_of_is_found_by_polling(db, tmp_path):
    with Scm(tmp_path, db=db, poll_s=0.1) as scm, scm.client() as client, Store(db) as store:
        store.put("msgin5g", "ue-0007", document(UE7, configName="a"))
        observe(client)
        scm.call(lambda store: store.connection.execute("UNLISTEN *"))
        store.put("msgin5g", "ue-0007", document(UE7, configName="b"))
        assert notified(client) == ("2.05", "b")


class Process:
    """`msgin5g scm-server` on a database."""

    def __init__(self, db):
        command = [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--json"]
        environment = {**os.environ, "MSGIN5G_DB": db}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        )
        started = json.loads(self.process.stdout.readline())
        host, port = started["bind"].rsplit(":", 1)
        self.address = host, int(port)

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_a_server_that_is_killed_leaves_the_others_at_work(db):
    with contextlib.ExitStack() as stack:
        servers = [Process(db) for _ in range(2)]
        for server in servers:
            stack.callback(server.end)
        clients = [stack.enter_context(Client(server.address)) for server in servers]
        assert clients[0].put("ue-0007", document(UE7, configName="a")).code == "2.01"
        observe(clients[1])
        clients[0].put("ue-0007", document(UE7, configName="b"))
        assert notified(clients[1]) == ("2.05", "b")
        for killed, name in ((0, "c"), (1, "d")):
            other = 1 - killed
            observe(clients[other])
            servers[killed].end()
            with Store(db) as store:
                store.put("msgin5g", "ue-0007", document(UE7, configName=name))
            assert notified(clients[other]) == ("2.05", name)
            assert clients[other].put("x", document(UE8)).code in ("2.01", "2.04")
            servers[killed] = Process(db)
            stack.callback(servers[killed].end)
            clients[killed].connect(servers[killed].address)


def asked(client):
    """The code of a GET."""
    answer = client.get(f"ue-uri={UE7}", path=DOC)
    if answer.code == "5.03":
        assert answer.options[MAX_AGE] == [b"\x02"] and problem(answer)
    return answer.code


def until_served(client):
    ends_at = time.monotonic() + TIMEOUT_S
    while asked(client) != "2.05":
        assert time.monotonic() < ends_at, "it does not answer again"
        time.sleep(0.05)


@contextlib.contextmanager
def connecting_hangs(monkeypatch):
    """Meanwhile nobody who connects again comes back."""
    may_connect, connect = threading.Event(), PostgresqlEngine.connect

    def connect_later(engine):
        may_connect.wait()
        connect(engine)

    monkeypatch.setattr(PostgresqlEngine, "connect", connect_later)
    try:
        yield
    finally:
        may_connect.set()


def test_while_the_database_is_stopped_each_request_gets_503_and_waits_for_no_connection(
    postgresql, db, tmp_path, monkeypatch
):
    with Scm(tmp_path, db=db, poll_s=LATE_S) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7, configName="a"))
        with scm.client() as observer:
            observe(observer)
            with connecting_hangs(monkeypatch):
                postgresql.stop()
                for _ in range(30):
                    assert asked(client) == "5.03"
                    time.sleep(0.05)  # longer than until it connects again
                assert client.put("ue-0008", document(UE8)).code == "5.03"
            postgresql.start()
            # A change that nobody could tell the server of is caught up.
            with Store(db) as store:
                store.put("msgin5g", "ue-0007", document(UE7, configName="b"))
            assert notified(observer) == ("2.05", "b")
            until_served(client)
            with Store(db) as store:
                store.put("msgin5g", "ue-0007", document(UE7, configName="c"))
            assert notified(observer) == ("2.05", "c"), "it listens again"
            assert client.put("ue-0008", document(UE8)).code == "2.01"


def test_only_one_request_waits_for_a_database_that_does_not_answer(
    postgresql, db, tmp_path, monkeypatch
):
    timed_out, wait = [], psycopg.Connection.wait

    def watched(connection, gen, interval, timeout):
        try:
            return wait(connection, gen, interval, timeout)
        except psycopg.OperationalError:
            timed_out.append(timeout)
            raise

    monkeypatch.setattr(psycopg.Connection, "wait", watched)

    with Scm(tmp_path, db=db) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7))
        frozen = postgresql.processes()
        with connecting_hangs(monkeypatch):
            for pid in frozen:
                os.kill(pid, signal.SIGSTOP)
            try:
                assert [asked(client) for _ in range(20)] == ["5.03"] * 20
                assert len(timed_out) == 1 and 0 < timed_out[0] < 1
            finally:
                for pid in frozen:
                    os.kill(pid, signal.SIGCONT)
        until_served(client)


def test_kill_9_of_writers_and_of_the_database_loses_and_halves_no_document(
    postgresql, db, tmp_path
):
    chance = random.Random(7)
    with KilledWriters(db, tmp_path) as writers:
        for n in range(10):
            writers.start()
            if n % 4 == 0:
                writers.wait_for_a_name()
            time.sleep(chance.uniform(0.05, 0.25))
            if n % 3 == 2:
                postgresql.kill()
                writers.wait()
                postgresql.start()
            else:
                writers.kill()
    with Store(db) as store:
        names = {doc_id for _, doc_id in store.names()}
        assert names >= writers.names != set()
        for uri in UES:
            n_uris = store.value("SELECT count(*) FROM uris WHERE uri = ?", uri)
            assert n_uris == len(names), "each document whole"
        numbers = [number for (number,) in store.rows("SELECT number FROM changes ORDER BY 1")]
        assert numbers == list(range(1, len(names) + 1)), "each change once, without a gap"


def test_a_connection_that_follows_no_changes_is_sent_none(db):
    """What the page, which is seldom asked, does not read would be kept by PostgreSQL."""
    for create, channels in ((True, [("msgin5g_changes",)]), (False, [])):
        with Store(db, create=create) as store:
            assert store.rows("SELECT pg_listening_channels()") == channels


def test_writers_at_once_number_their_changes_without_a_gap_and_in_their_order(db):
    def write(name):
        with Store(db, timeout_s=30) as store:
            for n in range(40):
                store.put("msgin5g", f"{name}-{n}", document(UE7))
                store.deny(f"urn:{name}:{n}")

    def write_by_hand(name):
        with psycopg.connect(db) as connection:
            for n in range(80):
                connection.execute("INSERT INTO denied VALUES (%s, %s)", [f"urn:{name}:{n}"] * 2)
                if n % 2:
                    connection.commit()

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    threads += [threading.Thread(target=write_by_hand, args=(name,)) for name in "cd"]
    with Store(db) as reader:
        for thread in threads:
            thread.start()
        number, seen = 0, set()
        while any(thread.is_alive() for thread in threads) or number < reader.last_change():
            number, names, _ = reader.changes_since(number)
            assert names is not None, "a number came after a later one"
            seen |= set(names)
        assert len(seen) == 320 and number == 320


def test_two_servers_at_once_make_the_tables_of_an_empty_database(postgresql):
    url = postgresql.new_database(is_empty=True)
    faults = []

    def start():
        try:
            Store(url, timeout_s=0.25).close()
        except ScmError as error:
            faults.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    with Store(url) as store:
        assert store.count() == 0
    postgresql.drop_databases()


def test_a_database_of_an_older_version_gets_what_it_lacks(postgresql):
    url = postgresql.new_database(is_empty=True)
    with psycopg.connect(url) as connection:
        for version in (1, 2, 3):
            for statement in schema.statements(version, PostgresqlEngine):
                connection.execute(statement)
        connection.execute("CREATE TABLE msgin5g_schema (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO msgin5g_schema VALUES (3)")
        connection.execute("INSERT INTO gateways VALUES ('192.0.2.7')")
    for _ in range(2):
        with Store(url) as store:
            assert store.gateways() == ["192.0.2.7"]
            assert store.put("msgin5g", "a", document(UE7)) in ("created", "unchanged")
            assert len(store.history.all()) == 1
            assert store.value("SELECT version FROM msgin5g_schema") == schema.SCHEMA_VERSION
    postgresql.drop_databases()


def test_a_database_that_cannot_be_used_is_one_line(postgresql, db):
    with Store(db) as store:
        store.run("UPDATE msgin5g_schema SET version = 99")
    assert run("documents", "list", "--db", db) == (
        1,
        f"Error: {redacted(db)[0]}: has schema 99, this program knows {schema.SCHEMA_VERSION}\n",
    )
    empty, foreign = (postgresql.new_database(is_empty=True) for _ in range(2))
    with psycopg.connect(foreign) as connection:
        connection.execute("CREATE TABLE documents (x INTEGER)")
    for url, expected in (
        (empty, "no server has used this database"),
        (foreign, "is a database of another program"),
        (postgresql.url("none"), 'database "none" does not exist'),
        ("postgresql://u:s3cret@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://u@127.0.0.1:1/x?password=s3cret", "Connection refused"),
        ("postgresql://u:s3cret@[::1/x", 'matching "]"'),
        ("postgresql://u:s3cret@127.0.0.1:port/x", "port"),
    ):
        for command in (("documents", "list"), ("keys", "list")):
            status, text = run(*command, "--db", url)
            assert status in (1, 2) and expected in text and text.count("\n") == 1, text
            assert "s3cret" not in text


def test_the_url_of_a_socket_is_shown_as_it_was_given():
    more = "/scm?host=/run/x&options=-c%20geqo=off"
    for rest in ("", "/scm", more, "h/scm?user=anna@h", "h/a@b", "u@h:5432/a@b"):
        assert redacted(f"postgresql://{rest}") == (f"postgresql://{rest}", set())


@pytest.mark.parametrize("password", ["s3cret", "s3#cret", "s3?cret", "s3%2Fcret"])
def test_a_password_is_in_no_line_of_the_log(db, tmp_path, password):
    url = db.replace("msgin5g@", f"msgin5g:{password}@")
    with Scm(tmp_path, db=url) as scm:
        started = scm.events.get(timeout=TIMEOUT_S)
    assert started["event"] == "started" and started["db"] == db


def test_no_error_repeats_a_password_that_is_written_wrong():
    percent = 'invalid percent-encoded token: "***"'
    encode = "the URL of the database: write @ as %40 and / as %2F in its user, password and name"
    for given, shown in (
        ("u:100%sure@127.0.0.1:1/x", f"postgresql://u@127.0.0.1:1/x: {percent}"),
        ("u:a%20b%sure@127.0.0.1:1/x", f"postgresql://u@127.0.0.1:1/x: {percent}"),
        ("u@127.0.0.1:1/x?password=a%20%sure", f"postgresql://u@127.0.0.1:1/x: {percent}"),
        ("127.0.0.1:1/x?password=%sure&foo=1", f"postgresql://127.0.0.1:1/x?foo=1: {percent}"),
        ("u:sure@more@127.0.0.1:1/x", encode),
        ("u:sure/more@127.0.0.1:1/x", encode),
    ):
        assert run("documents", "list", "--db", f"postgresql://{given}") == (
            1,
            f"Error: {shown}\n",
        )


def test_without_psycopg_the_message_says_how_to_install_it(monkeypatch):
    for name in ("psycopg", "msgin5g_tools.scm_server.engine_postgresql"):
        monkeypatch.setitem(sys.modules, name, None)
    status, text = run("documents", "list", "--db", "postgresql://u:s3cret@h/x")
    assert status == 1
    assert text == (
        "Error: postgresql://u@h/x: PostgreSQL needs psycopg:"
        " pip install 'msgin5g-firmware[postgresql]'\n"
    )


def test_an_error_says_what_the_operator_can_do(db):
    url = db.replace("msgin5g@", f"{WITH_PASSWORD}@")
    for password, advice in (
        ("", "no password supplied: put it into ~/.pgpass, or into the file of PGPASSFILE"),
        (":wrong", "look at the URL, ~/.pgpass, and the file of PGPASSFILE"),
    ):
        given = url.replace("@", f"{password}@", 1)
        status, text = run("documents", "list", "--db", given)
        assert status == 1 and text.endswith(f": {advice}\n"), text
        assert text.startswith(f"Error: {url}: ") and "wrong" not in text
    with Store(db) as store:
        store.run("SET default_transaction_read_only = on")
        with pytest.raises(DatabaseUnavailable) as caught:
            store.put("msgin5g", "ue-0007", document(UE7))
    assert caught.value.line.endswith(
        "in a read-only transaction: name the primary, as with ?target_session_attrs=read-write"
    )


def test_a_name_with_a_nul_character_is_refused_and_disturbs_nothing(db, tmp_path):
    with Scm(tmp_path, db=db) as scm, scm.client() as client:
        for query, path in ((["ue-vendor=a\0b"], COLLECTION), ([], f"{COLLECTION}/a\0b")):
            answer = client.ask(GET, path, query)
            assert answer.code == "4.00" and "NUL" in problem(answer)[-2]
        assert ids(client.get()) == []


def test_a_primary_that_is_read_only_now_is_read_and_a_change_gets_503(db, tmp_path):
    with Scm(tmp_path, db=db) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7))
        scm.call(lambda store: store.run("SET default_transaction_read_only = on"))
        answer = client.put("ue-0008", document(UE8))
        assert answer.code == "5.03" and answer.options[MAX_AGE], answer
        assert re.fullmatch(
            "the database is not available: cannot execute .* in a read-only transaction",
            problem(answer)[-2],
        )
        assert ids(client.get()) == ["ue-0007"]
        scm.call(lambda store: store.run("SET default_transaction_read_only = off"))
        assert client.put("ue-0008", document(UE8)).code == "2.01"


def test_an_error_of_the_database_is_named_without_the_statement(db, tmp_path):
    with Scm(tmp_path, db=db) as scm, scm.client() as client:
        scm.call(lambda store: store.run("ALTER TABLE documents RENAME TO gone"))
        answer = client.get()
        assert answer.code == "5.00" and problem(answer)[-2] == (
            'the database is damaged: relation "documents" does not exist'
        )


def test_after_a_crash_of_the_database_no_server_takes_requests_without_a_new_echo(
    postgresql, db, tmp_path
):
    """What was not on its disk, as who holds a key, may be what it was before."""
    with Store(db) as store:
        store.put("msgin5g", "ue-0007", document(UE7))
        key = Contexts(store).add(UE, UE7)
    with Scm(tmp_path, db=db) as scm, scm.client() as client:
        holder = KeyHolder(client, key)
        assert holder.ask(path=DOC).code == codes.CONTENT
        label = scm.call(lambda store: Contexts(store).find_number(key.number).holder)
        assert holder.ask_once(path=DOC)[0].code == codes.CONTENT
        postgresql.kill()
        postgresql.start()
        with Store(db) as store:
            Contexts(store).hold(key.number, label)
        ends_at = time.monotonic() + TIMEOUT_S
        while (answer := holder.ask_once(path=DOC)[0]).code == codes.SERVICE_UNAVAILABLE:
            assert time.monotonic() < ends_at
            time.sleep(0.1)
        assert answer.code == codes.UNAUTHORIZED and answer.opt.echo
        assert holder.ask(path=DOC).code == codes.CONTENT


def test_the_lists_of_the_page_and_of_the_commands_are_those_of_sqlite(db, tmp_path):
    def shown(store):
        for n in range(5):
            store.put("msgin5g", f"D%{n}", document(f"urn:a:{n}"))
        store.deny("urn:a:4")
        listed = [
            listing.documents(store, *arguments)
            for arguments in (
                ("", None, 9),
                ("d%", "msgin5g", 2),
                ("A:3", None, 9, ("msgin5g", "D%1")),
                ("_", None, 9),
            )
        ]
        denied = [listing.denied(store, "A:", 9), listing.denied(store, "", 9, "urn:a:4")]
        ues = list(Fleet(store).each()), Fleet(store).counts(), Fleet(store).find("urn:a:1")
        return listed, denied, listing.counts(store), ues, store.names(), store.services()

    with Store(db) as store, Store(tmp_path / "scm.db") as file:
        assert shown(store) == shown(file)
