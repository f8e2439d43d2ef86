"""Whatever happens to UEs, relay, gateway and server, each UE ends with what is meant for it.

A hypothesis state machine disturbs a Fleet in every order, and looks for a UE that does not hold
what the server would give it alone. Its counter-examples are plain tests in nodes/test_fleet.py.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fleet import TAC, VENDOR, Fleet, Kind

N_UES = 3
DOCUMENTS = ("own-1", "own-2", "shared-1", "shared-2", "type", "vendor", "everybody")
numbers = st.integers(1, N_UES)
kinds = st.builds(
    Kind, st.booleans(), st.sampled_from([None, None, VENDOR]), st.sampled_from([None, None, TAC])
)


class FleetMachine(RuleBasedStateMachine):
    middle = "relay"

    @initialize(
        kinds=st.lists(kinds, min_size=N_UES, max_size=N_UES),
        seed=st.integers(1, 9999),
        one_by_one=st.booleans(),
    )
    def start(self, kinds, seed, one_by_one):
        self.fleet = Fleet(self.middle, kinds, seed, one_by_one)

    # The server

    @rule(document=st.sampled_from(("shared-1", "shared-2")), members=st.sets(numbers, min_size=1))
    def publish(self, document, members):
        self.fleet.publish(document, sorted(members))

    @rule(n=numbers)
    def publish_for_one(self, n):
        self.fleet.publish("own-" + str(n), [n])

    @rule(name=st.sampled_from(("type", "vendor", "everybody")))
    def publish_for_a_kind(self, name):
        if name == "type" and self.fleet.one_by_one:
            # All get it: then nobody can see that the server has looked for one of them only.
            return
        members = {"type": {"tac": TAC}, "vendor": {"vendor": VENDOR}, "everybody": {}}[name]
        self.fleet.publish(name, members)

    @rule(document=st.sampled_from(DOCUMENTS))
    def change(self, document):
        self.fleet.change(document)

    @rule(document=st.sampled_from(DOCUMENTS))
    def delete(self, document):
        self.fleet.delete(document)

    @rule(n=numbers, denied=st.booleans())
    def deny(self, n, denied):
        self.fleet.deny(n, denied)

    # The network

    @rule(
        loss=st.sampled_from((0, 20, 50)),
        duplication=st.sampled_from((0, 30)),
        max_delay_ms=st.sampled_from((20, 500, 6000)),
    )
    def disturb(self, loss, duplication, max_delay_ms):
        self.fleet.disturb(loss, duplication, max_delay_ms)

    @rule()
    def quiet(self):
        self.fleet.quiet()

    @rule(seconds=st.sampled_from((5, 60, 200)))
    def black_out(self, seconds):
        self.fleet.black_out()
        self.fleet.run(seconds * 1000)
        self.fleet.quiet()

    @rule(seconds=st.sampled_from((0.1, 1, 5, 30, 200)))
    def wait(self, seconds):
        self.fleet.run(int(seconds * 1000))

    # The nodes

    @rule(n=numbers)
    def restart_ue(self, n):
        self.fleet.start_ue(n)

    @rule(n=numbers)
    def fetch(self, n):
        self.fleet.fetch(n)

    @rule(n=numbers)
    def link_down(self, n):
        self.fleet.link_down(n)

    @rule(n=numbers)
    def link_up(self, n):
        self.fleet.link_up(n)

    @rule(n=numbers)
    def move(self, n):
        self.fleet.move(n)

    @rule()
    def restart_middle(self):
        self.fleet.restart_middle()

    # What must hold

    @precondition(lambda self: not self.fleet.harsh)
    @rule()
    def push(self):
        assert self.fleet.push() == []

    def teardown(self):
        if not hasattr(self, "fleet"):
            return
        assert self.fleet.settle() == []
        assert self.fleet.push() == []
        assert self.fleet.empty() == {}


class GatewayMachine(FleetMachine):
    middle = "gateway"


class SeparatedMachine(FleetMachine):
    middle = "separated"


_EXAMPLES = int(os.environ.get("FLEET_EXAMPLES", "150" if os.environ.get("CI") else "25"))
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.mark.parametrize("machine", (FleetMachine, GatewayMachine, SeparatedMachine))
def test_each_ue_ends_with_what_the_server_would_give_it_alone(machine):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(machine, settings=_SETTINGS)
