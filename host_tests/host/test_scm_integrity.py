"""The configuration server with a damaged database file: health says so, requests go on."""

import time

import pytest
from scm_setup import Scm, document, problem

from msgin5g_tools.scm_server.problem import DatabaseError
from msgin5g_tools.scm_server.store import Store

_N_DOCUMENTS = 2000
_LIMIT_S = 30


@pytest.fixture
def db(tmp_path):
    """A database of some hundred pages."""
    with Store(tmp_path / "scm.db") as store, store.transaction():
        for n in range(_N_DOCUMENTS):
            store.put("msgin5g", f"d{n:05}", document(f"urn:x:{n}"))
    return tmp_path / "scm.db"


def _damage(db):
    """Overwrite all pages but the first ones; what was there."""
    whole = db.read_bytes()
    with db.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xa5" * (len(whole) - 40 * 4096))
    return whole


def _fault(scm):
    """What /health answers, or None."""
    try:
        scm.call(lambda store: scm.server.check())
    except DatabaseError as error:
        return str(error)
    return None


def _wait(condition):
    ends_at = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_health_finds_damage_that_no_request_has_met_and_that_it_was_repaired(db):
    with Scm(db.parent, integrity_s=0.05) as scm, scm.client() as client:
        assert client.get("ue-uri=urn:x:7").code == "2.05" and _fault(scm) is None
        whole = _damage(db)
        _wait(lambda: _fault(scm) is not None)
        assert _fault(scm).startswith("it cannot be read: ") and "\n" not in _fault(scm)
        assert client.get(path="nothing").code == "4.04", "the server goes on"
        db.write_bytes(whole)
        _wait(lambda: _fault(scm) is None)


def test_a_request_that_meets_damage_gets_500_and_health_knows_at_once(db):
    with Scm(db.parent, integrity_s=3600) as scm, scm.client() as client:
        _damage(db)
        codes = set()
        for n in range(0, _N_DOCUMENTS, 50):
            answer = client.get(f"ue-uri=urn:x:{n}")
            codes.add(answer.code)
            if answer.code == "5.00":
                assert "the database is damaged: " in problem(answer)[-2]
        assert "5.00" in codes
        assert "it cannot be read: " in _fault(scm)
