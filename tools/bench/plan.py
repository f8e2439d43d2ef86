"""What a number of UEs needs, from figures that are measured on this machine: `bench --plan`."""

import math
import tempfile
import time
from collections import namedtuple

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.scm_server import GET, Peers, Server, cost_of_get, fill
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.store import Store

_N_DOCUMENTS = 4000
_N_REQUESTS = 2000
_N_OBSERVERS = 1000
_RECORDED_S = 1.5  # then what became of the UEs is in the database
_LOAD = 0.5  # of a processor, in the mean: the rest is for bursts

# get_s: processor time of a server for a GET. n_get_per_s: what one process serves with this
# database on this machine. observer_size, ue_size: bytes of memory, and of the database for a UE
# with its document and what became of it. n_import_per_s: documents.
Measured = namedtuple("Measured", "engine get_s n_get_per_s observer_size ue_size n_import_per_s")


def measure(db=None):
    """Measured, with a file of SQLite, or an empty database of PostgreSQL, which is filled."""
    with tempfile.TemporaryDirectory() as folder:
        path = db or f"{folder}/scm.db"
        try:
            return _measure(folder, path, "PostgreSQL" if db else "SQLite")
        except ScmError as error:
            raise BenchError(str(error)) from None


def _measure(folder, db, engine):
    with Store(db) as store:
        if store.count():
            raise BenchError(f"{store.name}: has documents: name an empty database")
        before = store.size()
    began = time.perf_counter()
    fill(db, _N_DOCUMENTS)
    import_s = time.perf_counter() - began
    with Server(folder, db=db) as server:
        get_s = cost_of_get(server, _N_DOCUMENTS, _N_DOCUMENTS, _N_REQUESTS)
        began = time.perf_counter()
        peers = Peers(server.address)
        n_done = peers.exchange((n % 5000, GET, n, {}) for n in range(_N_DOCUMENTS))
        served_s = time.perf_counter() - began
        time.sleep(_RECORDED_S)
        with Store(db) as store:
            ue_size = (store.size() - before) / _N_DOCUMENTS
        peers.close()
    with Server(folder, db=db) as server:  # a new one: this one has memory to spare
        peers = Peers(server.address)
        peers.exchange((n, GET, n, {}) for n in range(100))
        before_mb = server.rss_mb()
        peers.exchange((n, GET, n, {"observe": True}) for n in range(_N_OBSERVERS))
        observer_size = max(0, server.rss_mb() - before_mb) * 1e6 / _N_OBSERVERS
        peers.close()
    rates = n_done / served_s, _N_DOCUMENTS / import_s
    return Measured(engine, get_s, rates[0], round(observer_size), round(ue_size), rates[1])


def plan(measured, n_ues, max_age_s):
    """{what: figure} for this number of UEs, each of which asks once in max_age_s."""
    n_per_s = n_ues / max_age_s
    served = min(measured.n_get_per_s, 1 / measured.get_s)
    processes = max(1, math.ceil(n_per_s / (served * _LOAD)))
    return {
        "requests_per_s": round(n_per_s, 2),
        "processes": processes,
        "all_ask_at_once_s": round(n_ues / (served * processes)),
        "database_bytes": n_ues * measured.ue_size,
        "observers_bytes": n_ues * measured.observer_size,
        "import_s": round(n_ues / measured.n_import_per_s),
    }
