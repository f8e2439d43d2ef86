"""What the tests of ETSI's catalogue share: each of them has its own `world`."""

import pytest
from etsi_clients import HastyReliable
from etsi_world import DIRECT, HOPS, PAIRS, UES, World

from msgin5g_tools.scm_server import site


@pytest.fixture(scope="module")
def hasty_world(tmp_path_factory):
    """A World whose server gives up a silent observer soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "Reliable", HastyReliable)
        with World(tmp_path_factory.mktemp("obs")) as made:
            yield made


@pytest.fixture(params=PAIRS)
def pair(request, world):
    """All of these."""
    return world.pair(request.param)


@pytest.fixture(params=HOPS)
def hop(request, world):
    """A client of theirs at our server, and through our relay."""
    return world.pair(request.param)


@pytest.fixture(params=DIRECT)
def direct(request, world):
    """A client of theirs at our server: the relay passes GET only."""
    return world.pair(request.param)


@pytest.fixture(params=UES)
def ue_pair(request, world):
    """Our UE with a server of theirs."""
    return world.pair(request.param)
