"""Check that nobody uses the private names of another file's objects.

A name that begins with one underscore belongs to the file that defines it. Another file that needs
it shows a missing public method, attribute or property. The check covers firmware/, tools/ and
host_tests/: attribute access, imports of private names, and getattr or monkeypatch with the name
as a string.

`self._name` and `cls._name` are free. So is a name that the file defines itself: in a class body,
at the top of the file, or by assignment to `self._name`.
"""

import ast
import sys

from msgin5g_tools.paths import ROOT

FOLDERS = ("firmware", "tools", "host_tests")
# The files that may use private names of a library: the one place that a new release may break.
ADAPTERS = (
    "host_tests/testkit/msgin5g_testkit/asyncio_internals.py",
    "tools/scm_server/aiocoap_internals/",
)
_OWNERS = ("self", "cls")
# Public in spite of the underscore: a namedtuple's methods, two functions of the standard library.
_PUBLIC = {"_asdict", "_exit", "_fields", "_getframe", "_make", "_replace"}
_BY_NAME = {"getattr", "setattr", "hasattr", "delattr"}


def is_private(name):
    return (
        isinstance(name, str)
        and name.startswith("_")
        and not name.startswith("__")
        and name.strip("_") != ""
        and name not in _PUBLIC
    )


def defined_in(tree):
    """The private names that a file defines."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in _OWNERS:
                names.add(node.attr)
    return {name for name in names if is_private(name)}


def _uses(tree):
    """(line, owner, name) of every use of a private name of something else than self."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in _OWNERS):
                yield node.lineno, ast.unparse(node.value), node.attr
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if is_private(alias.name):
                    yield node.lineno, node.module or ".", alias.name
        elif isinstance(node, ast.Call) and len(node.args) > 1:
            function = getattr(node.func, "id", getattr(node.func, "attr", ""))
            owner, name = node.args[0], getattr(node.args[1], "value", None)
            if function in _BY_NAME and is_private(name):
                if not (isinstance(owner, ast.Name) and owner.id in _OWNERS):
                    yield node.lineno, ast.unparse(owner), name


def faults_of(text):
    """(line, expression) of each use that is not allowed in the text of a file."""
    tree = ast.parse(text)
    own = defined_in(tree)
    found = [(line, f"{owner}.{name}") for line, owner, name in _uses(tree) if name not in own]
    return sorted(found)


def faults():
    """What is wrong, a line each."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).glob("**/*.py")):
            where = file.relative_to(ROOT).as_posix()
            if where.startswith(ADAPTERS):
                continue
            for line, expression in faults_of(file.read_text()):
                yield f"{where}:{line}: {expression} is private to another file"


def main():
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
