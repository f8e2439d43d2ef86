"""msgin5g_tools.build: what is compiled, when it is compiled again, and what a role gets."""

import os
import subprocess

import pytest

from msgin5g_tools.build import mpy as build_mpy
from msgin5g_tools.build.modules import ROLES, Import, imports_of, module_name
from msgin5g_tools.build.mpy import BuildError, build_firmware, compile_file, role_files
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.commands.run import interpreter_command
from msgin5g_tools.paths import FIRMWARE, ROOT


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    return build_firmware(tmp_path_factory.mktemp("build") / "firmware")


def micropython(program, *path):
    """What a program prints on MicroPython, with these on sys.path."""
    program = f"import sys; sys.path[:0] = {list(map(str, path))!r}\n{program}"
    done = subprocess.run(
        [interpreter_command(), "-X", "heapsize=1M", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def test_what_was_removed_or_spoilt_is_built_again(target):
    removed, spoilt = target / "msgin5g" / "main.mpy", target / "msgin5g" / "coap" / "endpoint.mpy"
    good = removed.read_bytes(), spoilt.read_bytes()
    removed.unlink()
    spoilt.write_bytes(b"M")
    os.utime(spoilt, ns=(0, 0))
    build_firmware(target)
    assert (removed.read_bytes(), spoilt.read_bytes()) == good
    roles = target.with_suffix(".roles")
    good = roles.read_bytes()
    for lose in (roles.unlink, lambda: roles.write_text("{}")):
        lose()
        build_firmware(target)
        assert roles.read_bytes() == good


def test_a_build_is_only_made_again_when_something_was_touched(target, tmp_path, monkeypatch):
    built = []
    compile_all = build_mpy.compile_all
    monkeypatch.setattr(
        build_mpy, "compile_all", lambda *arguments: built.append(1) or compile_all(*arguments)
    )
    assert build_firmware(target) == target and not built
    source = tmp_path / "source.py"
    source.write_text("x = 1\n")
    monkeypatch.setattr(build_mpy, "INPUTS", (*build_mpy.INPUTS, source))
    for n in (1, 2):
        build_firmware(target)
        build_firmware(target)
        assert len(built) == n
        os.utime(source, ns=(n, n))


def test_each_module_is_one_file_under_its_own_name(target):
    sources = {file.relative_to(FIRMWARE) for file in (FIRMWARE / "msgin5g").rglob("*.py")}
    made = {file.relative_to(target).with_suffix(".py") for file in target.rglob("*.mpy")}
    assert made == sources
    assert (target / "main.py").read_bytes() == (FIRMWARE / "main.py").read_bytes()


def test_a_traceback_names_the_file_and_the_line_of_the_repository(target):
    program = "from msgin5g.cbor.reader import Reader\nReader(None)\nfrom msgin5g.coap.message"
    printed = micropython(program + " import Message\nMessage().decode(None)", target)
    lines = [line for line in printed.split("\n") if '"firmware/' in line]
    assert lines, printed
    for line in lines:
        _, name, _, number = line.replace(",", " ").replace('"', " ").split()[:4]
        function = line.rpartition("in ")[2]
        source = (ROOT / name).read_text().split("\n")
        above = "\n".join(source[: int(number)])
        assert f"def {function.strip()}(" in above, (line, name)


def test_what_does_not_compile_is_reported_with_its_name_and_line(tmp_path, monkeypatch):
    monkeypatch.setattr(build_mpy, "ROOT", tmp_path)
    (tmp_path / "wrong.py").write_text("x = 1\nx = = 2\n")
    with pytest.raises(BuildError, match=r'^wrong.py: (.|\n)*wrong.py", line 2'):
        compile_file(tmp_path / "wrong.py", tmp_path / "wrong.mpy")
    assert not (tmp_path / "wrong.mpy").exists()


def test_a_role_gets_the_modules_that_it_imports_and_no_others():
    files = {role: role_files(role) for role in (*ROLES, "all")}
    assert "msgin5g/relay.mpy" in files["relay"]
    assert "msgin5g/gateway/gateway.mpy" in files["gateway"]
    for name in files["ue"]:
        assert not name.startswith(("msgin5g/relay", "msgin5g/gateway")), name
        assert name != "msgin5g/coap/responder.mpy"
    assert set(files["ue"]) < set(files["relay"]) < set(files["all"])
    assert list(files["ue"])[-1] == "main.py"
    for role in ROLES:
        assert "msgin5g/repl/__init__.mpy" in files[role]
        assert all(file.is_file() for file in files[role].values())


def test_an_image_in_romfs_holds_the_same_bytes_and_runs(tmp_path):
    image = build_romfs("ue", tmp_path / "ue.romfs")
    assert image.read_bytes()[:3] == b"\xd2\xcd\x31"
    assert build_romfs("ue", tmp_path / "again.romfs").read_bytes() == image.read_bytes()
    program = (
        "import vfs\n"
        f"vfs.mount(vfs.VfsRom(open({str(image)!r}, 'rb').read()), '/rom')\n"
        "from hashlib import sha256\n"
        "from binascii import hexlify\n"
        "import msgin5g.main\n"
        "print(msgin5g.main.__file__)\n"
    )
    files = {path: file for path, file in role_files("ue").items() if path != "main.py"}
    for path in files:
        program += f"print(hexlify(sha256(open('/rom/{path}', 'rb').read()).digest()).decode())\n"
    import hashlib

    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files.values()]
    printed = micropython(program, "/rom").split()
    assert printed[0].startswith("/rom/msgin5g/main") and printed[1:] == digests


def test_every_kind_of_import_is_seen(tmp_path):
    names = ["pack", "pack.one", "pack.two", "pack.three"]
    file = tmp_path / "file.py"
    file.write_text(
        "import pack.one\n"
        "from pack import two\n"
        "import os\n"
        "def f():\n"
        "    from pack.three import x\n"
        "    if x:\n"
        "        __import__('pack.one')\n"
    )
    assert imports_of(file, names) == [
        Import("pack.one", 1, False),
        Import("pack.two", 2, False),
        Import("pack.three", 5, True),
        Import("pack.one", 7, True),
    ]
    assert module_name(tmp_path / "a" / "__init__.py", tmp_path) == "a"
