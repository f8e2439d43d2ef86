"""A hypothesis state machine that disturbs a Fleet in every order, and checks what comes of it.

    run("gateway", 25)     an AssertionError, with the steps, when something is wrong

As a program: `python fleet_machine.py gateway 25` tries 25 sequences of steps, always the same
ones. At the first that shows a fault it ends with status FOUND, and prints what is wrong.
"""

import sys

import msgin5g_testkit  # noqa: F401  # the shims

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from fleet import TAC, VENDOR, Fleet, Kind

FOUND = 3
N_UES = 3
N_STEPS = 25
DOCUMENTS = ("own-1", "own-2", "shared-1", "shared-2", "type", "vendor", "everybody")
numbers = st.integers(1, N_UES)
documents = st.sampled_from(DOCUMENTS)
kinds = st.builds(
    Kind,
    st.sampled_from((True, True, False)),
    st.sampled_from([None, None, VENDOR]),
    st.sampled_from([None, None, TAC]),
)
fleets = st.one_of(
    st.lists(kinds, min_size=N_UES, max_size=N_UES),
    st.builds(lambda kind: [kind] * N_UES, kinds),
)
_STRIKES = (
    "black out",
    "strange answers",
    "link down",
    "move",
    "restart server",
    "restart client",
    "restart middle",
)


class FleetMachine(RuleBasedStateMachine):
    middle = "relay"

    @initialize(
        kinds=fleets,
        seed=st.integers(1, 9999),
        one_by_one=st.booleans(),
        members=st.sets(numbers, min_size=1),
        kind=st.sampled_from((None, "type", "vendor", "everybody")),
        seconds=st.sampled_from((5, 5, 5, 0)),
    )
    def start(self, kinds, seed, one_by_one, members, kind, seconds):
        self.fleet = Fleet(self.middle, kinds, seed, one_by_one)
        self.publish("shared-1", members)
        if kind is not None:
            self.publish_for_a_kind(kind)
        self.wait(seconds)

    # The server

    @rule(document=st.sampled_from(("shared-1", "shared-2")), members=st.sets(numbers, min_size=1))
    def publish(self, document, members):
        self.fleet.publish(document, sorted(members))

    @rule(n=numbers)
    def publish_for_one(self, n):
        self.fleet.publish("own-" + str(n), [n])

    @rule(name=st.sampled_from(("type", "vendor", "everybody")))
    def publish_for_a_kind(self, name):
        if self.fleet.one_by_one:
            # All get it: then nobody can see that the server has looked for one of them only.
            return
        members = {"type": {"tac": TAC}, "vendor": {"vendor": VENDOR}, "everybody": {}}[name]
        self.fleet.publish(name, members)

    @rule(
        document=documents,
        pauses=st.sampled_from(((0,), (2,), (0.1, 2), (2, 2), (0.1, 0.1, 0.1, 0.1, 2))),
        network=st.sampled_from((None, (50, 0, 6000), (50, 30, 2000))),
        pushes=st.booleans(),
    )
    def change(self, document, pauses, network, pushes):
        """Once, or several times, each with a pause of so many seconds after it."""
        if network is not None:
            self.fleet.disturb(*network)
        for seconds in pauses:
            self.fleet.change(self._existing(document))
            self.wait(seconds)
        if pushes:
            self._push()

    @rule(document=documents)
    def delete(self, document):
        self.fleet.delete(self._existing(document))

    @rule(n=numbers, denied=st.booleans(), asks=st.booleans())
    def deny(self, n, denied, asks):
        self.fleet.deny(n, denied)
        if asks:
            self.wait(1)
            self.fleet.ask_around(n)

    def _existing(self, document):
        """This document, or another one that exists."""
        existing = sorted(self.fleet.members)
        if document in existing or not existing:
            return document
        return existing[DOCUMENTS.index(document) % len(existing)]

    # The network

    @rule(
        loss=st.sampled_from((50, 20, 0)),
        duplication=st.sampled_from((0, 30)),
        max_delay_ms=st.sampled_from((6000, 2000, 20)),
    )
    def disturb(self, loss, duplication, max_delay_ms):
        self.fleet.disturb(loss, duplication, max_delay_ms)

    @rule(seconds=st.sampled_from((0.1, 1, 5, 30, 200)))
    def wait(self, seconds):
        self.fleet.run(int(seconds * 1000))

    # The nodes

    @rule(n=numbers, seconds=st.sampled_from((0, 0, 2)))
    def fetch(self, n, seconds):
        self.fleet.fetch(n)
        self.wait(seconds)

    @rule(
        n=numbers,
        document=documents,
        observe=st.sampled_from((None, None, 1)),
        seconds=st.sampled_from((0, 2, 2)),
    )
    def read(self, n, document, observe, seconds):
        self.fleet.read(n, self._existing(document), observe)
        self.wait(seconds)

    @rule(n=numbers)
    def ask_around(self, n):
        self.fleet.ask_around(n)

    @rule(n=numbers, document=documents, pushes=st.booleans())
    def read_deaf(self, n, document, pushes):
        self.fleet.read_deaf(n, self._existing(document))
        if pushes:
            self._push()

    # What may end an observation before its UE can know of it

    @rule(n=numbers, what=st.sampled_from(_STRIKES), seconds=st.sampled_from((5, 60, 200)))
    def strike(self, n, what, seconds):
        fleet = self.fleet
        if what == "black out":
            fleet.black_out()
            fleet.run(seconds * 1000)
            fleet.quiet()
        elif what == "strange answers":
            fleet.answer_strangely(25)
        elif what == "link down":
            fleet.link_down(n)
            fleet.run(seconds * 1000)
            fleet.link_up(n)
        elif what == "move":
            fleet.move(n)
        elif what == "restart server":
            fleet.restart_server()
        elif what == "restart client" and self.middle == "separated":
            fleet.restart_client()
        else:
            fleet.restart_middle()

    @rule(n=numbers)
    def restart_ue(self, n):
        self.fleet.start_ue(n)

    # What must hold

    @rule()
    def settle(self):
        self._none(self.fleet.settle())

    def teardown(self):
        if not hasattr(self, "fleet"):
            return
        self._push()
        self._none(self.fleet.settle())
        self._none(self.fleet.ask_all())
        self._none(self.fleet.push())
        self._none(list(self.fleet.empty().items()))

    def _push(self):
        if not self.fleet.harsh:
            self._none(self.fleet.push())

    def _none(self, found):
        assert not found, found


class GatewayMachine(FleetMachine):
    middle = "gateway"


class SeparatedMachine(FleetMachine):
    middle = "separated"


MACHINES = {m.middle: m for m in (FleetMachine, GatewayMachine, SeparatedMachine)}


def run(middle, n_examples, **more):
    """Try so many sequences of steps; more: further settings of hypothesis."""
    run_state_machine_as_test(
        MACHINES[middle],
        settings=settings(
            max_examples=n_examples,
            stateful_step_count=N_STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            **more,
        ),
    )


if __name__ == "__main__":
    try:
        run(
            sys.argv[1],
            int(sys.argv[2]),
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
            report_multiple_bugs=False,
        )
    except AssertionError as error:
        print(error, "\n".join(getattr(error, "__notes__", ())), sep="\n")
        sys.exit(FOUND)
