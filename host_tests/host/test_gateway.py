"""The gateway with many UEs, and with a separated configuration client."""

import gc
import importlib
import math

import pytest
from builders import new_ue
from fast_network_sim import FastNetworkSim
from gateway_builders import (
    GATEWAY,
    SEAL_C,
    address,
    doc,
    name,
    new_bulk_server,
    new_gateway,
    separated,
)
from msgin5g_testkit.network_sim import chance

_FILES = ("bulk", "failures", "sizes", "documents")
# They count the milliseconds of a datagram's way, which is two hops longer here.
_TIMED = ("test_three_requests_become_one", "test_max_age_is_less")
# They look at the Reset that the server gets; here the configuration client gets it.
_RESET = (
    "test_an_answer_with_a_critical_option",
    "test_a_notification_with_a_critical_option",
)
_TESTS = [
    getattr(module, test)
    for module in (importlib.import_module(f"test_gateway_{file}") for file in _FILES)
    for test in dir(module)
    if test.startswith("test_") and not test.startswith(_TIMED + _RESET)
]


@pytest.mark.parametrize("test", _TESTS, ids=lambda test: test.__name__)
def test_every_rule_of_the_gateway_holds_apart_from_its_configuration_client(test):
    separated(test)


def thousand(loss, is_separated=False, n_ues=1000):
    """(sim, gateway, server, ues, {number: code it is to end with}) of many UEs."""
    numbers = range(1, n_ues + 1)
    without = {n for n in numbers if n % 97 == 0}
    denied = {n for n in numbers if n % 331 == 0}
    sim = FastNetworkSim(chance(7, loss=loss, duplication=5), wired=SEAL_C)

    def make():
        return new_gateway(
            sim,
            numbers,
            max_links=n_ues,
            max_waiting=n_ues,
            max_transfers=32,
            max_answers=64,
            bulk_count=1000,
            bulk_window_s=40,
            cache_size=1 << 20,
            max_flows=64,
        )

    gateway = separated(make) if is_separated else make()
    server = new_bulk_server(
        sim,
        [doc(n) for n in numbers if n not in without],
        denied=[name(n) for n in denied],
        max_age_s=86400,
        max_exchanges=256,
        max_incoming=4096,
    )
    # Who has got a 4.04 or has heard nothing asks again, but not among those who ask first.
    settings = {"start_delay_s": 3, "retry_first_s": 3600}
    ues = {
        n: new_ue(sim, address(n), n + 100, GATEWAY, ue_id=name(n), **settings) for n in numbers
    }
    return sim, gateway, server, ues, without, denied


@pytest.mark.parametrize(("loss", "is_separated"), [(0, False), (20, False), (20, True)])
def test_a_thousand_ues_each_end_with_their_own(loss, is_separated, monkeypatch):
    monkeypatch.setattr(
        gc, "collect", int
    )  # of what each of a thousand boards would collect alone
    sim, gateway, server, ues, without, denied = thousand(loss, is_separated)
    ends = {}

    def ended():
        for n, ue in ues.items():
            while True:
                event = ue.poll()
                if event is None:
                    break
                if event["event"] == "applied":
                    ends[n] = "2.05"
                elif event["event"] == "rejected" and event["code"] in ("4.04", "4.03"):
                    ends.setdefault(n, event["code"])
        return len(ends) == len(ues)

    # Within the time that a UE waits nearly all of them have got their answer. Who asks again
    # after that is one of a few: it was refused, or every repetition of its request was lost.
    sim.run(ended, 100_000)
    assert len(ends) >= 0.99 * len(ues)
    bulks = set(server.bulks)
    assert sim.run(ended, 36_000_000), len(ends)
    for n, ue in ues.items():
        expected = "4.03" if n in denied else "4.04" if n in without else "2.05"
        assert ends[n] == expected, n
        if expected == "2.05":
            assert ue.configuration.data == doc(n)["ueConfigs"][0]["configData"].encode()
        else:
            assert ue.configuration.n_applied == 0
    per_message = max(len(ids) for ids in bulks)
    assert len(bulks) <= math.ceil(len(ues) / per_message), [len(ids) for ids in bulks]
    assert server.largest <= 1152
    print(
        f"loss {loss}%: {per_message} UEs a message, {len(bulks)} bulk GETs, "
        f"{sum(not a[1] and len(a[0]) == 1 for a in server.asked)} single ones, "
        f"{len(server.asked)} requests with blocks, {sim.elapsed_ms / 1000:.0f} s, "
        f"{gateway.counters}"
    )
