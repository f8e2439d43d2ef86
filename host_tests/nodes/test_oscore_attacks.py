"""What a relay that is not to be trusted can do to protected messages: nothing that is applied."""

from builders import (
    DATA,
    OTHER_ID,
    RELAY,
    SERVER,
    UE_ID,
    document,
    names,
    new_server,
    new_ue,
    ue_address,
)
from msgin5g_testkit.checks import xorshift
from malicious_relay import MaliciousRelay, with_header
from msgin5g.coap.message import Message, encode
from msgin5g_testkit.network_sim import NetworkSim
from msgin5g_testkit.security import kid_of
from oscore_server import protect_server, protect_ue

UE = ue_address(2)
OTHER = ue_address(3)
NON = 1
ACK = 2


def changed(n):
    return DATA.replace("user-7", "user-%d" % n)


def attacked(ue_ids=(UE_ID,), **settings):
    """(sim, relay, server, UE...): UEs behind a malicious relay."""
    sim = NetworkSim()
    documents = {}
    ues = []
    for i, ue_id in enumerate(ue_ids):
        documents[ue_id] = document(ue_id, changed(7 + i), "doc-%d" % i)
        ue = new_ue(sim, (UE, OTHER)[i], 3 + i, RELAY, ue_id=ue_id, **settings)
        protect_ue(ue, ue_id)
        ues.append(ue)
    relay = MaliciousRelay(SERVER)
    sim.add(RELAY, relay)
    server = new_server(sim, documents, 9, max_age_s=86400)
    protect_server(server, ue_ids)
    return (sim, relay, server) + tuple(ues)


def observed():
    """An observed document; the relay keeps all from now on: (sim, relay, server, UE)."""
    sim, relay, server, ue = attacked(observe=True)
    assert sim.run(lambda: ue.client.observing)
    names(ue)
    sim.run(None, 1000)
    relay.passes = False
    relay.down = []
    return sim, relay, server, ue


def kept_answer():
    """The UE waits, and the relay has the answer: (sim, relay, UE, answer)."""
    sim, relay, _, ue = attacked()
    relay.change = lambda datagram, is_down: () if is_down else (datagram,)
    sim.run(lambda: relay.down, 5000)
    relay.passes = False
    return sim, relay, ue, relay.down[0]


def applied(ue):
    return ue.configuration.data


def n_counted(ue, *but):
    return sum([ue.counters[name] for name in ue.counters if name not in but])


def rebuilt(datagram, change):
    """The datagram with other options: change(options) gives them."""
    message = Message(32).decode(datagram)
    options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    buf = bytearray(1152)
    size = encode(buf, message.mtype, message.code, message.mid, message.token(),
                  change(options), message.payload())  # fmt: skip
    return bytes(buf[:size])


def same_recipient(flipped):
    """Whether the UE is still named, in letters of another case: URNs are equal then."""
    return bytes(flipped).lower().find(UE_ID.encode()) > 0 and UE_ID.encode() not in flipped


def without(number):
    return lambda options: [o for o in options if o[0] != number]


def with_option(number, value):
    return lambda options: sorted(without(number)(options) + [(number, value)])


def test_no_flipped_bit_of_an_answer_is_applied_and_each_one_is_counted():
    sim, relay, ue, answer = kept_answer()
    for bit in range(8 * 4, 8 * len(answer)):
        flipped = bytearray(answer)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        if same_recipient(flipped):
            continue
        before = n_counted(ue)
        ue.receive(0, bytes(flipped), RELAY, sim.now)
        assert n_counted(ue) == before + 1, bit
        assert applied(ue) is None and ue.client.busy, bit
    assert ue.counters["oscore_not_authentic"] > 1000
    relay.to_ue(answer)
    assert sim.run(lambda: ue.events, 1000) and names(ue) == ["applied"]


def test_a_flipped_bit_of_the_header_changes_nothing_that_is_applied():
    for bit in range(32):
        sim, relay, ue, answer = kept_answer()
        flipped = bytearray(answer)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        ue.receive(0, bytes(flipped), RELAY, sim.now)
        relay.to_ue(answer)
        assert sim.run(lambda ue=ue: ue.events, 1000), bit
        assert names(ue) == ["applied"] and applied(ue) == DATA.encode(), bit


def test_no_flipped_bit_of_a_notification_is_applied_and_each_one_is_counted():
    sim, relay, server, ue = observed()
    server.change(UE_ID, document(UE_ID, changed(8)))
    sim.run(lambda: relay.down, 1000)
    true = relay.down[0]
    i = Message(32).decode(true).find(6)
    observe = Message(32).decode(true).starts[i]
    mid = 0
    for bit in range(8 * 4, 8 * len(true)):
        flipped = bytearray(with_header(true, NON, None, mid))
        flipped[bit >> 3] ^= 1 << (bit & 7)
        mid += 1
        if same_recipient(flipped) or bit >> 3 == observe:
            continue  # the same message, and one that is in order by its number
        before = n_counted(ue)
        ue.receive(0, bytes(flipped), RELAY, sim.now)
        assert n_counted(ue) == before + 1, bit
        ue.step(sim.now)
        while ue.transmit(sim.now):
            pass
        assert applied(ue) == changed(7).encode() and names(ue) == [], bit
        assert ue.client.observing, bit
    assert ue.counters["oscore_not_authentic"] > 1000
    relay.to_ue(true)
    assert sim.run(lambda: ue.events, 1000) and names(ue) == ["applied"]
    assert applied(ue) == changed(8).encode()


def test_a_flipped_bit_of_a_request_gets_the_true_configuration_or_none():
    sim, relay, _, _ = attacked(observe=True)
    relay.passes = False
    sim.run(lambda: relay.up, 5000)
    message = Message(32).decode(relay.up[0])
    # Header, token, Observe, option 9 and the Recipient; what is inside has its own test.
    for bit in range(8 * message.payload_start):
        sim, relay, _, ue = attacked(observe=True)

        def flip(datagram, is_down, relay=relay, bit=bit):
            if is_down or len(relay.up) > 1:
                return (datagram,)
            flipped = bytearray(datagram)
            flipped[bit >> 3] ^= 1 << (bit & 7)
            return (bytes(flipped),)

        relay.change = flip
        sim.run(lambda relay=relay: relay.up, 5000)
        sim.run(None, 1000)
        assert applied(ue) in (None, changed(7).encode()), bit
        # Else the UE sends it again, or asks anew when the server has worked that number.
        assert sim.run(lambda ue=ue: applied(ue), 300000), bit
        assert applied(ue) == changed(7).encode(), bit


def test_no_flipped_bit_of_a_request_is_worked_by_the_server():
    sim, relay, server, _ = attacked()
    relay.passes = False
    assert sim.run(lambda: relay.up, 5000)
    asked = relay.up[0]
    message = Message(32).decode(asked)
    i = message.find(9)
    bits = list(range(8 * message.starts[i], 8 * message.ends[i]))
    bits += list(range(8 * message.payload_start, 8 * len(asked)))
    for n, bit in enumerate(bits):
        flipped = bytearray(with_header(asked, mid=n))
        flipped[bit >> 3] ^= 1 << (bit & 7)
        server.receive(0, bytes(flipped), RELAY, sim.now)
        while server.transmit(sim.now):
            pass
    assert server.n_requests == 0 and n_counted(server) == len(bits)
    relay.to_server(asked)
    sim.run(None, 1000)
    assert server.n_requests == 1


def test_the_answer_to_one_request_answers_no_other():
    sim, relay, _, ue = attacked()
    assert sim.run(lambda: names(ue) == ["applied"])
    first = relay.down[0]
    relay.passes = False
    ue.fetch(sim.now)
    sim.run(lambda: len(relay.up) == 2, 5000)
    asked = Message(32).decode(relay.up[1])
    relay.to_ue(with_header(first, ACK, None, asked.mid, asked.token()))
    relay.to_ue(with_header(first, NON, None, 0x1234, asked.token()))
    relay.to_ue(first)
    sim.run(None, 1000)
    assert names(ue) == [] and ue.client.busy
    assert ue.counters == {"oscore_not_authentic": 2, "unmatched_response": 1}


def test_two_ues_cannot_be_given_the_answers_of_each_other():
    sim, relay, _, ue, other = attacked((UE_ID, OTHER_ID))
    relay.change = lambda datagram, is_down: () if is_down else (datagram,)
    assert sim.run(lambda: len(relay.down) == 2, 5000)
    relay.passes = False
    asked = {kid_of(UE_ID): None, kid_of(OTHER_ID): None}
    for datagram in relay.up:
        message = Message(32).decode(datagram)
        asked[message.option(9)[-4:]] = message
    mine, others = asked[kid_of(UE_ID)], asked[kid_of(OTHER_ID)]
    for answer in relay.down:
        token = Message(32).decode(answer).token()
        to, remote, recipient = (
            (others, OTHER, OTHER_ID) if token == mine.token() else (mine, UE, UE_ID)
        )
        swapped = with_header(answer, ACK, None, to.mid, to.token())
        relay.to_ue(swapped, remote)
        relay.to_ue(rebuilt(swapped, with_option(65020, recipient.encode())), remote)
        # To the right UE, with the Recipient of the other one.
        wrong = rebuilt(answer, with_option(65020, recipient.encode()))
        relay.to_ue(wrong, UE if remote == OTHER else OTHER)
    sim.run(None, 1000)
    for one in (ue, other):
        assert names(one) == [] and applied(one) is None
        assert one.counters == {"oscore_not_authentic": 2, "foreign_recipient": 1}


def test_a_wrong_recipient_on_a_copy_does_not_make_the_true_message_an_old_one():
    sim, relay, server, ue = observed()
    server.change(UE_ID, document(UE_ID, changed(9)))
    sim.run(lambda: relay.down, 1000)
    true = relay.down[0]
    wrong = rebuilt(true, with_option(65020, OTHER_ID.encode()))
    relay.to_ue(with_header(wrong, NON, None, 0x4321))
    relay.to_ue(true)
    sim.run(None, 1000)
    assert applied(ue) == changed(9).encode()
    assert ue.counters == {"foreign_recipient": 1}


def test_changes_of_the_outer_observe_bring_back_nothing_old():
    for change in (without(6), with_option(6, b"\xff\xff\xff"), with_option(6, b""),
                   with_option(6, b"\x01" * 9)):  # fmt: skip
        sim, relay, server, ue = observed()
        for n in (8, 9):
            server.change(UE_ID, document(UE_ID, changed(n)))
            sim.run(None, 100)
        old = relay.down[0]
        new = relay.down[-1]
        relay.to_ue(rebuilt(new, change))
        sim.run(None, 100)
        assert applied(ue) == changed(9).encode() and ue.client.observing
        for mid in range(4):
            relay.to_ue(rebuilt(with_header(old, NON, None, mid), change))
            relay.to_ue(rebuilt(with_header(new, NON, None, 100 + mid), change))
            sim.run(None, 150000)
        assert applied(ue) == changed(9).encode() and names(ue) == ["applied"]
        assert ue.counters["old_notification"] == 8


def test_a_request_whose_outer_observe_was_stripped_or_added_gets_a_plain_answer():
    sim, relay, server, ue = attacked(observe=True)
    relay.change = lambda d, is_down: (d if is_down else rebuilt(d, without(6)),)
    sim.run(None, 20000)
    assert applied(ue) == DATA.encode()
    assert not ue.client.observing and server.observers == []
    sim, relay, server, ue = attacked()
    relay.change = lambda d, is_down: (rebuilt(d, with_option(6, b"")),)
    sim.run(None, 20000)
    assert applied(ue) == DATA.encode() and names(ue) == ["applied"]
    assert not ue.client.observing and server.observers == []


def test_an_outer_observe_in_an_answer_neither_makes_an_observation_nor_ends_one():
    for change, observe in ((with_option(6, b"\x01"), False), (without(6), True),
                            (with_option(6, b"\xff\xff\xff"), True)):  # fmt: skip
        sim, relay, server, ue = attacked(observe=observe)
        relay.change = lambda d, is_down, change=change: (
            rebuilt(d, change) if is_down and d[1] else d,
        )
        sim.run(lambda ue=ue: "applied" in names(ue), 5000)
        sim.run(None, 5000)
        assert applied(ue) == changed(7).encode() and ue.client.observing == observe
        server.change(UE_ID, document(UE_ID, changed(8)))
        sim.run(None, 20000)
        assert applied(ue) == changed(8 if observe else 7).encode()
        assert n_counted(ue) == 0


def test_nothing_that_was_sent_before_is_applied_when_it_comes_again():
    sim, relay, server, ue = attacked(observe=True)
    assert sim.run(lambda: ue.client.observing)
    for n in (8, 9, 10):
        server.change(UE_ID, document(UE_ID, changed(n)))
        assert sim.run(lambda n=n: applied(ue) == changed(n).encode(), 20000)
        ue.fetch(sim.now)
        sim.run(None, 20000)
    sim.run(None, 300000)  # message IDs may be used again
    names(ue)
    old = [d for d in relay.down if d[1]]
    token = Message(32).decode(old[-1]).token()
    n_worked = server.n_requests
    assert len(old) >= 7
    for seen in (old, old[::-1]):
        mid = 0x7000
        for datagram in seen:
            for mtype in (0, NON, ACK):
                mid += 1
                before = n_counted(ue)
                relay.to_ue(with_header(datagram, mtype, None, mid))
                relay.to_ue(with_header(datagram, mtype, None, mid + 0x800, token))
                sim.run(None, 100)
                assert n_counted(ue) == before + 2, (mtype, ue.counters)
    for datagram in relay.up[:]:
        relay.to_server(datagram)
        relay.to_server(with_header(datagram, NON, None, mid))
        mid += 1
        sim.run(None, 100)
    assert applied(ue) == changed(10).encode() and names(ue) == []
    assert server.n_requests == n_worked and ue.client.observing


def test_a_notification_that_was_kept_until_after_a_renewal_is_not_applied():
    sim, relay, server, ue = observed()
    server.change(UE_ID, document(UE_ID, changed(8)))
    sim.run(lambda: relay.down, 1000)
    kept = relay.down[0]
    server.change(UE_ID, document(UE_ID, changed(9)))
    relay.passes = True
    ue.fetch(sim.now)
    assert sim.run(lambda: "applied" in names(ue), 20000)
    relay.passes = False
    for mid in range(3):
        relay.to_ue(with_header(kept, NON, None, mid))
    sim.run(None, 1000)
    assert applied(ue) == changed(9).encode()
    # The one that came just before the answer to the renewal answered the former request.
    assert ue.counters == {"oscore_not_authentic": 1, "old_notification": 3}


def test_notifications_are_taken_by_their_numbers_as_the_rfc_says():
    for arrivals, taken in (
        ((10, 7, 10), (10,)),
        ((5, 3, 4, 4), (5,)),
        ((3, 5, 4, 6), (3, 5, 6)),
        ((40, 9, 8, 7), (40,)),  # 31, 32 and 33 behind
        ((0x1000005, 0x1000006, 6), (0x1000005, 0x1000006)),  # equal in the low 24 bits
        ((5, 0x900005, 6), (5, 0x900005)),  # older by the low 24 bits
    ):
        sim, relay, server, ue = observed()
        sequence = server.endpoint.security.contexts[kid_of(UE_ID)].sequence
        kept = {}
        for number in sorted(set(arrivals)):
            sequence.following = number
            relay.down = []
            server.change(UE_ID, document(UE_ID, changed(number)))
            sim.run(lambda relay=relay: relay.down, 1000)
            kept[number] = relay.down[-1]
        mid = 0
        for number in arrivals:
            mid += 1
            relay.to_ue(with_header(kept[number], NON, None, mid))
            sim.run(None, 6000)  # configurations are applied at least five seconds apart
        assert names(ue) == ["applied"] * len(taken), arrivals
        assert applied(ue) == changed(taken[-1]).encode(), arrivals
        assert ue.counters["old_notification"] == len(arrivals) - len(taken)


def test_requests_are_taken_by_their_numbers_as_the_rfc_says():
    for arrivals, taken in (
        ((10, 7, 10), (10, 7)),
        ((5, 3, 4, 4), (5, 3, 4)),
        ((40, 9, 8, 7), (40, 9)),  # 31, 32 and 33 behind
    ):
        sim, relay, server, ue = attacked()
        relay.passes = False
        sequence = ue.endpoint.security.context.sequence
        kept = {}
        for number in sorted(set(arrivals)):
            sequence.following = number
            relay.up = []
            ue.client.cancel()
            ue.fetch(sim.now)
            assert sim.run(lambda relay=relay: relay.up, 5000)
            kept[number] = relay.up[0]
        n = 0
        for number in arrivals:
            relay.to_server(with_header(kept[number], NON, None, n))
            n += 1
            sim.run(None, 100)
        assert server.n_requests == len(taken), arrivals
        assert server.counters["oscore_replay"] == len(arrivals) - len(taken)


def test_answers_and_notifications_in_any_order_end_with_the_newest():
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 2, 1), (1, 0, 2)):
        sim, relay, server, ue = observed()
        for n in (8, 9, 10):
            server.change(UE_ID, document(UE_ID, changed(n)))
            sim.run(None, 50)
        kept = [relay.down[0], relay.down[1], relay.down[2]]
        for i in order:
            relay.to_ue(kept[i])
            sim.run(None, 6000)
        assert applied(ue) == changed(10).encode(), order


def test_no_bytes_that_are_said_to_be_protected_make_a_node_fail():
    random = xorshift(31)
    sim, relay, ue, answer = kept_answer()
    message = Message(32).decode(answer)
    token = message.token()
    server = new_server(sim, {}, 4)
    protect_server(server, (UE_ID,))
    for n in range(600):
        size = random() & 15
        value = bytes([random() if random() & 1 else (random() & 0x1F) for _ in range(size)])
        if random() & 1:
            value = bytes((0x09, 5)) + kid_of(UE_ID) if random() & 1 else b""
        payload = bytes([random() for _ in range(random() >> (random() & 7))])
        buf = bytearray(400)
        end = encode(buf, NON, (0x44, 0x45, 2, 5)[n & 3], n, token, [(9, value)], payload)
        datagram = bytes(buf[:end])
        for node in (ue, server):
            node.receive(0, datagram, RELAY, sim.now)
            while node.transmit(sim.now):
                pass
    assert applied(ue) is None and ue.client.busy and server.n_requests == 0
    relay.to_ue(answer)
    assert sim.run(lambda: ue.events, 1000) and names(ue) == ["applied"]
