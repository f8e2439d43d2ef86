"""A database that a server cannot work with: one line at the start that says what, where, and what
to do. What is wrong with a database that was in use is in test_scm_database.py, and other mistakes
of the command line are in test_mistakes.py."""

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from forked_commands import ForkedCommands
from postgresql_server import WITH_PASSWORD
from scm_setup import UE7, document

from msgin5g_tools.scm_server import engine_postgresql
from msgin5g_tools.scm_server.database import shown
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError
from msgin5g_tools.scm_server.store import Store

_AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
READING = (("documents", "list"), ("fleet",))
WRITING = (("scm-server", "--bind", "127.0.0.1:0"), ("documents", "deny", UE7))


@pytest.fixture(scope="module")
def msgin5g():
    with ForkedCommands() as commands:
        yield commands


@pytest.fixture
def db(postgresql):
    yield postgresql.new_database()
    postgresql.drop_databases()


@pytest.fixture
def folder():
    """One that another user can reach: pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory(prefix="msgin5g-start-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def role(postgresql, db):
    """A role that has no right but to connect, and the URL of `db` for it."""
    with sql(db) as run:
        run("CREATE ROLE guest LOGIN")
    yield "guest", of_role(db, "guest")
    postgresql.drop_databases()
    with sql(postgresql.url("postgres")) as run:
        run("DROP ROLE guest")


@contextlib.contextmanager
def sql(url):
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection.execute


def of_role(url, role):
    return url.replace("msgin5g@", f"{role}@")


def refused(msgin5g, db, *parts, commands=WRITING):
    """Each of these commands ends with status 1 and one line with all of these parts."""
    for command in commands:
        done = msgin5g(*command, "--db", db)
        text = done.err.decode()
        assert (done.status, done.out) == (1, b"") and text.count("\n") == 1, done
        assert text.startswith(f"Error: {shown(db)}: "), text
        for part in parts:
            assert part in text, text


# a file of SQLite


@pytest.fixture(scope="module")
def another_user():
    """The commands of a user who is not root, for whom the modes of files count."""
    prefix = _AS_NOBODY if os.geteuid() == 0 else []
    if prefix:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed")
        if subprocess.run([*prefix, sys.executable, "-c", ""], cwd="/", check=False).returncode:
            pytest.skip("another user cannot start this Python")
    with ForkedCommands(prefix=prefix) as commands:
        yield commands


@pytest.mark.parametrize("file_mode, folder_mode", [(0o444, 0o777), (0o444, 0o755), (0, 0o777)])
def test_a_file_that_this_user_may_not_change_is_one_line_that_names_the_right(
    file_mode, folder_mode, folder, another_user
):
    file = folder / "scm.db"
    Store(file).close()
    file.chmod(file_mode)
    folder.chmod(folder_mode)
    refused(
        another_user, file, "this user may not read and write the file: see its owner and mode"
    )


def test_a_folder_that_this_user_may_not_write_to_is_one_line_that_names_it(folder, another_user):
    file = folder / "scm.db"
    folder.chmod(0o555)
    refused(another_user, file, f"this user may not write to {folder}")
    Store(file).close()
    file.chmod(0o666)
    folder.chmod(0o555)
    refused(another_user, file, f"this user may not write to {folder}")


def test_a_disk_that_is_full_at_the_start_is_one_line_that_says_where_to_make_room(
    tmp_path, monkeypatch
):
    connect = sqlite3.connect

    def full(*arguments, **how):
        connection = connect(*arguments, **how)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(sqlite3, "connect", full)
    db = tmp_path / "scm.db"
    text = f"{db}: database or disk is full: make room on the disk of {tmp_path}"
    with pytest.raises(ScmError, match=f"^{re.escape(text)}$"):
        Store(db)


# PostgreSQL


def test_a_role_that_may_make_no_tables_is_told_who_makes_them(msgin5g, postgresql, role):
    name, _ = role
    url = of_role(postgresql.new_database(is_empty=True), name)
    refused(
        msgin5g,
        url,
        "permission denied for schema",
        "let the owner of the database",
        commands=WRITING,
    )


def test_a_role_that_may_not_change_the_tables_is_told_what_to_grant(msgin5g, db, role):
    name, url = role
    refused(msgin5g, url, "permission denied for table", commands=WRITING + READING)
    with sql(db) as run_sql:
        run_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
        for command in READING:
            assert msgin5g(*command, "--db", url).status == 0
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"
        refused(msgin5g, url, f"{name} may not change the table ", grant, commands=WRITING)
        run_sql(grant)
    with Store(url) as store:
        assert store.put("msgin5g", "d", document(UE7)) == "created"
        assert store.deny(UE7)


def test_a_database_in_another_encoding_than_utf_8_is_refused_with_the_way_to_make_one(
    msgin5g, postgresql
):
    for encoding in ("SQL_ASCII", "LATIN1"):
        more = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        url = postgresql.new_database(is_empty=True, more=more)
        hint = "createdb --encoding=UTF8 --template=template0"
        refused(msgin5g, url, f"has the encoding {encoding}", hint, commands=WRITING + READING)
    postgresql.drop_databases()


def test_names_are_whole_whatever_encoding_the_environment_of_psycopg_names(db, monkeypatch):
    for name in ("LATIN1", "SQL_ASCII"):
        monkeypatch.setenv("PGCLIENTENCODING", name)
        with Store(db) as store:
            store.put("msgin5g", "größe-漢", document(UE7))
            assert store.names() == [("msgin5g", "größe-漢")]


def test_a_password_that_is_wrong_or_missing_is_one_line_that_says_where_it_belongs(msgin5g, db):
    for url, fault in (
        (of_role(db, f"{WITH_PASSWORD}:wr0ng"), "password authentication failed"),
        (of_role(db, WITH_PASSWORD), "no password supplied"),
    ):
        refused(msgin5g, url, fault, "~/.pgpass", "PGPASSFILE", commands=WRITING + READING)
        assert b"wr0ng" not in msgin5g("fleet", "--db", url).err


def test_the_limit_of_connections_is_one_line_that_says_who_takes_one(
    msgin5g, postgresql, db, role
):
    name, url = role
    with sql(db) as run_sql:
        run_sql(f"ALTER ROLE {name} CONNECTION LIMIT 0")
    refused(
        msgin5g,
        url,
        "too many connections for role",
        "raise the limit",
        commands=WRITING + READING,
    )


def test_time_limits_of_an_administrator_end_neither_a_migration_nor_a_server(
    db, role, monkeypatch
):
    name, _ = role
    limits = ("statement_timeout", "lock_timeout", "idle_session_timeout")
    with sql(db) as run_sql:
        for limit in limits:
            run_sql(f"ALTER ROLE {name} SET {limit} = '2s'")
        run_sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
    query = "SELECT " + ", ".join(f"current_setting('{limit}')" for limit in limits)
    meanwhile = []
    prepare = engine_postgresql.PostgresqlEngine.prepare

    def recorded(engine):
        meanwhile.append(engine.execute(query).fetchone())
        return prepare(engine)

    monkeypatch.setattr(engine_postgresql.PostgresqlEngine, "prepare", recorded)
    with Store(of_role(db, name), timeout_s=0.25, answer_s=1) as store:
        assert meanwhile == [("30s", "30s", "0")]
        assert store.row(query) == ("700ms", "250ms", "0")


def test_a_database_that_is_read_only_is_read_by_commands_and_refused_by_a_server(msgin5g, db):
    with Store(db) as store, sql(db) as run_sql:
        store.put("msgin5g", "ue-0007", document(UE7))
        run_sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only"
                " = on', current_database()); END $$")  # fmt: skip
    hint = "name the primary, as with ?target_session_attrs=read-write"
    refused(msgin5g, db, "is read-only", hint, commands=WRITING)
    for command in READING:
        done = msgin5g(*command, "--db", db)
        assert done.status == 0 and b"ue" in done.out, done


def test_a_right_that_was_taken_away_stores_nothing_and_is_named_at_the_next_start(db, role):
    name, url = role
    with sql(db) as run_sql:
        run_sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
        with Store(url) as store:
            run_sql(f"REVOKE INSERT ON documents FROM {name}")
            with pytest.raises(DatabaseError, match="permission denied for table documents"):
                store.put("msgin5g", "d", document(UE7))
            assert store.count() == 0
    with pytest.raises(ScmError, match=f"{name} may not change the table documents"):
        Store(url)
