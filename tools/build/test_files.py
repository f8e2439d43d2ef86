"""What a file of tests needs on a board: the modules beside it that it imports, and the test kit.

The firmware is apart: a test may use all of it.
"""

import ast
import tempfile
from pathlib import Path

from msgin5g_tools.build.modules import imports_of, parents_of, sources
from msgin5g_tools.build.mpy import build_firmware, compile_to
from msgin5g_tools.paths import TESTKIT

_KIT = "msgin5g_testkit"
# What MicroPython has itself, or what is for CPython only.
_NOT_THERE = {f"{_KIT}.cpython"} | {
    f"{_KIT}.shim.{name}" for name in ("cryptolib", "machine", "micropython", "uctypes")
}
_RUNNER = f"{_KIT}.runner"


def modules_beside(file):
    """{name: file} of the modules in the folder of a file, packages with what is in them."""
    found = {}
    for path in sorted(file.parent.glob("*.py")):
        found[path.stem] = path
    for package in sorted(file.parent.glob("*/__init__.py")):
        found.update(sources(file.parent, (package.parent.name,)))
    return found


def needed_by(file):
    """{name of a module: file}: the test, what it imports from its folder, and the test kit.

    An application is often named by a text only, as in `application="my_app"`: each text in the
    test that is the name of a module beside it counts.
    """
    kit = sources(TESTKIT, (_KIT,))
    names = {**modules_beside(file), **kit}
    todo, found = [file.stem, _RUNNER], {}
    while todo:
        name = todo.pop()
        if name in found or name in _NOT_THERE:
            continue
        found[name] = names[name]
        wanted = {found_import.target for found_import in imports_of(names[name], names)}
        if name not in kit:
            wanted |= named_in(names[name]) & set(names)
        todo += [*wanted, *(parent for each in (name, *wanted) for parent in parents_of(each))]
    return found


def named_in(file):
    """The texts of a source file that could be names of modules."""
    return {
        node.value
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def board_files(file):
    """{path below a folder of the board: bytes} as .mpy: the test and what it needs."""
    found = {}
    firmware = build_firmware()
    for path in sorted(firmware.glob("**/*.mpy")):
        found[f"firmware/{path.relative_to(firmware).as_posix()}"] = path.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for name, source in needed_by(file).items():
            target = Path(folder, "module.mpy")
            compile_to(source, target, source.name)
            path = name.replace(".", "/") + ("/__init__" if source.stem == "__init__" else "")
            found[f"tests/{path}.mpy"] = target.read_bytes()
            target.unlink()
    return found
