"""What drives a node: both loops, main.py, the clock and the resets, and UDP on loopback."""

import asyncio
import errno
import json
import os
import sys
from binascii import hexlify

import msgin5g.builder as builder_module
import msgin5g.main as main_module
import msgin5g.node as node_module
from msgin5g_testkit.checks import raises
from msgin5g.coap.ticks import add
from msgin5g.node import Node
from msgin5g.port import event_loop, event_loop_asyncio, resolver, system
from msgin5g.port.remote import host_of, text_of
from msgin5g.port.resolver import TransportError, bind, is_ipv4, look_up
from msgin5g.port.udp import UdpTransport

START = 0x3FFFFF00  # soon before the clock wraps


class Role:
    """A role that wants to wait for `waits`, one after the other."""

    counters = {"zeal": 1}

    def __init__(self, *waits):
        self.waits = list(waits)
        self.received = []
        self.events = []

    def receive(self, transport, datagram, remote, now):
        self.received.append((transport, bytes(datagram), now))

    def transmit(self, now):
        return None

    def step(self, now):
        pass

    def wait_ms(self, now):
        return self.waits.pop(0) if self.waits else None

    def poll(self):
        return self.events.pop(0) if self.events else None


class World:
    """A clock, and select.poll in which waiting passes the time at once."""

    POLLIN = 1

    def __init__(self):
        self.now = START
        self.waited = []
        self.registered = []
        self.ready = []
        self.n_zero = 0  # looks without waiting, one after the other: they take time, too

    def ticks_ms(self):
        return self.now

    def poll(self):
        return Poller(self)


class Poller:
    def __init__(self, world):
        self.world = world

    def register(self, socket, flags):
        self.world.registered.append((socket, flags))

    def poll(self, ms):
        world = self.world
        world.n_zero = 0 if ms else world.n_zero + 1
        if ms:
            world.waited.append(ms)
        if not world.ready:
            world.now = add(world.now, ms or world.n_zero // 9)
        return world.ready


class Transport:
    socket = "socket"

    def __init__(self, world, *datagrams):
        self.world = world
        self.datagrams = list(datagrams)

    def receive(self):
        if self.datagrams:
            return self.datagrams.pop(0), "peer"
        self.world.ready = []
        return None


def run(world, role, transports=(), emit=None, trace=None, limit_ms=None):
    """event_loop.run in this World."""
    real = event_loop.select
    event_loop.select = world
    try:
        return event_loop.run(
            Node(role, list(transports)), transports, world.ticks_ms, emit, trace, limit_ms
        )
    finally:
        event_loop.select = real


def test_the_loop_waits_as_long_as_the_node_says_and_a_minute_at_most():
    world = World()
    role = Role(None, 100_000, 60_001, 500, 0, 1)
    assert run(world, role, limit_ms=200_000) is False
    assert world.waited == [60000, 60000, 60000, 500, 1, 19499]
    assert world.now > add(START, 200_000 - 1)


def test_the_loop_ends_with_its_limit_or_with_an_event():
    world = World()
    assert run(world, Role(), limit_ms=700) is False
    assert world.waited == [700] and world.now == add(START, 701)
    role = Role()
    role.events = [{"event": "a"}, {"event": "b"}, {"event": "c"}]
    assert run(World(), role, (), lambda event: event["event"] == "b", None, 5) is True
    assert role.events == [{"event": "c"}]


def test_datagrams_are_handed_to_the_node_with_the_time_and_traced():
    world = World()
    transport = Transport(world, b"one", b"two")
    role = Role()
    traced = []
    world.ready = ["socket"]
    run(world, role, [transport], None, lambda *message: traced.append(message), 50)
    assert world.registered == [("socket", 1)]
    assert role.received == [(0, b"one", START), (0, b"two", START)]
    assert traced == [(False, b"one", "peer"), (False, b"two", "peer")]


def test_the_node_may_answer_after_16_datagrams_and_does_not_wait_while_some_are_left():
    world = World()
    transport = Transport(world, *[bytes((i,)) for i in range(40)])
    world.ready = ["socket"]
    role = Role()
    batches = []
    step = role.step

    def count(now):
        batches.append(len(role.received))
        return step(now)

    role.step = count
    run(world, role, [transport], limit_ms=1000)
    assert batches[:4] == [0, 16, 32, 40] and role.received[39][1] == bytes((39,))
    assert len(world.waited) == 2, "before the first one and after the last one"


class Asleep:
    """Stands for asyncio in the loop: it notes for how long it sleeps."""

    def __init__(self):
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(round(seconds * 1000))


def finished(coroutine):
    """Run a coroutine that never waits; None."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def test_the_loop_in_asyncio_polls_every_20_ms_or_sooner():
    world = World()
    asleep = Asleep()
    role = Role(None, 5, 21, 0, 19)
    role.events = [None] * 9
    polls = []

    def poll():
        polls.append(None)
        return {"event": "end"} if len(polls) == 6 else None

    role.poll = poll
    real = event_loop.select, event_loop_asyncio.asyncio
    event_loop.select, event_loop_asyncio.asyncio = world, asleep
    try:
        finished(event_loop_asyncio.run(Node(role, []), [], world.ticks_ms, lambda event: True))
        assert asleep.slept == [20, 5, 20, 0, 19]
        # It does not sleep while datagrams are left.
        world.ready = ["socket"]
        role = Role(*([7] * 9))
        transport = Transport(world, *[b"x"] * 20)
        role.poll = lambda: {"event": "end"} if len(role.received) == 20 else None
        del asleep.slept[:]
        finished(
            event_loop_asyncio.run(
                Node(role, [transport]), [transport], world.ticks_ms, lambda event: True
            )
        )
        assert asleep.slept == [7, 0]
    finally:
        event_loop.select, event_loop_asyncio.asyncio = real


class Program:
    """An application in asyncio."""

    def __init__(self):
        self.guarded = []
        self.caught = []

    async def guard(self, coroutine):
        self.guarded.append(await coroutine)

    def failed(self, loop, context):
        self.caught.append(context["exception"])


class Prompt:
    def __init__(self):
        self.events = []
        self.ran = False

    def emit(self, event):
        self.events.append(event["event"])
        return event["event"] == "end"

    async def run(self):
        self.ran = True


def beside(node, coroutine=None):
    event_loop_asyncio.run_beside(node, coroutine, system.ticks_ms)


def test_application_and_prompt_run_beside_the_node():
    role = Role(*([0] * 99))
    node = Node(role, [])
    node.application = program = Program()
    node.prompt = prompt = Prompt()
    traced = []

    async def broken():
        raise ValueError("a task of the application")

    async def application():
        task = asyncio.create_task(broken())
        await asyncio.sleep(0)
        return 5 if task else None

    polls = []

    def poll():
        polls.append(None)
        if len(polls) == 2:
            node.trace = lambda *message: traced.append(message)
            return {"event": "first"}
        return {"event": "end"} if len(polls) == 9 else None

    role.poll = poll
    send_at = [1, 4]  # one is sent before there is a trace, one after that

    class Sent(Transport):
        def send(self, datagram, remote):
            pass

    sent = Sent(World())
    udp = bind("127.0.0.1", 0)
    sent.socket = udp
    node.transports.append(sent)

    def transmit(now):
        if send_at and len(polls) >= send_at[0]:
            return 0, b"datagram " + str(send_at.pop(0)).encode(), "peer"
        return None

    node.transmit = transmit
    try:
        beside(node, application())
    finally:
        udp.close()
    assert program.guarded == [5] and prompt.ran and prompt.events == ["first", "end"]
    assert send_at == [] and traced == [(True, b"datagram 4", "peer")]
    if sys.implementation.name == "micropython":
        assert [str(error) for error in program.caught] == ["a task of the application"]


def test_without_application_and_prompt_the_events_of_the_node_are_printed():
    role = Role(*([0] * 9))
    role.events = [{"event": "end"}]
    node = Node(role, [])
    printed = []

    def print_event(event):
        printed.append(event["event"])
        return True

    node.print_event = print_event
    beside(node)
    assert printed == ["end"]


# The machine


class Machine:
    DEEPSLEEP_RESET = 4

    def __init__(self, cause):
        self.cause = cause
        self.n_resets = 0

    def reset_cause(self):
        return self.cause

    def reset(self):
        self.n_resets += 1


def with_machine(machine, test):
    """Call `test` where `import machine` gives this one."""
    known = sys.modules.get("machine")
    sys.modules["machine"] = machine
    try:
        return test()
    finally:
        del sys.modules["machine"]
        if known is not None:
            sys.modules["machine"] = known


def test_a_reset_and_its_cause_are_the_machines_and_a_host_has_none():
    machine = Machine(4)
    assert with_machine(machine, system.woke_from_deep_sleep) is True
    with_machine(machine, system.reset)
    assert machine.n_resets == 1
    assert with_machine(Machine(1), system.woke_from_deep_sleep) is False
    assert with_machine(object(), system.woke_from_deep_sleep) is False
    assert with_machine(object(), system.reset) is None


class Source:
    """Stands for `time` and `os`."""

    def __init__(self, value):
        self.value = value
        self.asked = []

    def ticks_ms(self):
        return self.value

    def urandom(self, n):
        self.asked.append(n)
        return bytes(range(n))


def test_the_clock_wraps_at_2_to_the_30_and_random_bytes_are_drawn_16_at_once():
    real = system.time, system.os
    try:
        for value, ticks in ((5, 5), (0x3FFFFFFF, 0x3FFFFFFF), (0x40000000, 0), (1 << 61, 0)):
            system.time = Source(value)
            assert system.ticks_ms() == ticks, value
        system.os = source = Source(0)
        known = system.random_byte()  # what is left of the real ones
        n_left = 0
        while not source.asked:
            known = system.random_byte()
            n_left += 1
            assert n_left <= 16
        drawn = {known} | {system.random_byte() for _ in range(15)}
        assert drawn == set(range(16)) and source.asked == [16]
        system.random_byte()
        assert source.asked == [16, 16]
        for _ in range(15):
            system.random_byte()
    finally:
        system.time, system.os = real


# Addresses


def test_an_ipv4_address_has_four_numbers_below_256():
    for host in ("0.0.0.0", "192.0.2.1", "255.255.255.255"):
        assert is_ipv4(host), host
    for host in (
        "",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.x",
        "a.b.c.d",
        "1..2.3",
        "1.2.3.-4",
    ):
        assert not is_ipv4(host), host


class Names:
    """Stands for `socket`: names with several addresses."""

    AF_INET = SOCK_DGRAM = 2

    def __init__(self, *addresses):
        self.addresses = addresses

    def getaddrinfo(self, host, port, family, kind):
        if not self.addresses:
            raise OSError(-2)
        return [(2, 2, 0, "", (address, port)) for address in self.addresses]


def test_a_name_with_several_addresses_keeps_the_one_in_use():
    real = resolver.socket
    try:
        resolver.socket = Names("10.0.0.1", "10.0.0.2")
        assert look_up("relay.example", 9) == ("10.0.0.1", 9)
        assert look_up("relay.example", 9, ("10.0.0.2", 9)) == ("10.0.0.2", 9)
        assert look_up("relay.example", 9, ("10.0.0.3", 9)) == ("10.0.0.1", 9)
        resolver.socket = Names()
        assert look_up("relay.example", 9) is None
        with raises(TransportError, "address: relay.example: not known"):
            resolver.resolve("relay.example", 9)
    finally:
        resolver.socket = real


def test_a_socket_never_blocks_and_an_address_in_use_is_said():
    udp = bind("127.0.0.1", 0)
    try:
        with raises(OSError) as caught:
            udp.recvfrom(9)
        assert caught.error.errno == errno.EAGAIN
        if hasattr(udp, "getsockname"):  # MicroPython does not have it
            port = udp.getsockname()[1]
            with raises(TransportError, "bind: 127.0.0.1:%d: in use" % port):
                bind("127.0.0.1", port)
    finally:
        udp.close()


class Refusing:
    """Stands for `socket`: an address that is not ours."""

    AF_INET = SOCK_DGRAM = 2
    getaddrinfo = Names("10.0.0.1").getaddrinfo
    n_closed = 0

    def socket(self, family, kind):
        return self

    def bind(self, address):
        raise OSError(99, "not ours")

    def close(self):
        self.n_closed += 1


def test_a_socket_that_cannot_be_bound_is_closed():
    real = resolver.socket
    resolver.socket = refusing = Refusing()
    try:
        with raises(TransportError, "bind: 10.0.0.1:9: "):
            bind("10.0.0.1", 9)
    finally:
        resolver.socket = real
    assert refusing.n_closed == 1


def test_a_remote_has_a_host_and_a_text_in_each_form():
    raw = b"\x02\x00\xff\x79\xc0\xa8\x04\x01" + bytes(8)
    assert text_of(raw) == text_of(("192.168.4.1", 65401)) == "192.168.4.1:65401"
    assert text_of(b"\x02\x00\x01\x02") != ""
    assert text_of(b"\x02\xaa\x00\x10\x0f\xff") == "02:aa:00:10:0f:ff"
    assert host_of(raw) == b"\xc0\xa8\x04\x01" and host_of(("a", 1)) == "a"


def test_udp_takes_datagrams_both_ways_and_counts_what_the_network_refuses():
    class Socket:
        def __init__(self, *errors):
            self.errors = list(errors)
            self.sent = []
            self.is_open = True

        def sendto(self, datagram, remote):
            if self.errors:
                raise self.errors.pop(0)
            self.sent.append((datagram, remote))

        def recvfrom(self, size):
            raise self.errors.pop(0)

        def close(self):
            self.is_open = False

    socket = Socket(OSError(101), MemoryError())
    transport = UdpTransport(socket)
    for n in (1, 2):
        transport.send(b"x", "peer")
        assert transport.n_failed == n
    transport.send(b"y", "peer")
    assert socket.sent == [(b"y", "peer")] and transport.n_failed == 2
    socket.errors = [OSError(11), MemoryError(), OSError(11)]
    assert transport.receive() is None and transport.n_lost == 0
    assert transport.receive() is None
    transport.close()
    assert not socket.is_open


# main


def modules():
    return {name: sys.modules[name] for name in sys.modules if name.startswith("msgin5g")}


class Start:
    """One start with settings.json of these values; `drive(node)` stands for the loop."""

    def __init__(self, drive=None, **values):
        self.printed = []
        self.drive = drive or (lambda node: None)
        self.loaded = None
        self.node = None
        self.n_resets = 0
        self.values = {"role": "ue", "ue_id": "urn:x:7", "bind": ["127.0.0.1", 0],
                       "next_hop": ["127.0.0.1", 9], "start_delay_s": 3600}  # fmt: skip
        self.values.update(values)

    def loop(self, node, transports, ticks_ms, emit, trace, limit_ms):
        self.node = node
        self.running = node.running
        self.loaded = modules()
        self.known = dir(sys.modules["msgin5g"]) + dir(sys.modules["msgin5g.port"])
        return self.drive(node)

    def reset(self):
        self.n_resets += 1

    def main(self, directory, **arguments):
        path = directory + "/settings.json"
        with open(path, "w") as file:
            file.write(json.dumps(self.values))
        self.before = modules()
        node_module.current = None
        real = builder_module.run, main_module.reset
        builder_module.run, main_module.reset = self.loop, self.reset
        for module in (node_module, builder_module):
            module.print = self.printed.append
        try:
            return main_module.main(path, directory, **arguments)
        finally:
            if node_module.current:
                for transport in node_module.current.transports:
                    transport.close()
            node_module.current = None
            builder_module.run, main_module.reset = real
            del node_module.print, builder_module.print
            for name in modules():
                del sys.modules[name]
            sys.modules.update(self.before)
            for name in self.before:
                package, _, child = name.rpartition(".")
                if package:
                    setattr(self.before[package], child, self.before[name])


def in_folder(test):
    folder = "/tmp/msgin5g-" + hexlify(os.urandom(8)).decode()
    os.mkdir(folder)
    try:
        return test(folder)
    finally:
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)


def test_main_tells_its_start_and_its_end_and_drops_what_only_start_up_needs():
    def test(folder):
        start = Start()
        assert start.main(folder) == 0
        assert start.running and not start.node.running
        assert start.printed[0].startswith("started bind=['127.0.0.1', 0] role=ue ue_id=urn:x:7")
        assert start.printed[1:] == ["stopped counters={}"]
        dropped = ("settings", "builder", "port.resolver")
        for name in dropped:
            assert "msgin5g." + name not in start.loaded, name
            assert name.split(".")[-1] not in start.known
        for name in start.before:
            goes = name == "msgin5g.port.resolver" or name.split(".")[1:2] in (
                ["settings"],
                ["builder"],
            )
            assert (name in start.loaded) != goes, name
        assert not start.node.once and not start.node.as_json

        start = Start()
        assert start.main(folder, as_json=True, once=True, role="ue") == 7
        assert start.node.once and json.loads(start.printed[0])["ue_id"] == "urn:x:7"

    in_folder(test)


def test_main_run_once_gives_0_when_the_ue_is_configured_and_7_else():
    def test(folder):
        for outcome, status in (("applied", 0), ("unchanged", 0), ("timeout", 7), (None, 7)):

            def note(node, outcome=outcome):
                node.outcome = outcome

            assert Start(note).main(folder, once=True) == status, outcome
            assert Start(note).main(folder) == 0, outcome

    in_folder(test)


def interrupt(node):
    raise KeyboardInterrupt


def leave(node):
    raise SystemExit


def end(node):
    node.ended = True


def end_and_leave(node):
    node.ended = True
    raise SystemExit


def test_main_ends_for_a_person_with_0_and_restarts_the_board_when_the_node_has_ended():
    def test(folder):
        for drive, status, n_resets in ((interrupt, 0, 0), (end, 3, 1), (end_and_leave, 3, 1)):
            start = Start(drive)
            assert start.main(folder) == status, drive
            assert start.n_resets == n_resets and len(start.printed) == 2
            assert not start.node.running

        n_pressed = []

        def pressed(node):
            n_pressed.append(node)
            if len(n_pressed) < 3:
                raise KeyboardInterrupt

        start = Start(interrupt)
        real = Node.end_by_hand
        Node.end_by_hand = pressed
        try:
            assert start.main(folder) == 0 and len(start.printed) == 2
            assert n_pressed == [start.node] * 3
        finally:
            Node.end_by_hand = real
        start = Start(leave)
        with raises(SystemExit):
            start.main(folder)
        assert start.n_resets == 0 and len(start.printed) == 1

    in_folder(test)


def test_main_gives_2_and_says_why_when_it_cannot_start():
    def test(folder):
        start = Start(bind=["192.0.2.1", 65401])  # not ours
        assert start.main(folder) == 2
        assert start.node is None and len(start.printed) == 1
        start = Start(colour="red", ue_id=None)
        assert start.main(folder) == 2 and start.node is None

    in_folder(test)


class Watched(Machine):
    """A machine with a watchdog and no timer: the log of their timeouts and feeds."""

    def __init__(self):
        Machine.__init__(self, 1)
        log = self.log = []

        class WDT:
            def __init__(self, timeout):
                log.append(timeout)

            def feed(self):
                log.append("feed")

        self.WDT = WDT


def test_the_watchdog_is_held_while_no_loop_runs():
    def test(folder):
        for drive, after in ((None, [3600000]), (end, [])):
            machine = Watched()
            log = []

            def note(node, drive=drive, machine=machine, log=log):
                log.extend(machine.log)
                del machine.log[:]
                if drive:
                    drive(node)

            start = Start(note, watchdog_s=30)
            with_machine(machine, lambda start=start: start.main(folder))
            assert log == [30000, "feed", 60000, 30000, "feed"]  # held while it starts, released
            assert [entry for entry in machine.log if entry != "feed"] == after, drive

        # A start that fails leaves the board to a person.
        machine = Watched()
        start = Start(bind=["192.0.2.1", 65401], watchdog_s=30)
        assert with_machine(machine, lambda: start.main(folder)) == 2
        assert [entry for entry in machine.log if entry != "feed"] == [30000, 60000, 3600000]

    real = sys.modules.pop("msgin5g.services.watchdog", None)
    try:
        in_folder(test)
    finally:
        sys.modules.pop("msgin5g.services.watchdog", None)
        if real is not None:
            sys.modules["msgin5g.services.watchdog"] = real


def test_a_prompt_runs_in_asyncio_beside_the_node_and_is_gone_afterwards():
    def test(folder):
        ran = []

        def run_beside(node, coroutine, ticks_ms):
            ran.append((node.prompt is not None, coroutine))
            raise KeyboardInterrupt

        real = event_loop_asyncio.run_beside
        event_loop_asyncio.run_beside = run_beside
        try:
            start = Start(prompt=True)
            assert start.main(folder) == 0
        finally:
            event_loop_asyncio.run_beside = real
        assert ran == [(True, None)] and start.node is None

    in_folder(test)


class Collector:
    """Stands for MicroPython's `gc`."""

    def __init__(self):
        self.thresholds = []
        self.n_collected = 0

    def threshold(self, n):
        self.thresholds.append(n)

    def collect(self):
        self.n_collected += 1

    def mem_free(self):
        return 50_099


def test_garbage_is_collected_often_at_the_start_and_then_by_the_free_heap():
    def test(folder):
        for values, percent in (({}, None), ({"gc_percent": 10}, 10)):
            real = main_module.gc
            main_module.gc = collector = Collector()
            try:
                assert Start(**values).main(folder) == 0
            finally:
                main_module.gc = real
            assert collector.thresholds[0] == 1024 and collector.n_collected == 1
            if percent:
                assert collector.thresholds[1:] == [500 * percent]

    in_folder(test)
