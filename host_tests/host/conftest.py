"""Fixtures of the tests of the ETSI catalogue; each module defines its own `etsi`."""

import pytest
from etsi_clients import HastyReliable
from etsi_setup import DIRECT, CLIENT_PAIRS, PAIRS, UES, EtsiSetup

from msgin5g_tools.scm_server import site


@pytest.fixture(scope="module")
def hasty_etsi(tmp_path_factory):
    """A EtsiSetup whose server gives up a silent observer soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "Reliable", HastyReliable)
        with EtsiSetup(tmp_path_factory.mktemp("obs")) as made:
            yield made


@pytest.fixture(params=PAIRS)
def pair(request, etsi):
    """All of these."""
    return etsi.pair(request.param)


@pytest.fixture(params=CLIENT_PAIRS)
def client_pair(request, etsi):
    """A client of theirs at our server, and through our relay."""
    return etsi.pair(request.param)


@pytest.fixture(params=DIRECT)
def direct(request, etsi):
    """A client of theirs at our server: the relay passes GET only."""
    return etsi.pair(request.param)


@pytest.fixture(params=UES)
def ue_pair(request, etsi):
    """Our UE with a server of theirs."""
    return etsi.pair(request.param)
