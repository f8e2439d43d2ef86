"""The configuration server under OSCORE: who reads, who writes, and what is refused."""

import json
from contextlib import ExitStack

import cbor2
import pytest
from aiocoap.numbers import codes
from oscore_client import KeyHolder, recipients
from scm_setup import COLLECTION, UE7, UE8, Scm, database_in, document, problem

from msgin5g_tools.scm_server import access, security
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, GATEWAY, UE, Contexts
from msgin5g_tools.scm_server.store import Store

pytestmark = pytest.mark.usefixtures("each_engine")

UE9 = "urn:x-msgin5g:ue:0009"
GATEWAY1 = "urn:x-msgin5g:gateway:1"
SERVER = "coap://scm.example"
BULK = "bulkConfFlag=msgin5g-bulk"
REMOTE = "127.0.0.9"


def service_id_of(ue):
    return f"{ue[-4:]}@example.com"


def config(*ues, **more):
    data = json.dumps({"MSGin5G-UE-Service-id": service_id_of(ues[0])})
    configs = [{"configType": "ON_NETWORK", "configData": data}]
    return document(*ues, ueConfigs=configs, **more)


@pytest.fixture
def rig(tmp_path):
    """keys: {name: Context}, holder(name): a KeyHolder; documents for UE7, UE8 and others."""
    with ExitStack() as stack:
        yield Rig(tmp_path, stack)


class Rig:
    def __init__(self, folder, stack, **settings):
        self._stack = stack
        with Store(database_in(folder)) as store:
            contexts = Contexts(store)
            self.keys = {ue: contexts.add(UE, ue) for ue in (UE7, UE8)}
            self.keys[GATEWAY1] = contexts.add(GATEWAY, GATEWAY1, id_context=b"site 1")
            self.keys["Anna"] = contexts.add(ADMINISTRATOR, "Anna", salt=b"salt")
            for ue in (UE7, UE9):
                contexts.add_ue(GATEWAY1, ue)
            for ue in (UE7, UE8, UE9):
                store.put("msgin5g", ue[-4:], config(ue))
            store.put("msgin5g", "vendor", config(UE9, ueVendors=["acme"]))
            mixed = document(UE9)
            mixed["valUeIds"]["imeiRanges"] = [{"tac": "12345678"}]
            store.put("msgin5g", "imei", mixed)
        self.scm = stack.enter_context(Scm(folder, recipient=SERVER, **settings))

    def client(self, host="127.0.0.1"):
        return self._stack.enter_context(self.scm.client(host))

    def holder(self, name, host="127.0.0.1"):
        return KeyHolder(self.client(host), self.keys[name])


def ids_of(answer):
    assert answer.code == codes.CONTENT, answer
    return [each["ueConfigDocId"] for each in cbor2.loads(answer.payload)]


def doc(ue):
    return f"{COLLECTION}/{ue[-4:]}"


def test_a_ue_reads_what_is_for_its_ue_id_with_and_without_ue_uri(rig):
    ue = rig.holder(UE7)
    for query in ([f"ue-uri={UE7}"], [], ["ue-vendor=acme"], ["ue-type=12345678", "ue-snr=1"]):
        answer = ue.ask(query=query, recipient=SERVER)
        assert ids_of(answer) == ["0007"], query
        assert ue.recipient == UE7 and not recipients(answer)
        assert ue.outer.code == codes.CHANGED
    assert ue.ask(path=doc(UE7)).code == codes.CONTENT
    assert ue.ask(path=".well-known/core").code == codes.CONTENT
    assert ue.ask(path="nowhere").code == codes.NOT_FOUND
    rig.scm.call(lambda store: store.put("msgin5g", "all", document()))
    assert ids_of(ue.ask()) == ["0007", "all"]
    assert ue.ask(path=f"{COLLECTION}/all").code == codes.CONTENT


def test_a_ue_gets_403_for_another_ue_also_after_that_one_has_fetched_its_document(rig):
    a, b = rig.holder(UE7), rig.holder(UE8)
    for _ in range(2):
        for what in (
            {"query": [f"ue-uri={UE8}"]},
            {"query": [f"ue-uri={UE7}", f"ue-uri={UE8}", BULK]},
            {"query": [f"ue-uri={UE7}", BULK]},
            {"query": [f"ue-uri={UE8}"], "path": doc(UE8)},
            {"query": [f"ue-uri={UE8}"], "path": doc(UE8), "observe": 0},
            {"path": doc(UE8)},
            {"path": doc(UE8), "observe": 0},
            {"query": [f"ue-uri={UE7}"], "path": doc(UE8)},
            {"query": [f"ue-uri={UE7}"], "path": f"{COLLECTION}/vendor"},
            {"query": [f"ue-uri={UE7}"], "path": f"{COLLECTION}/imei"},
            {"path": doc(UE8), "block2": (1, False, 0)},
        ):
            answer = a.ask(**what)
            assert answer.code == codes.FORBIDDEN, what
            assert UE8.encode() not in a.datagram and a.recipient == UE7
        # Now the server has B's document at hand.
        assert ids_of(b.ask(query=[f"ue-uri={UE8}"])) == ["0008"]
        assert b.ask(path=doc(UE8), observe=0).code == codes.CONTENT
    assert rig.scm.n_observers() == 1


def test_a_denied_ue_gets_403_whatever_it_asks_and_is_served_when_it_is_allowed(rig):
    ue = rig.holder(UE7)
    rig.scm.call(lambda store: store.deny(UE7))
    for what in ({}, {"query": [f"ue-uri={UE7}"]}, {"path": doc(UE7)}):
        assert ue.ask(**what).code == codes.FORBIDDEN, what
    rig.scm.call(lambda store: store.allow(UE7))
    assert ids_of(ue.ask()) == ["0007"]


def test_a_gateway_reads_what_its_ues_may_and_nothing_else(rig):
    gateway = rig.holder(GATEWAY1)
    both = [f"ue-uri={UE7}", f"ue-uri={UE9}", BULK]
    assert ids_of(gateway.ask(query=both)) == ["0007", "0009", "imei", "vendor"]
    assert gateway.recipient is None
    assert ids_of(gateway.ask(query=[f"ue-uri={UE7}", "ue-vendor=acme"])) == ["0007"]
    assert gateway.recipient == UE7
    for query in ([], [f"ue-uri={UE8}"], [f"ue-uri={UE7}", f"ue-uri={UE8}", BULK]):
        assert gateway.ask(query=query).code == codes.FORBIDDEN, query
    assert gateway.ask(query=[f"ue-uri={GATEWAY1}"]).code == codes.NOT_FOUND, "itself"
    rig.scm.call(lambda store: Contexts(store).remove_ue(GATEWAY1, UE9))
    assert gateway.ask(query=both).code == codes.FORBIDDEN


def test_only_administrators_write(rig):
    body = cbor2.dumps(config(UE7, configName="new"))
    for name in (UE7, GATEWAY1):
        holder = rig.holder(name)
        for code, path in (
            (codes.PUT, doc(UE7)),
            (codes.DELETE, doc(UE7)),
            (codes.POST, COLLECTION),
        ):
            query = [f"ue-uri={UE7}"]
            answer = holder.ask(code, path, query, payload=body)
            assert answer.code == codes.FORBIDDEN, (name, code)
    anna = rig.holder("Anna")
    assert anna.ask(codes.PUT, doc(UE7), payload=body).code == codes.CHANGED
    assert cbor2.loads(anna.ask(path=doc(UE8)).payload)["ueConfigDocId"] == "0008"
    assert anna.ask(codes.DELETE, doc(UE7)).code == codes.DELETED
    assert anna.ask(path=doc(UE7)).code == codes.NOT_FOUND


def test_nobody_adds_a_block_to_a_body_that_another_one_has_begun(rig):
    client = rig.client()
    body = cbor2.dumps(config(UE7, configName="x" * 1500))
    first, rest = body[:1024], body[1024:]
    anna = KeyHolder(client, rig.keys["Anna"])
    answer = anna.ask(codes.PUT, doc(UE7), payload=first, block1=(0, True, 6))
    assert answer.code == codes.CONTINUE
    # From the same address and port: without a key, and with another administrator's.
    plain = client.ask(
        "0.03", doc(UE7), options=[(27, bytes([1 << 4 | 6]))], payload=rest, token=b"t"
    )
    assert plain.code == "4.08"
    boris = rig.scm.call(lambda store: Contexts(store).add(ADMINISTRATOR, "Boris"))
    answer = KeyHolder(client, boris).ask(codes.PUT, doc(UE7), payload=rest, block1=(1, False, 6))
    assert answer.code == codes.REQUEST_ENTITY_INCOMPLETE
    answer = anna.ask(codes.PUT, doc(UE7), payload=rest, block1=(1, False, 6))
    assert answer.code == codes.CHANGED


def test_a_document_in_blocks_is_that_of_the_key_and_each_message_fits_a_datagram(rig):
    name = "y" * 20_000
    rig.scm.call(lambda store: store.put("msgin5g", "0007", config(UE7, configName=name)))
    ue = rig.holder(UE7)
    for size_exponent in (6, 5, 2):
        body, number, etags, more = b"", 0, set(), True
        while more:
            answer = ue.ask(path=doc(UE7), block2=(number, False, size_exponent))
            assert answer.code == codes.CONTENT and len(ue.datagram) <= 1152
            body += answer.payload
            block = answer.opt.block2
            size_exponent, more = block.size_exponent, block.more
            number = len(body) >> size_exponent + 4
            etags.add(answer.opt.etag)
        assert cbor2.loads(body)["configName"] == name and len(etags) == 1
        assert len(set(ue.partial_ivs)) == len(ue.partial_ivs)


def test_the_longest_ue_id_gets_blocks_that_fit_a_datagram(tmp_path):
    long = "urn:" + "x" * 200
    with Store(database_in(tmp_path)) as store:
        made = Contexts(store).add(UE, long)
        store.put("msgin5g", "long", document(long, configName="y" * 3000))
    with Scm(tmp_path) as scm, scm.client() as client:
        ue = KeyHolder(client, made)
        answer = ue.ask(query=[f"ue-uri={long}"], token=b"12345678")
        assert answer.opt.block2.size_exponent == 5 and ue.recipient == long
        assert len(ue.datagram) <= 1152


def test_the_outer_recipient_counts_and_an_inner_one_does_not(rig):
    ue = rig.holder(UE7)
    other = "coap://other.example"
    assert ue.ask(recipient=other).code == codes.BAD_REQUEST
    assert ue.ask(recipient=other, inner_recipient=SERVER.encode()).code == codes.BAD_REQUEST
    assert ue.ask(recipient=SERVER, inner_recipient=other.encode()).code == codes.CONTENT
    assert ue.ask(inner_recipient=other.encode()).code == codes.CONTENT
    assert ue.ask(inner_recipient=b"\xff\xff").code == codes.CONTENT


def test_which_ue_id_was_given_which_ue_service_id_is_recorded(rig):
    rig.holder(UE7).ask()
    rig.holder(GATEWAY1).ask(query=[f"ue-uri={UE9}"])
    rig.holder(UE8).ask(query=[f"ue-uri={UE7}"])
    with rig.client() as stranger:
        stranger.get(f"ue-uri={UE8}")
    rig.holder("Anna").ask(path=doc(UE8))
    recorded = rig.scm.call(lambda store: Contexts(store).service_ids())
    keys = rig.keys
    assert [row[:3] for row in recorded] == [
        (UE7, service_id_of(UE7), keys[UE7].number),
        (UE9, service_id_of(UE9), keys[GATEWAY1].number),
    ]


def test_with_require_security_everything_without_a_key_is_refused(tmp_path):
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack, require_security=True)
        client = rig.client()
        for path in (COLLECTION, doc(UE7), ".well-known/core", "nowhere"):
            for code in ("0.01", "0.02", "0.03", "0.04"):
                answer = client.ask(code, path, payload=b"x" if code != "0.01" else b"")
                assert answer.code == "4.01" and "OSCORE" in problem(answer)[-2], (code, path)
        observing = client.get(path=doc(UE7), options=[(6, b"")])
        assert observing.code == "4.01" and rig.scm.n_observers() == 0
        assert ids_of(rig.holder(UE7).ask()) == ["0007"]
        assert rig.holder("Anna").ask(codes.DELETE, doc(UE7)).code == codes.DELETED


def test_what_cannot_be_unprotected_gets_an_error_that_is_not_protected(rig):
    """RFC 8613 section 8.2."""
    ue = rig.holder(UE7)
    assert ue.ask().code == codes.CONTENT

    def answered(change, **more):
        answer, _ = ue.ask_once(change=change, **more)
        assert ue.outer.opt.oscore is None
        return answer

    def unknown_kid(outer):
        outer.opt.oscore = outer.opt.oscore[:-1] + b"\x66"

    def kid_context(outer):
        value = outer.opt.oscore
        size = value[0] & 7
        outer.opt.oscore = (
            bytes([value[0] | 16]) + value[1 : 1 + size] + b"\x01x" + value[1 + size :]
        )

    def flip(outer):
        outer.payload = bytes([outer.payload[0] ^ 1]) + outer.payload[1:]

    def short(outer):
        outer.payload = outer.payload[:8]

    for change, expected in ((unknown_kid, 401), (kid_context, 401), (flip, 400), (short, 400)):
        answer = answered(change)
        assert answer.code.dotted == f"{expected // 100}.{expected % 100:02}", change
        assert answer.opt.max_age == 0
    assert recipients(answered(flip)) == [UE7.encode()] and recipients(answered(unknown_kid)) == []
    for value in (
        b"",
        b"\x00",
        b"\x20",
        b"\x0e123456",
        b"\x19",
        b"\x19\x00\x05x",
        b"\x01",
        b"\x09",
    ):

        def malformed(outer, value=value):
            outer.opt.oscore = value

        assert answered(malformed).code in (codes.BAD_OPTION, codes.UNAUTHORIZED), value

    def as_get(outer):
        outer.code = codes.GET

    assert answered(as_get).code == codes.METHOD_NOT_ALLOWED

    def outer_block(outer):
        outer.opt.block1 = (0, True, 2)

    assert answered(outer_block).code == codes.BAD_OPTION

    def outer_proxy(outer):
        outer.opt.proxy_scheme = "coap"

    assert answered(outer_proxy).code == codes.PROXYING_NOT_SUPPORTED

    def visible(outer):  # options of class E outside are ignored
        outer.opt.uri_path = ("x",)
        outer.opt.uri_query = (f"ue-uri={UE8}",)

    answer, _ = ue.ask_once(change=visible)
    assert ids_of(answer) == ["0007"]


def test_a_protected_message_that_is_no_request_inside_is_400(rig):
    ue = rig.holder(UE7)
    ue.ask()

    for plaintext in (b"\x00", b"\x45\xff2", b"\x01\xf0", b"\x01\xb1\xff", b"\xe1"):
        ue.peer.plaintext = plaintext
        answer, _ = ue.ask_once()
        assert answer.code in (codes.BAD_REQUEST, codes.BAD_OPTION), (plaintext, answer)
    ue.peer.plaintext = None
    assert ids_of(ue.ask()) == ["0007"]


def test_a_protected_request_counts_for_the_rate_of_its_host(tmp_path, monkeypatch):
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack, max_rate=5)
        ue = rig.holder(UE7)
        answers = [ue.ask_once()[0] for _ in range(15)]
        assert answers[-1].code == codes.TOO_MANY_REQUESTS and ue.outer.opt.oscore is None
        assert answers[-1].opt.max_age >= 1


def test_no_source_that_is_not_verified_gets_more_than_three_times_its_bytes(tmp_path):
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack, echo=True)
        big = config(UE7, configName="y" * 800)
        rig.scm.call(lambda store: store.put("msgin5g", "0007", big))
        first = rig.holder(UE7)
        # The Echo that shows that the request is new shows where the UE is, too.
        assert first.ask(path=doc(UE7)).code == codes.CONTENT
        other = KeyHolder(rig.client(), rig.keys[UE7], first.peer.sender_sequence_number)
        for what in ({}, {"observe": 0}):
            datagram, identifiers = other.protect(path=doc(UE7), **what)
            other.client.send(datagram)
            answer = other.receive(identifiers)
            assert answer.code == codes.UNAUTHORIZED and answer.opt.echo
            assert len(other.datagram) <= 3 * len(datagram)
        assert rig.scm.n_observers() == 0
        assert other.ask(path=doc(UE7)).code == codes.CONTENT
        stranger = rig.client()
        for payload in (b"", b"x" * 9, b"x" * 30):
            sent = b"\x40\x02\x00\x01\x93\x09\x00\x66" + (b"\xff" + payload if payload else b"")
            stranger.send(sent)
            assert len(stranger.receive_datagram()) <= 3 * len(sent)


def test_what_a_source_may_get_is_reckoned_from_all_bytes_of_its_datagram(rig, monkeypatch):
    reckoned, sent = [], []

    class Seen(security.Protection):
        def __init__(self, *about):
            super().__init__(*about)
            reckoned.append(self.wire_size)

    monkeypatch.setattr(security, "Protection", Seen)
    ue = rig.holder(UE7)
    ue.ask(path=doc(UE7))  # and its Echo
    reckoned.clear()
    for query, token in (((), b"t"), ((f"ue-uri={UE7}",), b"a token"), ((), b"12345678")):
        datagram, identifiers = ue.protect(path=doc(UE7), query=query, token=token)
        ue.client.send(datagram)
        assert ue.receive(identifiers).code == codes.CONTENT
        sent.append(len(datagram))
    assert reckoned == sent


def test_a_strict_relay_gets_the_codes_of_oscore_unchanged(tmp_path):
    with ExitStack() as stack:
        rig = Rig(tmp_path, stack, strict_relay=True, require_security=True)
        assert ids_of(rig.holder(UE7).ask()) == ["0007"], "a protected Echo passes"
        assert rig.client().get().code == "4.03"
        stranger = rig.client()
        stranger.send(b"\x40\x02\x00\x01\x93\x09\x00\x66\xff" + b"x" * 20)
        assert stranger.receive().code == "4.01"


def test_events_name_the_key_and_nothing_shows_a_secret(rig, caplog):
    caplog.set_level(0)
    ue = rig.holder(UE7)
    ue.ask()
    events = []
    while not rig.scm.events.empty():
        events.append(rig.scm.events.get())
    served = [event for event in events if event["event"] == "served"]
    assert [(e["code"], e["key_of"], e["method"]) for e in served] == [
        ("4.01", UE7, "GET"),
        ("2.05", UE7, "GET"),
    ]
    for context in rig.keys.values():
        for printed in (repr(events), repr(context)):
            assert context.secret.hex() not in printed
            assert repr(context.secret)[2:-1] not in printed


def test_the_server_on_another_machine_serves_holders_of_a_key_only_what_is_theirs(
    rig, monkeypatch
):
    monkeypatch.setattr(access, "is_loopback", lambda host: host != REMOTE)
    ue, anna = rig.holder(UE7, REMOTE), rig.holder("Anna", REMOTE)
    body = cbor2.dumps(config(UE7))
    assert ue.ask(codes.PUT, doc(UE7), payload=body).code == codes.FORBIDDEN
    assert anna.ask(codes.PUT, doc(UE7), payload=body).code == codes.CHANGED


def test_what_became_of_a_ue_is_recorded_under_its_key_and_nobody_else_changes_it(rig):
    ue, gateway, plain = rig.holder(UE7), rig.holder(GATEWAY1), rig.client()
    assert ue.ask(query=["refused=00:Segment-size: 0"]).code == codes.CONTENT
    # Without a key, with that of another UE, with that of a gateway which it is not linked to.
    assert plain.get(f"ue-uri={UE7}", "refused=:").code == "2.05"
    assert rig.holder(UE8).ask(query=[f"ue-uri={UE7}"]).code == codes.FORBIDDEN
    found = rig.scm.ue(UE7)
    assert (found.state, found.key_of, found.refused_reason) == ("refused", UE7, "Segment-size: 0")
    assert gateway.ask(query=[f"ue-uri={UE8}"]).code == codes.FORBIDDEN
    assert (rig.scm.ue(UE8).state, rig.scm.ue(UE8).key_of) == ("denied", UE8), "by its own key"
    assert gateway.ask(query=[f"ue-uri={UE9}"]).code == codes.CONTENT
    assert (rig.scm.ue(UE9).state, rig.scm.ue(UE9).key_of) == ("newest", GATEWAY1)
    anna = rig.holder("Anna")
    assert anna.ask(query=[f"ue-uri={UE9}"]).code == codes.CONTENT
    assert rig.scm.ue(UE9).key_of == GATEWAY1
