"""The security contexts in the server's database: made, rotated, revoked, found; numbers."""

import contextlib
import os
import sqlite3
import stat
import threading

import pytest
from scm_setup import UE7, UE8, database_in, old_database

from msgin5g_tools.scm_server.contexts import (
    ACTIVE,
    ADMINISTRATOR,
    DAY_S,
    GATEWAY,
    RETIRING,
    REVOKED,
    UE,
    Contexts,
    advance,
)
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.store import Store

pytestmark = pytest.mark.usefixtures("each_engine")


class Clock:
    now = 1_800_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def opened(tmp_path):
    clock = Clock()
    with Store(database_in(tmp_path)) as store:
        yield Contexts(store, clock), clock, store


def test_a_context_is_found_by_its_identifiers_and_its_secret_is_not_shown(opened):
    contexts, clock, _ = opened
    assert contexts.is_empty()
    made = contexts.add(UE, UE7)
    assert len(made.secret) == 16 and made.kid != made.server_id and made.id_context is None
    assert contexts.find(made.kid) == made and contexts.find(made.kid, b"") is None
    assert contexts.find(made.kid, b"x") is None and contexts.find(b"\x77") is None
    other = contexts.add(UE, UE8, kid=b"\x77", id_context=b"site 1", salt=b"salt")
    assert contexts.find(b"\x77") is None
    assert contexts.find(b"\x77", b"site 1") == other
    listed = contexts.list()
    assert [(each.spelling, each.state, each.created_at) for each in listed] == [
        (UE7, ACTIVE, clock.now),
        (UE8, ACTIVE, clock.now),
    ]
    assert contexts.list(UE, UE8.upper().replace("X-MSGIN5G:UE", "x-msgin5g:ue")) == [listed[1]]
    assert {each.secret for each in listed} == {b""}
    for secret in (made.secret, other.secret):
        shown = repr([made, other])
        assert repr(secret)[2:-1] not in shown and secret.hex() not in shown


def test_bad_identifiers_and_owners_are_one_line_each(opened):
    contexts, _, _ = opened
    contexts.add(UE, UE7, kid=b"\x07")
    contexts.add(GATEWAY, "192.0.2.1", kid=b"\x07", id_context=b"site 1")
    for kind, name, more, expected in (
        (UE, UE7, {}, "has a key already"),
        (UE, "no uri", {}, "not a URI"),
        (GATEWAY, "no uri", {}, "not a URI"),
        (ADMINISTRATOR, "", {}, "not a name"),
        ("printer", "x", {}, "not for a printer"),
        (UE, UE8, {"kid": b"\x07"}, f"{UE8}: identifier '07' is taken, perhaps by a revoked key"),
        (UE, UE8, {"kid": b"\x07", "id_context": b"site 1"}, "'07' is taken"),
        (UE, UE8, {"kid": b"12345678"}, "8 bytes, not 0 to 7"),
        (UE, UE8, {"kid": b"\x00"}, "that of the server"),
        (UE, UE8, {"secret": b"short secret"}, "master secret has 12 bytes, not 16"),
    ):
        with pytest.raises(ScmError, match=expected) as caught:
            contexts.add(kind, name, **more)
        assert "\n" not in str(caught.value) and "short secret" not in str(caught.value)
    assert len(contexts.list()) == 2
    with pytest.raises(ScmError, match="no key to rotate"):
        contexts.rotate(UE, UE8)


def test_a_rotated_key_works_until_its_end_and_a_revoked_one_no_more(opened):
    contexts, clock, store = opened
    first = contexts.add(UE, UE7)
    second = contexts.rotate(UE, UE7, 7 * DAY_S)
    assert second.secret != first.secret and second.kid != first.kid
    assert [each.state for each in contexts.list()] == [RETIRING, ACTIVE]
    assert contexts.find(first.kid).secret == first.secret
    clock.now += DAY_S
    third = contexts.rotate(UE, UE7, 30 * DAY_S)
    assert [each.state for each in contexts.list()] == [RETIRING, RETIRING, ACTIVE]
    clock.now += 6 * DAY_S - 1
    assert contexts.find(first.kid)
    clock.now += 1
    assert contexts.find(first.kid) is None
    assert contexts.find(second.kid) and contexts.find(third.kid)
    number = store.last_change()
    assert contexts.revoke(UE, UE7) == 3 and contexts.revoke(UE, UE7) == 0
    assert contexts.find(second.kid) is None and contexts.find(third.kid) is None
    assert (None, f"oscore:{third.number}") in store.changes_since(number).names
    assert [each.state for each in contexts.list()] == [REVOKED] * 3
    secrets = store.rows("SELECT secret, salt FROM contexts")
    assert secrets == [(b"", b"")] * 3
    # A new key for the same UE has identifiers of its own.
    fourth = contexts.add(UE, UE7)
    assert fourth.kid not in (first.kid, second.kid, third.kid)
    assert contexts.revoke_number(fourth.number) and not contexts.revoke_number(fourth.number)


def test_a_key_that_never_reached_its_board_can_be_discarded(opened):
    contexts, _, _ = opened
    made, used = contexts.add(UE, UE7), contexts.add(UE, UE8)
    assert contexts.reserve(used.number, 64) == 0
    assert contexts.discard(made.number) and not contexts.discard(used.number)
    assert [each.spelling for each in contexts.list()] == [UE8]
    assert contexts.add(UE, UE7).number > used.number


def test_the_last_use_is_known_to_the_day(opened):
    contexts, clock, store = opened
    made = contexts.add(UE, UE7)
    for passed_s, expected in ((0, 0), (5, 0), (DAY_S, DAY_S + 5), (DAY_S - 1, DAY_S + 5)):
        clock.now += passed_s
        contexts.note_use(contexts.find(made.kid))
        assert contexts.list()[0].used_at == Clock.now + expected
    assert store.last_change() == 0, "nobody is woken for it"


def test_another_process_sees_each_change_at_once(opened, tmp_path):
    contexts, _, _ = opened
    with Store(database_in(tmp_path)) as other:
        made = Contexts(other).add(UE, UE7)
        assert contexts.find(made.kid) == made
        Contexts(other).revoke(UE, UE7)
        assert contexts.find(made.kid) is None


def test_one_process_at_a_time_holds_a_context(opened):
    contexts, _, store = opened
    made = contexts.add(UE, UE7)
    assert made.holder is None
    for holder in ("a", "b"):
        contexts.hold(made.number, holder)
        assert contexts.find(made.kid).holder == holder
    assert store.last_change() == 0, "nobody is woken for it"


def test_numbers_are_reserved_once_by_all_processes_together(opened, tmp_path):
    contexts, _, _ = opened
    made = contexts.add(UE, UE7)
    reserved = []

    def reserve():
        with Store(database_in(tmp_path), timeout_s=60) as store:
            mine = Contexts(store)
            reserved.extend(mine.reserve(made.number, 64) for _ in range(50))

    threads = [threading.Thread(target=reserve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reserved) == [64 * n for n in range(200)]
    assert contexts.reserve(made.number, 64, 1000) == 200 * 64 + 1000
    assert contexts.reserve(made.number, 64, 2**40) is None
    contexts.revoke(UE, UE7)
    assert contexts.reserve(made.number, 64) is None


def test_a_window_in_the_database_takes_each_number_once(opened, tmp_path):
    contexts, _, _ = opened
    made = contexts.add(ADMINISTRATOR, "Anna")
    with Store(database_in(tmp_path)) as store:
        other = Contexts(store)
        for who, number, expected in (
            (contexts, 10, True),
            (other, 10, False),
            (other, 7, True),
            (contexts, 7, False),
            (contexts, 42, True),
            (other, 10, False),  # 32 behind
            (other, 11, True),  # 31 behind
            (other, 2**40 - 1, True),
            (contexts, 43, False),
        ):
            assert who.came(made.number, number) is expected, number


def test_a_window_moves_as_the_rfc_says():
    highest, seen = -1, 0
    for number in (5, 3, 4):
        highest, seen = advance(highest, seen, number)
    assert advance(highest, seen, 4) is None and (highest, seen) == (5, 0b111)
    assert advance(100, 1, 69) == (100, 1 | 1 << 31)
    assert advance(100, 1, 68) is None and advance(100, 1, 67) is None
    assert advance(0, 1, 2**40 - 1) == (2**40 - 1, 1)


def test_the_ues_of_a_gateway_are_a_list(opened):
    contexts, _, store = opened
    gateway = "192.0.2.7"
    assert contexts.add_ue(gateway, UE7) and not contexts.add_ue(gateway, UE7)
    assert contexts.add_ue("urn:x-msgin5g:gateway:1", UE8)
    assert contexts.first_foreign(gateway, [UE7]) is None
    assert contexts.first_foreign(gateway, [UE7, UE8]) == UE8
    assert contexts.gateway_ues() == [(gateway, UE7), ("urn:x-msgin5g:gateway:1", UE8)]
    number = store.last_change()
    assert contexts.remove_ue(gateway, UE7) and not contexts.remove_ue(gateway, UE7)
    assert store.changes_since(number).names == {(None, UE7)}
    with pytest.raises(ScmError, match="not a URI"):
        contexts.add_ue(gateway, "no uri")


def test_who_was_given_which_ue_service_id_is_recorded(opened):
    contexts, clock, _ = opened
    contexts.note_service_ids([(UE7, "a", 1)])
    clock.now += 5
    contexts.note_service_ids([(UE7, "b", 1), (UE7, "a", 2)])
    assert contexts.service_ids() == [(UE7, "a", 2, clock.now), (UE7, "b", 1, clock.now)]


@pytest.mark.sqlite
def test_files_with_keys_are_nobodys_but_their_owners(tmp_path):
    path = tmp_path / "scm.db"
    with Store(path) as server, Store(path) as store:
        for file in tmp_path.iterdir():
            os.chmod(file, 0o664)
        Contexts(store).add(UE, UE7)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        assert modes == {"scm.db": 0o600, "scm.db-wal": 0o600, "scm.db-shm": 0o600}
        # A group that somebody has chosen stays.
        os.chmod(path, 0o660)
        Contexts(server).add(UE, UE8)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.sqlite
@pytest.mark.parametrize("version", [1, 2])
def test_a_database_of_an_older_version_gets_the_tables_and_keeps_what_it_has(tmp_path, version):
    path = tmp_path / "old.db"
    old_database(path, version)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("INSERT INTO gateways VALUES ('192.0.2.7')")
        old.execute("INSERT INTO denied VALUES ('urn:a:9', 'urn:a:9')")
    for _ in range(2):
        with Store(path) as store:
            assert store.gateways() == ["192.0.2.7"] and store.denied() == ["urn:a:9"]
            assert store.connection.execute("PRAGMA user_version").fetchone() == (5,)
    with Store(path) as store:
        contexts = Contexts(store)
        made = contexts.add(UE, UE7)
        assert contexts.find(made.kid) == made
        plan = (
            "EXPLAIN QUERY PLAN SELECT 1 FROM contexts WHERE kid = ? AND ifnull(id_context, x'')"
        )
        (step,) = store.connection.execute(plan + " = ?", (b"", b"")).fetchall()
        assert "contexts_ids" in step[3]


def test_numbers_of_contexts_that_were_made_together_are_reserved_in_one_write(opened):
    contexts, _, _ = opened
    made = [contexts.add(UE, f"urn:a:{n}") for n in range(5)]
    contexts.revoke(UE, "urn:a:3")
    assert contexts.reserve(made[1].number, 64) == 0
    numbers = [each.number for each in made]
    first = dict.fromkeys([numbers[n] for n in (0, 2, 4)], 1000)
    assert contexts.reserve_near(numbers[4], 64, 1000) == {**first, numbers[1]: 1064}
    assert contexts.reserve(numbers[0], 64) == 1064, "nobody else gets them"
    assert contexts.list(UE, "urn:a:2")[0].used_at is None, "it was not used"
    assert contexts.discard(numbers[2])
