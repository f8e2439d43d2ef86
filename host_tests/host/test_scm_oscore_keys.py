"""The configuration server under OSCORE: keys that end, observers, restarts, several processes."""

import base64
import gc
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack

import cbor2
import pytest
from aiocoap.numbers import codes
from aiocoap.numbers.constants import TransportTuning
from aiocoap.pipe import Pipe
from oscore_client import KeyHolder
from scm_setup import (
    COLLECTION,
    CON,
    GET,
    OBSERVE,
    RST,
    TIMEOUT_S,
    UE7,
    UE8,
    Client,
    Scm,
    database_in,
    document,
    encode,
)

from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, GATEWAY, UE, Contexts
from msgin5g_tools.scm_server.store import Store

pytestmark = pytest.mark.usefixtures("each_engine")

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()"]
DOC = f"{COLLECTION}/ue-0007"


def configured(name="a", uri=UE7):
    return document(uri, configName=name)


def store_with_keys(folder):
    with Store(database_in(folder)) as store:
        store.put("msgin5g", "ue-0007", configured())
        contexts = Contexts(store)
        return contexts.add(UE, UE7), contexts.add(ADMINISTRATOR, "Anna")


@pytest.fixture
def opened(tmp_path):
    """(Scm, the key of UE7, new_client(host))."""
    key, _ = store_with_keys(tmp_path)
    with ExitStack() as stack:
        scm = stack.enter_context(Scm(tmp_path))
        yield scm, key, lambda host="127.0.0.1": stack.enter_context(scm.client(host))


def change(scm, name, doc_id="ue-0007"):
    scm.call(lambda store: store.put("msgin5g", doc_id, configured(name)))
    scm.call(lambda store: scm.server.documents_changed())


def notified(holder, identifiers=None):
    """The configName of the next notification, which is acknowledged."""
    answer = holder.receive(identifiers or holder.identifiers)
    assert answer.code == codes.CONTENT
    holder.client.send(encode(2, "0.00", holder.outer.mid))
    return cbor2.loads(answer.payload)["configName"], answer


def is_silent(holder, timeout_s=0.4):
    return holder.client.receive(timeout_s) is None


def test_notifications_are_protected_and_numbered_by_their_partial_ivs(opened):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    answer = ue.ask(path=DOC, observe=0)
    assert answer.code == codes.CONTENT and answer.opt.observe is not None
    assert ue.outer.code == codes.CONTENT and scm.n_observers() == 1
    last = answer.opt.observe
    for name in "bcd":
        change(scm, name)
        got, notification = notified(ue)
        assert got == name and notification.opt.observe > last and ue.recipient == UE7
        assert ue.outer.opt.observe is not None and b"configName" not in ue.datagram
        last = notification.opt.observe
    assert len(set(ue.partial_ivs)) == len(ue.partial_ivs)
    # The last one is an error, protected too.
    scm.call(lambda store: store.delete("msgin5g", "ue-0007"))
    scm.call(lambda store: scm.server.documents_changed())
    assert ue.receive(ue.identifiers).code == codes.NOT_FOUND
    assert scm.n_observers() == 0


def test_a_protected_observation_ends_by_its_owner_and_not_by_a_stranger_with_its_token(opened):
    scm, key, new_client = opened
    client = new_client()
    ue = KeyHolder(client, key)
    ue.ask(path=DOC, observe=0)
    # From the same address, with the same token: plain, of another key, and not authentic.
    client.get(f"ue-uri={UE7}", path=DOC, options=[(6, b"\x01")])
    other = KeyHolder(client, scm.call(lambda store: Contexts(store).add(UE, UE8)))
    other.ask(path=DOC, observe=1)
    datagram, _ = ue.protect(path=DOC, observe=1)
    client.send(datagram[:-1] + bytes([datagram[-1] ^ 1]))
    assert client.receive().code == "4.00"
    assert scm.n_observers() == 1
    change(scm, "b")
    assert notified(ue)[0] == "b"
    # A new registration with its token takes its place.
    assert ue.ask(path=DOC, observe=0).code == codes.CONTENT and scm.n_observers() == 1
    assert ue.ask(path=DOC, observe=1).code == codes.CONTENT and scm.n_observers() == 0


def test_a_reset_ends_no_protected_observation_and_a_peer_that_does_not_answer_does(
    opened, monkeypatch
):
    scm, key, new_client = opened
    monkeypatch.setattr(TransportTuning, "ACK_TIMEOUT", 0.05)
    monkeypatch.setattr(TransportTuning, "MAX_RETRANSMIT", 2)
    client = new_client()
    ue = KeyHolder(client, key)
    ue.ask(path=DOC, observe=0)
    change(scm, "b")
    assert ue.receive(ue.identifiers).code == codes.CONTENT
    client.send(encode(RST, "0.00", ue.outer.mid))
    assert ue.outer.mtype == CON and client.receive().mid == ue.outer.mid, "it is sent again"
    client.acknowledge(ue.outer)
    change(scm, "c")
    assert notified(ue)[0] == "c" and scm.n_observers() == 1
    change(scm, "d")
    n_sent = 0
    while scm.n_observers():
        n_sent += not is_silent(ue, 0.1)
    assert n_sent == 3
    # One that is not protected ends as ever.
    client.get(f"ue-uri={UE7}", path=DOC, options=[(6, b"")])
    change(scm, "e")
    client.send(encode(RST, "0.00", client.receive().mid))
    client.get()
    assert scm.n_observers() == 0


def test_without_the_outer_observe_there_is_a_plain_answer(opened):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask()

    def strip(outer):
        outer.opt.observe = None

    answer, _ = ue.ask_once(path=DOC, observe=0, change=strip)
    assert answer.code == codes.CONTENT and answer.opt.observe is None
    assert scm.n_observers() == 0


def test_a_revoked_key_is_refused_at_once_and_its_observations_end_in_silence(opened, tmp_path):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask(path=DOC, observe=0)
    with Store(database_in(tmp_path)) as store:  # as `msgin5g keys` would, in another process
        assert Contexts(store).revoke(UE, UE7) == 1
    answer, _ = ue.ask_once(token=b"new")
    assert answer.code == codes.UNAUTHORIZED and ue.outer.opt.oscore is None
    change(scm, "b")
    assert is_silent(ue)
    assert scm.n_observers() == 0


def test_a_revoked_gateway_gets_no_notification_for_its_ues(opened, tmp_path):
    scm, _, new_client = opened
    gateway = "urn:x-msgin5g:gateway:1"

    def enrol(store):
        contexts = Contexts(store)
        contexts.add_ue(gateway, UE7)
        return contexts.add(GATEWAY, gateway)

    holder = KeyHolder(new_client(), scm.call(enrol))
    query = [f"ue-uri={UE7}"]
    assert holder.ask(path=DOC, query=query, observe=0).code == codes.CONTENT
    change(scm, "b")
    assert notified(holder)[0] == "b"
    with Store(database_in(tmp_path)) as store:
        Contexts(store).remove_ue(gateway, UE7)
    assert holder.receive(holder.identifiers).code == codes.FORBIDDEN
    assert scm.n_observers() == 0
    scm.call(lambda store: Contexts(store).add_ue(gateway, UE7))
    holder.client.send(encode(2, "0.00", holder.outer.mid))
    assert holder.ask(path=DOC, query=query, observe=0, token=b"new").code == codes.CONTENT
    scm.call(lambda store: Contexts(store).revoke(GATEWAY, gateway))
    change(scm, "c")
    assert is_silent(holder) and scm.n_observers() == 0


def test_a_rotated_key_serves_and_notifies_until_its_end(opened, tmp_path):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask(path=DOC, observe=0)
    with Store(database_in(tmp_path)) as store:
        new_key = Contexts(store).rotate(UE, UE7, overlap_s=3600)
    change(scm, "b")
    assert notified(ue)[0] == "b"
    assert ue.ask(token=b"more").code == codes.CONTENT
    renewed = KeyHolder(new_client(), new_key)
    assert renewed.ask(path=DOC, observe=0).code == codes.CONTENT
    assert scm.n_observers() == 2


def test_at_its_end_a_rotated_key_serves_and_notifies_no_more(opened, tmp_path):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask(path=DOC, observe=0)
    with Store(database_in(tmp_path)) as store:
        new_key = Contexts(store).rotate(UE, UE7, overlap_s=1)
    renewed = KeyHolder(new_client(), new_key)
    assert renewed.ask(path=DOC, observe=0).code == codes.CONTENT
    limit_at = time.monotonic() + TIMEOUT_S
    while scm.n_observers() == 2:
        assert time.monotonic() < limit_at
        time.sleep(0.05)
    change(scm, "b")
    assert notified(renewed)[0] == "b"
    assert ue.ask_once(token=b"late")[0].code == codes.UNAUTHORIZED
    assert is_silent(ue, 0.1)


def test_a_request_is_taken_once_and_a_repeated_one_gets_nothing(opened):
    _, key, new_client = opened
    ue, attacker = KeyHolder(new_client(), key), new_client("127.0.0.9")
    ue.ask()
    kept = []
    for number in (10, 7, 10, 5, 3, 4, 4, 42, 10, 11, 12):
        ue.peer.sender_sequence_number = number
        kept.append(ue.protect(token=b"x%d" % len(kept))[0])
    taken = []
    for datagram in kept:
        attacker.send(datagram)
        taken.append(attacker.receive().code != "0.00")
    # 10 is there three times, 4 twice; 10 is 32 behind 42 at the end.
    assert taken == [True, True, False, True, True, True, False, True, False, True, True]


def n_pipes():
    """How many requests have a response to come, in this process."""
    gc.collect()
    return sum(type(each) is Pipe for each in gc.get_objects())


def test_repeated_requests_leave_nothing_in_memory(opened):
    _, key, new_client = opened
    ue, attacker = KeyHolder(new_client(), key), new_client("127.0.0.9")
    ue.ask()
    before = n_pipes()
    for n in range(20):
        ue.peer.sender_sequence_number = 10
        attacker.send(ue.protect(token=b"%d" % n)[0])
        assert (attacker.receive().code == "0.00") == (n > 0)
    ue.ask()
    assert n_pipes() - before < 3


def test_a_server_challenges_what_it_has_seen_when_another_one_holds_the_key_meanwhile(opened):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask()
    datagram, identifiers = ue.protect()
    for host, code in (("127.0.0.8", codes.CONTENT), ("127.0.0.9", codes.UNAUTHORIZED)):
        ue.client = new_client(host)
        ue.client.send(datagram)
        answer = ue.receive(identifiers)
        assert answer.code == code and bool(answer.opt.echo) == (code == codes.UNAUTHORIZED)
        scm.call(lambda store: Contexts(store).hold(key.number, "another one"))


def test_a_key_in_use_stays_in_memory_and_the_one_that_was_not_used_for_longest_is_challenged(
    opened, monkeypatch
):
    monkeypatch.setattr("msgin5g_tools.scm_server.security._MAX_CONTEXTS", 2)
    scm, _, new_client = opened
    one, other, third = (
        KeyHolder(new_client(), scm.call(lambda store, n=n: Contexts(store).add(UE, f"urn:a:{n}")))
        for n in range(3)
    )
    for holder in (one, other, one, third):
        holder.ask()
    assert not one.ask_once()[0].opt.echo
    assert other.ask_once()[0].opt.echo


def test_a_key_without_numbers_left_is_refused(opened):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    assert ue.ask().code == codes.CONTENT
    scm.call(lambda store: store.run("UPDATE contexts SET bound = ?", 2**40 - 3))
    codes_ = [ue.ask_once(token=b"%d" % n)[0].code for n in range(66)]
    assert codes_[-1] == codes.UNAUTHORIZED and codes_[0] == codes.CONTENT


@pytest.mark.sqlite
def test_the_first_contacts_of_many_ues_wait_for_the_disk_once(tmp_path):
    with Store(database_in(tmp_path)) as store, store.transaction():
        contexts = Contexts(store)
        keys = [contexts.add(UE, f"urn:a:{n}") for n in range(20)]
        data = '{"MSGin5G-Server-address": "coap://a", "MSGin5G-UE-Service-id": "s@b"}'
        parts = [{"configType": "ON_NETWORK", "configData": data}]
        store.put("msgin5g", "ue-0007", document(ueConfigs=parts))
    with Scm(tmp_path) as scm, scm.client() as client:
        traced = []
        scm.call(lambda store: store.connection.set_trace_callback(traced.append))
        for key in keys:
            assert KeyHolder(client, key).ask(path=DOC).code == codes.CONTENT
        time.sleep(1.2)  # the fleet's record is written, too
        scm.call(lambda store: store.connection.set_trace_callback(None))
        noted = scm.call(lambda store: Contexts(store).service_ids())
    assert len(noted) == 20
    synced, waits = [], True
    for sql in traced:
        waits = "= FULL" in sql if sql.startswith("PRAGMA synchronous") else waits
        if waits and sql.startswith(("INSERT", "UPDATE", "DELETE", "COMMIT")):
            synced.append(sql)
    assert len(synced) == 1 and "bound = bound +" in synced[0], synced


def test_an_observer_whose_key_has_no_number_left_hears_nothing_and_others_do(opened):
    scm, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    assert ue.ask(path=DOC, observe=0).opt.observe is not None
    scm.call(lambda store: store.run("UPDATE contexts SET bound = ?", 2**40 - 3))
    while ue.ask_once(token=b"next")[0].code == codes.CONTENT:
        pass
    with new_client() as plain:
        assert plain.ask(GET, DOC, options=[(OBSERVE, b"")]).code == "2.05"
        for name in "bc":
            change(scm, name)
            message = plain.receive()
            plain.acknowledge(message)
            assert cbor2.loads(message.payload)["configName"] == name
    assert is_silent(ue)


@pytest.mark.sqlite
def test_a_locked_database_is_503_and_no_number_comes_twice(opened, tmp_path):
    _, key, new_client = opened
    ue = KeyHolder(new_client(), key)
    ue.ask()
    with Store(database_in(tmp_path)) as other, other.transaction():
        answers = [ue.ask_once(token=b"%d" % n)[0].code for n in range(64)]
    assert answers[0] == codes.CONTENT and answers[-1] == codes.SERVICE_UNAVAILABLE
    assert ue.ask(token=b"z").code == codes.CONTENT
    assert len(set(ue.partial_ivs)) == len(ue.partial_ivs)


class Process:
    """`msgin5g scm-server` on the database in a folder."""

    def __init__(self, folder, repository, *arguments):
        command = [*COMMAND, "scm-server", "--bind", "127.0.0.1:0", "--db", database_in(folder)]
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        host, port = re.search(r" on ([0-9.]+):([0-9]+)", line).groups()
        self.address = host, int(port)

    def end(self, number=signal.SIGKILL):
        """What it has printed."""
        self.process.send_signal(number)
        return "".join(self.process.communicate(timeout=20))


def forms_of(piece):
    """Eight bytes of a secret, as something might show them."""
    yield piece.hex()
    yield repr(piece)[2:-1]
    yield ", ".join(map(str, piece))
    yield base64.b64encode(piece).decode()[:10]


def test_kill_9_and_a_new_start_make_no_number_come_twice_and_take_no_old_request(
    tmp_path, repository
):
    key, admin_key = store_with_keys(tmp_path)
    printed, old, holders = "", [], []
    for n in range(6):
        server = Process(tmp_path, repository, "-v")
        try:
            holders = holders or [
                KeyHolder(Client(server.address), each) for each in (key, admin_key)
            ]
            ue, anna = holders
            for holder in holders:
                holder.client.connect(server.address)
            for datagram, identifiers in old:
                ue.client.send(datagram)
                answer = ue.receive(identifiers)
                assert answer.code == codes.UNAUTHORIZED and answer.opt.echo
            for i in range(5 + 60 * (n % 2)):
                assert ue.ask(token=b"t%d" % i).code == codes.CONTENT
            assert ue.ask(path=DOC, observe=0, token=b"o").code == codes.CONTENT
            body = cbor2.dumps(configured(f"n{n}"))
            assert anna.ask(codes.PUT, DOC, payload=body).code == codes.CHANGED
            assert notified(ue)[0] == f"n{n}"
            old.append(ue.protect(token=b"old"))
            ue.client.send(old[-1][0])
            assert ue.receive(old[-1][1]).code == codes.CONTENT
        finally:
            printed += server.end()
    for holder in holders:
        assert len(set(holder.partial_ivs)) == len(holder.partial_ivs) > 10
        assert None not in holder.partial_ivs
        holder.client.close()
    for context, holder in zip((key, admin_key), holders, strict=True):
        for secret in (context.secret, holder.peer.sender_key, holder.peer.recipient_key):
            for i in range(len(secret) - 7):
                for form in forms_of(secret[i : i + 8]):
                    assert form not in printed


def test_two_processes_use_no_number_twice_and_take_an_administrators_request_once(
    tmp_path, repository
):
    key, admin_key = store_with_keys(tmp_path)
    servers = [Process(tmp_path, repository) for _ in range(2)]
    try:
        ue, anna = (KeyHolder(Client(servers[0].address), each) for each in (key, admin_key))
        for i in range(80):
            server = servers[i % 2]
            for holder in (ue, anna):
                holder.client.connect(server.address)
                assert holder.ask(token=b"t%d" % i).code == codes.CONTENT
        for holder in (ue, anna):
            assert len(set(holder.partial_ivs)) == len(holder.partial_ivs) >= 82
        # One request that reaches both is taken by one, also to observe.
        for more in ({}, {"path": DOC, "observe": 0}):
            datagram, identifiers = ue.protect(token=b"both", **more)
            answered = []
            for server in reversed(servers):
                ue.client.connect(server.address)
                ue.client.send(datagram)
                answered.append(ue.receive(identifiers).code)
            assert answered == [codes.CONTENT, codes.UNAUTHORIZED], more
        # The observation at one process ends when its owner goes to another one.
        put = [document(UE7, configName=name) for name in "pq"]
        with Store(database_in(tmp_path)) as store:
            store.put("msgin5g", "ue-0007", put[0])
        ue.client.connect(servers[1].address)
        assert notified(ue, identifiers)[0] == "p"
        ue.client.connect(servers[0].address)
        assert ue.ask(token=b"moved").code == codes.CONTENT
        with Store(database_in(tmp_path)) as store:
            store.put("msgin5g", "ue-0007", put[1])
        ue.client.connect(servers[1].address)
        assert is_silent(ue)
        ue.client.connect(servers[0].address)
        assert len(set(ue.partial_ivs)) == len(ue.partial_ivs)
        anna.client.connect(servers[0].address)
        assert anna.ask(token=b"back").code == codes.CONTENT
        body = cbor2.dumps(configured("new", UE8))
        datagram, identifiers = anna.protect(codes.POST, payload=body, token=b"both")
        answered = []
        for server in servers:
            anna.client.connect(server.address)
            anna.client.send(datagram)
            answered.append(anna.receive(identifiers).code)
        assert answered == [codes.CREATED, codes.UNAUTHORIZED]
        with Store(database_in(tmp_path)) as store:
            assert len(store.names()) == 2
            Contexts(store).revoke(UE, UE7)
        for server in servers:
            ue.client.connect(server.address)
            assert ue.ask_once(token=b"late")[0].code == codes.UNAUTHORIZED
    finally:
        for server in servers:
            server.end()
