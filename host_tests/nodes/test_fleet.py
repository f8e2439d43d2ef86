"""A few UEs, disturbed on purpose: each ends with what the server would give it alone.

The sequences were found by host/test_fleet_machine.py, which tries all kinds of them.
"""

from msgin5g_testkit.checks import load
from fleet import TAC, VENDOR, Fleet, Kind

load("msgin5g.relay", "msgin5g.gateway.gateway", "msgin5g.ue", "msgin5g_testkit.servers", "fleet")


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


def test_behind_a_gateway_a_document_that_names_the_ue_goes_before_that_of_its_type():
    for middle in ("gateway", "separated"):
        fleet = Fleet(middle, [Kind(True, None, TAC), Kind(False, None, TAC), Kind()])
        fleet.publish("type", {"tac": TAC})
        assert fleet.settle() == []
        fleet.publish("shared-1", [1, 2])
        assert fleet.settle() == [], middle
        assert fleet.push() == [] and fleet.empty() == {}, middle


def test_a_denied_ue_gets_nothing_from_what_the_gateway_keeps():
    for middle in ("gateway", "separated"):
        fleet = Fleet(middle, [Kind(True), Kind(True), Kind()])
        fleet.publish("shared-1", [1, 2, 3])
        assert fleet.settle() == []
        fleet.deny(2)
        fleet.fetch(1)
        fleet.fetch(2)
        assert fleet.settle() == [] and fleet.outcomes[2] == "4.03", middle
        fleet.deny(2, False)
        assert fleet.settle() == [] and fleet.push() == [], middle


def test_ues_with_a_vendor_or_a_type_are_notified_behind_a_gateway():
    for middle in ("gateway", "separated"):
        fleet = Fleet(middle, [Kind(True, VENDOR), Kind(True, None, TAC)])
        fleet.publish("shared-1", [1, 2])
        assert fleet.settle() == []
        assert fleet.registered(1) and fleet.registered(2) and fleet.push() == [], middle


def test_a_ue_that_was_refused_for_a_moment_observes_its_document_again():
    for middle in ("relay", "gateway", "separated"):
        fleet = Fleet(middle, [Kind(True), Kind(True)])
        fleet.publish("shared-1", [1, 2])
        assert fleet.settle() == []
        fleet.deny(1)
        fleet.deny(1, False)
        assert fleet.settle() == [] and fleet.registered(1), middle


def test_a_ue_that_asks_for_documents_by_their_id_is_given_its_own_only():
    for middle in ("relay", "gateway", "separated"):
        fleet = Fleet(middle, [Kind(True), Kind(), Kind()])
        fleet.publish("shared-1", [1, 2])
        fleet.publish("own-3", [3])
        fleet.deny(2)
        assert fleet.settle() == [] and fleet.ask_all() == [], middle
