"""Whatever happens to UEs, relay, gateway and server, each UE ends with what is meant for it.

The state machine is in support/fleet_machine.py. Its counter-examples are plain tests in
nodes/test_fleet.py.
"""

import os

import pytest

import fleet_machine

_EXAMPLES = int(os.environ.get("FLEET_EXAMPLES", "150" if os.environ.get("CI") else "25"))


@pytest.mark.parametrize("middle", list(fleet_machine.MACHINES))
def test_each_ue_ends_with_what_the_server_would_give_it_alone(middle):
    fleet_machine.run(middle, _EXAMPLES)
