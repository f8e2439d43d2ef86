"""What boards freeze is what their roles import, and what a role takes stays within its budget."""

import json
import shutil

import pytest

from msgin5g_tools.build.modules import import_graph
from msgin5g_tools.checks import budget, manifests
from msgin5g_tools.checks.manifests import BOARDS, Manifest, ManifestError


@pytest.fixture
def manifest(tmp_path):
    """A function that writes a manifest beside a package `pack` and evaluates it."""
    (tmp_path / "pack").mkdir()
    for name in ("one.py", "two.py", "data.bin"):
        (tmp_path / "pack" / name).write_text("")

    def write(text, name="manifest.py"):
        (tmp_path / name).write_text(text)
        return Manifest(tmp_path / name)

    return write


def test_the_boards_are_in_order():
    assert list(manifests.faults()) == []


def test_a_role_leaves_out_what_it_does_not_need():
    ue, relay = (
        Manifest(BOARDS / "RPI_PICO_W" / role / "manifest.py").files for role in ("ue", "relay")
    )
    assert "msgin5g/relay.py" not in ue and "msgin5g/coap/responder.py" not in ue
    assert set(ue) < set(relay)
    everything = Manifest(BOARDS / "ESP32_GENERIC" / "manifest.py").files
    assert set(relay) <= set(everything) and "main.py" in everything


def test_the_functions_of_a_manifest(manifest):
    made = manifest(
        'metadata(version="1")\n'
        'include("$(PORT_DIR)/boards/manifest.py")\n'
        'require("aioble")\n'
        'package("pack", opt=1)\n'
        'module("pack/one.py", opt=3)\n'
    )
    assert made.outside == ["$(PORT_DIR)/boards/manifest.py", "aioble"]
    assert {name: opt for name, (_, opt) in made.files.items()} == {
        "pack/one.py": 3,
        "pack/two.py": 1,
    }
    manifest('options.defaults(b="one.py")\npackage("pack", files=(options.b,))', "other.py")
    made = manifest('include("other.py", b="two.py")')
    assert list(made.files) == ["pack/two.py"]


def test_what_a_manifest_gets_wrong(manifest):
    for text, words in (
        ('include("nothing.py")', "nothing.py: is included and does not exist"),
        ('package("pack", files=("three.py",))', "pack/three.py is named"),
        ('freeze("pack")', "NameError"),
        ("package(", "SyntaxError"),
    ):
        with pytest.raises(ManifestError, match=words):
            manifest(text)


def test_a_module_too_few_or_too_many_is_named(tmp_path, monkeypatch):
    shutil.copytree(BOARDS, tmp_path / "boards")
    (tmp_path / "firmware").symlink_to(manifests.FIRMWARE)
    shared = tmp_path / "boards" / "manifest.py"
    lists = manifests.lists(import_graph())
    text = shared.read_text().replace('    "coap/ticks.py",\n', "")
    shared.write_text(
        text.replace("_RELAY = (", '_RELAY = ("coap/ticks.py",').replace("opt=1", "", 1)
    )
    board = tmp_path / "boards" / "RPI_PICO_W" / "board.json"
    board.write_text(json.dumps({**json.loads(board.read_text()), "mcu": 1, "colour": "green"}))
    (tmp_path / "boards" / "RPI_PICO2_W" / "ue" / "manifest.py").unlink()
    monkeypatch.setattr(manifests, "BOARDS", tmp_path / "boards")
    monkeypatch.setattr(manifests, "FIRMWARE", (tmp_path / "firmware").resolve())
    said = "\n".join(manifests.faults())
    repaired = manifests.with_lists(shared.read_text(), lists)
    assert '    "coap/ticks.py",\n' in repaired and '("coap/ticks.py",' not in repaired
    assert "role ue imports msgin5g.coap.ticks, which the manifest does not name" in said
    assert "role relay imports msgin5g.coap.ticks" not in said
    assert "is not frozen with opt=1" in said
    assert "mcu is missing or not a str" in said and "colour is not a key" in said
    assert "RPI_PICO2_W/ue/manifest.py: is missing" in said


def test_a_budget_reports_what_is_above_its_limit():
    found = {"mpy_idle": 130, "romfs_idle": 7}
    lines = list(budget.excesses("ue", found, {"mpy_idle": 100}))
    assert lines == [
        "ue: mpy_idle is 130 bytes, 30 above its limit of 100",
        "budget.toml: [ue] romfs_idle is missing; it is 7",
    ]
    assert list(budget.excesses("ue", found, {"mpy_idle": 130, "romfs_idle": 7})) == []
    assert budget.shown("ue", {"mpy_idle": 81920}) == ("ue: mpy_idle 80.0 KB (32-bit about 56 KB)")


def test_what_has_not_changed_is_measured_once(monkeypatch, tmp_path):
    measured = []
    interpreter = ["one"]
    monkeypatch.setattr(
        budget,
        "measure",
        lambda roles: measured.append(roles) or {r: {"n": len(r)} for r in roles},
    )
    monkeypatch.setattr(budget, "interpreter_command", lambda: interpreter[0])
    monkeypatch.setattr(budget, "FIRMWARE", tmp_path / "firmware")
    monkeypatch.setattr(budget, "ROOT", tmp_path)
    monkeypatch.setattr(budget, "limits", lambda: {"ue": {"n": 9}, "relay": {"n": 9}, "x": {}})
    kept = tmp_path / "build" / "budget.json"
    module = tmp_path / "firmware" / "a.py"
    module.parent.mkdir()
    module.write_text("x = 1\n")
    assert budget.figures(["ue"], kept) == budget.figures(["ue"], kept) == {"ue": {"n": 2}}
    assert set(budget.figures(["ue", "relay"], kept)) == {"ue", "relay"}
    assert measured == [["ue"], ["relay"]]
    module.write_text("x = 2\n")
    budget.figures(["ue"], kept)
    interpreter[0] = "another"
    budget.figures(["ue"], kept)
    kept.write_text("{")
    budget.figures(["ue"], kept)
    assert measured[2:] == [["ue"]] * 3
    for _ in range(2):
        budget.figures(["x"], kept)
    assert measured[5:] == [["x"]] * 2, "above its limit"


def test_the_budget_of_a_ue_is_what_its_users_were_promised():
    limits = budget.limits()
    assert set(limits) == {"ue", "relay", "gateway"}
    assert limits["ue"]["mpy_idle"] <= 110 << 10
    assert limits["ue"]["mpy_smallest"] <= 124 << 10
    assert limits["ue"]["romfs_idle"] <= 68 << 10


@pytest.mark.parametrize("role", ["ue", "relay", "gateway"])
def test_what_a_role_takes_is_within_its_budget(role):
    figures = budget.figures()[role]
    assert list(budget.excesses(role, figures, budget.limits()[role])) == []
    assert 20000 < figures["romfs_idle"] < figures["mpy_idle"] < figures["mpy_smallest"]
