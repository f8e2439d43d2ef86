"""The oldest and the newest MicroPython import the firmware and pass its unit tests.

`make versions` does it with all that npm and PyPI have, and with the source, too.
"""

import os
import re
import shutil

import pytest

from msgin5g_tools.checks import versions as check_versions
from msgin5g_tools.checks.versions import RELEASES, VersionError, check


@pytest.fixture(autouse=True)
def node():
    if shutil.which("npm") is None and "CI" not in os.environ and os.geteuid() != 0:
        pytest.skip("npm is not installed (Debian: nodejs npm)")


@pytest.mark.parametrize("version", [RELEASES[0], RELEASES[-1]])
def test_what_boards_get_passes(version):
    name, n_passed, n_failed, output = check(version, "mpy")
    assert name.startswith(f"v{version}") and n_failed == 0, output
    assert n_passed > 200


def test_what_does_not_pass_is_found(monkeypatch, tmp_path):
    names = [*check_versions.modules(), "msgin5g.nothing"]
    monkeypatch.setattr(check_versions, "modules", lambda: names)
    monkeypatch.setattr(check_versions, "stems", lambda: ["test_replies", "test_port_flash"])
    _, n_passed, n_failed, output = check(RELEASES[0], "mpy")
    assert n_failed == 1 and n_passed > 70 and "FAILED import msgin5g.nothing" in output
    (tmp_path / "npm").write_text("#!/bin/sh\necho no\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(check_versions, "BUILD", tmp_path)
    with pytest.raises(VersionError, match=r"npm does not give @micropython/.* 1\.24\.0: no"):
        check(RELEASES[0], "mpy")
    (tmp_path / "npm").unlink()
    with pytest.raises(VersionError, match="npm is missing"):
        check(RELEASES[0], "mpy")


def test_the_pages_name_what_was_tried(repository):
    for page in ("docs/testing.md", "boards/README.md"):
        named = set(re.findall(r"1\.\d\d\.\d(?:-\d)?", (repository / page).read_text()))
        assert set(RELEASES) <= named, page
