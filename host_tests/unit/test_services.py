"""The services of a node, one at a time: the check of a trial, a ping, an application's calls."""

import asyncio
import sys

from msgin5g_testkit.checks import raises
from msgin5g.coap.retransmission import DONE, QUEUED, RESET, SENT
from msgin5g.coap.ticks import add
from msgin5g.config.schema import SERVER_ADDRESS
from msgin5g.config.store import GOOD, TRIAL
from msgin5g.services import application as application_service
from msgin5g.services import trial_check
from msgin5g.services.application import Application
from msgin5g.services.ping import Ping
from msgin5g.services.radios import Radios
from msgin5g.services.trial_check import TrialCheck

START = 0x3FFFF000  # soon before the clock wraps


class Manager:
    """A configuration manager of which a test says the state; it is its own schema."""

    before_first_check = None

    def __init__(self, configuration=None, state=TRIAL):
        self.configuration = configuration
        self.state = state
        self.safe_mode = False
        self.boots = 0
        self.log = []
        self.schema = self
        self.rules = []

    def check_passed(self):
        self.log.append("passed")

    def confirm(self, now):
        self.log.append(("confirm", now))
        return ("confirmed", ()) if self.state == TRIAL else None

    def roll_back(self, now):
        self.log.append(("roll back", now))
        return "rolled_back", ("by hand",)

    def note(self, now, name, reasons):
        self.log.append((name, now, reasons))


class Ue:
    """A UE and its client and endpoint in one."""

    transport = 0

    def __init__(self, manager):
        self.configuration = manager
        self.client = self.endpoint = self
        self.started = []

    def start(self, exchange):
        self.started.append((exchange.transport, exchange.remote, bytes(exchange.datagram)))
        return Exchange()


class Exchange:
    state = SENT


class FakePing:
    """A ping whose answer a test gives; `made` are all of them."""

    made = []

    def __init__(self, endpoint, transport, resolve, configuration):
        self.answered = None
        self.about = configuration
        self.made.append(self)


class faked_pings:
    """While this lasts the check of a trial sends none."""

    def __enter__(self):
        self.real = trial_check.Ping
        trial_check.Ping = FakePing

    def __exit__(self, *_):
        trial_check.Ping = self.real


def check_of(manager, resolve="resolve"):
    del FakePing.made[:]
    return TrialCheck(Ue(manager), resolve)


def test_the_check_passes_with_an_answer_and_says_so_once():
    with faked_pings():
        manager = Manager({"a": 1})
        check = check_of(manager)
        assert check.passed is False and check.ping is None
        now = START
        check.step(now)
        assert len(FakePing.made) == 1 and check.ping is FakePing.made[0] and not check.passed
        assert check.ping.about is manager.configuration and check.wait_ms(now) is None
        check.step(now)
        assert len(FakePing.made) == 1 and manager.log == []
        check.ping.answered = True
        check.step(now)
        check.step(now)
        assert check.passed and manager.log == ["passed"] and check.wait_ms(now) is None
        # Another configuration is checked anew.
        manager.configuration = {"a": 2}
        check.step(now)
        assert not check.passed and len(FakePing.made) == 2


def test_without_an_answer_the_check_asks_again_after_ten_seconds():
    with faked_pings():
        manager = Manager({"a": 1})
        check = check_of(manager)
        now = START
        check.step(now)
        check.ping.answered = False
        check.step(now)
        assert check.wait_ms(now) == 10000 and len(FakePing.made) == 1
        check.step(add(now, 9999))
        assert check.wait_ms(add(now, 9999)) == 1 and len(FakePing.made) == 1
        assert check.wait_ms(add(now, 10001)) == 0
        check.step(add(now, 10000))
        assert len(FakePing.made) == 2 and check.wait_ms(add(now, 10000)) is None
        check.step(add(now, 30000))
        assert len(FakePing.made) == 2, "the second one is still under way"


def test_a_check_without_ping_passes_at_once():
    with faked_pings():
        manager = Manager({"a": 1})
        check = check_of(manager, None)
        check.step(START)
        check.step(START)
        assert check.passed and manager.log == ["passed"] and FakePing.made == []


def test_only_a_configuration_on_trial_is_checked_and_not_in_safe_mode():
    with faked_pings():
        for configuration, state, safe_mode in (
            (None, TRIAL, False), ({"a": 1}, GOOD, False), ({"a": 1}, TRIAL, True)
        ):  # fmt: skip
            manager = Manager(configuration, state)
            manager.safe_mode = safe_mode
            check = check_of(manager)
            check.step(START)
            assert FakePing.made == [] and manager.log == [] and check.wait_ms(START) is None
            manager.configuration, manager.state, manager.safe_mode = {"b": 1}, TRIAL, False
            check.step(START)
            assert len(FakePing.made) == 1
            check.ping.answered = False
            check.step(START)
            # What was on trial and is not any more is forgotten.
            manager.state = GOOD
            check.step(START)
            assert check.wait_ms(START) is None
            manager.state = TRIAL
            check.step(START)
            assert len(FakePing.made) == 2


def test_a_ping_is_answered_by_a_reset_or_an_acknowledgement():
    ue = Ue(None)
    ping = Ping(ue, 1, lambda host, port: (host, port), {SERVER_ADDRESS: "coap://a.example:5"})
    assert ue.started == [(1, ("a.example", 5), b"\x40\0\0\0")]
    for state in (QUEUED, SENT, RESET, DONE, 99):
        Exchange.state = state
        expected = None if state in (QUEUED, SENT) else state in (RESET, DONE)
        assert ping.answered is expected, state
    Exchange.state = SENT
    assert ping.why == "coap://a.example:5"


def test_a_ping_that_cannot_be_sent_says_why():
    ue = Ue(None)

    def unknown(host, port):
        return None

    ping = Ping(ue, 0, unknown, {SERVER_ADDRESS: "a.example:5"})
    assert ping.why == "a.example:5: name not known" and not ping.answered
    ping = Ping(ue, 0, unknown, None)
    assert ping.why == "no configuration" and not ping.answered
    for scheme in ("coaps", "coap+tcp"):
        ping = Ping(ue, 0, unknown, {SERVER_ADDRESS: scheme + "://a.example:5"})
        assert ping.answered is True and ping.why.endswith(": no ping for " + scheme)
    assert ue.started == []


# The application


class Module:
    """An application's module, which notes its calls."""

    def __init__(self, steps=()):
        self.calls = []
        self.steps = list(steps)

    def declare(self, schema):
        self.calls.append(("declare", schema))

    def changed(self, node):
        self.calls.append(("changed", node.configuration))

    def step(self, node, now):
        self.calls.append(("step", now))
        return self.steps.pop(0) if self.steps else None


class Node:
    def __init__(self, ends=False):
        self.ended = False
        self.events = []
        self.ends = ends
        self.limits = []

    def emit(self, name, reasons):
        self.events.append((name, reasons))
        self.ended = name == "restarting"

    def run(self, ms):
        self.limits.append(ms)
        return self.ends


def application(module, manager=None, node=None):
    """An Application with this module, begun."""
    sys.modules["an_application"] = module
    try:
        made = Application("an_application")
        if manager is not None:
            made.prepare(manager)
        made.begin(node or Node(), None, lambda: START)
    finally:
        del sys.modules["an_application"]
    return made


def test_step_of_the_application_is_called_when_it_asked_to_be_and_else_once_a_minute():
    module = Module(steps=(500, 0, None))
    made = application(module, Manager())
    assert made.wait_ms(START) is None
    made.step(START)
    assert made.wait_ms(START) == 500 and made.wait_ms(add(START, 501)) == 0
    made.step(add(START, 499))
    made.step(add(START, 500))
    assert made.wait_ms(add(START, 500)) == 0
    made.step(add(START, 500))
    assert made.wait_ms(add(START, 500)) == 60000
    made.step(add(START, 60499))
    steps = [now for name, now in module.calls if name == "step"]
    assert steps == [START, add(START, 500), add(START, 500)]
    made.step(add(START, 60500))
    assert module.calls[-1] == ("step", add(START, 60500))


def test_the_application_is_told_of_a_change_once_and_asks_whether_there_was_one():
    manager = Manager()
    module = Module()
    made = application(module, manager)
    assert not made.changed() and made.configuration is None
    made.step(START)
    assert ("changed", None) not in module.calls
    manager.configuration = {"a": 1}
    made.step(START)
    made.step(START)
    assert [call for call in module.calls if call[0] == "changed"] == [("changed", {"a": 1})]
    assert made.changed() and not made.changed() and made.configuration == {"a": 1}


def test_the_application_declares_its_keys_once_before_the_first_check_or_at_the_start():
    manager = Manager()
    module = Module()
    application(module, manager)
    assert module.calls == [("declare", manager)] and manager.before_first_check is None
    module = Module()
    application(module)
    assert module.calls == [], "a node without a configuration has no keys"


def test_an_application_in_safe_mode_is_not_imported_and_another_document_restarts_the_board():
    manager = Manager({"a": 1})
    manager.safe_mode = True
    node = Node()
    module = Module()
    made = application(module, manager, node)
    made.step(START)
    assert module.calls == [] and made.wait_ms(START) is None
    manager.configuration = {"a": 2}
    made.step(START)
    assert made.wait_ms(START) == 1000 and node.events == []
    made.step(add(START, 999))
    assert node.events == []
    made.step(add(START, 1000))
    made.step(add(START, 1001))
    assert node.events == [("restarting", ())]
    # Outside safe mode a change is no reason to restart.
    manager.safe_mode = False
    made = application(module, manager, node)
    manager.configuration = {"a": 3}
    made.step(START)
    assert made.wait_ms(START) == 60000, "that of its step"


def test_an_application_that_rolls_back_in_its_step_goes_on_without_a_restart():
    class Careful(Module):
        def step(self, node, now):
            node.roll_back()

    class Rolling(Manager):
        def roll_back(self, now):
            self.configuration, self.state = {"a": 1}, GOOD
            return "rolled_back", ("by hand",)

    manager, node, module = Rolling({"a": 2}), Node(), Careful()
    made = application(module, manager, node)
    made.step(START)
    assert node.events == [("rolled_back", ("by hand",))] and made.wait_ms(START) == 60000
    made.step(add(START, 1000))
    assert len(node.events) == 1 and module.calls[-1] == ("changed", {"a": 1})


def test_a_crash_restarts_the_board_soon_when_it_counts_and_else_after_a_minute():
    class Broken(Module):
        def step(self, node, now):
            raise ValueError("blink")

    for state, boots, ms in ((TRIAL, 0, 1000), (GOOD, 1, 1000), (GOOD, 0, 60000)):
        manager = Manager({"a": 1}, state)
        manager.boots = boots
        node = Node()
        made = application(Broken(), manager, node)
        made.step(START)
        reasons = ("ValueError: blink",)
        assert node.events == [("crashed", reasons)] and made.has_failed
        assert manager.log == [("crashed", START, reasons)]
        assert made.wait_ms(START) == ms, (state, boots)
        made.step(add(START, ms - 1))
        assert len(node.events) == 1
        made.step(add(START, ms))
        made.step(add(START, ms))
        assert node.events[1:] == [("restarting", ())]
    node = Node()
    made = application(Broken(), None, node)
    made.step(START)
    assert made.wait_ms(START) == 60000 and node.events == [("crashed", reasons)]


def test_an_application_in_asyncio_waits_for_a_change_and_for_the_answer_of_its_server():
    manager = Manager({"a": 1})
    made = application(Module(), manager)
    seen = []

    class Pinged:
        n = 0

        @property
        def answered(self):
            Pinged.n += 1
            return None if Pinged.n < 3 else True

    async def program():
        for _ in range(2):
            seen.append(await made.wait_changed())
        made.ping = Pinged
        seen.append(await made.reached())

    async def loop():
        task = asyncio.create_task(program())
        for i in range(8):
            await asyncio.sleep(0)
            made.step(START)
            assert len(seen) == (1 if i < 4 else 2), i
            if i == 3:
                manager.configuration = {"a": 2}
                made.step(START)
                for _ in range(4):
                    await asyncio.sleep(0)
        await task

    asyncio.run(loop())
    assert seen == [{"a": 1}, {"a": 2}, True] and Pinged.n >= 3


def test_an_application_without_keys_or_verbs_runs_all_the_same():
    class Bare:
        pass

    manager = Manager({"a": 1})
    made = application(Bare(), manager)
    made.step(START)
    assert not made.has_failed and made.wait_ms(START) is None and made.start() is None


def test_an_application_whose_task_has_failed_is_not_called_again():
    module, node = Module(), Node()
    made = application(module, Manager({"a": 1}, GOOD), node)
    made.failed(None, {"exception": ValueError("task")})
    made.step(START)
    assert [call for call in module.calls if call[0] != "declare"] == []
    assert node.events == [("crashed", ("ValueError: task",))]


def test_the_traceback_of_an_application_is_printed_where_the_platform_prints_one():
    class Printing:
        def __init__(self):
            self.printed = []
            self.print_exception = self.printed.append

    real = application_service.sys
    for fake, n_printed in ((Printing(), 1), (object(), 0)):
        application_service.sys = fake
        try:
            made = application(Module(), Manager({"a": 1}, GOOD), Node())
            error = ValueError("task")
            made.failed(None, {"exception": error})
        finally:
            application_service.sys = real
        assert made.has_failed and getattr(fake, "printed", []) == n_printed * [error]


def test_an_application_that_cannot_be_imported_has_crashed():
    node = Node()
    made = Application("no_such_application")
    assert not made.has_failed
    made.begin(node, None, lambda: START)
    assert made.has_failed and made.start() is None
    made.step(START)
    assert node.events[0][0] == "crashed"


def test_the_application_confirms_and_rolls_back_what_is_on_trial():
    manager = Manager({"a": 1})
    node = Node()
    made = application(Module(), manager, node)
    assert made.on_trial
    made.confirm()
    made.roll_back()
    assert manager.log == [("confirm", START), ("roll back", START)]
    assert node.events == [("confirmed", ()), ("rolled_back", ("by hand",))]
    manager.state = GOOD
    made.confirm()
    made.roll_back()
    assert not made.on_trial and len(node.events) == 2 and len(manager.log) == 3
    alone = application(Module())
    alone.confirm()
    alone.roll_back()
    assert not alone.on_trial and alone.configuration is None


def test_a_program_with_a_loop_of_its_own_lets_the_node_work_until_the_board_restarts():
    node = Node()
    made = application(Module(), None, node)
    made.work()
    made.work(50)
    assert node.limits == [0, 50]
    node.ends = True
    with raises(SystemExit):
        made.work(5)


def test_main_of_the_application_may_be_a_coroutine_or_end_or_fail():
    class Program(Module):
        def main(self, node):
            return self.result

    module = Program()
    made = application(module)
    for result in (None, 5, "text"):
        module.result = result
        assert made.start() is None

    class Coroutine:
        def send(self, value):
            pass

    module.result = Coroutine()
    assert made.start() is module.result
    assert application(Module()).start() is None

    class Failing(Module):
        def main(self, node):
            raise OSError("no sensor")

    made = application(Failing())
    assert made.start() is None and isinstance(made.error, OSError)
    made = application(Module())
    made.failed(None, {"exception": KeyError("x")})
    assert isinstance(made.error, KeyError)


class Driver:
    """A radio's driver of which a test says the state."""

    def __init__(self, name, is_up=True):
        self.name = name
        self.is_up = is_up
        self.emit = self.on_up = self.on_down = None
        self.stations = {b"\x02aaaaa": "urn:a", b"\x02bbbbb": "urn:b"}
        self.present = []
        self.peers = {b"\x02ccccc": None}

    def is_present(self, ue_id):
        return ue_id in self.present

    def status(self):
        return {"link": self.name}


class LinkedRole:
    def __init__(self):
        self.log = []

    def link_up(self, ue_id, transport, remote):
        self.log.append((ue_id, transport, remote))

    def link_down(self, ue_id):
        self.log.append(ue_id)


class RadioNode(Node):
    """A node with radios. role: a LinkedRole, or none; it has a UE, which is its own role."""

    def __init__(self, role=None):
        Node.__init__(self)
        self.fetches = []
        self.ue = self
        self.role = role or self
        self.services = []
        self.transports = ["udp"]

    def fetch(self, at):
        self.fetches.append(at)


def radios(random=0):
    return Radios(lambda: random, lambda remote: remote[0])


def test_a_network_is_up_without_a_station_and_else_with_it():
    made = radios()
    assert made.is_up() is True and made.status() == []
    station = Driver("wifi", False)
    made.add_station(station)
    assert made.is_up() is False
    station.is_up = True
    assert made.is_up() is True and made.status() == [{"link": "wifi"}]


def test_a_ue_whose_network_is_up_again_asks_within_two_seconds():
    for random, delay_ms in ((0, 0), (255, 2040)):
        made, station, espnow = radios(random), Driver("wifi"), Driver("espnow")
        made.add_station(station)
        made.add_espnow(espnow)
        node = RadioNode()
        node.transports.append(espnow)
        made.join(node)
        assert node.radios is made and node.services == [station, espnow]
        assert station.emit == node.emit == espnow.emit
        station.on_up(START)
        assert node.fetches == [add(START, delay_ms)]
        espnow.on_up(None, START, False)
        assert len(node.fetches) == 1, "it is the first time"
        espnow.on_up(None, START, True)
        assert node.fetches[1:] == [add(START, delay_ms)] and espnow.on_down is None


def test_a_station_of_our_access_point_is_linked_while_it_is_there():
    made, point, role = radios(), Driver("access_point"), LinkedRole()
    assert not made.links_later("urn:a", ("192.0.2.1", 5)), "there is no access point"
    made.add_access_point(point)
    point.present = ["urn:b"]
    assert made.links_later("urn:a", ("192.0.2.1", 5))
    assert not made.links_later("urn:b", ("192.0.2.2", 5)), "it is there already"
    assert not made.links_later("urn:x", ("192.0.2.3", 5)), "it is no station"
    made.join(RadioNode(role))
    for ue_id in ("urn:a", "urn:b", "urn:x"):
        point.on_up(ue_id)
    assert role.log == [(b"urn:a", 0, ("192.0.2.1", 5)), (b"urn:b", 0, ("192.0.2.2", 5))]
    point.on_down("urn:a")
    assert role.log[2:] == [b"urn:a"]


def test_a_peer_of_espnow_is_linked_on_its_transport_by_its_mac_address():
    class Peer:
        ue_id = "urn:c"
        mac = b"\x02ccccc"

    made, espnow, role = radios(), Driver("espnow"), LinkedRole()
    made.add_espnow(espnow)
    node = RadioNode(role)
    node.transports.append(espnow)
    made.join(node)
    espnow.on_up(Peer, START, False)
    espnow.on_down(Peer)
    assert role.log == [(b"urn:c", 1, Peer.mac), b"urn:c"] and node.fetches == []
    assert made.peer_key(Peer.mac) == Peer.mac
    assert made.peer_key(("192.0.2.1", 5)) == "192.0.2.1"
