"""The builder: which role, transports, links and services a node of each settings gets."""

import os
from binascii import hexlify

import msgin5g.builder as builder_module
from msgin5g_testkit.checks import raises
from msgin5g.builder import Builder
from msgin5g.coap.ticks import add
from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import BAD, GOOD, TRIAL, StorageError, Store
from msgin5g.port.flash import Flash
from msgin5g.port.resolver import TransportError, resolve
from msgin5g.settings import settings_of
from builders import raw_get

UE_ID = "urn:x-msgin5g:ue:0042"
UE_HOP = ("127.0.0.1", 40042)
SERVER = ("127.0.0.1", 40001)
PEER = ("127.0.0.1", 40002)
ANY = ["127.0.0.1", 0]
DOCUMENT = b'{"MSGin5G-Server-address":"%s.example:1","MSGin5G-UE-Service-id":"u"}'


def built(test, runs=True, application=None, prepare=None, **values):
    """Call test(node, builder) with the node of these settings."""
    folder = "/tmp/msgin5g-" + hexlify(os.urandom(8)).decode()
    os.mkdir(folder)
    settings = {"ue_id": "urn:x:1", "bind": ANY}
    settings.update(values)
    if prepare:
        prepare(ConfigurationManager(Store(Flash(folder, StorageError)), Schema()))
    builder = Builder(settings_of(settings), folder, application, runs)
    node = None
    try:
        node = builder.build()
        return test(node, builder)
    finally:
        builder.close()
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)


def sent(node, now, ms):
    """[(transport, remote)] of what a node sends in the next `ms`."""
    found = []
    for _ in range(ms // 100):
        node.step(now)
        out = node.transmit(now)
        while out:
            found.append((out[0], out[2]))
            out = node.transmit(now)
        now = add(now, 100)
    return found


def asks(node, now):
    """Hand the node a request of the UE."""
    node.receive(0, raw_get("0001", "aabbccdd"), resolve(*UE_HOP), now)


def intermediary(test, role, **more):
    values = {"role": role, "server": {"address": list(SERVER)}, "links": {UE_ID: list(UE_HOP)}}
    values.update(more)
    built(test, **values)


def test_a_relay_asks_the_server_for_its_linked_ue_on_one_transport():
    def test(node, builder):
        assert node.about == {
            "event": "started", "role": "relay", "ue_id": "urn:x:1", "bind": ANY
        }  # fmt: skip
        assert len(node.transports) == 1 and len(node.role.links) == 1
        assert node.ue is None and node.configuration is None and node.services == []
        asks(node, builder.now)
        assert (0, resolve(*SERVER)) in sent(node, builder.now, 500)

    intermediary(test, "relay")


def test_a_gateway_asks_the_server_itself_or_its_configuration_client():
    def collocated(node, builder):
        assert len(node.transports) == 1
        asks(node, builder.now)
        assert (0, resolve(*SERVER)) in sent(node, builder.now, 5000)

    intermediary(collocated, "gateway")

    def separated(node, builder):
        assert len(node.transports) == 2 and node.ue is None
        asks(node, builder.now)
        found = sent(node, builder.now, 5000)
        assert (1, resolve(*PEER)) in found and (0, resolve(*SERVER)) not in found

    seal_c = {"mode": "separated", "bind": ANY, "peer": list(PEER)}
    intermediary(separated, "gateway", seal_c=seal_c)


def test_a_configuration_client_has_both_sides_and_no_links():
    def test(node, builder):
        assert len(node.transports) == 2 and not hasattr(node.role, "links")

    seal_c = {"bind": ANY, "peer": list(PEER)}
    built(test, role="seal-c", server={"address": list(SERVER)}, seal_c=seal_c)


def test_an_intermediary_may_have_a_configuration_of_its_own():
    def own(node, builder):
        assert node.ue is node.role.own and node.configuration is not None
        assert (0, resolve(*SERVER)) in sent(node, builder.now, 5000)

    for role in ("relay", "gateway"):
        intermediary(own, role, own_configuration=True, start_delay_s=0)

    def over_seal_c(node, builder):
        assert node.ue is node.role.own
        assert (1, resolve(*PEER)) in sent(node, builder.now, 5000)

    seal_c = {"mode": "separated", "bind": ANY, "peer": list(PEER)}
    intermediary(over_seal_c, "gateway", seal_c=seal_c, own_configuration=True, start_delay_s=0)


def ue(test, **more):
    built(test, **dict({"next_hop": list(SERVER), "start_delay_s": 0}, **more))


def test_a_ue_asks_its_next_hop_and_names_that_have_no_address_are_looked_up():
    def test(node, builder):
        assert node.ue is node.role and len(node.transports) == 1 and node.name_lookup is None
        assert (0, resolve(*SERVER)) in sent(node, builder.now, 1000)

    ue(test)

    def by_name(node, builder):
        (text,) = node.name_lookup.unresolved()
        assert text.startswith("next_hop: relay.invalid")
        assert node.name_lookup in node.services and node.ue.client.remote is None

    ue(by_name, next_hop=["relay.invalid", 5683])


def test_a_configuration_is_good_at_once_unless_something_is_to_confirm_it():
    def store(manager):
        manager.start(0)
        manager.offer(DOCUMENT % b"one", b"1", 0)

    for confirm, state, n_services in (("at_once", GOOD, 0), ("lasting", TRIAL, 1),
                                       ("ping", TRIAL, 1), ("application", TRIAL, 0)):  # fmt: skip

        def test(node, builder, state=state, n_services=n_services, confirm=confirm):
            assert node.configuration.state == state, confirm
            assert len(node.services) == n_services, confirm
            assert node.configuration.trial_ms == (0 if state == GOOD else 300_000)
            assert node.configuration.good_after_ms == (0 if state == GOOD else 60_000)

        ue(test, prepare=store, confirm=confirm, trial_s=300)

    def short(node, builder):
        assert node.configuration.good_after_ms == 30_000

    ue(short, confirm="lasting", trial_s=60)


def store_one_and_try_two(manager):
    """One configuration is good, another one on trial."""
    manager.start(0)
    manager.offer(DOCUMENT % b"one", b"one", 0)
    manager.confirm(0)
    manager.offer(DOCUMENT % b"two", b"two", 0)


def test_what_happened_to_the_configuration_at_the_start_is_an_event():
    def store(manager):
        store_one_and_try_two(manager)
        for _ in range(2):
            manager.start(0)

    def test(node, builder):
        event = node.poll()
        assert event == {"event": "rolled_back", "reasons": ["reset too often"]}
        assert node.poll() is None

    ue(test, prepare=store, confirm="ping")


def test_without_a_trial_a_start_after_a_roll_back_is_good_at_once():
    def store(manager):
        store_one_and_try_two(manager)
        manager.roll_back(0)

    def test(node, builder):
        manager = node.configuration
        assert (manager.state, manager.boots, manager.store.newest.boots) == (BAD, 0, 0)

    ue(test, prepare=store, confirm="at_once")

    def counted(node, builder):
        assert (node.configuration.state, node.configuration.boots) == (BAD, 4)

    ue(counted, prepare=store, confirm="ping")


def test_each_part_of_the_settings_adds_its_service():
    def plain(node, builder):
        assert node.trace is None and node.services == [] and node.watchdog is None
        assert builder.application is None and node.missing_application is None

    ue(plain)

    def traced(node, builder):
        assert node.trace is not None

    ue(traced, trace=True)


class Board:
    """Stands for `os` of a board with these files."""

    def __init__(self, *files):
        self.files = files

    def listdir(self):
        return list(self.files)


def test_an_application_is_used_when_the_board_has_its_file():
    real = builder_module.os
    try:
        for files, named, used, confirm in (
            (("app.py",), None, "app", "lasting"),
            (("app.mpy",), None, "app", "lasting"),
            (("app.txt",), None, None, "at_once"),
            (("app.py",), "other", "other", "lasting"),
        ):
            builder_module.os = Board(*files)
            values = {"ue_id": "urn:x:1", "bind": ANY, "next_hop": list(SERVER)}
            settings = settings_of(dict(values, application=named) if named else values)
            Builder(settings, "/", "app", False)
            assert settings.application == used and settings.confirm == confirm, files
    finally:
        builder_module.os = real
    settings = settings_of({"ue_id": "urn:x:1", "bind": ANY, "next_hop": list(SERVER)})
    Builder(settings, "/", None, False)
    assert settings.application is None


class Closing:
    def __init__(self, log):
        self.log = log

    def close(self):
        self.log.append("closed")


def test_a_node_that_cannot_be_opened_is_said_and_what_was_opened_is_closed():
    printed, closed = [], []
    builder_module.print = lambda line: printed.append(str(line))
    builder_module.node.current = None
    try:
        values = {"ue_id": "urn:x:1", "bind": ["192.0.2.1", 65401], "next_hop": list(SERVER)}
        assert builder_module.open_node(settings_of(values), "/") is None
        assert len(printed) == 1 and printed[0].startswith("bind: 192.0.2.1:65401: ")
    finally:
        del builder_module.print
    builder = Builder(settings_of(values), "/", None, False)
    builder.transports = [Closing(closed), Closing(closed)]
    builder.close()
    assert closed == ["closed"] * 2
    with raises(TransportError):
        builder.open_transport(["192.0.2.1", 65401])
