"""ETSI's interoperability catalogue, OBS: a test a step, each with libcoap and with aiocoap.

What runs where, and the steps that do not apply: ETSI.md.
"""

import pytest
from etsi_checks import change, check_registration, check_notified, of, once, shows
from etsi_setup import PAIRS, UES
from scm_setup import ACK, BLOCK2, CON, CONTENT_FORMAT, NON, OBSERVE, encode

LARGE = "".join(f"{n:04}" for n in range(400))


@pytest.fixture(scope="module")
def etsi(hasty_etsi):
    return hasty_etsi


def test_td_coap_obs_01_con(pair):
    with pair.observe() as (proxy, watching):
        request, answer = check_registration(proxy.passed())
        assert answer.mid == request.mid
        assert {m.type for m in change(pair, proxy, "second", "third")} == {CON}
    assert shows(watching, "second") and shows(watching, "third")


@pytest.mark.parametrize("name", UES)
def test_td_coap_obs_02_non(etsi, name):
    """Our server tells by CON only: so it is the UE that observes, and asks by CON."""
    pair = etsi.pair(name, kind="non")
    with pair.observe() as (proxy, watching):
        check_registration(proxy.passed())
        for n, text in enumerate(("second", "third"), 1):
            pair.put(text)
            check_notified(proxy, n, kinds=(NON,))
            watching.wait_for(text)
    assert shows(watching, "second") and shows(watching, "third")


def test_td_coap_obs_09_update(pair):
    with pair.observe() as (proxy, watching):
        for name in ("second", "third"):
            (notified,) = change(pair, proxy, name)
            assert f"{name}@example.com".encode() in notified.payload
    assert shows(watching, "second") and shows(watching, "third")


def test_td_coap_obs_10_get_does_not_cancel(client_pair):
    with client_pair.observe() as (proxy, watching):
        asked, answer = check_registration(proxy.passed())
        change(client_pair, proxy, "second")
        options = [(n, v) for n, values in asked.options.items() for v in values if n != OBSERVE]
        proxy.inject(encode(CON, "0.01", asked.mid ^ 0x8000, b"t2", options))
        (plain,) = proxy.wait(lambda passed: [m for m in of(passed, False) if m.token == b"t2"])
        assert (plain.type, plain.code, plain.mid) == (ACK, "2.05", asked.mid ^ 0x8000)
        assert plain.options[CONTENT_FORMAT] == answer.options[CONTENT_FORMAT]
        assert OBSERVE not in plain.options
        change(client_pair, proxy, "third")
    assert shows(watching, "third")


@pytest.mark.parametrize("name", PAIRS)
def test_td_coap_obs_11_lossy(etsi, name):
    def is_notification(up, message):
        return not up and b"second@" in message.payload

    def is_ack(up, message):
        return up and message.type == ACK

    # libcoap's client does not acknowledge a second time, its server takes two seconds.
    wanted = [is_notification, is_ack] if name.startswith("aiocoap") else [is_notification]
    pair = etsi.pair(name)
    with pair.observe(lose=once(*wanted)) as (proxy, watching):
        change(pair, proxy, "second", "third")
        active = None
        for up, message in [(p.up, p.message) for p in proxy.log]:
            if not up and message.type == CON:
                assert active in (None, message.mid), "one at a time"
                active = message.mid
            elif up and message.type == ACK and not any(message is p.message for p in proxy.lost):
                active = None
        assert len(proxy.lost) == len(wanted)
    assert shows(watching, "second") and shows(watching, "third")


def check_rest(proxy, first):
    """That the client has fetched, or fetches, the rest of what begins with this message."""
    assert first.options[BLOCK2] == [bytes([first.options[BLOCK2][0][0] & 7 | 8])]
    assert len(first.payload) == 16 << (first.options[BLOCK2][0][0] & 7)

    def rest(passed):
        after = passed[[m is first for _, m in passed].index(True) :]
        return [
            m for m in of(after, False) if BLOCK2 in m.options and m.options[BLOCK2][0][0] >> 4
        ]

    last = proxy.wait(rest)[0]
    assert OBSERVE not in last.options and last.code == "2.05"


# aiocoap's server tells what is large in one datagram, which is not for a constrained UE.
WITH_BLOCKS = tuple(name for name in PAIRS if name != "aiocoap ue")


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_td_coap_obs_13_large(etsi, name):
    pair = etsi.pair(name)
    with pair.observe(more={"configName": LARGE}) as (proxy, watching):
        _, answer = check_registration(proxy.passed())
        check_rest(proxy, answer)
        for text in ("second", "third"):
            (notified,) = change(pair, proxy, text, configName=LARGE)
            check_rest(proxy, notified)
            watching.wait_for(text)
    assert shows(watching, "second") and shows(watching, "third")


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_td_coap_obs_14_of_varying_size(etsi, name):
    pair = etsi.pair(name)
    with pair.observe() as (proxy, watching):
        _, answer = check_registration(proxy.passed())
        assert BLOCK2 not in answer.options
        for text, more in (("second", {"configName": LARGE}), ("third", {})):
            (notified,) = change(pair, proxy, text, **more)
            assert (BLOCK2 in notified.options) == bool(more)
            if more:
                check_rest(proxy, notified)
            watching.wait_for(text)
    assert shows(watching, "second") and shows(watching, "third")
