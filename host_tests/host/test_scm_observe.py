"""The configuration management server: a document is observed (RFC 7641)."""

import asyncio
import contextlib
import gc
import sqlite3
import time

from types import SimpleNamespace

import cbor2
import pytest
from aiocoap.options import Options
from scm_setup import (
    CON,
    DELETE,
    ETAG,
    GET,
    OBSERVE,
    RST,
    UE7,
    UE8,
    URI_PATH,
    URI_QUERY,
    Scm,
    database_in,
    document,
    encode,
    problem,
    recipient,
)
from scm_setup import BLOCK2, COLLECTION, block, old_database

from msgin5g_tools.scm_server import observers, ue_config
from msgin5g_tools.scm_server.problem import DatabaseUnavailable
from msgin5g_tools.scm_server.resources import DOCUMENT, Route
from msgin5g_tools.scm_server.store import Store

pytestmark = pytest.mark.usefixtures("each_engine")

DOC = f"{COLLECTION}/ue-0007"
QUERY = f"ue-uri={UE7}"


@pytest.fixture
def scm(tmp_path):
    with Scm(tmp_path) as server, server.client() as client:
        client.put("ue-0007", document(UE7, configName="0"))
        server.writer = client
        yield server


def register(client, token=b"watch", options=()):
    answer = client.ask(GET, DOC, [QUERY], [(OBSERVE, b""), *options], token=token)
    return answer, number(answer)


def number(answer):
    return int.from_bytes(answer.options[OBSERVE][0], "big") if OBSERVE in answer.options else None


def notified(client, token=b"watch"):
    message = client.receive()
    assert message is not None and message.type == CON and message.token == token, message
    client.acknowledge(message)
    assert recipient(message) == UE7
    return message


def nothing_came(scm, client):
    """That a client was sent nothing, and is not when later changes of others are notified.

    Whoever observes another document has heard of two changes by then, and datagrams from one
    address to another arrive in order: the answer to a ping shows that nothing came before it.
    """
    with scm.client() as other:
        scm.writer.put("other", document(UE8, configName="0"))
        path = f"{COLLECTION}/other"
        assert other.ask(GET, path, [f"ue-uri={UE8}"], [(OBSERVE, b"")]).code == "2.05"
        for name in "12":
            scm.writer.put("other", document(UE8, configName=name))
            message = other.receive()
            assert cbor2.loads(message.payload)["configName"] == name
            other.acknowledge(message)
    client.send(encode(CON, "0.00", 0x7777))
    message = client.receive()
    assert (message.type, message.mid) == (RST, 0x7777), message
    return True


def test_a_change_is_notified_in_order_and_for_whom_registered(scm):
    with scm.client() as client:
        first, last = register(client)
        assert first.code == "2.05" and recipient(first) == UE7
        for name in "123":
            scm.writer.put("ue-0007", document(UE7, configName=name), f"ue-uri={UE7}")
            message = notified(client)
            assert message.code == "2.05" and len(message.options[ETAG]) == 1
            assert cbor2.loads(message.payload)["configName"] == name
            assert 0 < (number(message) - last) % 2**24 < 2**23
            last = number(message)


def test_a_change_that_changes_nothing_and_one_of_another_document_are_not_notified(scm):
    with scm.client() as client:
        register(client)
        scm.writer.put("ue-0007", document(UE7, configName="0"))
        scm.writer.put("ue-0008", document(UE8))
        assert nothing_came(scm, client)
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        assert notified(client).code == "2.05"


def test_a_deleted_document_ends_its_observers_with_404(scm):
    with scm.client() as client:
        register(client)
        scm.writer.ask(DELETE, DOC)
        message = notified(client)
        assert message.code == "4.04" and number(message) is None
        problem(message)
        scm.writer.put("ue-0007", document(UE7))
        assert nothing_came(scm, client), "it has ended"


def test_a_ue_that_is_denied_later_is_told_and_dropped(scm):
    with scm.client() as client:
        register(client)
        with Store(scm.settings.db) as other:  # as another process would
            other.deny(UE7)
        message = notified(client)
        assert message.code == "4.03" and problem(message)


def test_deregistration_reset_and_a_lost_client_end_an_observation(scm):
    with scm.client() as polite, scm.client() as rude:
        register(polite)
        answer = polite.ask(GET, DOC, [QUERY], [(OBSERVE, b"\x01")], token=b"watch")
        assert answer.code == "2.05" and number(answer) is None
        register(rude)
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        message = rude.receive()
        rude.send(encode(RST, "0.00", message.mid))
        scm.writer.put("ue-0007", document(UE7, configName="2"))
        assert nothing_came(scm, rude) and nothing_came(scm, polite)


def test_registering_again_keeps_one_observation_and_the_numbers_rise(scm):
    with scm.client() as client:
        _, first = register(client)
        _, second = register(client)
        assert 0 < (second - first) % 2**24 < 2**23
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        message = notified(client)
        assert 0 < (number(message) - second) % 2**24 < 2**23
        assert nothing_came(scm, client)


def test_the_numbers_rise_over_a_restart(tmp_path):
    numbers = []
    for _ in range(2):
        with Scm(tmp_path) as scm, scm.client() as client:
            client.put("ue-0007", document(UE7))
            numbers.append(register(client)[1])
    assert 0 < (numbers[1] - numbers[0]) % 2**24 < 2**23


def test_numbers_rise_within_one_millisecond_and_when_the_clock_has_gone_back(monkeypatch):
    now = [1_700_000_000.0]
    monkeypatch.setattr(observers.time, "time", lambda: now[0])
    made = observers.Observers(1, None)
    start = int(now[0] * 1000)
    last = made.next_number()
    assert last == start % 2**24
    for n in range(1, 100):  # in one and the same millisecond
        assert made.next_number() == (start + n) % 2**24
    now[0] += 10
    assert made.next_number() == (start + 10_000) % 2**24
    now[0] -= 3600  # somebody has set the clock
    for n in range(1, 100):
        assert made.next_number() == (start + 10_000 + n) % 2**24
    now[0] += 3601
    assert made.next_number() == (start + 11_000) % 2**24
    now[0] += 2**24 / 1000  # RFC 7641 section 4.4: 24 bits
    assert made.next_number() == (start + 11_000) % 2**24


def test_registering_with_a_known_etag_is_203_and_observed(scm):
    with scm.client() as client:
        (tag,) = client.get(path=DOC).options[ETAG]
        answer, seen = register(client, options=[(ETAG, tag)])
        assert answer.code == "2.03" and not answer.payload and seen is not None
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        assert notified(client).code == "2.05"
        scm.writer.put("ue-0007", document(UE7, configName="0"))
        assert notified(client).code == "2.03", "back to what the client said it has"


def test_only_a_document_that_is_there_can_be_observed(scm):
    with scm.client() as client:
        for path, code in ((COLLECTION, "2.05"), (f"{COLLECTION}/none", "4.04")):
            answer = client.ask(GET, path, [QUERY], [(OBSERVE, b"")])
            assert answer.code == code and number(answer) is None
        later = client.ask(GET, DOC, [QUERY], [(OBSERVE, b""), (BLOCK2, block(1, 0, 0))])
        assert later.code == "2.05" and number(later) is None, "only the first block"
        scm.writer.put("none", document())
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        assert nothing_came(scm, client)


def test_a_large_notification_is_its_first_block(scm):
    with scm.client() as client:
        register(client, options=[(BLOCK2, block(0, 0, 2))])
        scm.writer.put("ue-0007", document(UE7, configName="n" * 200))
        message = notified(client)
        assert message.options[BLOCK2] == [block(0, 1, 2)] and len(message.payload) == 64
        rest = client.get(QUERY, path=DOC, options=[(BLOCK2, block(1, 0, 2))])
        assert rest.options[ETAG] == message.options[ETAG] and number(rest) is None


def test_a_burst_of_changes_ends_in_the_last_one(tmp_path):
    with Scm(tmp_path, notify_interval_s=0.3) as scm, scm.client() as client:
        with scm.client() as writer:
            writer.put("ue-0007", document(UE7, configName="first"))
            register(client)
            for name in range(20):
                writer.put("ue-0007", document(UE7, configName=str(name)))
        names = []
        while not names or names[-1] != "19":
            names.append(cbor2.loads(notified(client).payload)["configName"])
        assert len(names) <= 5, names


def test_a_registration_beyond_the_limit_is_a_plain_answer(tmp_path):
    with Scm(tmp_path, max_observers=1) as scm, scm.client() as one, scm.client() as two:
        one.put("ue-0007", document(UE7))
        assert register(one)[1] is not None
        answer, seen = register(two)
        assert answer.code == "2.05" and seen is None
        one.ask(GET, DOC, [QUERY], [(OBSERVE, b"\x01")], token=b"watch")
        assert register(two)[1] is not None, "there is room again"


def test_a_non_confirmable_registration_is_notified_with_con(scm):
    options = [(URI_PATH, part.encode()) for part in DOC.split("/")]
    options += [(URI_QUERY, QUERY.encode()), (OBSERVE, b"")]
    with scm.client() as client:
        client.send(encode(1, GET, 77, b"watch", options))
        assert client.receive().code == "2.05"
        scm.writer.put("ue-0007", document(UE7, configName="1"))
        assert notified(client).code == "2.05", "so that a lost observer is noticed"


def observed_by_many(scm, client, n=20):
    """Documents d0, d1, ..., each with an observer of its own.

    Gives the list of those compared from now on, without the last one, which may be at any time.
    """
    for i in range(n):
        scm.writer.put(f"d{i}", document(UE7, configName="0"))
        path = f"{COLLECTION}/d{i}"
        answer = client.ask(GET, path, [QUERY], [(OBSERVE, b"")], token=b"d%d" % i)
        assert answer.code == "2.05" and OBSERVE in answer.options
    # The last one is notified, so what was woken before it has been compared. The first time
    # others may have been woken together with it, and come after it.
    last = f"d{n - 1}"
    for name in ("settled", "quiet"):
        scm.writer.put(last, document(UE7, configName=name))
        assert cbor2.loads(notified(client, last.encode()).payload)["configName"] == name
    compared = []

    def count(store):
        body_for = store.body_for

        def counting(service, doc_id, *whom):
            if doc_id != last:
                compared.append(doc_id)
            return body_for(service, doc_id, *whom)

        store.body_for = counting

    scm.call(count)
    return compared


def change(scm, *doc_ids, name):
    with Store(scm.settings.db) as other, other.transaction():  # as another process would
        for doc_id in doc_ids:
            other.put("msgin5g", doc_id, document(UE7, configName=name))


def test_a_change_by_an_import_compares_only_the_documents_that_changed(scm):
    with scm.client() as client:
        compared = observed_by_many(scm, client)
        change(scm, "d3", name="1")
        assert cbor2.loads(notified(client, b"d3").payload)["configName"] == "1"
        assert compared == ["d3"]
        scm.writer.put("d5", document(UE7, configName="1"))
        notified(client, b"d5")
        assert set(compared) == {"d3", "d5"}, "the first PUT after an import compares no others"


def test_a_denied_ue_wakes_its_own_observers_only(scm):
    with scm.client() as client, scm.client() as denied:
        scm.writer.put("all", document())
        denied.ask(GET, f"{COLLECTION}/all", ["ue-uri=urn:a:9"], [(OBSERVE, b"")])
        compared = observed_by_many(scm, client)
        with Store(scm.settings.db) as other:
            other.deny("URN:a:9")
        assert denied.receive().code == "4.03"
        assert compared == []


def test_changes_that_the_log_no_longer_has_are_found_all_the_same(scm):
    with scm.client() as client:
        observed_by_many(scm, client, 3)
        with Store(scm.settings.db) as other, other.transaction():
            other.put("msgin5g", "d1", document(UE7, configName="1"))
            other.put("msgin5g", "d2", document(UE7, configName="1"))
            other.run("DELETE FROM changes WHERE name = 'd1'")
        tokens = set()
        for _ in range(2):
            message = client.receive()
            client.acknowledge(message)
            tokens.add(message.token)
        assert tokens == {b"d1", b"d2"}


def test_the_log_of_changes_keeps_a_limited_number(tmp_path):
    with Store(database_in(tmp_path)) as store, store.transaction():
        store.run("INSERT INTO changes VALUES (250998, 's', 'x')")
        before = store.last_change()
        for n in range(10):
            store.put("msgin5g", f"d{n}", document(UE7))
        oldest = store.value("SELECT min(number) FROM changes")
        assert oldest == before and store.last_change() == before + 10
        store.run("INSERT INTO changes VALUES (459999, 's', 'y')")
        store.put("msgin5g", "last", document(UE7))
        assert store.value("SELECT count(*) FROM changes") == 2


def test_others_have_their_turn_while_many_observers_are_notified():
    turns = []

    def slowly(observer):
        time.sleep(0.002)  # ten times what a notification takes
        notified.append(observer)

    async def others():
        while True:
            turns.append(len(notified))
            await asyncio.sleep(0)

    async def main():
        tested = observers.Observers(100, slowly)
        for n in range(40):
            names = observers.names_of(Route(DOCUMENT, "msgin5g", f"d{n}"), ())
            request = SimpleNamespace(opt=Options(), remote=n, token=b"", manager=None)
            tested.add(observers.Observer(tested, request, names, b"", 0.0))
        tasks = [asyncio.create_task(each) for each in (tested.run(), others())]
        tested.changed(None)
        while len(notified) < 40:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()

    notified = []
    asyncio.run(main())
    assert set(turns) >= set(range(5, 35)), "after each notification"


def test_a_database_that_is_locked_postpones_a_notification_and_ends_no_observation(scm):
    with scm.client() as client:
        register(client)
        body_for = scm.call(lambda store: store.body_for)
        asked = []

        def locked(*name):
            asked.append(name)
            if len(asked) == 1:
                raise DatabaseUnavailable("database is locked")
            return body_for(*name)

        scm.call(lambda store: setattr(store, "body_for", locked))
        change(scm, "ue-0007", name="1")
        assert cbor2.loads(notified(client).payload)["configName"] == "1"
        assert len(asked) == 2


@pytest.mark.sqlite
def test_a_database_of_version_1_gets_what_it_lacks(tmp_path):
    old_database(database_in(tmp_path), 1)
    # A document, as version 1 has stored it.
    body = ue_config.encode(document(UE7), "ue-0007")
    with contextlib.closing(sqlite3.connect(database_in(tmp_path), isolation_level=None)) as old:
        old.execute("INSERT INTO documents VALUES (1, 'msgin5g', 'ue-0007', 0, 1, ?)", (body,))
        old.execute("INSERT INTO uris VALUES (?, 1)", (UE7,))
    with Scm(tmp_path) as scm, scm.client() as client:
        answer, _ = register(client)
        assert answer.code == "2.05"
        change(scm, "ue-0007", name="1")
        assert cbor2.loads(notified(client).payload)["configName"] == "1"


def test_an_observer_is_a_few_objects_for_the_garbage_collector(scm):
    """With sixty objects each, ten thousand observers stop the server for a second."""

    def n_objects(store):
        gc.collect()
        return len(gc.get_objects())

    with scm.client() as client:
        register(client, b"first")
        before = scm.call(n_objects)
        for n in range(200):
            register(client, b"o%d" % n)
        assert scm.n_observers() == 201
        assert (scm.call(n_objects) - before) / 200 < 12


def test_an_observer_that_does_not_acknowledge_has_one_notification_waiting(scm):
    with scm.client() as client, scm.client() as other:
        register(client)
        register(other)
        unanswered = None
        for n in range(1, 11):
            scm.writer.put("ue-0007", document(UE7, configName=str(n)))
            notified(other)  # so that each change is seen before the next one
            unanswered = unanswered or client.receive()
        client.acknowledge(unanswered)
        names = []
        while not names or names[-1] != "10":
            message = client.receive()
            if message.mid != unanswered.mid:  # not a retransmission
                client.acknowledge(message)
                names.append(cbor2.loads(message.payload)["configName"])
        assert len(names) <= 2, names
