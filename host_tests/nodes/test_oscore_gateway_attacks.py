"""What somebody on either side of a gateway can do to protected messages; and its restart."""

from builders import DATA, SERVER, document, names
from msgin5g_testkit.checks import xorshift
from gateway_builders import (
    CLIENT,
    GATEWAY,
    SEAL_C,
    ManualClient,
    address,
    answered,
    data,
    doc,
    gateway_settings,
    name,
    new_gateway,
    new_seal_c,
    protected_seal_c,
)
from malicious_relay import with_header
from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.coap.message import Message
from msgin5g.oscore.sequence_store import SequenceStore
from msgin5g_testkit.network_sim import chance
from oscore_gateway import (
    check_no_nonce_twice,
    gateway_security,
    new_secured,
    nonces,
    seal_c_security,
    side_of,
)
from msgin5g_testkit.security import Numbers

HEAD = 8  # header and token: they are not protected, and prove nothing


def config(n):
    return DATA.replace("user-7", "user-%d" % n)


def documents(numbers):
    return [document(name(n), config(n), "doc-%d" % n) for n in numbers]


def caught(sim, destination, code):
    """The next datagram for a destination with this code; it does not arrive."""
    kept = []
    plain = sim.link_model

    def keep(n, datagram):
        if not kept and datagram[1] == code and sim.log[-1][2] == destination:
            kept.append(datagram)
            return []
        return plain(n, datagram)

    sim.link_model = keep
    assert sim.run(lambda: kept, 20000)
    sim.link_model = plain
    return kept[0]


def is_same_uri(datagram, flipped):
    """Whether only the case of a scheme or a host in clear has changed: the URI is equal then."""
    return bytes(flipped).lower() == datagram.lower()


def flips(datagram, but=()):
    """The datagram with each bit after its head flipped, but those of the bytes in `but`."""
    for bit in range(8 * HEAD, 8 * len(datagram)):
        if bit >> 3 in but:
            continue
        flipped = bytearray(datagram)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        if not is_same_uri(datagram, flipped):
            if flipped[0] >> 4 == 6:
                flipped[0] ^= 0x30  # not on the acknowledgement, whose message ID must be right
            flipped[3] ^= bit & 255  # another message: no repetition of one before
            flipped[2] ^= bit >> 8
            yield bytes(flipped)


def test_no_flipped_bit_of_a_request_is_served():
    sim, gateway, _, (client,) = new_secured((1,), [doc(1)])
    client.get()
    asked = caught(sim, GATEWAY, 0x02)
    for flipped in flips(asked):
        gateway.receive(0, flipped, address(1), sim.now)
        while gateway.transmit(sim.now):
            pass
        assert not gateway.n_waiting, flipped
    assert gateway.counters["oscore_not_authentic"] > 100
    assert answered(sim, [client])
    assert client.documents()[0]["ueConfigs"][0]["configData"] == data(1)


def test_no_flipped_bit_of_an_answer_of_the_server_is_given_to_a_ue():
    sim, gateway, _, (client,) = new_secured((1,), [doc(1)])
    client.get()
    answer = caught(sim, GATEWAY, 0x44)
    # Without its Recipient, whose number is in the clear, it is still the answer of the server.
    at = answer.index(b"\xed")
    for flipped in flips(answer, range(at, at + 4)):
        gateway.receive(0, flipped, SERVER, sim.now)
        gateway.step(sim.now)
        assert gateway.n_waiting == 1 and not gateway.responder.ready, flipped
    assert gateway.counters["oscore_not_authentic"] > 100
    assert answered(sim, [client])
    assert client.documents()[0]["ueConfigs"][0]["configData"] == data(1)


def test_a_replayed_request_is_not_served_and_gets_no_answer():
    sim, gateway, server, (client,) = new_secured((1,), [doc(1)])
    for _ in range(3):
        client.answers = []
        client.get()
        assert answered(sim, [client])
    asked = side_of(sim, 1, False)
    n_asked = len(server.asked)
    n_sent = len(side_of(sim, 1, True))
    n = 0
    for datagram in asked:
        if datagram[1] == 0x02:
            for token in (None, b"abcd"):
                sim.send(address(1), GATEWAY, with_header(datagram, None, None, 0x4000 + n, token))
                n += 1
    sim.run(None, 60000)
    assert n == 6 and gateway.counters["oscore_replay"] == 6
    assert len(server.asked) == n_asked and len(side_of(sim, 1, True)) == n_sent


def token_of(datagram):
    return datagram[4 : 4 + (datagram[0] & 15)]


def test_exchanged_answers_are_for_nobody():
    # Between two UEs.
    sim, _, _, clients = new_secured((1, 2), [doc(1), doc(2)])
    for client in clients:
        client.get()
    kept = {1: caught(sim, address(1), 0x44)}
    kept[2] = next(d for d in side_of(sim, 2, True) if d[1] == 0x44)
    for client, other in ((clients[0], 2), (clients[1], 1)):
        (token,) = list(client.endpoint.by_token) or [token_of(kept[client.n])]
        exchanged = with_header(kept[other], None, None, 0x4001, token)
        client.receive(0, exchanged, GATEWAY, sim.now)
    assert not clients[0].answers and clients[0].counters["oscore_not_authentic"] == 1
    assert answered(sim, clients)
    for client in clients:
        assert client.documents()[0]["ueConfigs"][0]["configData"] == data(client.n)
    # Between two requests of the gateway.
    sim, gateway, _, clients = new_secured((1, 2), [doc(1), doc(2)], bulk_enabled=False)
    kept = []
    sim.link_model = lambda n, d: [] if len(kept) < 2 and is_answer(sim, d, kept) else [10]
    for client in clients:
        client.get()
    assert sim.run(lambda: len(kept) == 2)
    for answer, other in ((kept[0], kept[1]), (kept[1], kept[0])):
        exchanged = with_header(answer, 1, None, 0x4002 + answer[3], token_of(other))
        gateway.receive(0, exchanged, SERVER, sim.now)
    assert gateway.counters["oscore_not_authentic"] == 2
    assert answered(sim, clients)
    for client in clients:
        assert client.documents()[0]["ueConfigs"][0]["configData"] == data(client.n)


def is_answer(sim, datagram, kept):
    is_one = datagram[1] == 0x44 and sim.log[-1][1] == SERVER
    if is_one:
        kept.append(datagram)
    return is_one


def test_an_old_notification_is_not_passed_on():
    sim, gateway, server, (ue,) = new_secured(
        (1,), documents((1,)), {"max_age_s": 86400}, ues={"observe": True}
    )
    assert sim.run(lambda: ue.client.observing)
    names(ue)
    for n in (8, 9):
        server.change("doc-1", document(name(1), config(n), "doc-1"))
        assert sim.run(lambda: names(ue) == ["applied"])
    old = [d for _, source, _, d in sim.log if source == SERVER and d[1] == 0x45]
    n_sent = len(side_of(sim, 1, True))
    for i, datagram in enumerate(old):
        sim.send(SERVER, GATEWAY, with_header(datagram, 1, None, 0x4000 + i))
    sim.run(None, 20000)
    assert len(old) == 3 and ue.configuration.data == config(9).encode()
    assert gateway.counters["old_notification"] + gateway.counters.get(
        "oscore_no_partial_iv", 0
    ) == len(old)
    assert len(side_of(sim, 1, True)) == n_sent


def restart(sim, numbers, store, seed, is_separated=False, **settings):
    """A new gateway in the place of the one in the network, as after a reset."""
    random = xorshift(seed)
    echo = bytes([random() for _ in range(8)])
    security = gateway_security(numbers, store, True, echo, is_separated)
    return new_gateway(sim, numbers, seed, security=security, **settings)


def started_store(flash):
    """The numbers of a gateway after a start that skips none."""
    store = SequenceStore(flash, bytes(16), b"")
    assert store.load(None)
    return store


def test_a_gateway_that_restarts_in_the_middle_uses_no_nonce_twice():
    numbers = range(1, 5)
    flash = MemoryFlash()
    assert SequenceStore(flash, bytes(16), b"").create()
    settings = {"observe": True, "retry_first_s": 1, "refresh_max_s": 60}
    sim, _, server, ues = new_secured(
        numbers, documents(numbers), {"max_age_s": 60}, chance(11, 20, 5), ues=settings
    )
    n_writes = flash.n_writes
    random = xorshift(5)
    counted = {}
    for n in range(12):
        gateway = restart(sim, numbers, started_store(flash), 50 + n)
        for k in numbers:
            document_id = "doc-%d" % k
            server.change(document_id, document(name(k), config(100 * n), document_id))
        sim.run(None, random() * 400)
        for ue in ues:
            ue.events = []
        for key, value in gateway.counters.items():
            counted[key] = counted.get(key, 0) + value
    assert check_no_nonce_twice(sim) > 200
    assert counted["oscore_echo"] >= 20 and "oscore_not_authentic" not in counted
    n_own = len([key for key in nonces(sim) if key[0] == GATEWAY and key[2] == GATEWAY])
    assert flash.n_writes - n_writes <= n_own // 64 + 12  # one write a boot, and one for 64
    # And each UE has the newest document in the end.
    sim.record = False
    assert sim.run(
        lambda: all(ue.configuration.data == config(1100).encode() for ue in ues), 1000000
    )


def test_after_a_restart_an_old_request_is_asked_for_an_echo_and_not_served():
    for is_separated in (False, True):
        sim, _, server, (client,) = new_secured((1,), [doc(1)], is_separated=is_separated)
        client.get()
        assert answered(sim, [client])
        old = next(d for d in side_of(sim, 1, False) if d[1] == 0x02)
        numbers = client.endpoint.security.context.sequence
        store = Numbers(1000)
        if is_separated:
            gateway = restart_separated(sim, store)
        else:
            gateway = restart(sim, (1,), store, 7)
        n_asked = len(server.asked)
        for i in range(3):
            sim.send(address(1), GATEWAY, with_header(old, None, None, 0x5000 + i))
        sim.run(None, 10000)
        assert len(server.asked) == n_asked and gateway.counters["oscore_echo"] == 3
        # The UE repeats its request with the Echo by itself.
        client.answers = []
        client.get()
        assert answered(sim, [client])
        challenge = client.answers.pop()
        assert challenge.code == 0x81
        client.get(more=[(252, challenge.option(252))])
        assert answered(sim, [client])
        assert client.answers[0].code == 0x45 and numbers.following == 3
        sim.send(address(1), GATEWAY, with_header(old, None, None, 0x5005))
        sim.run(None, 10000)
        assert gateway.counters["oscore_replay"] == 1
        check_no_nonce_twice(sim)


def restart_separated(sim, store):
    seal_c = sim.nodes[CLIENT]
    gateway = protected_seal_c(seal_c_security(), restart, sim, (1,), store, 7, is_separated=True)
    sim.add(SEAL_C[1], seal_c, 1)  # only the gateway has restarted
    sim.add(CLIENT, seal_c)
    return gateway


def test_a_configuration_client_that_restarts_asks_its_gateway_for_an_echo():
    sim, _, server, (client,) = new_secured((1,), [doc(1)], {"max_age_s": 1}, is_separated=True)
    client.get()
    assert answered(sim, [client])
    old = next(d for _, _, to, d in sim.log if to == SEAL_C[1] and d[1] == 0x02)
    security = seal_c_security(b"12345678", 1000)
    restarted = new_seal_c(sim, gateway_settings(), 78, security)
    n_asked = len(server.asked)
    sim.send(SEAL_C[0], SEAL_C[1], with_header(old, None, None, 0x5000))
    sim.run(None, 5000)
    assert len(server.asked) == n_asked and restarted.counters["oscore_echo"] == 1
    # The gateway repeats by itself what it was asked for, whatever that is.
    for i, more in enumerate(({}, {"document_id": b"doc-1"}, {"observe": 0})):
        security = seal_c_security(b"2345678%d" % i, 1000 * (i + 2))
        restarted = new_seal_c(sim, gateway_settings(), 79 + i, security)
        sim.run(None, 5000)  # what was in the cache is too old
        client.answers = []
        client.get(**more)
        assert answered(sim, [client]), more
        assert client.answers[0].code == 0x45, more
        assert restarted.counters.get("oscore_echo") == 1, more
    check_no_nonce_twice(sim)


def test_what_is_not_protected_on_seal_c_is_refused_by_both_ends():
    sim, gateway, server, (client,) = new_secured(
        (1,), [doc(1)], {"slow_ms": 3000}, is_separated=True
    )
    client.get()
    assert sim.run(lambda: server.asked)
    asked = next(d for _, _, to, d in sim.log if to == SEAL_C[1])
    # Somebody answers in place of the configuration client, and asks in place of the gateway.
    sim.send(SEAL_C[1], SEAL_C[0], bytes((0x54, 0x45, 9, 9)) + asked[4:8] + b"\xff\x80")
    fetch = b"\x44\x05\x09\x0aabcd\xb6seal-c\xff\x85\xf6\xf6\xf6\x81\x45urn:x\x80"
    sim.send(SEAL_C[0], SEAL_C[1], fetch)
    assert answered(sim, [client])
    assert client.documents()[0]["ueConfigs"][0]["configData"] == data(1)
    assert gateway.counters["unprotected_response"] == 1
    assert sim.nodes[CLIENT].counters["unprotected_request"] == 1 and len(server.asked) == 1


def test_a_stranger_in_place_of_a_ue_changes_nothing():
    sim, gateway, server, (client,) = new_secured((1,), [doc(1)])
    spoofed = ManualClient(sim, 1, address(9))
    client.get()
    assert answered(sim, [client])
    n = len(server.asked)
    # From the address of the UE, with no key, and with a kid that is not known.
    for value in (b"", b"\x09\x01" + b"0002", b"\x09\x01" + b"0001", b"\x01\x01", b"\xff"):
        option = bytes((0x90 | len(value),)) + value
        head = b"\x54\x02\x77" + value[-1:] + b"abcd"
        sim.send(address(1), GATEWAY, head + option + b"\xff" + b"x" * 30)
    sim.run(None, 5000)
    assert len(server.asked) == n and not gateway.n_waiting and not spoofed.answers
    assert Message(32).decode(side_of(sim, 1, True)[-1]).code in (0x80, 0x81, 0x82)
