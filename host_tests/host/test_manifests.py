"""What boards freeze is what their roles import, and what a role takes stays within its budget."""

import json
import shutil

import pytest

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
    assert "msgin5g/roles/relay.py" not in ue and "msgin5g/coap/server.py" not in ue
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
    lists = manifests.lists(manifests.imports())
    text = shared.read_text().replace('    "coap/ticks.py",\n', "")
    shared.write_text(
        text.replace("_RELAY = (", '_RELAY = ("coap/ticks.py",').replace("opt=1", "", 1)
    )
    board = tmp_path / "boards" / "RPI_PICO_W" / "board.json"
    board.write_text(json.dumps({**json.loads(board.read_text()), "mcu": 1, "colour": "green"}))
    (tmp_path / "boards" / "RPI_PICO2_W" / "budget.toml").unlink()
    monkeypatch.setattr(check_manifests, "BOARDS", tmp_path / "boards")
    monkeypatch.setattr(check_manifests, "FIRMWARE", (tmp_path / "firmware").resolve())
    said = "\n".join(manifests.faults())
    repaired = manifests.written(shared.read_text(), lists)
    assert '    "coap/ticks.py",\n' in repaired and '("coap/ticks.py",' not in repaired
    assert "role ue imports msgin5g.coap.ticks, which the manifest does not name" in said
    assert "role relay imports msgin5g.coap.ticks" not in said
    assert "is not frozen with opt=1" in said
    assert "mcu is missing or not a str" in said and "colour is not a key" in said
    assert "RPI_PICO2_W/budget.toml: is missing" in said


def test_a_budget_says_by_what_it_is_exceeded(monkeypatch):
    monkeypatch.setattr(check_budget, "budget_of", lambda board: {"ue": {"mpy_bytes": 100}})
    found = {("X", "ue"): {"mpy_bytes": 130, "heap_bytes": 7}}
    lines = list(budget.excesses(found, {("X", "ue"): {"a.py": 100, "b.py": 30}}))
    assert lines[0] == "X ue: mpy_bytes is 130, 30 above its budget; largest: a.py 100, b.py 30"
    assert lines[1].endswith("[ue] heap_bytes is missing; it is 7")
    found["X", "ue"] = {"mpy_bytes": 100}
    assert list(budget.excesses(found, {("X", "ue"): {}})) == []


def test_a_ratchet_only_lowers():
    text = "[ue]\nmpy_bytes = 900\nother_mpy_bytes = 7\n[relay]\nmpy_bytes = 900\n"
    assert budget.ratchet(text, "ue", {"mpy_bytes": 500}) == text.replace("900", "510", 1)
    assert budget.ratchet(text, "ue", {"mpy_bytes": 5000}) == text
    lowered = budget.ratchet(text, "relay", {"mpy_bytes": 100})
    assert lowered == "[ue]\nmpy_bytes = 900\nother_mpy_bytes = 7\n[relay]\nmpy_bytes = 102\n"


def test_the_figures_are_measured_and_within_their_budgets():
    found, modules = budget.measure()
    assert list(budget.excesses(found, modules)) == []
    figures = found["RPI_PICO_W", "ue"]
    assert 20000 < figures["mpy_bytes"] < found["RPI_PICO_W", "relay"]["mpy_bytes"]
    assert 20000 < figures["heap_bytes"] < 131072
