"""A person can follow a job through the files: control switches between few of them."""

import pytest
from file_switches import SCENARIOS

LIMITS = {"bulk for three UEs": 250, "a UE's way in": 100}


@pytest.mark.parametrize("name", SCENARIOS)
def test_control_does_not_jump_between_files(name):
    SCENARIOS[name]()  # a lazy import is not what is counted
    count = SCENARIOS[name]()
    assert 0 < count.n <= LIMITS[name], sorted(count.pairs.items(), key=lambda item: -item[1])
