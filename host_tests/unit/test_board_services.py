"""Watchdog and button on a machine that is a stand-in: its pins, its timer, its watchdog."""

import sys

from msgin5g_testkit.memory_flash import MemoryFlash
from msgin5g.coap.ticks import add
from msgin5g.config.manager import EMPTY, ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import StorageError, Store

TEXT = b'{"MSGin5G-Server-address":"a.example:1","MSGin5G-UE-Service-id":"u"}'


class Machine:
    """One machine: `log` is what was asked of its watchdog and timer, `level` its pin."""

    def __init__(self, has_timer=True):
        self.log = log = []
        self.level = 1
        machine = self

        class WDT:
            def __init__(self, timeout):
                log.append(("wdt", timeout))

            def feed(self):
                log.append("feed")

        class Timer:
            PERIODIC = 1

            def __init__(self, number):
                log.append(("timer", number))

            def init(self, period, mode, callback):
                log.append(("every", period))
                self.callback = callback
                machine.timer = self

            def deinit(self):
                log.append("off")

        class Pin:
            IN = PULL_UP = 1

            def __init__(self, number, mode, pull):
                machine.pin = number

            def value(self):
                return machine.level

        self.WDT = WDT
        self.Pin = Pin
        if has_timer:
            self.Timer = Timer

    def load(self, name):
        """A module of services/ that has this machine."""
        sys.modules["machine"] = self
        sys.modules.pop("msgin5g.services." + name, None)
        module = __import__("msgin5g.services." + name, None, None, (name,))
        sys.modules.pop("msgin5g.services." + name, None)
        return module


class Platform:
    """Stands for `sys` on a board of this platform."""

    def __init__(self, platform):
        self.platform = platform


def watchdog(machine, timeout_ms=6000, platform="linux"):
    module = machine.load("watchdog")
    module.sys = Platform(platform)
    return module.Watchdog(timeout_ms)


def test_the_watchdog_is_fed_by_the_loop_which_never_waits_long():
    machine = Machine()
    dog = watchdog(machine)
    assert machine.log == [("wdt", 6000)]
    dog.step(5)
    assert machine.log[-1] == "feed"
    assert dog.wait_ms(5) == 2000


def test_while_it_is_held_a_timer_feeds_it():
    machine = Machine()
    dog = watchdog(machine)
    dog.hold()
    dog.hold()
    assert machine.log[1:] == ["feed", ("timer", -1), ("every", 2000), "feed"] and dog.held
    machine.timer.callback(machine.timer)
    assert machine.log[-1] == "feed"
    dog.release()
    assert machine.log[-2:] == ["off", "feed"] and not dog.held


def test_a_timer_feeds_it_for_so_long_and_not_longer():
    for limit_ms, n in ((6000, 3), (5999, 2), (1999, 0)):
        machine = Machine()
        dog = watchdog(machine)
        dog.hold(limit_ms)
        del machine.log[:]
        for _ in range(6):
            machine.timer.callback(machine.timer)
        assert machine.log == ["feed"] * n, limit_ms
        dog.hold()  # for ever now
        del machine.log[:]
        for _ in range(6):
            machine.timer.callback(machine.timer)
        assert machine.log == ["feed"] * 6
    machine = Machine(has_timer=False)
    dog = watchdog(machine)
    dog.hold(60000)
    assert machine.log[-1] == ("wdt", 60000)


def test_a_machine_without_a_timer_gets_a_watchdog_with_more_patience():
    machine = Machine(has_timer=False)
    dog = watchdog(machine)
    dog.hold()
    assert machine.log[-1] == ("wdt", 3600000) and dog.held
    dog.release()
    assert machine.log[-2:] == [("wdt", 6000), "feed"] and not dog.held


def test_a_watchdog_of_60_s_on_rp2_is_8388_ms():
    for platform, asked_ms, given_ms in (
        ("rp2", 60000, 8388),
        ("rp2", 8389, 8388),
        ("rp2", 8388, 8388),
        ("rp2", 2000, 2000),
        ("esp32", 60000, 60000),
    ):
        machine = Machine()
        dog = watchdog(machine, asked_ms, platform)
        assert machine.log == [("wdt", given_ms)], (platform, asked_ms)
        assert dog.wait_ms(5) == given_ms // 3 and dog.timeout_ms == given_ms
        dog.hold()
        number = 0 if platform == "esp32" else -1
        assert machine.log[2:] == [("timer", number), ("every", given_ms // 3)]


class Node:
    def __init__(self):
        self.configuration = ConfigurationManager(Store(MemoryFlash()), Schema())
        self.configuration.offer(TEXT, b"e", 0)
        self.ended = False
        self.said = []

    def emit(self, name, reasons):
        self.said.append(name)
        self.ended = name == "restarting"


def pressed(machine, ms, start=0x3FFFF000):
    """A node whose button is held for `ms`, looked at when it asks to be."""
    node = Node()
    button = machine.load("button").Button(9, node)
    now = start
    machine.level = 0
    passed = 0
    while passed < ms:
        button.step(now)
        wait = button.wait_ms(now)
        assert 0 < wait <= 1000
        now = add(now, wait)
        passed += wait
    machine.level = 1
    button.step(now)
    return node, button, now


def test_a_button_held_for_ten_seconds_is_a_factory_reset():
    machine = Machine()
    node, _, _ = pressed(machine, 12000)
    assert machine.pin == 9
    assert node.said == ["factory_reset", "restarting"]
    assert node.configuration.state == EMPTY and node.configuration.configuration is None


def test_a_button_that_is_pressed_shorter_or_again_and_again_does_nothing():
    machine = Machine()
    node, button, now = pressed(machine, 9000)
    for _ in range(5):
        machine.level = 0
        for _ in range(90):
            button.step(now)
            now = add(now, 100)
        machine.level = 1
        button.step(now)
        now = add(now, 100)
    assert node.said == [] and node.configuration.configuration is not None


def test_a_button_is_read_once_a_second_and_ten_times_a_second_while_it_is_held():
    machine = Machine()
    node = Node()
    button = machine.load("button").Button(9, node)
    machine.level = 1
    button.step(0)
    assert button.wait_ms(0) == 1000
    machine.level = 0
    button.step(0)
    assert button.wait_ms(0) == 100
    button.step(9999)
    assert node.said == []
    button.step(10000)
    button.step(10001)
    assert node.said == ["factory_reset", "restarting"], "once"


def test_a_factory_reset_that_the_flash_refuses_is_said_and_tried_again_after_ten_seconds():
    machine = Machine()
    node = Node()
    errors = [StorageError("storage: error 5")]

    class Manager:
        def remove_all(self, now):
            if errors:
                raise errors.pop()

    node.configuration = Manager()
    button = machine.load("button").Button(9, node)
    machine.level = 0
    for now in (0, 10000, 19999):
        button.step(now)
    assert node.said == ["refused"] and button.wait_ms(0) == 100
    button.step(20000)
    assert node.said == ["refused", "factory_reset", "restarting"]
