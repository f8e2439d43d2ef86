"""The test kit that users import: applications of each kind, boards, faults of a network."""

import app_of_test
from msgin5g_testkit import Network, raises

UE_ID = "urn:x-msgin5g:ue:0007"
OTHER_ID = "urn:x-msgin5g:ue:0008"


class Application:
    """An application without hooks; a test adds them."""


def with_hooks(**hooks):
    made = Application()
    for name, value in hooks.items():
        setattr(made, name, value)
    return made


def interval(schema):
    schema.declare("interval-s", int, default=60, low=1)


def test_a_ue_is_three_lines():
    net = Network(loss=0.3, seed=1)
    net.server({UE_ID: {"interval-s": 10}})
    ue = net.ue(UE_ID)
    assert ue.wait("applied")["event"] == "applied"
    assert ue.configuration["interval-s"] == 10 and ue.n_boots == 1
    assert [event["event"] for event in ue.events] == ["started", "applied"]


def test_the_same_seed_gives_the_same_datagrams():
    logs = []
    for seed in (5, 5, 6):
        net = Network(loss=0.4, duplication=0.2, seed=seed)
        net.server({UE_ID: {}})
        net.ue(UE_ID, relay=net.relay())
        net.sleep(300)
        logs.append(net.log)
    assert logs[0] == logs[1] and logs[0] != logs[2]


def test_step_and_changed_are_called_on_the_virtual_clock():
    calls = []

    def step(node, now):
        calls.append(net.elapsed_ms)
        return 1000

    seen = []
    net = Network()
    server = net.server({UE_ID: {"interval-s": 7}})
    app = with_hooks(
        declare=interval, step=step, changed=lambda node: seen.append(node.configuration)
    )
    ue = net.ue(UE_ID, application=app)
    net.sleep(5.5)
    assert len(calls) == 6 and calls[-1] - calls[0] == 5000
    assert seen[-1]["interval-s"] == 7
    server.serve(UE_ID, {"interval-s": 8})
    ue.wait("applied")
    net.sleep(1)
    assert seen[-1]["interval-s"] == 8


def test_an_asyncio_application_sleeps_in_virtual_time_and_reaches_the_server():
    import asyncio

    waits = []

    async def sleep(seconds):
        await asyncio.sleep(seconds)

    async def main(node):
        await node.wait_changed()
        waits.append(await node.reached())
        start = net.elapsed_ms
        await asyncio.gather(sleep(100), sleep(3600))
        waits.append(net.elapsed_ms - start)

    net = Network()
    net.server({UE_ID: {}})
    net.ue(UE_ID, application=with_hooks(main=main))
    assert net.run(lambda: len(waits) == 2, limit_s=7200)
    assert waits[0] is True and 3600000 <= waits[1] <= 3600010


def test_an_application_with_a_loop_of_its_own_works_and_sleeps_in_virtual_time():
    seen = []

    def main(node):
        import time

        while True:
            if node.changed() and node.configuration:
                start = time.ticks_ms()
                time.sleep_ms(500)
                seen.append((node.configuration["interval-s"], net.elapsed_ms,
                             time.ticks_diff(time.ticks_ms(), start)))  # fmt: skip
            node.work(100)

    net = Network(loss=0.2, seed=3)
    server = net.server({UE_ID: {"interval-s": 10}})
    net.ue(UE_ID, application=with_hooks(declare=interval, main=main), relay=net.relay())
    net.at(60000, lambda: server.serve(UE_ID, {"interval-s": 20}))
    assert net.run(lambda: len(seen) == 2)
    assert [row[0] for row in seen] == [10, 20] and seen[1][1] >= 60500
    assert [row[2] for row in seen] == [500, 500]


def test_a_run_ends_an_application_with_a_loop_of_its_own_and_the_next_run_says_so():
    net = Network()
    net.server({UE_ID: {}})

    def main(node):
        while True:
            node.work(1000)

    net.ue(UE_ID, application=with_hooks(main=main))
    net.sleep(10)
    with raises(AssertionError, "net.at"):
        net.sleep(10)


def test_an_application_that_crashes_is_reported_and_the_board_restarts():
    async def main(node):
        await node.wait_changed()
        raise ValueError("no sensor")

    net = Network()
    net.server({UE_ID: {}})
    ue = net.ue(UE_ID, application=with_hooks(main=main))
    assert ue.wait("crashed")["reasons"] == ["ValueError: no sensor"]
    assert net.run(lambda: ue.n_boots == 2)
    ue.wait("started")


def test_each_board_has_its_own_module_and_a_reset_begins_with_a_new_one():
    import sys

    net = Network()
    net.server({UE_ID: {}, OTHER_ID: {}})
    one = net.ue(UE_ID, application="app_of_test")
    two = net.ue(OTHER_ID, application=app_of_test)
    net.sleep(30)
    one.app.counted.append("mine")
    assert two.app.counted == ["changed"] and one.app.counted == ["changed", "mine"]
    one.reset()
    net.sleep(30)
    assert one.app.counted == ["changed"]
    assert sys.modules["app_of_test"] is app_of_test and app_of_test.counted == []


def test_a_power_cut_at_each_write_in_turn_leaves_an_old_or_a_new_configuration():
    n_cuts = 0
    for n in range(1, 9):
        net = Network(seed=n)
        server = net.server({UE_ID: {"interval-s": 10}})
        ue = net.ue(UE_ID, application=with_hooks(declare=interval, changed=confirm))
        ue.wait("applied")
        net.sleep(10)
        ue.flash.cut_at = n
        server.serve(UE_ID, {"interval-s": 20})
        assert net.run(lambda: bool(ue.configuration and ue.configuration["interval-s"] == 20)), n
        n_cuts += ue.flash.n_cuts
        assert ue.n_boots == 1 + ue.flash.n_cuts, n
        if not ue.flash.n_cuts:
            break
        after = [e for e in ue.events if e["event"] == "started"]
        assert len(after) == 2
    assert n_cuts >= 2


def confirm(node):
    node.confirm()


def test_a_board_without_power_keeps_its_configuration_and_sends_nothing():
    net = Network()
    net.server({UE_ID: {"interval-s": 10}})
    ue = net.ue(UE_ID)
    ue.wait("applied")
    ue.power_cut(off_s=100)
    cut_at = net.elapsed_ms
    net.sleep(99)
    assert not [at for at, source, _, _ in net.log if at > cut_at and source == ue.address]
    assert ue.configuration is None
    ue.wait("started")
    assert ue.configuration["interval-s"] == 10


def test_deep_sleep_keeps_the_rtc_memory_and_counts_as_a_wake():
    woken = []

    async def main(node):
        import machine

        rtc = machine.RTC()
        woken.append((machine.reset_cause() == machine.DEEPSLEEP_RESET, rtc.memory()))
        await node.wait_changed()
        rtc.memory(b"awake %d" % len(woken))
        machine.deepsleep(60000)

    net = Network()
    net.server({UE_ID: {}})
    ue = net.ue(UE_ID, application=with_hooks(main=main), observe=False)
    assert net.run(lambda: ue.n_boots == 3)
    net.sleep(1)
    assert woken == [(False, b""), (True, b"awake 1"), (True, b"awake 2")]
    assert net.elapsed_ms > 120000


def test_a_loop_that_hangs_is_reset_by_the_watchdog():
    net = Network()
    net.server({UE_ID: {}})
    hangs = [True]

    def step(node, now):
        import time

        if hangs.pop() if hangs else False:
            time.sleep(60)
        return 1000

    ue = net.ue(UE_ID, application=with_hooks(step=step), watchdog_s=8)
    assert net.run(lambda: ue.n_boots == 2, limit_s=120)
    ue.wait("applied")


def test_a_button_held_for_ten_seconds_removes_the_configuration():
    net = Network()
    server = net.server({UE_ID: {}})
    ue = net.ue(UE_ID, button_pin=5)
    ue.wait("applied")
    server.is_silent = True
    ue.pin(5).press()
    ue.wait("factory_reset")
    ue.pin(5).release()
    ue.wait("started")
    assert ue.configuration is None and not ue.flash.files


def test_pins_call_their_handler_and_keep_what_was_written():
    pressed = []

    def changed(node):
        from machine import Pin

        led = Pin("LED", Pin.OUT)
        led.on()
        led.toggle()
        button = Pin(3, Pin.IN, Pin.PULL_UP)
        button.irq(lambda pin: pressed.append(pin.value()), Pin.IRQ_FALLING)

    net = Network()
    net.server({UE_ID: {}})
    ue = net.ue(UE_ID, application=with_hooks(changed=changed))
    net.sleep(1)
    assert [level for _, level in ue.pin("LED").levels[:2]] == [1, 0]
    ue.pin(3).press()
    ue.pin(3).release()
    assert pressed == [0] and ue.pin(3).level == 1


def test_a_ue_with_wifi_waits_for_its_access_point():
    for port in ("esp32", "rp2"):
        net = Network()
        net.server({UE_ID: {}})
        wifi = {"ssid": "site", "key": "the long key"}
        ue = net.ue(UE_ID, radio=port, wifi=wifi)
        net.sleep(30)
        assert net.log == [] and ue.configuration is None
        net.access_points["site"] = "the long key"
        ue.wait("applied")
        assert ue.configuration is not None, port


def test_the_server_refuses_deletes_and_is_silent():
    net = Network()
    server = net.server({UE_ID: {}}, denied=[UE_ID])
    ue = net.ue(UE_ID, retry={"first_s": 5, "max_s": 60})
    assert ue.wait("rejected")["code"] == "4.03"
    server.serve(UE_ID, {})
    ue.wait("applied")
    server.delete(UE_ID)
    assert ue.wait("rejected")["code"] == "4.04"
    server.is_silent = True
    ue.reset()
    ue.wait("timeout")


def test_a_relay_serves_a_ue_while_its_link_is_up():
    net = Network()
    net.server({UE_ID: {}})
    relay = net.relay()
    ue = net.ue(UE_ID, relay=relay)
    relay.link_down(ue)
    ue.wait("timeout")
    assert relay.counters["not_linked"] > 0
    relay.link_up(ue)
    ue.wait("applied")


def test_host_names_come_from_the_network():
    net = Network()
    net.names["scm.example"] = "192.0.2.1"
    net.server({UE_ID: {}})
    ue = net.ue(UE_ID, next_hop=["scm.example", 5683])
    ue.wait("applied")


def test_a_wait_that_ends_without_its_event_names_what_came():
    net = Network()
    net.server({})
    ue = net.ue(UE_ID)
    with raises(AssertionError, "none of ('applied',) within 10 s, but ['started', 'rejected'"):
        ue.wait("applied", limit_s=10)


class Wrong:
    """A node that sends one datagram to the server."""

    def __init__(self, datagram):
        self.out = [(0, datagram, ("192.0.2.1", 5683))]

    def receive(self, transport, datagram, remote, now):
        pass

    def step(self, now):
        pass

    def transmit(self, now):
        return self.out.pop(0) if self.out else None

    def wait_ms(self, now):
        return None


# The GET of this UE as it must be, in pieces: head, token, Uri-Path, ue-uri, Accept, Recipient.
_GOOD = (
    "44011234 a1b2c3d4 b573752d7563 027631 0c76616c2d7365727669636573 076d7367696e3567",
    "0d0475652d636f6e66696775726174696f6e73 4d0f75652d7572693d75726e3a782d6d7367696e35673a75653a",
    "30303037",
    "22fde9 edfcde05 636f61703a2f2f73636d2e6578616d706c65",
)


def test_a_datagram_that_breaks_a_rule_is_an_error_that_shows_it_decoded():
    good = "".join(_GOOD).replace(" ", "")
    for old, new, what in (
        ("", "", None),
        ("44011234", "54011234", None),
        ("44011234", "64011234", "must be CON or NON"),
        ("44011234", "44021234", "the method must be GET"),
        ("44011234a1b2c3d4", "40011234", "no token"),
        ("44011234", "84011234", "no CoAP message: no header of version 1"),
        ("027631", "027632", "Uri-Path is not"),
        ("30303037", "30303038", "ue-uri is ['urn:x-msgin5g:ue:0008']"),
        ("6578616d706c65", "6578616d706c66", "expected [b'coap://scm.example']"),
        ("22fde9edfcde05636f61703a2f2f73636d2e6578616d706c65", "22fde9", "Recipient is []"),
        ("22fde9edfc", "22fde9e1fc", "no CoAP message"),
    ):
        net = Network()
        net.server({UE_ID: {}})
        address = ("192.168.4.9", 65401)
        net.inspector.ue_ids[address] = [UE_ID]
        assert old in good, old
        net.add(address, Wrong(bytes.fromhex(good.replace(old, new))))
        try:
            net.sleep(1)
            text = ""
        except AssertionError as error:
            text = str(error)
        assert (what is None) == (text == ""), (new, text)
        assert what is None or (what in text and "192.168.4.9:65401 to 192.0.2.1:5683" in text), (
            text
        )
        if what and "method" in what:
            assert "CON POST MID 0x1234 token a1b2c3d4\n  Uri-Path: su-uc\n" in text, text
