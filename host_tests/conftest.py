"""pytest's side of the one suite: put the firmware, the test kit and the helpers on the path."""

import gc
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for path in (
    HERE.parent / "firmware",
    HERE / "nodes",  # host/test_gateway.py runs some of its tests with chance
    HERE / "support",
    HERE / "testkit",
):
    sys.path.insert(0, str(path))
sys.path.append(str(HERE.parent / "tools" / "simulate"))  # for fast_network_sim

import msgin5g_testkit  # noqa: E402, F401  # the shims: time.ticks_* with a period of 2**30

# A shell starts `make test &` with Ctrl-C ignored, and so would be every program under test.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Files that take long: they come first, so that a run does not end with one core at work.
_CAMPAIGNS = {
    "test_any_environment",
    "test_cbor_fuzz",
    "test_codec_fuzz",
    "test_conform_faults",
    "test_fleet_faults",
    "test_fleet_machine",
    "test_fuzz",
    "test_hostile_cost",
    "test_many_fetches",
    "test_no_key_shown",
    "test_power_cut",
    "test_provision_gateway",
    "test_provision_keys",
    "test_provision_seal_c",
    "test_schema_fuzz",
    "test_whole_in_any_environment",
    "test_scm_flood",
}
# Files of unit/ and nodes/ that take more than ten seconds: `make test-fast` leaves them out.
_SLOW = {"test_crowd"}


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if not _is_about_sqlite(item)]
    for item in items:
        if item.path.stem in _CAMPAIGNS:
            item.add_marker("campaign")
        if item.path.stem in _SLOW:
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.stem not in _CAMPAIGNS | _SLOW)


def _is_about_sqlite(item):
    """Whether a test of SQLite itself would run on PostgreSQL."""
    chosen = getattr(item, "callspec", None) and item.callspec.params.get("each_engine")
    return chosen == "postgresql" and item.get_closest_marker("sqlite")


def pytest_terminal_summary(terminalreporter, config):
    """How to run in this order again; pytest-randomly says it only without -q."""
    seed = config.getoption("randomly_seed", None)
    if seed is not None and not config.option.collectonly:
        terminalreporter.line(f"the order of the tests: --randomly-seed={seed}")


@pytest.fixture(scope="session")
def repository():
    return HERE.parent


def pytest_collection_finish():
    """Keep what is loaded now out of later collections: firmware calls gc.collect() often."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgresql():
    """A PostgresqlServer for the whole session."""
    from postgresql_server import PostgresqlServer

    with PostgresqlServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def each_engine(request):
    """A test runs on each engine; its databases are those of scm_setup.database_in."""
    from scm_setup import choose_engine

    if request.param == "sqlite":
        yield
        return
    server = request.getfixturevalue("postgresql")
    choose_engine(server)
    yield
    choose_engine(None)
    server.drop_databases()
