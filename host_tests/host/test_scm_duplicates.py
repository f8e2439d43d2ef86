"""The configuration management server: repeated requests, in a limited amount of memory."""

import cbor2
from hypothesis import assume, given
from hypothesis import strategies as st
from scm_setup import COLLECTION, CON, GET, OBSERVE, POST, UE7, URI_PATH, Scm, document, encode

from msgin5g_tools.scm_server import duplicates
from msgin5g_tools.scm_server.duplicates import Duplicates
from msgin5g_tools.scm_server.duplicates_table import BUCKETS, DuplicatesTable


def n_documents(store):
    return len(store.documents())


def made(now, **limits):
    return Duplicates(247, lambda: now[0], **limits)


def test_a_flood_from_any_number_of_peers_takes_a_limited_number_of_entries():
    seen = made([0.0], max_entries=100, max_of_host=10)
    for n in range(10_000):
        seen.add((f"host-{n}", 5683, 1), b"t")
        assert len(seen) <= 100
    newest = ("host-9999", 5683, 1)
    assert seen.is_remembered(newest, b"t"), "the newest is there"
    for n in range(10_000):
        seen.add(("one", n % 50_000, n), b"t")
    assert sum(seen.is_remembered(("one", n % 50_000, n), b"t") for n in range(10_000)) == 10
    assert seen.is_remembered(newest, b"t"), "a flood of one host costs others nothing"


def test_an_entry_lasts_for_the_exchange_lifetime_and_is_free_then():
    now = [0.0]
    seen = made(now)
    key = ("host", 5683, 7)
    seen.add(key, b"t")
    seen.answered(key, b"t", b"response")
    seen.answered(key, b"u", b"of another request with this message ID")
    seen.answered(("host", 5683, 8), b"t", b"of a request that was dropped")
    now[0] = 246.0
    seen.expire()
    assert seen.datagram(key) == b"response"
    now[0] = 247.0
    seen.expire()
    assert len(seen) == 0 and not seen.is_remembered(key, b"t")
    assert seen.datagram(key) is None


def test_a_response_longer_than_a_datagram_should_be_is_not_kept():
    seen, key = made([0.0]), ("host", 5683, 7)
    seen.add(key, b"t")
    for size, kept in ((1152, True), (1153, False), (10, True)):
        seen.answered(key, b"t", bytes(size))
        assert seen.datagram(key) == (bytes(size) if kept else None)


_HOSTS = ("one", "two", "three")
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(_HOSTS),
        st.integers(0, 9),  # the message ID
        st.sampled_from((b"", b"t", b"u")),
        st.sampled_from((None, b"", b"short", b"s" * 384, b"l" * 385, b"l" * 1152)),
        st.integers(0, 60),  # seconds until the next one
    ),
    max_size=60,
)


@given(_STEPS)
def test_what_is_remembered_is_always_what_the_rules_say(steps):
    assume(len({hash(host) & 0xFFFF for host in _HOSTS}) == len(_HOSTS))
    now, lifetime_s, max_entries, max_of_host = [0.0], 100, 7, 4
    seen = Duplicates(lifetime_s, lambda: now[0], max_entries, max_of_host)
    entries = []  # [key or None where a newer one has it, token, datagram, expires_at], by age
    for host, mid, token, datagram, seconds in steps:
        key = (host, 5683, mid)
        entries = [entry for entry in entries if entry[3] > now[0]]
        mine = [entry for entry in entries if entry[0] == key]
        assert seen.is_remembered(key, token) == any(entry[1] == token for entry in mine)
        if not mine or mine[0][1] != token:
            for entry in mine:
                entry[0] = None
            of_host = [entry for entry in entries if entry[4] == host]
            if len(of_host) == max_of_host:
                entries.remove(of_host[0])
            elif len(entries) == max_entries:
                del entries[0]
            entries.append([key, token, None, now[0] + lifetime_s, host])
            seen.add(key, token)
        if datagram is not None:
            seen.answered(key, token, datagram)
            next(entry for entry in entries if entry[0] == key)[2] = datagram or None
        now[0] += seconds
        seen.expire()
        entries = [entry for entry in entries if entry[3] > now[0]]
        known = {entry[0]: entry for entry in entries}
        assert len(seen) == len(entries)
        for each in ((host, 5683, mid) for host in _HOSTS for mid in range(10)):
            _, token, datagram = known.get(each, (None, None, None))[:3]
            assert seen.datagram(each) == datagram
            assert token is None or seen.is_remembered(each, token)


def test_the_table_is_the_same_after_it_has_given_back_its_memory():
    now = [0.0]
    seen = made(now)
    for n in range(30_000):
        seen.add((f"host-{n % 100}", 5683, n), b"t")
        seen.answered((f"host-{n % 100}", 5683, n), b"t", b"%d" % n * (n % 200))
    assert seen.n_rows == 30_000
    now[0] = 100.0
    for n in range(300):
        seen.add(("late", 5683, n % 250), b"t")
        seen.answered(("late", 5683, n % 250), b"t", b"%d" % n)
    now[0] = 250.0
    seen.expire()
    assert seen.n_rows == len(seen) == 250
    for n in range(250):
        assert seen.datagram(("late", 5683, n)) == b"%d" % (n + 250 if n < 50 else n)
    now[0] = 400.0
    seen.add(("host-1", 5683, 1), b"t")
    assert len(seen) == 1


def test_entries_of_one_bucket_are_found_each_also_after_others_of_it_have_gone():
    table = DuplicatesTable(4)
    entries = [table.add(n * BUCKETS, n, 0, 0.0) for n in range(4)]
    for gone in (1, 3, 0):
        table.remove(entries[gone])
        entries[gone] = 0
        assert [table.find(n * BUCKETS) for n in range(4)] == entries


def test_a_repeated_request_is_done_once_and_a_dropped_one_again(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates.Duplicates.__init__, "__defaults__", (8, 4))
    path = [(URI_PATH, part.encode()) for part in COLLECTION.split("/")]

    def post(mid):
        return encode(CON, POST, mid, b"t", path, cbor2.dumps(document(UE7)))

    with Scm(tmp_path) as scm, scm.client() as client, scm.client("127.0.0.2") as other:
        other.send(post(1))
        first = other.receive()
        for mid in range(10, 20):
            client.send(post(mid))
            assert client.receive().code == "2.01"
        other.send(post(1))
        assert other.receive() == first, "the flood of another host dropped nothing of this one"
        assert scm.call(n_documents) == 11
        client.send(post(10))
        assert client.receive().code == "2.01"
        assert scm.call(n_documents) == 12, "dropped: done again"


def test_an_error_of_one_peer_ends_its_observation_and_costs_nothing_for_the_others(tmp_path):
    doc = f"{COLLECTION}/ue-0007"
    with Scm(tmp_path) as scm, scm.client() as writer, scm.client() as stays:
        writer.put("ue-0007", document(UE7, configName="0"))
        stays.ask(GET, doc, [f"ue-uri={UE7}"], [(OBSERVE, b"")])
        with scm.client() as gone:
            gone.ask(GET, doc, [f"ue-uri={UE7}"], [(OBSERVE, b"")])
        assert scm.n_observers() == 2
        for name in "12":  # the port of `gone` is closed: ICMP says so
            writer.put("ue-0007", document(UE7, configName=name))
            stays.acknowledge(stays.receive())
        assert scm.n_observers() == 1


def test_the_same_message_id_with_another_token_is_another_request(tmp_path):
    path = [(URI_PATH, part.encode()) for part in COLLECTION.split("/")]
    with Scm(tmp_path) as scm, scm.client() as client:
        for n, token in enumerate((b"one", b"two", b"")):
            post = encode(CON, POST, 1, token, path, cbor2.dumps(document(UE7)))
            client.send(post)
            answer = client.receive()
            assert (answer.code, answer.mid, answer.token) == ("2.01", 1, token)
            client.send(post)
            assert client.receive() == answer, "a repetition"
            assert scm.call(n_documents) == n + 1


def test_each_peer_gets_message_ids_of_its_own(tmp_path):
    doc = f"{COLLECTION}/ue-0007"
    with Scm(tmp_path) as scm, scm.client() as writer, scm.client() as one, scm.client() as two:
        writer.put("ue-0007", document(UE7, configName="0"))
        for client in (one, two):
            client.ask(GET, doc, [f"ue-uri={UE7}"], [(OBSERVE, b"")])
        mids = {one: [], two: []}
        for name in "1234":
            writer.put("ue-0007", document(UE7, configName=name))
            for client in (one, two):
                notification = client.receive()
                client.acknowledge(notification)
                mids[client].append(notification.mid)
        for seen in mids.values():
            assert seen == [(seen[0] + n) & 0xFFFF for n in range(4)]
        assert not set(mids[one]) & set(mids[two])
