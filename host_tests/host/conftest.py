"""Fixtures of several modules: a configuration management server, and the ETSI catalogue.

A module that needs another server has a fixture `scm` of its own; each one of the catalogue
defines its own `etsi`.
"""

import pytest
from etsi_clients import HastyReliable
from etsi_setup import DIRECT, CLIENT_PAIRS, PAIRS, UES, EtsiSetup
from scm_setup import Scm

from msgin5g_tools.scm_server import site


@pytest.fixture
def scm(tmp_path):
    """A server in this process, with an empty database."""
    with Scm(tmp_path) as server:
        yield server


@pytest.fixture
def client(scm):
    """A peer of that server."""
    with scm.client() as made:
        yield made


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
