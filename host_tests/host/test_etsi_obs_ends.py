"""ETSI's interoperability catalogue, OBS, how observations end: a test a step.

What runs where, and the steps that do not apply: ETSI.md.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import aiocoap
import pytest
from etsi_checks import (
    QUIET_S,
    READ_S,
    change,
    check_last,
    check_registration,
    is_quiet,
    notifications,
    number,
    of,
    repeated,
    resets,
    shows,
    wait_until,
)
from etsi_setup import CLIENTS, PAIRS, UES
from proxy import Proxy
from scm_setup import ACK, CON, CONTENT_FORMAT, NON, OBSERVE

LARGE = "".join(f"{n:04}" for n in range(400))


@pytest.fixture(scope="module")
def etsi(hasty_etsi):
    return hasty_etsi


def test_td_coap_obs_04_client_detects_deregistration_by_max_age(etsi):
    pairs = [etsi.pair(name, kind="restarted") for name in UES]
    with ThreadPoolExecutor() as pool:
        list(pool.map(check_that_it_registers_again, pairs))


def check_that_it_registers_again(pair):
    with pair.observe(refresh={"min_s": 1, "max_s": 1}) as (proxy, watching):
        first, _ = check_registration(proxy.passed())
        change(pair, proxy, "second")

        def registered(passed):
            """Registrations that have been answered: list of (request, answer)."""
            answers = {m.mid: m for m in of(passed, False) if m.type == ACK}
            asked = [m for m in of(passed, True) if OBSERVE in m.options]
            return [(m, answers[m.mid]) for m in asked if m.mid in answers]

        n = len(registered(proxy.passed()))
        proxy.wait(lambda passed: len(registered(passed)) > n)  # and there is a second for this:
        pair.theirs.restart()
        pair.put("third")
        again, answer = proxy.wait(lambda passed: registered(passed)[n + 1 :])[0]
        assert (again.type, again.token, again.options[OBSERVE]) == (CON, first.token, [b""])
        assert (answer.type, answer.code, answer.token) == (ACK, "2.05", first.token)
        assert OBSERVE in answer.options and CONTENT_FORMAT in answer.options
        pair.put("fourth")
        proxy.wait(lambda passed: any(b"fourth@" in m.payload for m in of(passed, False)))
        watching.wait_for("fourth")
    assert shows(watching, "third") and shows(watching, "fourth")


def test_td_coap_obs_05_server_detects_a_client_that_is_off(direct, etsi):
    with direct.observe() as (proxy, watching):
        change(direct, proxy, "second")
        watching.off()
        direct.put("third")
        wait_until(lambda: etsi.scm.n_observers() == 0)
        sent = [m for m in of(proxy.passed(), False) if b"third@" in m.payload]
        assert len(sent) == 4 and len({(m.type, m.mid) for m in sent}) == 1
        direct.put("fourth")
        assert is_quiet(proxy)


@pytest.mark.parametrize("peer", CLIENTS)
def test_td_coap_obs_05_relay_detects_a_client_that_is_off(etsi, peer):
    """What the relay sends again is the newest state."""
    quick = {"ack_timeout_ms": 100, "max_retransmit": 1}
    with (
        Proxy(etsi.scm.address) as above,
        etsi.relay(above.address, transmission=quick) as our_relay,
    ):
        pair = etsi.pair(f"{peer} relay", intermediary=our_relay)
        with pair.observe() as (proxy, watching):
            change(pair, proxy, "second")
            watching.off()
            n = len(notifications(proxy.passed()))
            for i, name in enumerate(("third", "fourth"), n + 1):
                pair.put(name)
                proxy.wait(lambda passed, i=i: len(notifications(passed)) >= i)
            third, fourth = notifications(proxy.wait(repeated))[n:]
            assert 0 < (number(fourth) - number(third)) % 2**24 < 2**23
            time.sleep(0.6)  # MAX_TRANSMIT_WAIT is 0.45 s there
            pair.put("fifth")
            above.wait(resets)
            assert len(notifications(proxy.passed())) == n + 2
        assert our_relay.counters()["answer_timeout"] == 1


def test_td_coap_obs_06_server_is_reset_by_a_client_that_forgot(client_pair):
    with client_pair.observe() as (proxy, watching):
        old = check_registration(proxy.passed())[0].token
        change(client_pair, proxy, "second")
        watching.off()
        with client_pair.observe_again(proxy):
            client_pair.put("third")
            (reset,) = proxy.wait(resets)
            notified = [m for m in of(proxy.passed(), False) if m.mid == reset.mid]
            assert [(m.type, m.token) for m in notified] == [(CON, old)] and reset.size == 4
            time.sleep(READ_S)  # the Reset has passed; now it has been read, too
            client_pair.put("fourth")
            proxy.wait(lambda passed: any(b"fourth@" in m.payload for m in of(passed, False)))
            time.sleep(QUIET_S)
            notified = [m for m in of(proxy.passed(), False) if b"fourth@" in m.payload]
            assert {m.token == old for m in notified} == {False}


def test_td_coap_obs_06_ue_that_forgot_resets_the_server(ue_pair):
    with ue_pair.observe() as (proxy, watching):
        first, _ = check_registration(proxy.passed())
        change(ue_pair, proxy, "second")
        watching.off()
        with ue_pair.ue(proxy.address, host=watching.role.address[0]) as role:
            role.event("applied")
            ue_pair.put("third")
            (reset,) = proxy.wait(resets)
            (notified,) = [m for m in of(proxy.passed(), False) if m.mid == reset.mid]
            assert (notified.type, notified.token, reset.size) == (CON, first.token, 4)
            time.sleep(READ_S)  # the Reset has passed; now it has been read, too
            ue_pair.put("fourth")
            time.sleep(QUIET_S)
            assert not [m for m in of(proxy.passed(), False) if b"fourth@" in m.payload]
            assert role.is_silent(), "and nothing is displayed"


@pytest.mark.parametrize("name", PAIRS)
def test_td_coap_obs_07_server_tells_of_a_deleted_resource(etsi, name):
    pair = etsi.pair(name)
    with pair.observe() as (proxy, watching):
        change(pair, proxy, "second")
        pair.delete()
        # libcoap's server says it by NON.
        check_last(proxy, "4.04", NON if name == "libcoap ue" else CON)
        n = len(notifications(proxy.passed()))
        pair.put("third")
        time.sleep(QUIET_S)
        assert len(notifications(proxy.passed())) == n
    # A UE looks for another document at once, and may find this one: that is no notification.
    assert not shows(watching, "third") or name == "libcoap ue"


def test_td_coap_obs_08_ue_is_told_406(etsi):
    """A change of Content-Format is no change that our server knows, or libcoap's tells."""
    ue = etsi.pair("aiocoap ue")
    with ue.observe() as (proxy, watching):
        change(ue, proxy, "second")
        ue.theirs.refuse(f"{ue.path}/d", aiocoap.NOT_ACCEPTABLE)
        check_last(proxy, "4.06")
        assert watching.role.event("rejected")["code"] == "4.06"
        assert is_quiet(proxy)


def test_td_coap_obs_12_get_with_observe_1_cancels(client_pair):
    passed = client_pair.cancel()
    first, answer = check_registration(passed)
    (last,) = [m for m in of(passed, True) if m.options.get(OBSERVE) == [b"\x01"]]
    assert (last.type, last.code, last.token) == (CON, "0.01", first.token)
    (plain,) = [m for m in of(passed, False) if m.mid == last.mid]
    assert (plain.type, plain.code, plain.token) == (ACK, "2.05", first.token)
    assert plain.options[CONTENT_FORMAT] == answer.options[CONTENT_FORMAT]
    assert OBSERVE not in plain.options
    assert passed[-1][1] is plain, "no more is notified"
