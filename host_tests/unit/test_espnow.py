"""The ESP-NOW transport against a scripted `espnow`: pieces, peers, range, full buffers."""

from msgin5g_testkit.shim import espnow

from msgin5g_testkit.checks import raises
from msgin5g.port.espnow import EspNowTransport

_A = b"\x02aaaaa"
_B = b"\x02bbbbb"
_C = b"\x02ccccc"
_MASK = 0x3FFFFFFF


def _transport(mac, peers, emitted=None, pmk=None):
    espnow.here = mac
    transport = EspNowTransport(espnow.ESPNow(), pmk, peers)
    if emitted is not None:
        transport.emit = lambda name, reasons: emitted.append((name, reasons[0]))
    return transport


def _pair(**more):
    espnow.reset()
    a = _transport(_A, {_B: (None, "urn:b")}, **more)
    b = _transport(_B, {_A: (None, "urn:a")})
    return a, b


def _datagram(size):
    made = bytearray(size)
    for i in range(size):
        made[i] = (i * 7 + size) & 255
    return bytes(made)


def _run(transport, start, for_ms):
    """Let time pass for one transport; the moment after it."""
    now = start
    end = for_ms
    passed = 0
    while passed <= end:
        transport.step(now)
        wait = max(transport.wait_ms(now), 1)
        passed += wait
        now = (now + wait) & _MASK
    return now


def test_datagrams_of_every_size_arrive_whole():
    a, b = _pair()
    for size in (0, 1, 246, 247, 248, 494, 495, 1152, 1281):
        a.send(_datagram(size), _B)
        assert b.receive() == (_datagram(size), _A), size
        assert b.receive() is None
    assert a.n_failed == 0 and b.n_broken == 0
    assert espnow.air.n_sent == 1 + 1 + 1 + 1 + 2 + 2 + 3 + 5 + 6
    a.send(_datagram(1483), _B)
    a.send(b"x", _C)
    assert a.n_failed == 2 and b.receive() is None


def test_the_buffer_of_the_driver_holds_the_longest_datagram_twice():
    a, b = _pair()
    assert espnow.boards[_B].rxbuf == 12 * (13 + 250), "and takes no more of the memory"
    for _ in range(2):
        a.send(_datagram(1152), _B)
    assert [b.receive()[0] for _ in range(2)] == [_datagram(1152)] * 2


def test_a_lost_piece_loses_the_datagram_and_nothing_else():
    a, b = _pair()
    for lost in range(3):
        espnow.lost.add(espnow.air.n_sent + lost)
        a.send(_datagram(700), _B)
        assert b.receive() is None, lost
        a.send(_datagram(600), _B)
        assert b.receive() == (_datagram(600), _A), lost
    assert a.n_failed == 3
    a.send(_datagram(600), _B)
    frames = espnow.ESPNow().inbox  # of B: here is B's
    frames.insert(1, frames[0])  # a radio may repeat a frame
    frames[2], frames[3] = frames[3], frames[2]
    assert b.receive() == (_datagram(600), _A)


def _piece(n_pieces, number, index, text):
    """A frame with one piece of a datagram, from A."""
    return _A, bytes((0xC0 | n_pieces, number, index)) + text


def test_pieces_of_two_datagrams_never_make_one():
    _, b = _pair()
    inbox = espnow.boards[_B].inbox
    # The number tells them apart; so does how many there are, as of a board that began anew.
    for other in (_piece(2, 8, 1, b"new"), _piece(3, 7, 1, b"new")):
        n_broken = b.n_broken
        inbox.extend((_piece(2, 7, 0, b"old"), other))
        assert b.receive() is None and b.n_broken == n_broken + 1, other
        # The second piece of the first one comes late: it does not complete the other one either.
        inbox.append(_piece(2, 7, 1, b"late"))
        assert b.receive() is None, other
        inbox.append(_piece(2, 7, 0, b"old"))
        assert b.receive() == (b"oldlate", _A), other
    # Two peers may use the same number.
    b = _transport(_C, {_A: (None, "urn:a"), _B: (None, "urn:b")})
    frame = _piece(2, 7, 1, b"B's")[1]
    espnow.boards[_C].inbox.extend((_piece(2, 7, 0, b"A's"), (_B, frame)))
    assert b.receive() is None


def test_old_pieces_are_forgotten_and_counted_once():
    _, b = _pair()
    inbox = espnow.boards[_B].inbox
    start = _MASK - 2000  # the clock wraps meanwhile
    b.step(start)
    inbox.append(_piece(2, 7, 0, b"old"))
    assert b.receive() is None
    b.step((start + 2999) & _MASK)
    assert b.n_broken == 0 and b.wait_ms((start + 2999) & _MASK) == 1
    for ms in (3000, 3001, 6000, 60000):
        b.step((start + ms) & _MASK)
        assert b.n_broken == 1, ms
    inbox.append(_piece(2, 7, 1, b"new"))  # 256 datagrams later the number is the same
    assert b.receive() is None and b.n_broken == 1
    inbox.append(_piece(2, 7, 0, b"all "))
    assert b.receive() == (b"all new", _A) and b.n_broken == 1


def test_frames_of_unknown_devices_are_dropped():
    a, b = _pair()
    c = _transport(_C, {_B: (None, "urn:b")})
    c.send(b"hello", _B)
    assert b.receive() is None and b.n_unknown_peer == 1
    espnow.boards[_B].inbox.extend(
        [
            (_A, frame)
            for frame in (b"", b"\xc1", b"\xc1\0", b"\xc0", b"\xc7\0\0", b"\xc2\0\2x", b"?")
        ]
    )
    assert b.receive() is None and not espnow.boards[_B].inbox
    a.send(b"hello", _B)
    assert b.receive() == (b"hello", _A)


def test_full_buffers_delay_and_do_not_lose():
    a, b = _pair()
    espnow.air.full = 3
    a.send(_datagram(600), _B)
    assert b.receive() is None and a.wait_ms(0) == 10
    now = _run(a, 0, 100)
    assert b.receive() == (_datagram(600), _A) and a.n_failed == 0
    espnow.air.full = 1000
    for _ in range(30):
        a.send(_datagram(600), _B)
    assert a.n_failed == 22  # 24 frames wait
    _run(a, now, 60000)
    assert espnow.air.full < 700  # given up after so many tries each
    espnow.air.full = 0


def test_a_frame_that_finds_full_buffers_50_times_is_tried_once_more_and_then_given_up():
    for full, n_failed in ((50, 0), (51, 1)):
        a, b = _pair()
        a.send(b"before", _B)
        espnow.air.full = full
        a.send(b"x", _B)
        _run(a, 0, 510)
        assert (a.n_failed, espnow.air.full) == (n_failed, 0), full
        assert b.receive() == (b"before", _A)
        assert b.receive() == (None if n_failed else (b"x", _A))
        # What failed for one frame does not count for the next one.
        espnow.air.full = 50
        a.send(b"y", _B)
        _run(a, 1000, 510)
        assert a.n_failed == n_failed and b.receive() == (b"y", _A)


def test_24_frames_wait_and_the_next_datagram_has_failed():
    a, b = _pair()
    espnow.air.full = 1
    for n in range(24):
        a.send(bytes((n,)), _B)
        assert a.n_failed == 0, n
    a.send(b"x", _B)
    assert a.n_failed == 1
    _run(a, 0, 20)
    assert b.peers[_A].up is None and [b.receive()[0] for _ in range(12)] == [
        bytes((n,)) for n in range(12)
    ]


def test_what_is_overdue_is_due_at_once():
    a, b = _pair()
    a.step(0)
    b.receive()
    assert a.wait_ms(9000) == 1000 and a.wait_ms(10001) == a.wait_ms(20000) == 0
    a.send(_datagram(600), _B)
    espnow.boards[_B].inbox.pop()
    assert b.receive() is None
    assert b.wait_ms(2999) == 1 and b.wait_ms(3000) == b.wait_ms(3001) == 0
    espnow.air.full = 1
    a.send(b"x", _B)
    assert a.wait_ms(4) == 6 and a.wait_ms(10) == a.wait_ms(11) == 0


def test_a_probe_that_is_not_answered_is_no_datagram_that_failed():
    a, _ = _pair()
    espnow.apart.add((_A, _B))
    _run(a, 0, 20000)
    assert espnow.air.n_sent > 3 and a.n_failed == 0 and not a.status()["up"]


def test_of_several_peers_the_one_that_is_due_first_is_waited_for():
    espnow.reset()
    a = _transport(_A, {_B: (None, "urn:b"), _C: (None, "urn:c")})
    _transport(_B, {_A: (None, "urn:a")})
    _transport(_C, {_A: (None, "urn:a")})
    a.step(0)
    a.step(1)
    for mac, other in ((_B, _C), (_C, _B)):
        now = 2000 if mac == _B else 4000
        a.step(now)
        a.send(b"x", mac)
        first = a.peers[other].probe_at
        assert a.wait_ms(now) == first - now < 10000


def test_a_datagram_of_more_than_six_pieces_is_dropped():
    a, _ = _pair()
    for n_pieces, whole in ((6, True), (7, False), (15, False)):
        for i in range(n_pieces):
            espnow.boards[_A].inbox.append((_B, bytes((0xC0 | n_pieces, n_pieces, i)) + b"x"))
        assert a.receive() == ((b"x" * n_pieces, _B) if whole else None), n_pieces
    for frame in (b"\xc0\1\0x", b"\xc1\1", b"\xc1\1\1x", b"\xd1\1\0x", b"\x81\1\0x", b""):
        espnow.boards[_A].inbox.append((_B, frame))
        assert a.receive() is None, frame
    espnow.boards[_A].inbox.append((_B, b"\xc1\1\0"))
    assert a.receive() == (b"", _B) and a.n_broken == 0


def test_keys_of_peers():
    espnow.reset()
    key, pmk = b"k" * 16, b"p" * 16
    a = _transport(_A, {_B: (key, "urn:b")}, pmk=pmk)
    b = _transport(_B, {_A: (key, "urn:a")}, pmk=pmk)
    c = _transport(_C, {_B: (b"x" * 16, "urn:b")}, pmk=pmk)
    a.send(b"secret", _B)
    c.send(b"other key", _B)
    assert b.receive() == (b"secret", _A) and b.receive() is None
    b.close()
    assert not espnow.boards[_B].is_active and b.receive() is None
    with raises(ValueError):
        _transport(b"\x02ddddd", {_B: (b"short", "urn:b")})


def test_a_peer_out_of_range_is_reported_within_30_s_and_found_again():
    emitted, log = [], []
    a, _ = _pair(emitted=emitted)
    a.on_up = lambda peer, now, again: log.append(("up", peer.ue_id, again))
    a.on_down = lambda peer: log.append(("down", peer.ue_id))
    assert a.status()["reason"] == "urn:b: not known yet"
    now = _run(a, _MASK - 15000, 60000)  # the clock wraps
    assert emitted == [("link_up", "espnow: urn:b")] and a.status()["up"]
    assert 5 <= espnow.air.n_sent <= 8  # a probe every ten seconds
    espnow.apart.add((_A, _B))
    now = _run(a, now, 30000)
    assert emitted[1:] == [("link_down", "espnow: urn:b is out of range")]
    assert a.status() == {"link": "espnow", "up": False, "reason": "urn:b: out of range"}
    before = espnow.air.n_sent
    now = _run(a, now, 600000)
    assert len(emitted) == 2 and espnow.air.n_sent - before < 80
    espnow.apart.clear()
    now = _run(a, now, 30000)
    assert emitted[2:] == [("link_up", "espnow: urn:b")] and a.status()["up"]
    assert log == [("up", "urn:b", False), ("down", "urn:b"), ("up", "urn:b", True)]


def test_a_frame_of_a_peer_shows_that_it_is_in_range():
    emitted = []
    a, b = _pair(emitted=emitted)
    b.send(b"hello", _A)
    assert a.receive() == (b"hello", _B) and emitted == [("link_up", "espnow: urn:b")]


def test_a_peer_that_was_never_there():
    espnow.reset()
    emitted = []
    a = _transport(_A, {_B: (None, "urn:b")}, emitted)
    _run(a, 0, 30000)
    assert emitted == [("link_down", "espnow: urn:b is out of range")]


def test_memory_that_is_short_loses_a_frame_and_not_the_node():
    a, b = _pair()
    a.send(b"one", _B)
    espnow.air.receive_errors = [MemoryError()]
    assert b.receive() is None and b.n_lost == 1
    assert b.receive() == (b"one", _A)
    espnow.air.send_errors = [MemoryError()]
    a.send(b"two", _B)
    assert a.n_lost == 1 and b.receive() is None and a.wait_ms(0) == 10
    _run(a, 0, 100)
    assert b.receive() == (b"two", _A) and a.n_failed == 0
    assert a.n_restarts == b.n_restarts == 0


def test_memory_that_stays_short_for_the_driver_restarts_it():
    a, b = _pair()
    a.send(b"one", _B)
    espnow.air.receive_errors = [MemoryError() for _ in range(8)]
    for _ in range(8):
        assert b.receive() is None
    b.step(0)
    assert b.n_restarts == 1 and b.n_lost == 8
    a.send(b"two", _B)
    assert b.receive() == (b"two", _A)


def test_a_probe_that_memory_is_too_short_for_is_still_due():
    class Scarce:
        """The peers; the first time there is no memory to go through them."""

        n_short = 1

        def __init__(self, peers):
            self.get = peers.get
            self.all = peers

        def values(self):
            if self.n_short:
                self.n_short -= 1
                raise MemoryError
            return self.all.values()

    a, _ = _pair()
    peers = a.peers
    a.peers = Scarce(peers)
    a.step(0)
    assert a.n_lost == 1 and espnow.air.n_sent == 0 and a.wait_ms(0) == 0
    a.step(0)
    assert a.n_lost == 1 and espnow.air.n_sent == 1 and peers[_B].up


def test_memory_that_is_short_for_the_pieces_leaves_no_part_of_a_datagram():
    class Scarce:
        """A datagram whose second half cannot be copied."""

        def __len__(self):
            return 400

        def __getitem__(self, part):
            if part.start:
                raise MemoryError
            return bytes(247)

    a, b = _pair()
    a.send(Scarce(), _B)
    assert a.n_failed == 1 and a.n_lost == 1 and a.wait_ms(0) == 0
    a.send(b"next", _B)
    assert b.receive() == (b"next", _A) and espnow.air.n_sent == 1


def test_a_link_that_memory_was_too_short_for_comes_up_with_the_next_frame():
    up = []
    a, b = _pair()

    def on_up(peer, now, again):
        up.append(peer.ue_id)
        if len(up) == 1:
            raise MemoryError

    b.on_up = on_up
    a.send(b"one", _B)
    assert b.receive() is None and b.n_lost == 1
    a.send(b"two", _B)
    assert b.receive() == (b"two", _A) and up == ["urn:a", "urn:a"]


def test_an_error_without_arguments_is_a_frame_that_was_not_sent():
    a, b = _pair()
    espnow.air.send_errors = [OSError()]
    a.send(b"one", _B)
    assert a.n_failed == 1 and b.receive() is None
    espnow.air.receive_errors = [OSError()]
    assert b.receive() is None
    a.send(b"two", _B)
    assert b.receive() == (b"two", _A)


def test_a_ring_buffer_that_lost_its_place_is_restarted_with_its_peers_and_keys():
    espnow.reset()
    key, pmk = b"k" * 16, b"p" * 16
    a = _transport(_A, {_B: (key, "urn:b")}, pmk=pmk)
    b = _transport(_B, {_A: (key, "urn:a")}, pmk=pmk)
    espnow.boards[_B].lost_place = True
    a.send(b"one", _B)
    assert b.receive() is None and b.n_restarts == 0
    assert b.wait_ms(5) == 0
    b.step(5)
    assert b.n_restarts == 1
    a.send(b"two", _B)
    assert b.receive() == (b"two", _A)
    b.send(b"three", _A)
    assert a.receive() == (b"three", _B)


def test_a_driver_that_cannot_be_restarted_is_tried_once_a_second():
    a, b = _pair()
    board = espnow.boards[_B]
    board.lost_place = True
    assert b.receive() is None
    active = board.active
    board.active = _refuse
    now = _run(b, _MASK - 5000, 10000)
    assert 8 <= b.n_restarts <= 12
    assert b.wait_ms((now + 5000) & _MASK) == 0, "what is overdue is due now"
    board.active = active
    now = _run(b, now, 2000)
    n = b.n_restarts
    _run(b, now, 10000)
    assert b.n_restarts == n
    a.send(b"one", _B)
    assert b.receive() == (b"one", _A)


def _refuse(on=None):
    raise RuntimeError("Wifi Unknown Error 0x0101")


def test_a_driver_whose_acknowledgements_stay_away_is_restarted():
    # One that the driver has lost for good lets every later send time out.
    a, b = _pair()
    espnow.air.send_errors = [OSError(116) for _ in range(8)]
    for _ in range(8):
        a.send(b"x", _B)
    assert a.receive() is None and a.n_failed == 8
    a.step(0)
    assert a.n_restarts == 1
    a.send(b"y", _B)
    assert b.receive() == (b"y", _A)


def test_a_peer_is_out_of_range_after_three_frames_in_a_row_and_not_two():
    emitted = []
    a, _ = _pair(emitted=emitted)
    for _ in range(3):  # each frame that arrives begins the count anew
        a.send(b"x", _B)
        espnow.apart.add((_A, _B))
        a.send(b"x", _B)
        a.send(b"x", _B)
        assert a.status()["up"], emitted
        espnow.apart.clear()
    a.send(b"x", _B)
    espnow.apart.add((_A, _B))
    for up in (True, True, False):
        a.send(b"x", _B)
        assert a.status()["up"] == up
    assert [name for name, _ in emitted] == ["link_up", "link_down"]


def test_a_driver_is_restarted_after_eight_faults_in_a_row_and_not_seven():
    a, b = _pair()
    for n_faults, n_restarts in ((7, 0), (7, 0), (8, 1)):
        espnow.air.send_errors = [OSError(116) for _ in range(n_faults)]
        for _ in range(n_faults):
            a.send(b"x", _B)
        a.step(0)
        assert a.n_restarts == n_restarts
        a.send(b"y", _B)  # one that goes well begins the count anew
    for n_faults, n_restarts in ((7, 0), (7, 0), (8, 1)):
        espnow.air.receive_errors = [OSError(116) for _ in range(n_faults)]
        for _ in range(n_faults):
            assert b.receive() is None
        b.step(0)
        assert b.n_restarts == n_restarts
        b.receive()


def test_a_probe_is_due_to_the_millisecond():
    a, _ = _pair()
    a.step(0)
    n = espnow.air.n_sent
    wait = a.wait_ms(0)
    assert wait == 10000
    a.step(9999)
    assert espnow.air.n_sent == n and a.wait_ms(9999) == 1
    a.step(10000)
    assert espnow.air.n_sent == n + 1
