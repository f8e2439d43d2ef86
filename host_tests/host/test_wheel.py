"""The wheel: the firmware, the test kit and the tools; what needs the checkout says so."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import msgin5g
import pytest

from msgin5g_tools.paths import ROOT
from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.store import Store

_PACKAGES = {
    "msgin5g": "firmware/msgin5g",
    "msgin5g_testkit": "host_tests/testkit/msgin5g_testkit",
    "msgin5g_tools": "tools",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A folder with what `pip wheel .` packs, made from a copy of the files that it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in _PACKAGES.values():
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, "."]
    done = subprocess.run(
        command, cwd=source, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    with zipfile.ZipFile(made) as packed:
        packed.extractall(folder / "installed")
    return folder / "installed"


def files_of(folder):
    """Its files in Python and Lua."""
    return [*folder.rglob("*.py"), *folder.rglob("*.lua")]


def run(wheel, *arguments):
    return subprocess.run(
        [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", *arguments],
        cwd=wheel,
        env={**os.environ, "PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_wheel_holds_every_file_of_the_three_packages_and_nothing_else(wheel):
    for name, source in _PACKAGES.items():
        packed = {path.relative_to(wheel / name) for path in files_of(wheel / name)}
        assert packed == {path.relative_to(ROOT / source) for path in files_of(ROOT / source)}
    others = {path.name for path in wheel.iterdir() if path.suffix != ".dist-info"}
    assert others == set(_PACKAGES)
    (points,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "msgin5g = msgin5g_tools.cli:main" in points.read_text()


def test_firmware_and_test_kit_need_nothing_else(wheel, tmp_path):
    # -S: without site-packages, as in a fresh environment into which the wheel alone was unpacked.
    program = f"import sys; sys.path.append({str(wheel)!r}); import msgin5g, msgin5g_testkit; "
    program += "import msgin5g.ue, micropython, network; print(msgin5g.__file__)"
    command = [sys.executable, "-S", "-E", "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == f"{wheel / 'msgin5g' / '__init__.py'}\n", done.stderr


def test_the_command_works_without_the_checkout_and_names_what_it_needs(wheel, tmp_path):
    done = run(wheel, "--help")
    assert done.returncode == 0 and "scm-server" in done.stdout, done.stderr
    done = run(wheel, "scm-server", "--help")
    assert done.returncode == 0 and "--bind" in done.stdout, done.stderr
    done = run(wheel, "wireshark", "--install", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "msgin5g.lua").read_text().startswith("-- Wireshark dissector")
    done = run(wheel, "flash", "--port", "none")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: msgin5g flash needs the source tree, and ")
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_documents_and_keys_are_changed_without_the_firmware(wheel, tmp_path):
    db = str(tmp_path / "scm.db")
    with Store(db) as store:
        Contexts(store).add(UE, "urn:x:1")
    document = {"ueConfigDocId": "a", "valServiceDomain": "b", "ues": ["urn:x:1"]}
    (tmp_path / "a.json").write_text(json.dumps({"documents": [document]}))
    done = run(wheel, "documents", "import", str(tmp_path / "a.json"), "--db", db)
    assert done.stdout.startswith("1 created"), done.stderr
    assert "urn:x:1" in run(wheel, "keys", "list", "--db", db).stdout
    done = run(wheel, "keys", "rotate", "urn:x:1", "--db", db, "--port", "/dev/null")
    assert done.returncode == 1 and "--port needs the source tree" in done.stderr
    assert "the former key works" in run(wheel, "keys", "rotate", "urn:x:1", "--db", db).stdout
    assert "revoked" in run(wheel, "keys", "revoke", "urn:x:1", "--db", db).stdout


def test_the_firmware_has_the_version_of_the_package():
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r'^version = "(.*)"$', text, re.MULTILINE)[1] == msgin5g.__version__
