"""`msgin5g demo --oscore`: the relay's scenario again, and the relay can read nothing of it."""

import json

import pytest
from flash_setup import msgin5g

from msgin5g_tools.decode.sequence_diagram import Entry
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.oscore_scenario import OscoreScenario

_UES = [f"urn:x-msgin5g:ue:{n:04}" for n in (7, 8, 9)]


@pytest.fixture(scope="module")
def scenario():
    return json.loads(msgin5g("demo", "--oscore", "--json", timeout=180))


def test_the_outcomes_are_those_of_the_plain_demo(scenario):
    assert (scenario["ok"], scenario["errors"]) == (True, [])
    outcomes = [scenario["outcomes"][ue] for ue in _UES]
    assert [(o["event"], o["code"]) for o in outcomes] == [
        ("applied", "2.05"), ("rejected", "4.03"), ("rejected", "4.04"),
    ]  # fmt: skip
    assert outcomes[0]["configuration"] == scenario["configuration"] == actors.CONFIGURATION
    assert scenario["foreign_answer"]["discarded"] is True


def test_the_relay_sees_post_and_changed_and_whose_they_are(scenario):
    ladder = scenario["ladder"]
    assert {m["code"] for m in ladder} == {"0.02", "2.04"}
    assert {m["recipient"] for m in ladder} == {
        *_UES, "urn:x-msgin5g:ue:0010", "coap://scm.example",
    }  # fmt: skip
    assert {m["note"] for m in ladder} == {"key 01", "key 02", "key 03", "protected", "planted"}
    assert scenario["protected"] == {"messages": len(ladder), "readable": []}
    sent = b"".join(bytes.fromhex(m["hex"]) for m in ladder)
    for plain in (b"ue-uri", b"su-uc", b"val-services", b"sensor-7", b"MSGin5G", b"not allowed"):
        assert plain not in sent


def test_what_the_relay_could_read_is_found():
    scenario = object.__new__(OscoreScenario)
    datagrams = (b"..?ue-uri=x", b"sealed", b"sensor-7@example.com")
    scenario.entries = [Entry(0, "UE 0007", "relay", datagram, "") for datagram in datagrams]
    assert scenario.readable() == ["message 1: query", "message 3: MSGin5G-UE-Service-id"]


def test_gateway_and_oscore_are_one_at_a_time():
    said = msgin5g("demo", "--oscore", "--gateway", status=2)
    assert "--gateway and --oscore do not go together" in said
