"""`make mutants`: the changes it tries, the sample it draws, and what it says about them."""

from pathlib import Path

import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from msgin5g_tools.checks.mutants import report
from msgin5g_tools.checks.mutants.areas import areas, files_of
from msgin5g_tools.checks.mutants.catalogue import changed_lines, mutants_of, mutated, sample
from msgin5g_tools.checks.mutants.equivalent import Equivalents
from msgin5g_tools.checks.mutants.laboratory import Laboratory, Suite
from msgin5g_tools.checks.mutants.operators import OURS, ChangeNumber, operators
from msgin5g_tools.checks.mutants.session import Result, Session
from msgin5g_tools.paths import ROOT

MODULE = "firmware/msgin5g/pump.py"
SOURCE = '''"""A pump."""

_FULL = 8


def fill(level, by):
    """Add, but not beyond full."""
    while by:
        level += 1
        by -= 1
    return min(level, _FULL)


def drain(level):
    return level - 1
'''
TESTS = """
from msgin5g.pump import fill


def test_it_fills():
    assert fill(1, 2) == 3
    print("it prints what it likes")


def test_it_does_not_spill():
    assert fill(7, 2) == 8
"""


@pytest.fixture
def root(tmp_path):
    """A small project with the folders of this one."""
    made = tmp_path / "project"
    for name, text in (
        (MODULE, SOURCE),
        ("firmware/msgin5g/__init__.py", ""),
        ("host_tests/conftest.py", "import sys\nsys.path.insert(0, 'firmware')\n"),
        ("host_tests/support/checks.py", ""),
        ("host_tests/unit/test_pump.py", TESTS),
        ("tools/__init__.py", ""),
    ):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def of(text):
    """The mutant whose changed line is `text`."""
    found = [m for m in mutants_of("pump", MODULE, SOURCE) if mutated_line(m) == text]
    assert len(found) == 1, found
    return found[0]


def mutated_line(mutant):
    change = changed_lines(SOURCE, mutated(mutant, SOURCE))
    return change[-1][2:] if change else None


def test_each_operator_makes_the_change_that_it_shows():
    for operator in OURS:
        for example in operator.examples():
            before, after = example.pre_mutation_code, example.post_mutation_code
            assert mutate_code(before, operator(), example.occurrence) == after, operator


def test_every_change_of_the_project_compiles():
    """A change that does not compile is noticed by every test, and shows nothing."""
    file = "firmware/msgin5g/coap/block2.py"
    source = (ROOT / file).read_text()
    found = mutants_of("coap", file, source)
    assert len(found) > 50 and {mutant.operator for mutant in found} <= set(operators())
    for mutant in found:
        text = mutated(mutant, source)
        assert text != source
        compile(text, file, "exec")


def test_every_number_of_the_project_can_be_changed():
    for area in areas().values():
        for file in area.files:
            for node in ast_nodes(get_ast((ROOT / file).read_text())):
                for i, _ in enumerate(ChangeNumber().mutation_positions(node)):
                    assert ChangeNumber().mutate(node, i).value != node.value, (file, node)


def test_every_module_has_an_area_and_every_area_has_tests():
    found = areas()
    listed = [file for area in found.values() for file in area.files]
    firmware = {f.relative_to(ROOT).as_posix() for f in (ROOT / "firmware/msgin5g").glob("**/*.py")
                if f.stat().st_size and f.parent.name != "msgin5g"}  # fmt: skip
    assert firmware <= set(listed) and len(listed) == len(set(listed))
    assert {"coap", "relay", "gateway", "scm_server", "device"} <= set(found)
    for area in found.values():
        assert files_of(area.suite)


def test_the_same_seed_draws_the_same_sample_and_a_change_elsewhere_does_not_shift_it():
    def lines(source):
        drawn = sample(mutants_of("pump", MODULE, source), 4, "1")
        return {(mutant.function, mutant.line, mutant.operator) for mutant in drawn}

    first = lines(SOURCE)
    assert len(first) == 4 == len({line for _, line, _ in first})
    assert lines(SOURCE) == first
    assert lines(SOURCE.replace("\n\n_FULL", "\n\n# More text.\n\n_FULL")) == first


def test_a_change_is_noticed_or_runs_too_long_or_survives_or_is_run_by_no_test(root, tmp_path):
    expected = (
        ("return max(level, _FULL)", "killed"),
        ("_FULL = 9", "killed"),
        ("by += 1", "timeout"),
        ("return level - 2", "uncovered"),
    )
    with Laboratory(tmp_path / "cache", root) as laboratory:
        suite = laboratory.suite("firmware")
        assert suite.failed == []
        for line, outcome in expected:
            result = laboratory.judge(of(line), suite)
            assert result.outcome == outcome, (line, result)
            assert result.change[-1] == "+ " + line
            text = report.survivor(result)
            assert "no test runs it" in text if outcome == "uncovered" else True
        assert laboratory.judge(of("_FULL = 9"), suite).killer.endswith("::test_it_does_not_spill")
    assert (root / MODULE).read_text() == SOURCE
    assert not list(root.glob("**/*.pyc")) and not (root / ".path").exists()


def test_what_a_test_that_is_ended_leaves_running_in_a_session_of_its_own_ends_too(root, tmp_path):
    apart = f"""
import subprocess


def test_it_fills_beside_a_server():
    server = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open({str(tmp_path / "pids")!r}, "a") as file:
        print(server.pid, file=file)
    fill(1, 2)
    server.kill()
    server.wait()
"""
    (root / "host_tests/unit/test_pump.py").write_text(TESTS.partition("def")[0] + apart)
    with Laboratory(tmp_path / "cache", root) as laboratory:
        result = laboratory.judge(of("by += 1"), laboratory.suite("firmware"))
        assert result.outcome == "timeout"
        _, pid = (tmp_path / "pids").read_text().split()
        assert not Path(f"/proc/{pid}").exists()


def test_what_no_test_notices_survives(root, tmp_path):
    test = root / "host_tests/unit/test_pump.py"
    test.write_text(TESTS.replace("== 8", "> 0"))
    with Laboratory(tmp_path / "cache", root) as laboratory:
        result = laboratory.judge(of("_FULL = 9"), laboratory.suite("firmware"))
    assert result.outcome == "survived" and result.killer == ""
    assert "no test fails" in report.survivor(result)
    assert report.share([result]) == 0


def test_a_test_that_fails_without_a_change_notices_nothing(root, tmp_path):
    test = root / "host_tests/unit/test_pump.py"
    test.write_text(TESTS.replace("== 8", "== 5"))
    with Laboratory(tmp_path / "cache", root) as laboratory:
        suite = laboratory.suite("firmware")
        result = laboratory.judge(of("_FULL = 9"), suite)
    assert suite.failed == ["host_tests/unit/test_pump.py::test_it_does_not_spill"]
    assert result.outcome == "survived"


def test_quick_tests_come_first_and_a_long_one_runs_only_where_no_other_does():
    change = of("by += 1")
    row = change.rows[0]

    def order(mutant, **seconds):
        tests = {
            name: {"s": s, "lines": {MODULE: [row]} if name != "away" else {}}
            for name, s in seconds.items()
        }
        tests.update({f"other{i}": {"s": 1, "lines": {}} for i in range(40)})
        found = Suite({"failed": [], "said": "", "tests": tests}, "hash").tests_of(mutant)
        return [test for test in found if test in seconds]

    assert order(change, b=0.3, a=0.2, away=0.1, long=9) == ["a", "b"]
    assert order(change, longer=10, long=9, away=0.1) == ["long", "longer"]
    assert order(change, a=1.0, b=0.9) == ["b", "a"], "a second is not long"
    top = of("_FULL = 9")
    assert top.top and order(top, a=0.2, away=0.1, long=9) == ["a", "away"]


def test_a_run_that_was_stopped_goes_on_and_survivors_are_tried_with_new_tests(tmp_path):
    killed = Result(of("_FULL = 9"), "killed", "a_test", 0.5, ["- _FULL = 8", "+ _FULL = 9"])
    left = Result(of("_FULL = 7"), "survived", "", 0.5, ["- _FULL = 8", "+ _FULL = 7"])
    session = Session(tmp_path / "session.sqlite")
    assert session.find(killed.mutant, SOURCE, "tests") is None
    for result in (killed, left):
        session.save(result, SOURCE, "tests")
    session.close()
    session = Session(tmp_path / "session.sqlite")
    assert session.find(killed.mutant, SOURCE, "tests") == killed
    assert session.find(left.mutant, SOURCE, "tests") == left
    assert session.find(killed.mutant, SOURCE, "other tests") == killed
    assert session.find(left.mutant, SOURCE, "other tests") is None
    assert session.find(killed.mutant, SOURCE + "# Another module.\n", "tests") is None
    session.close()


def test_each_listed_equivalent_stands_in_its_module_and_has_a_reason():
    listed = Equivalents()
    found = {}
    for row in listed.mutants:
        assert len(row["why"]) > 10, row
        found.setdefault(row["module"], []).append(row["change"])
    for module, changes in found.items():
        lines = {line.strip() for line in (ROOT / module).read_text().splitlines()}
        for change in changes:
            gone = [line for line in change if line.startswith("- ") and line[2:] not in lines]
            assert gone == [], (module, change)
