"""msgin5g_tools.build.mpy: what is built again, and when nothing is."""

import os

import pytest

from msgin5g_tools.build import mpy as build_mpy


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return build_mpy.build_firmware(tmp_path_factory.mktemp("build") / "firmware")


def test_what_was_removed_or_spoilt_is_built_again(target):
    removed, spoilt = target / "msgin5g" / "main.mpy", target / "msgin5g" / "app.mpy"
    good = removed.read_bytes(), spoilt.read_bytes()
    removed.unlink()
    spoilt.write_bytes(b"M")
    os.utime(spoilt, ns=(0, 0))
    build_mpy.build_firmware(target)
    assert (removed.read_bytes(), spoilt.read_bytes()) == good


def test_a_build_is_only_made_again_when_something_was_touched(target, tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(build_mpy, "_build_firmware", built.append)
    assert build_mpy.build_firmware(target) == target and not built
    source = tmp_path / "source.py"
    source.write_text("x = 1\n")
    monkeypatch.setattr(build_mpy, "_TOOLS", [*build_mpy._TOOLS, source])
    for n in (1, 2):
        build_mpy.build_firmware(target)
        build_mpy.build_firmware(target)
        assert len(built) == n
        os.utime(source, ns=(n, n))
