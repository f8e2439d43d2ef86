"""Host names of the settings: when they are looked up, and that the loop runs meanwhile."""

from msgin5g.coap.ticks import add, diff
from msgin5g.services.name_lookup import NameLookup

_A = ("192.0.2.1", 1)
_B = ("192.0.2.2", 1)
_START = 0x3FFFFFFF - 100000


def _gaps(moments):
    return [moments[i + 1] - moments[i] for i in range(len(moments) - 1)]


class Watchdog:
    def __init__(self):
        self.held = False
        self.log = []

    def hold(self, limit_ms=None):
        self.held = True
        self.log.append(limit_ms)

    def release(self):
        self.held = False
        self.log.append("release")


class Place:
    """A node with a NameLookup, a DNS server of its own, and virtual time."""

    def __init__(self, takes_ms=0):
        self.now = _START
        self.known = {}  # host: remote
        self.takes_ms = takes_ms
        self.up = True
        self.asked = []  # (moment, host)
        self.emitted = []
        self.used = []
        self.services = []
        self.watchdog = None
        self.lookup = NameLookup(self.look_up, lambda: self.up, lambda: self.now, lambda: 0)
        self.lookup.join(self)

    def look_up(self, host, port, remote):
        self.asked.append((diff(self.now, _START), host))
        self.now = add(self.now, self.takes_ms)
        found = self.known.get(host)
        if found is MemoryError:
            raise MemoryError
        return found

    def emit(self, name, reasons):
        self.emitted.append((name, reasons[0]))

    def add(self, host="hop.example"):
        self.lookup.add("next_hop", host, 1, self.use)
        return self

    def use(self, remote, now):
        assert now == self.now
        self.used.append(remote)

    def run(self, for_ms):
        """Let the loop run, which also wakes up now and then by itself."""
        end = add(self.now, for_ms)
        while diff(end, self.now) > 0:
            self.lookup.step(self.now)
            wait = self.lookup.wait_ms(self.now)
            assert wait is None or wait >= 0
            wait = 1000 if wait is None else min(max(wait, 1), 1000)
            self.now = add(self.now, wait)

    def hosts(self):
        return [host for _, host in self.asked]


def test_a_name_is_looked_up_when_the_network_is_up_and_not_before():
    place = Place().add()
    place.known["hop.example"] = _A
    place.up = False
    place.run(60000)
    assert place.asked == [] and place.lookup.wait_ms(place.now) is None
    assert place.lookup.unresolved() == ["next_hop: hop.example: not looked up yet"]
    place.up = True
    place.run(2000)
    assert place.used == [_A] and place.hosts() == ["hop.example"]
    assert place.emitted == [] and place.lookup.unresolved() == []


def test_a_peer_that_has_timed_out_before_the_first_lookup_is_looked_up_as_any_other():
    place = Place()
    place.known["hop.example"] = _A
    place.lookup.add("next_hop", "hop.example", 1, place.use, lambda: 3)
    place.run(2000)
    assert place.used == [_A] and place.hosts() == ["hop.example"]


def test_a_name_that_is_not_known_is_asked_for_less_and_less_often():
    place = Place().add()
    place.run(3600000)
    moments = [at for at, _ in place.asked]
    gaps = _gaps(moments)
    assert gaps[:4] == [2000, 4000, 8000, 16000] and max(gaps) == gaps[-1] == 600000
    assert place.emitted == [("unresolved", "next_hop: hop.example: not known")]
    place.known["hop.example"] = _A
    place.run(600000)
    assert place.used == [_A]
    assert place.emitted[1:] == [("resolved", "next_hop: hop.example: has an address")]


def test_after_an_answer_the_back_off_begins_anew():
    place = Place().add()
    place.run(7000)
    place.known["hop.example"] = _A
    place.run(8000)
    assert [at for at, _ in place.asked] == [0, 2000, 6000, 14000] and place.used == [_A]
    n = len(place.asked)
    del place.known["hop.example"]
    place.run(610000)
    moments = [at for at, _ in place.asked[n - 1 :]]
    assert _gaps(moments)[:3] == [600000, 2000, 4000]
    assert place.used == [_A] and place.emitted[-1][0] == "resolved", "the old one is used on"


def test_a_network_that_comes_back_ends_the_back_off():
    place = Place().add()
    place.run(600000)
    n = len(place.asked)
    place.up = False
    place.run(2000)
    place.up = True
    place.known["hop.example"] = _A
    place.run(1000)
    assert len(place.asked) == n + 1 and place.used == [_A]


def test_an_address_that_changes_is_used_and_one_that_stays_is_not_told_again():
    place = Place().add()
    place.known["hop.example"] = _A
    place.run(1800000)
    assert place.used == [_A] and 3 <= len(place.asked) <= 4 and place.emitted == []
    place.known["hop.example"] = _B
    place.run(600000)
    assert place.used == [_A, _B] and place.emitted == [
        ("resolved", "next_hop: hop.example: has an address")
    ]
    del place.known["hop.example"]
    place.run(1200000)
    assert place.used == [_A, _B] and place.lookup.unresolved() == []  # the old one is used on


def test_a_peer_that_does_not_answer_is_looked_up_again_at_most_once_a_minute():
    place = Place()
    timeouts = [0]
    place.lookup.add("next_hop", "hop.example", 1, place.use, lambda: timeouts[0])
    place.known["hop.example"] = _A
    place.run(120000)
    assert len(place.asked) == 1
    timeouts[0] = 1
    place.known["hop.example"] = _B
    place.run(1000)
    assert place.used == [_A, _B]
    place.run(100000)
    assert len(place.asked) == 2
    n_before = len(place.asked)
    for _ in range(300):
        timeouts[0] += 1
        place.run(1000)
    assert 5 <= len(place.asked) - n_before <= 6


def test_a_lookup_that_blocks_leaves_four_fifths_of_the_time_to_the_loop():
    place = Place(takes_ms=10000)
    for n in range(20):
        place.add("ue%d.example" % n)
    place.run(3600000)
    moments = [at for at, _ in place.asked]
    assert min(_gaps(moments)) >= 50000
    # And no name waits because others fail again and again.
    assert len(set(place.hosts())) == 20
    assert sorted(place.hosts()[:20]) == sorted(["ue%d.example" % n for n in range(20)])


def test_one_bad_name_does_not_keep_the_others_from_their_addresses():
    place = Place().add("bad.example").add("good.example").add("huge.example")
    place.known["good.example"] = _A
    place.known["huge.example"] = MemoryError
    place.run(1000)
    assert place.used == [_A]
    assert sorted(place.lookup.unresolved()) == [
        "next_hop: bad.example: not known",
        "next_hop: huge.example: not known",
    ]


def test_an_address_that_is_refused_is_offered_again():
    place = Place()
    offered = []
    place.lookup.add(
        "links urn:a", "ue.example", 1, lambda remote, now: len(offered) > 3 or refuse()
    )

    def refuse():
        offered.append(1)
        return False

    place.known["ue.example"] = _A
    place.run(10000)
    assert place.emitted == [
        (
            "unresolved",
            "links urn:a: ue.example: another UE has this address, or the table of links is full",
        )
    ]
    place.run(60000)
    assert len(offered) == 4 and place.emitted[-1][0] == "resolved"


def test_the_watchdog_is_held_for_a_lookup_and_not_for_ever():
    place = Place().add()
    place.watchdog = Watchdog()
    place.run(1000)
    assert place.watchdog.log == [60000, "release"]
    place.watchdog.held = True  # by a person at the REPL
    place.run(3000)
    assert place.watchdog.log == [60000, "release"] and len(place.asked) == 2


def test_a_ping_does_not_block_the_loop_again_for_a_name_that_is_not_known():
    place = Place(takes_ms=5000)
    assert place.lookup.resolve("as.example", 5683) is None
    assert place.lookup.resolve("as.example", 5683) is None and len(place.asked) == 1
    place.now = add(place.now, 60000)
    place.known["as.example"] = _A
    assert place.lookup.resolve("as.example", 5683) == _A
    assert place.lookup.wait_ms(place.now) is None
