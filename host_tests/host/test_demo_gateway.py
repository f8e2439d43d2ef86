"""`msgin5g demo --gateway`: one request for many, a response for each, and a true output."""

import json
import re

import pytest
import tour
from test_demo import COMMAND, WITNESS, finish, start

from msgin5g_tools.demo.gateway_scenario import UES, GatewayScenario, configuration

_UE = "urn:x-msgin5g:ue:{:04}".format


@pytest.fixture(scope="module")
def two(repository, tmp_path_factory):
    """What two demos at once print, one for a person and one as JSON."""
    places = tmp_path_factory.mktemp("person"), tmp_path_factory.mktemp("json")
    processes = [
        start(repository, places[0], COMMAND, "demo", "--gateway"),
        start(repository, places[1], COMMAND, "demo", "--gateway", "--json"),
    ]
    done = [finish(process, place) for process, place in zip(processes, places, strict=True)]
    assert [status for status, _ in done] == [0, 0], done
    return done[0][1], json.loads(done[1][1])


def test_the_picture_of_the_tour_shows_this_run(two):
    picture = (tour.IMAGES / "tour-gateway.svg").read_text()
    shown = tour.exchanged(tour.sentences(picture))
    assert shown == tour.exchanged(tour.said(two[1]["ladder"]))
    assert len(shown) > 15


def test_each_ue_ends_with_its_own(two):
    _, scenario = two
    assert (scenario["ok"], scenario["errors"], scenario["leaks"]) == (True, [], [])
    assert {ue: outcome["code"] for ue, outcome in scenario["outcomes"].items()} == {
        _UE(7): "2.05", _UE(8): "4.03", _UE(9): "4.04", _UE(11): "2.05", _UE(12): "2.05",
    }  # fmt: skip
    for n in (7, 11, 12):
        own = configuration(next(ue for ue in UES if ue.host == n))
        assert scenario["outcomes"][_UE(n)]["configuration"] == own
        assert scenario["configurations"][_UE(n)] == own
    assert len({c["MSGin5G-UE-Service-id"] for c in scenario["configurations"].values()}) == 3
    assert scenario["outcomes"][_UE(8)]["detail"] == f"{_UE(8)} is not allowed"
    assert scenario["counters"] == {"bulk_rejected": 1}
    assert scenario["seconds"] > 0


def test_the_server_gets_one_request_for_three_and_refuses_one_for_two(two):
    _, scenario = two
    assert scenario["bulk_requests"] == [
        {"ue_ids": [_UE(7), _UE(9), _UE(11)], "code": "2.05"},
        {"ue_ids": [_UE(8), _UE(12)], "code": "4.03"},
    ]
    single = sorted(scenario["single_requests"], key=lambda request: request["ue_ids"])
    assert single == [
        {"ue_ids": [_UE(8)], "code": "4.03"},
        {"ue_ids": [_UE(9)], "code": "4.04"},
        {"ue_ids": [_UE(12)], "code": "2.05"},
    ]


def test_the_messages_are_acknowledgement_request_and_a_separate_answer_for_each(two):
    _, scenario = two
    ladder = scenario["ladder"]
    asked = [m for m in ladder if (m["from"], m["to"]) == ("gateway", "server")]
    assert [m["note"] for m in asked if "note" in m] == ["for 0007 0009 0011", "for 0008 0012"]
    assert all(m["size"] <= 1152 and m["code"] == "0.01" for m in asked)
    for ue in UES:
        mine = [m for m in ladder if ue.name in (m["from"], m["to"])]
        request, ack, answer, thanks = mine  # nothing is lost, so nothing is repeated
        assert (request["type"], request["code"], request["to"]) == ("CON", "0.01", "gateway")
        assert (ack["type"], ack["size"], ack["mid"]) == ("ACK", 4, request["mid"])
        assert (answer["type"], answer["code"]) == ("CON", ue.code)
        assert (answer["token"], answer["recipient"]) == (request["token"], ue.ue_id)
        assert (thanks["type"], thanks["size"], thanks["mid"]) == ("ACK", 4, answer["mid"])
        others = [other.ue_id for other in UES if other is not ue]
        assert not any(other.encode().hex() in answer["hex"] for other in others)


def test_a_person_sees_who_was_asked_for_and_what_each_one_got(two):
    text, _ = two
    assert "\x1b" not in text
    for pattern in (
        r"gateway --> server  CON  GET .* 199  for 0007 0009 0011$",
        r"^UE 0007  applied +2\.05 Content",
        r"^UE 0009  rejected +4\.04 Not Found: ",
        r"^UE 0008  rejected +4\.03 Forbidden: ",
        r"^server   asked +once for 0007, 0009, 0011: 2\.05 Content$",
        r"^server   asked +once for 0008, 0012: 4\.03 Forbidden$",
        r"^server   asked +alone for 0009, (0008, 0012|0012, 0008)$",
        r"^gateway  split +no UE received a message that names another one$",
        r"^gateway  counted +bulk_rejected 1$",
        r"^  urn:x-msgin5g:ue:0011: sensor-11@example.com$",
        r"^As expected, in [0-9.]+ s ",
    ):
        assert re.search(pattern, text, re.MULTILINE), pattern


def test_what_is_not_as_expected_is_said_and_is_a_failure(repository, tmp_path):
    code = (
        "from msgin5g_tools.demo import gateway_scenario\n"
        "gateway_scenario.WINDOW_S = 1\n"
        "given = gateway_scenario.documents()\n"
        "given['deny'] = []\n"
        "given['documents'][0]['ues'].append('urn:x-msgin5g:ue:0009')\n"
        "gateway_scenario.documents = lambda: given\n"
    )
    process = start(repository, tmp_path, code + COMMAND, "demo", "--gateway")
    status, text = finish(process, tmp_path)
    assert status == 1 and "As expected" not in text
    missing = [line for line in text.split("\n") if line.startswith("missing: ")]
    assert missing[0].startswith("missing: UE 0009: expected rejected (4.04), got {")
    assert missing[1].startswith("missing: UE 0008: expected rejected (4.03), got {")
    assert missing[2].startswith("missing: the server was expected to get [[")
    assert len(missing) == 3, text


def test_nothing_is_left_of_a_demo_that_was_interrupted(repository, tmp_path):
    process = start(repository, tmp_path, WITNESS, "2", "for 0007 0009 0011", "--gateway")
    assert finish(process, tmp_path) == (0, "130\nnobody left\n")


def test_a_message_that_names_another_ue_is_a_leak():
    class Processes:
        class addresses:
            @staticmethod
            def participants():
                return {}

    scenario = GatewayScenario(Processes, None, None)
    answer = bytes.fromhex("44450001") + b"tokn\xff" + _UE(8).encode()
    assert scenario.note("gateway", "UE 0008", answer) == "" and scenario.leaks == []
    assert scenario.note("gateway", "UE 0007", answer) == ""
    assert scenario.leaks == ["UE 0007 received a message that names 0008"]
    assert scenario.leaks[0] in list(scenario.missing())
