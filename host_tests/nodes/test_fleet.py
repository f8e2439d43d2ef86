"""A few UEs, disturbed on purpose: each ends with what the server would give it alone.

The sequences were found by host/test_fleet_machine.py, which tries all kinds of them.
"""

from checks import load
from fleet import TAC, VENDOR, Fleet, Kind

load("msgin5g.relay", "msgin5g.gateway.gateway", "msgin5g.ue", "servers", "fleet")


def behind_relay(*kinds):
    return Fleet("relay", list(kinds))


def test_a_ue_that_is_taken_out_of_its_document_gets_the_other_one_that_names_it():
    fleet = behind_relay(Kind(observe=True), Kind(observe=True))
    fleet.publish("shared-1", [1, 2])
    assert fleet.settle() == [] and fleet.registered(1)
    fleet.publish("shared-2", [1])
    assert fleet.run(10000, lambda: not fleet.wrong())
    assert fleet.push() == [] and fleet.registered(1)


def test_a_document_that_names_the_ue_takes_the_place_of_the_one_for_everybody():
    for members in ({}, {"tac": TAC}, {"vendor": VENDOR}):
        fleet = behind_relay(Kind(True, VENDOR, TAC))
        fleet.publish("common", members)
        assert fleet.settle() == [] and fleet.registered(1)
        fleet.publish("own-1", [1])
        assert fleet.settle() == [], members
        assert fleet.push() == [] and fleet.registered(1)
        fleet.delete("own-1")
        assert fleet.settle() == [], members


def test_a_ue_gets_the_document_of_its_type_before_that_for_everybody():
    fleet = behind_relay(Kind(False, None, TAC), Kind(True, None, TAC), Kind())
    fleet.publish("everybody", {})
    fleet.publish("type", {"tac": TAC})
    assert fleet.settle() == []
    assert [fleet.outcomes[n] for n in fleet.numbers] == [
        '{"text":"2"}',
        '{"text":"2"}',
        '{"text":"1"}',
    ]
