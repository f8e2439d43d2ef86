"""A configuration on trial in a running node: confirmed, rolled back, crashed, told of."""

import sys

from msgin5g_testkit.checks import raises, xorshift
from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.services.application import Application
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import BAD, GOOD, TRIAL, Store
from msgin5g.services.trial_check import TrialCheck
from msgin5g.node import Node
from msgin5g.ue import ConstrainedUe
from builders import SERVER, UE_ID, document, names, new_server, ue_address, ue_settings
from msgin5g_testkit.network_sim import NetworkSim

GOOD_MS = 60_000
TRIAL_MS = 300_000
ADDRESS = ue_address(2)
MSGIN5G = ("good.example", 5683)


class Answering:
    """An MSGin5G server of which one thing is known: it answers a CoAP ping."""

    def __init__(self):
        self.endpoint = ServerEndpoint(xorshift(11), {}, None, None, 4, 4)
        self.n_pings = 0

    def receive(self, transport, datagram, remote, now):
        self.n_pings += 1
        self.endpoint.receive(transport, datagram, remote, now)

    def step(self, now):
        self.endpoint.step(now)

    def transmit(self, now):
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        return self.endpoint.wait_ms(now)


class Device:
    """A UE that can be reset, its server, and perhaps an application: `module`."""

    def __init__(self, confirm, module=None, observe=False, **manager):
        self.sim = NetworkSim()
        self.observe = observe
        self.manager_settings = manager
        self.server = new_server(self.sim, {}, max_age_s=60)
        self.confirm = confirm
        self.module = module
        self.flash = MemoryFlash()
        self.n_boots = 0
        self.is_installed = True  # else the import of the application fails
        self.boot()

    def boot(self):
        now = self.sim.now
        trial_ms = 0 if self.confirm == "at_once" else TRIAL_MS
        self.manager = ConfigurationManager(
            Store(self.flash), Schema(), trial_ms, min(GOOD_MS, trial_ms), **self.manager_settings
        )
        self.app = None
        if self.module:
            sys.modules.pop("trial_app", None)
            if self.is_installed:
                sys.modules["trial_app"] = self.module
            self.app = Application("trial_app")
            self.app.prepare(self.manager)
        name = self.manager.start(now)[0]
        settings = ue_settings(require_recipient=False, observe=self.observe)
        self.n_boots += 1
        ue = ConstrainedUe(settings, xorshift(self.n_boots), self.manager, SERVER, now)
        self.node = node = Node(ue, [])
        if self.confirm in ("ping", "lasting"):
            self.check = TrialCheck(ue, self.lookup if self.confirm == "ping" else None)
            node.services.append(self.check)
        if self.app:
            node.services.append(self.app)
            self.app.begin(node, self.lookup, lambda: self.sim.now)
        self.sim.add(ADDRESS, node)
        return name

    def lookup(self, host, port):
        return None if host == "unknown.example" else (host, port)

    def serve(self, address=MSGIN5G[0], more=""):
        data = '{"MSGin5G-Server-address":"' + address + ':5683","MSGin5G-UE-Service-id":"u"'
        self.server.change(UE_ID, document(UE_ID, data + more + "}"))
        self.node.ue.fetch(self.sim.now)

    def run(self, ms, until=None):
        """Let time pass, to `until` an event; the events by their names."""
        said = []

        def done():
            said.extend(names(self.node))
            return until is not None and until in said

        self.sim.run(done, ms)
        return said

    def runs(self):
        return self.manager.configuration["MSGin5G-Server-address"].split(":")[0]


def test_at_once_is_good_with_one_write_and_no_timer():
    device = Device("at_once")
    device.serve()
    assert device.run(1000) == ["applied"]
    assert device.manager.state == GOOD and device.flash.n_writes == 1
    device.serve("other.example")
    assert device.run(1000) == ["applied"]
    assert device.manager.state == GOOD and device.flash.n_writes == 2


def test_lasting_is_good_when_the_boot_has_lasted():
    device = Device("lasting")
    device.serve()
    assert device.run(30000) == ["applied"]
    assert device.manager.state == TRIAL
    assert device.run(60000, "confirmed")[-1] == "confirmed"
    assert device.manager.state == GOOD


def test_a_server_that_answers_a_ping_confirms_once_the_boot_has_lasted():
    device = Device("ping")
    server = Answering()
    device.sim.add(MSGIN5G, server)
    device.serve()
    assert device.run(5000) == ["applied"]
    assert device.check.passed and device.manager.state == TRIAL
    assert device.run(60000, "confirmed")[-1] == "confirmed"
    assert server.n_pings == 1 and device.manager.state == GOOD


def test_a_lost_ping_is_repeated_as_any_message():
    device = Device("ping")
    device.serve()
    device.run(10000)
    server = Answering()
    device.sim.add(MSGIN5G, server)
    assert "confirmed" in device.run(TRIAL_MS - 10000, "confirmed")
    assert device.check.ping.answered is True


def test_a_server_that_stays_silent_is_rolled_back_and_not_tried_again():
    for address in ("silent.example", "unknown.example"):
        device = Device("ping")
        device.sim.add(MSGIN5G, Answering())
        device.serve()
        device.run(70000, "confirmed")
        device.serve(address)
        said = device.run(TRIAL_MS + 1000, "rolled_back")
        assert "applied" in said and said[-1] == "rolled_back", (address, said)
        assert device.manager.reasons == ("not confirmed in time",)
        assert (device.runs(), device.manager.state) == (MSGIN5G[0], BAD)
        device.run(70000)
        n_writes = device.flash.n_writes
        device.node.ue.fetch(device.sim.now)
        assert "refused" in device.run(5000), address
        assert device.manager.reasons == ("ETag: rolled back, waits for a change",)
        assert "applied" not in device.run(600000)
        assert device.flash.n_writes == n_writes
        device.serve("again.example")
        assert "applied" in device.run(5000)
        assert device.runs() == "again.example"


def test_what_has_no_ping_over_udp_must_not_fail_for_that():
    device = Device("ping")
    device.serve("coaps://secure.example")
    device.run(5000)
    assert device.check.passed
    assert device.check.ping.why == "coaps://secure.example:5683: no ping for coaps"


class Program:
    """What an app.py may define; `crash` is when it fails, `seen` what it was told."""

    def __init__(self, crash=None):
        self.crash = crash
        self.seen = []
        self.n_steps = 0

    def declare(self, schema):
        schema.declare("blink-ms", int, False, 500, 50, 10_000)

    def changed(self, node):
        configuration = node.configuration
        self.seen.append(configuration and configuration["blink-ms"])
        if configuration and configuration["blink-ms"] == self.crash:
            raise ValueError("cannot blink like that")

    def step(self, node, now):
        self.n_steps += 1
        return 1000


def test_the_application_is_told_of_each_change_once():
    device = Device("at_once", Program())
    device.serve()
    device.run(10000)
    device.node.ue.fetch(device.sim.now)
    device.run(10000)  # unchanged
    device.serve(more=',"blink-ms":100')
    device.run(10000)
    assert device.module.seen == [500, 100]
    assert 28 <= device.module.n_steps <= 60
    assert device.app.changed() and not device.app.changed()
    device.boot()
    device.run(1000)
    assert device.module.seen == [500, 100, 100]


def deleted(device, until, limit_ms=60000):
    """The server deletes the document; the events to `until`."""
    device.server.change(UE_ID, None)
    if not device.observe:
        device.node.ue.fetch(device.sim.now)
    return device.run(limit_ms, until)


def test_a_deleted_document_is_removed_and_the_application_is_told():
    device = Device("at_once", Program(), on_deleted="remove")
    device.serve()
    device.run(1000)
    assert deleted(device, "removed") == ["rejected", "removed", "backing_off"]
    device.run(1000)
    assert device.module.seen == [500, None]
    assert device.manager.configuration is None and device.flash.files == {}
    ping = device.app.ping()
    assert (ping.answered, ping.why) == (False, "no configuration")
    assert "removed" not in device.run(600000)
    device.boot()
    device.run(1000)
    assert device.module.seen == [500, None]
    device.serve()  # the same document again
    assert "applied" in device.run(1000) and device.module.seen == [500, None, 500]


def test_a_deleted_document_runs_on_unless_the_setting_says_otherwise_and_is_reported_once():
    device = Device("at_once", Program())
    device.serve()
    device.run(1000)
    assert deleted(device, "deleted") == ["rejected", "deleted", "backing_off"]
    said = device.run(600000)
    assert "rejected" in said and "deleted" not in said
    assert device.module.seen == [500] and device.runs() == MSGIN5G[0]
    device.serve()
    assert "unchanged" in device.run(1000)
    assert "deleted" in deleted(device, "deleted")


def test_a_document_deleted_while_it_is_observed_is_removed_when_the_collection_has_none_either():
    device = Device("lasting", Program(), True, on_deleted="remove")
    device.serve()
    device.run(2 * GOOD_MS, "confirmed")
    n_requests = device.server.n_requests
    assert deleted(device, "removed") == ["rejected", "removed", "backing_off"]
    assert device.server.n_requests == n_requests + 1
    assert device.flash.files == {} and device.module.seen == [500, None]


def test_a_document_that_takes_the_place_of_a_deleted_one_keeps_the_configuration_running():
    device = Device("at_once", Program(), True, on_deleted="remove")
    device.serve()
    device.run(1000)
    new = device.server.documents[UE_ID]
    device.server.change(UE_ID, None)
    new["ueConfigs"][0]["configData"] = new["ueConfigs"][0]["configData"][:-1] + ',"blink-ms":100}'
    device.server.documents[UE_ID] = new
    said = device.run(60000)
    assert "applied" in said and "removed" not in said
    assert device.module.seen == [500, 100]


def test_a_ue_that_is_denied_keeps_its_configuration():
    for observe in (False, True):
        device = Device("at_once", Program(), observe, on_deleted="remove")
        device.serve()
        device.run(1000)
        device.server.denied = (UE_ID,)
        device.node.ue.fetch(device.sim.now)
        said = device.run(600000)
        assert "rejected" in said and "removed" not in said
        assert device.module.seen == [500] and device.runs() == MSGIN5G[0]


def test_four_hundred_notifications_in_ten_seconds_are_three_writes():
    device = Device("at_once", Program(), True, apply_interval_ms=5000)
    device.serve()
    device.run(20000)
    n_writes = device.flash.n_writes
    said = []
    for n in range(400):
        data = '{"MSGin5G-Server-address":"good.example:5683","MSGin5G-UE-Service-id":"u%d"}' % n
        device.server.change(UE_ID, document(UE_ID, data))
        said += device.run(25)
    said += device.run(20000)
    assert said == ["applied"] * 3 and device.flash.n_writes == n_writes + 3
    assert device.manager.configuration["MSGin5G-UE-Service-id"] == "u399"
    assert device.node.ue.counters["postponed"] >= 390
    # The ETag of what is stored counts again: the server has nothing to send.
    device.node.ue.fetch(device.sim.now)
    n_bodies = device.server.n_bodies
    assert device.run(1000) == ["unchanged"] and device.server.n_bodies == n_bodies


def test_while_a_document_waits_the_ue_does_not_say_that_it_has_it():
    device = Device("at_once", None, apply_interval_ms=5000)
    device.serve()
    device.run(1000)
    device.serve("second.example")
    assert device.run(1000) == [] and device.runs() == MSGIN5G[0]
    n_bodies = device.server.n_bodies
    device.node.ue.fetch(device.sim.now)
    assert device.run(1000) == [] and device.server.n_bodies == n_bodies + 1
    assert device.run(5000) == ["applied"] and device.runs() == "second.example"


def test_a_document_that_came_in_blocks_waits_whole_while_the_next_one_comes():
    device = Device("at_once", None, apply_interval_ms=5000)
    device.node.ue.client.block_size = 64
    device.serve()
    device.run(1000)
    device.serve("second.example")
    assert device.run(1000) == []
    device.serve("third.example")
    device.run(15)  # its first block has come
    assert device.node.ue.client.busy and not device.node.events
    device.server.documents[UE_ID] = document(UE_ID, "{}")  # it changes: it is never whole
    assert "applied" in device.run(6000, "applied")
    assert device.runs() == "second.example"


def test_a_bad_value_is_refused_with_key_and_rule_and_changes_nothing():
    device = Device("at_once", Program())
    device.serve(more=',"blink-ms":100')
    device.run(1000)
    running = device.manager.configuration
    device.serve(more=',"blink-ms":20')
    assert "refused" in device.run(1000)
    assert device.manager.reasons == ["blink-ms: 20, less than 50"]
    assert device.manager.configuration is running
    assert device.module.seen == [100] and device.flash.n_writes == 1


def test_the_application_confirms_or_is_too_late():
    device = Device("application", Program())
    device.serve()
    device.run(1000)
    assert device.app.on_trial
    device.app.confirm()
    assert device.run(1000) == ["confirmed"]
    device.serve("second.example")
    assert "rolled_back" in device.run(TRIAL_MS + 2000, "rolled_back")
    assert device.runs() == MSGIN5G[0]
    device.serve("third.example")
    device.run(1000)
    device.app.roll_back()
    assert "rolled_back" in device.run(1000) and device.runs() == MSGIN5G[0]


def crashes(device):
    """Boot again and again while the application crashes; the events of each boot."""
    boots = []
    while len(boots) < 10:
        said = device.run(2000, "restarting")
        boots.append(said)
        if "restarting" not in said:
            return boots
        assert "crashed" in said and device.node.ended
        boots.append(device.boot())
    raise AssertionError(boots)


def test_a_document_that_crashes_the_application_is_rolled_back_after_three_resets():
    device = Device("lasting", Program(crash=100))
    device.serve()
    device.run(70000, "confirmed")
    device.serve(more=',"blink-ms":100')
    boots = crashes(device)
    assert boots[1::2] == ["applied", "applied", "rolled_back"], boots
    assert device.manager.cause == "reset too often"
    assert device.module.seen[-1] == 500 and device.app.error is None
    assert "applied" not in device.run(600000)


def test_an_application_that_always_crashes_ends_in_safe_mode_and_a_change_leads_out():
    device = Device("lasting", Program(crash=500))
    device.serve()
    boots = crashes(device)
    assert boots[1::2] == ["applied", "applied", "safe_mode"], boots
    assert device.manager.safe_mode and device.app.start() is None
    n_seen, n_steps = len(device.module.seen), device.module.n_steps
    assert device.run(600000).count("crashed") == 0
    assert (len(device.module.seen), device.module.n_steps) == (n_seen, n_steps), "not started"
    assert device.boot() == "applied", "it has lasted, and the application gets another chance"
    assert crashes(device)[1::2] == ["applied", "safe_mode"]
    device.serve(more=',"blink-ms":100')
    said = device.run(5000, "restarting")
    assert "applied" in said and said[-1] == "restarting"
    assert device.boot() == "applied" and not device.manager.safe_mode
    device.run(5000)
    assert device.module.seen[-1] == 100


def test_in_safe_mode_the_application_is_not_imported():
    device = Device("lasting", Program(crash=500))
    device.serve()
    crashes(device)
    device.is_installed = False
    for _ in range(2):
        assert device.boot() == "safe_mode"
        assert "crashed" not in device.run(200000)
        assert device.app.error is None and device.app.start() is None
    # A change leads out of it, and the next start imports the application again.
    device.serve(more=',"blink-ms":100')
    assert "restarting" in device.run(5000, "restarting")
    device.boot()
    assert isinstance(device.app.error, ImportError)


def test_a_crash_with_a_good_configuration_waits_a_minute_for_a_better_one():
    device = Device("at_once", Program(crash=500))
    device.serve()
    assert device.run(50000)[:2] == ["applied", "crashed"]
    assert not device.node.ended
    assert device.run(20000)[-1] == "restarting"


def test_asyncio_waits_for_a_change():
    import asyncio

    device = Device("at_once", Program())
    device.serve()
    told = []

    async def program():
        told.append((await device.app.wait_changed())["blink-ms"])
        told.append((await device.app.wait_changed())["blink-ms"])

    async def run():
        task = asyncio.create_task(program())
        await asyncio.sleep(0)
        device.run(1000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        device.serve(more=',"blink-ms":100')
        device.run(1000)
        await task

    asyncio.run(run())
    assert told == [500, 100]


def test_a_document_for_which_the_memory_is_too_small_is_refused():
    device = Device("at_once")
    device.serve()
    device.run(1000)

    def check(text):
        raise MemoryError

    free = device.manager.schema.check
    device.manager.schema.check = check
    device.serve("other.example")
    assert device.run(1000) == ["refused", "backing_off"]
    assert device.manager.reasons == ("memory: too little is free",)
    assert device.runs() == MSGIN5G[0]
    # Want of memory or of flash may pass: the UE does not wait until the next refresh.
    device.manager.schema.check = free
    device.flash.is_full = True
    assert "refused" in device.run(20000, "refused")
    assert device.manager.reasons == ("storage: full",)
    device.flash.is_full = False
    assert "applied" in device.run(30000, "applied")
    assert device.runs() == "other.example"


def test_a_document_that_waited_and_is_refused_for_want_of_flash_is_asked_for_again():
    device = Device("at_once", None, apply_interval_ms=5000)
    device.serve()
    device.run(1000)
    device.serve("other.example")
    assert device.run(1000) == []
    device.flash.is_full = True
    assert device.run(5000, "refused") == ["refused", "backing_off"]
    device.flash.is_full = False
    assert "applied" in device.run(30000, "applied")
    assert device.runs() == "other.example"


def test_a_relay_applies_changes_of_its_own_configuration_at_most_every_few_seconds():
    from builders import relay_settings
    from manager_board import Board
    from msgin5g.relay import Relay

    board = Board(trial_ms=0, apply_interval_ms=5000)
    sim = NetworkSim(start=board.now)
    server = new_server(sim, {}, max_age_s=3600)
    settings = relay_settings(ue_id=UE_ID, start_delay_s=0, require_recipient=False)
    relay = Relay(settings, xorshift(5), SERVER, sim.now)
    relay.own = ConstrainedUe(
        settings, xorshift(6), board.manager, SERVER, sim.now, 0, relay.endpoint
    )
    sim.add(ADDRESS, relay)
    data = '{"MSGin5G-Server-address":"coap://n%d.example","MSGin5G-UE-Service-id":"u"}'
    server.documents[UE_ID] = document(UE_ID, data % 1000)
    assert sim.run(lambda: relay.own.client.observing)
    sim.run(None, 20000)
    n_writes = board.flash.n_writes
    for n in range(100):
        server.change(UE_ID, document(UE_ID, data % n))
        sim.run(None, 30)
    sim.run(None, 6000)
    assert board.runs() == "n99" and board.flash.n_writes == n_writes + 2
    assert relay.counters["postponed"] > 90


def test_a_boot_that_a_person_ends_counts_only_if_the_application_has_failed_or_may_hang():
    device = Device("lasting", Program())
    device.serve()
    device.run(1000)
    for _ in range(5):
        assert device.boot() == "applied"
        device.run(1000)
        device.node.ticks_ms = lambda: device.sim.now
        device.node.end_by_hand()
    assert device.manager.boots == 0

    def interrupted(node):
        raise KeyboardInterrupt

    device.module.changed = interrupted
    device.boot()
    device.node.ticks_ms = lambda: device.sim.now
    device.node.application = device.app
    with raises(KeyboardInterrupt):
        device.run(1000)
    device.node.end_by_hand()
    assert device.manager.boots == 1 and device.app.has_failed
