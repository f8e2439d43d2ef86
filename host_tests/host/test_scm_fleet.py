"""What became of the UEs: what the server records of each, and the state that follows from it."""

import time
from collections import Counter

import pytest
from scm_setup import BLOCK2, COLLECTION, ETAG, GET, OBSERVE, UE7, UE8, Scm, block
from scm_setup import database_in, document

from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.fleet import Fleet
from msgin5g_tools.scm_server.fleet_table import FleetTable
from msgin5g_tools.scm_server.problem import DatabaseUnavailable
from msgin5g_tools.scm_server.store import Store

pytestmark = pytest.mark.usefixtures("each_engine")

DOC = f"{COLLECTION}/ue-0007"
QUERY = f"ue-uri={UE7}"


@pytest.fixture
def scm(tmp_path):
    with Scm(tmp_path) as server, server.client() as client:
        client.put("ue-0007", document(UE7))
        server.peer = client
        yield server


@pytest.fixture
def store(tmp_path):
    with Store(database_in(tmp_path)) as opened:
        yield opened


def test_a_ue_that_is_given_its_document_has_the_newest_until_that_changes(scm):
    assert scm.ue(UE7).state == "never" and scm.ue(UE8) is None
    began_at = int(time.time())
    answer = scm.peer.get(QUERY)
    ue = scm.ue(UE7)
    assert (ue.state, ue.how, ue.key_of) == ("newest", "alone", None)
    assert ue.etag == ue.wanted_etag == answer.options[ETAG][0]
    assert ue.peer == f"127.0.0.1:{scm.peer.port}" and began_at <= ue.asked_at <= time.time()
    scm.peer.put("ue-0007", document(UE7, configName="2"))
    assert scm.ue(UE7).state == "older"
    scm.peer.get(QUERY, options=[(ETAG, answer.options[ETAG][0])])
    assert scm.ue(UE7).state == "newest"
    scm.peer.get(QUERY, path=DOC)
    ue = scm.ue(UE7)
    assert (ue.state, ue.doc_id) == ("newest", "ue-0007")
    scm.peer.ask("0.04", DOC)
    assert (scm.ue(UE7).state, scm.ue(UE7).wanted_etag) == ("older", None)


def test_a_document_that_names_the_ue_goes_before_the_one_that_it_has(scm):
    scm.peer.put("all", document())
    scm.peer.get(f"ue-uri={UE8}", path=f"{COLLECTION}/all")
    assert scm.ue(UE8).state == "newest"
    scm.peer.put("ue-0008", document(UE8))
    assert scm.ue(UE8).state == "older"


def test_a_document_in_blocks_is_given_with_its_last_block(scm):
    scm.peer.put("ue-0007", document(UE7, configName="x" * 40))
    scm.peer.get(QUERY, options=[(BLOCK2, block(0, 0, 2))])
    assert (scm.ue(UE7).state, scm.ue(UE7).given_at) == ("older", None)
    number, answer = 0, scm.peer.get(QUERY, options=[(BLOCK2, block(1, 0, 2))])
    while answer.options[BLOCK2][0][-1] & 8:
        number += 1
        answer = scm.peer.get(QUERY, options=[(BLOCK2, block(number, 0, 2))])
    assert scm.ue(UE7).state == "newest"


def test_in_bulk_each_ue_is_given_what_is_its_own(scm):
    flag = "bulkConfFlag=msgin5g-bulk"
    ue9 = "urn:x-msgin5g:ue:0009"
    scm.peer.put("ue-0008", document(UE8))
    scm.peer.get(QUERY, f"ue-uri={UE8}", f"ue-uri={ue9}", flag)
    assert [scm.ue(uri).state for uri in (UE7, UE8, ue9)] == ["newest", "newest", "denied"]
    assert scm.ue(UE8).how == "bulk"
    assert (scm.ue(ue9).denied_code, scm.ue(ue9).denied_reason) == (
        "4.04",
        "no document for this UE",
    )
    scm.peer.put("ue-0008", document(UE8, configName="2"))
    assert [scm.ue(uri).state for uri in (UE7, UE8)] == ["newest", "older"]
    scm.peer.put("all", document())
    assert scm.ue(UE7).state == "older"


def test_documents_for_a_type_count_for_the_ues_that_said_theirs(scm):
    made = document(valUeIds={"imeiRanges": [{"tac": "12345678"}]})
    scm.peer.put("type", made)
    query = (f"ue-uri={UE8}", "ue-type=12345678")
    scm.peer.get(*query)
    assert scm.ue(UE8).state == "newest"
    scm.peer.put("type", {**made, "configName": "2"})
    assert scm.ue(UE8).state == "older"
    scm.peer.get(*query, f"ue-uri={UE7}", "bulkConfFlag=msgin5g-bulk")
    assert [scm.ue(uri).state for uri in (UE7, UE8)] == ["newest", "newest"]


def test_what_a_ue_was_denied_is_kept_until_it_is_given_something(scm):
    scm.call(lambda store: store.deny(UE7))
    assert scm.peer.get(QUERY).code == "4.03"
    ue = scm.ue(UE7)
    assert (ue.state, ue.denied_code) == ("denied", "4.03")
    assert ue.denied_reason == f"{UE7} is not allowed"
    scm.call(lambda store: store.allow(UE7))
    scm.peer.get(QUERY)
    assert scm.ue(UE7).state == "newest"
    scm.peer.get(f"ue-uri={UE8}")
    assert (scm.ue(UE8).state, scm.ue(UE8).denied_code) == ("denied", "4.04")


def test_an_observer_has_the_newest_once_it_has_acknowledged_it(scm):
    scm.peer.ask(GET, DOC, [QUERY], [(OBSERVE, b"")], token=b"watch")
    assert (scm.ue(UE7).state, scm.ue(UE7).how) == ("newest", "observe")
    with scm.client() as writer:
        writer.put("ue-0007", document(UE7, configName="2"))
    message = scm.peer.receive()
    ue = scm.ue(UE7)
    assert (ue.state, ue.acknowledged_at) == ("older", None)
    assert ue.notified_etag == message.options[ETAG][0] == ue.wanted_etag
    scm.peer.acknowledge(message)
    scm.peer.get(f"ue-uri={UE8}")  # the server has seen the ACK when it answers this
    ue = scm.ue(UE7)
    assert ue.state == "newest" and ue.acknowledged_at >= ue.notified_at
    scm.call(lambda store: store.deny(UE7))
    assert scm.peer.receive().code == "4.03"
    assert scm.ue(UE7).state == "denied"


def test_a_ue_reports_what_it_refuses_and_its_end(scm):
    tag = scm.peer.get(QUERY).options[ETAG][0]
    report = f"refused={tag.hex()}:Segment-size: 0"
    assert scm.peer.get(QUERY, report).code == "2.05"
    ue = scm.ue(UE7)
    assert (ue.state, ue.refused_reason, ue.refused_etag) == ("refused", "Segment-size: 0", tag)
    # It goes on: it observes the document, whose ETag is another one, or a gateway asks for it.
    answer = scm.peer.get(QUERY, path=DOC)
    scm.peer.get(QUERY, path=DOC, options=[(ETAG, answer.options[ETAG][0])])
    scm.peer.get(QUERY, "bulkConfFlag=msgin5g-bulk")
    assert scm.ue(UE7).state == "refused"
    scm.peer.put("ue-0007", document(UE7, configName="2"))
    assert scm.ue(UE7).state == "older", "nothing is known of what there is now"
    scm.peer.get(QUERY, path=DOC)
    assert scm.ue(UE7).state == "newest"
    scm.peer.get(QUERY, report, path=DOC)
    assert scm.ue(UE7).state == "refused"
    scm.peer.get(QUERY, "refused=:")
    assert (scm.ue(UE7).state, scm.ue(UE7).refused_reason) == ("newest", None)


def test_a_report_that_has_not_its_form_gets_4_00_and_hostile_text_is_escaped_and_cut(scm):
    for bad in ("refused=", "refused=Segment-size", "refused=0:x", "refused=" + "00" * 9 + ":x"):
        assert scm.peer.get(QUERY, bad).code == "4.00", bad
    assert scm.peer.get(QUERY, "refused=:a", "refused=:b").code == "4.00"
    assert scm.peer.get(QUERY, "refused=:\x1b[2J\u202e" + "x" * 200).code == "2.05"
    reason = scm.ue(UE7).refused_reason
    assert reason.startswith("\\x1b[2J\\u202exxx") and reason.isprintable() and len(reason) < 150


def seen(uri, at, **more):
    return {"uri": uri, "spelling": uri, "seen_at": at, "asked_at": at, **more}


def test_a_flood_of_invented_uris_takes_no_place_of_a_ue_that_somebody_knows(store):
    store.put("msgin5g", "d", document(UE7))
    Contexts(store).add(UE, "urn:key:1")
    table = FleetTable(store, 60)
    honest = [seen(uri, 1) for uri in (UE7, "urn:key:1")]
    # Documents for all: these were given one, and came back.
    returned = [f"urn:back:{n}" for n in range(20)]
    for at in (1, 100):
        rows = [seen(uri, at, given_at=at, service="s", etag=b"1") for uri in returned]
        table.write(honest + rows)
    for at in range(1000, 1010):
        table.write([seen(f"urn:flood:{at}:{n}", at) for n in range(100)])
        given = {"given_at": at, "service": "s", "etag": b"1"}
        table.write([seen(f"urn:given:{at}:{n}", at, **given) for n in range(100)])
    kept = [uri for (uri,) in store.rows("SELECT uri FROM ues")]
    assert len(kept) == 60
    assert {UE7, "urn:key:1", *returned} <= set(kept)


def test_what_was_seen_under_a_key_is_not_overwritten_without_one(store):
    table = FleetTable(store, 60)
    table.write([seen(UE7, 100, key_of=UE7, peer="a")])
    table.write([seen(UE7, 101, key_of=None, peer="b", denied_at=101, denied_code="4.01")])
    found = Fleet(store).find(UE7)
    assert (found.peer, found.denied_at, found.seen_at) == ("a", None, 100)
    table.write([seen(UE7, 90_000, key_of=None, peer="c")])
    assert Fleet(store).find(UE7).peer == "c"


def test_the_newest_time_wins_whatever_the_order(store):
    one, two = FleetTable(store, 60), FleetTable(store, 60)  # of two servers
    one.write([seen(UE7, 200, given_at=200, service="s", etag=b"2", peer="new")])
    two.write([seen(UE7, 100, given_at=100, service="s", etag=b"1", peer="old")])
    two.write([{"uri": UE7, "spelling": UE7, "seen_at": 90, "notified_at": 90}])
    ue = Fleet(store).find(UE7)
    assert (ue.peer, ue.etag, ue.notified_at, ue.seen_at) == ("new", b"2", 90, 200)


def test_pages_go_through_all_ues_once_and_counts_agree_with_them(store):
    uris = [f"urn:ue:{n:04}" for n in range(1200)]
    with store.transaction():
        for uri in uris[:700]:
            store.put("msgin5g", uri[4:], document(uri))
    table = FleetTable(store, 10_000)
    for start in range(600, 1200, 100):
        denial = {"denied_at": 9, "denied_code": "4.04"}
        table.write([seen(uri, 9, **denial) for uri in uris[start : start + 100]])
    fleet = Fleet(store)
    assert [ue.uri for ue in fleet.each()] == uris
    assert fleet.counts() == Counter(never=600, denied=600, newest=0, older=0, refused=0)
    assert [ue.uri for ue in fleet.each("denied", "UE:119")] == uris[1190:]
    page = fleet.page("denied", max_read=500)
    assert page.ues == [] and page.after == uris[499]
    page = fleet.page("denied", after=page.after, limit=2)
    assert [ue.uri for ue in page.ues] == uris[600:602] and page.after == uris[601]


@pytest.mark.sqlite
def test_a_locked_database_delays_the_record_and_no_request(tmp_path, monkeypatch):
    monkeypatch.setattr("msgin5g_tools.scm_server.server._LOCK_S", 3600)  # who waits is stuck
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7))
        with Store(database_in(tmp_path)) as other, other.transaction():
            other.put("msgin5g", "x", document())
            for _ in range(50):
                assert client.get(QUERY).code == "2.05"
                time.sleep(0.03)  # the record is to be written meanwhile
            assert Fleet(other).find(UE7).state == "never"
        assert scm.ue(UE7).state == "older"  # "x" is new


def test_the_memory_of_the_recorder_is_limited_and_what_is_dropped_is_counted(scm, monkeypatch):
    monkeypatch.setattr("msgin5g_tools.scm_server.fleet_recorder._MAX_ROWS", 3)

    def locked(*_):
        raise DatabaseUnavailable("locked")

    monkeypatch.setattr(FleetTable, "write", locked)
    for n in range(5):
        scm.peer.get(f"ue-uri=urn:x:{n}")
    assert scm.server.drops["fleet"] == 2


@pytest.mark.sqlite
def test_the_record_waits_for_no_lock_and_no_disk_and_documents_still_do(tmp_path):
    path = database_in(tmp_path)
    with Store(path) as other, Store(path, timeout_s=30) as store:
        table, statements = FleetTable(store, 60), []
        store.connection.set_trace_callback(statements.append)
        with other.transaction(), pytest.raises(DatabaseUnavailable):
            other.deny(UE8)
            table.write([seen(UE7, 1)])
        assert "PRAGMA busy_timeout = 0" in statements[: statements.index("BEGIN IMMEDIATE")]
        table.write([seen(UE7, 1)])
        settings = [store.value(f"PRAGMA {name}") for name in ("busy_timeout", "synchronous")]
        assert settings == [30_000, 2]
