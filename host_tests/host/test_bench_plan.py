"""`msgin5g bench --plan`: what a number of UEs needs, from figures that are measured."""

import json

import pytest
from click.testing import CliRunner

from msgin5g_tools.bench import plan
from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.store import Store


def run(*arguments):
    result = CliRunner().invoke(msgin5g, ["bench", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def small(monkeypatch):
    for name, value in (("DOCUMENTS", 300), ("REQUESTS", 300), ("OBSERVERS", 100)):
        monkeypatch.setattr(plan, f"_N_{name}", value)


def test_the_plan_is_that_of_the_measured_figures():
    measured = plan.Measured("SQLite", 0.0005, 1000.0, 3000, 1000, 500.0)
    assert plan.plan(measured, 1_000_000, 86_400) == {
        "requests_per_s": 11.57,
        "processes": 1,
        "all_ask_at_once_s": 1000,
        "database_bytes": 1_000_000_000,
        "observers_bytes": 3_000_000_000,
        "import_s": 2000,
    }
    often = plan.plan(measured, 1_000_000, 600)
    assert (often["requests_per_s"], often["processes"]) == (1666.67, 4)
    assert often["all_ask_at_once_s"] == 250


@pytest.mark.parametrize("engine", ["SQLite", "PostgreSQL"])
def test_figures_are_measured_with_each_engine(small, engine, request):
    arguments = ["--plan", "1000000", "--json"]
    if engine == "PostgreSQL":
        db = request.getfixturevalue("postgresql").new_database()
        arguments += ["--db", db]
    status, out, _ = run(*arguments)
    shown = json.loads(out)
    measured = shown["measured"]
    assert status == 0 and (shown["ues"], shown["max_age_s"]) == (1_000_000, 86_400)
    assert measured["engine"] == engine and 300 < measured["ue_size"] < 30_000
    assert measured["get_s"] > 0 and measured["n_get_per_s"] > 0
    assert shown["plan"]["processes"] >= 1
    if engine == "PostgreSQL":
        with Store(db) as store:
            assert store.value("SELECT count(*) FROM ues") == 300, "with what became of the UEs"
        status, _, error = run(*arguments)
        assert status == 1 and error.endswith(": has documents: name an empty database\n")
        request.getfixturevalue("postgresql").drop_databases()


def test_bad_input_is_one_line():
    for arguments, expected in (
        (("--plan", "0"), "0 is not in the range"),
        (("--plan", "5", "--max-age", "0"), "0 is not in the range"),
        (("--plan", "5", "--db", "scm.db"), "'scm.db' is no postgresql:// URL"),
        (("--db", "postgresql://h/x"), "--db: is for --plan"),
    ):
        status, out, error = run(*arguments)
        assert status == 2 and out == "" and expected in error
    status, _, error = run("--plan", "5", "--db", "postgresql://u:s3cret@127.0.0.1:1/x")
    assert status == 1 and error.count("\n") == 1 and "s3cret" not in error
