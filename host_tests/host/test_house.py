"""The shape of firmware/: what no single module can show.

An interface is a class whose docstring begins with `Interface:`. Its methods are there to be
overridden in other files; no other method is.
"""

import ast
import re

import pytest
from msgin5g.coap.responder import ServerEndpoint

from msgin5g_tools.checks import private
from msgin5g_tools.paths import FIRMWARE

_MAX_ANCESTORS = 2
_MAX_MODULES = 80  # those that are not empty
_BACK_DOORS = re.compile(r"unload|sys\.modules|__getattr__")
_FREE = {"__init__", "__repr__", "__str__"}


class Class:
    """A class of the firmware: its file, the places of its bases, its methods.

    A place is (file, name).
    """

    def __init__(self, file, node, imported):
        self.file = file
        self.name = node.name
        names = [getattr(base, "id", getattr(base, "attr", "")) for base in node.bases]
        self.bases = [imported.get(name, (file, name)) for name in names]
        self.methods = {n.name: n.lineno for n in node.body if isinstance(n, ast.FunctionDef)}
        self.is_interface = (ast.get_docstring(node) or "").startswith("Interface:")


def sources():
    return sorted((FIRMWARE / "msgin5g").glob("**/*.py"))


def classes_of(texts):
    """{(file, name): Class} of the classes in {file: text}."""
    found = {}
    for file, text in texts.items():
        tree = ast.parse(text)
        imported = {
            alias.asname or alias.name: (node.module.replace(".", "/") + ".py", alias.name)
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[file, node.name] = Class(file, node, imported)
    return found


def ancestors(place, classes):
    """The places of all ancestors of ours."""
    found = []
    todo = list(classes[place].bases)
    while todo:
        base = todo.pop(0)
        if base in classes and base not in found:
            found.append(base)
            todo += classes[base].bases
    return found


def overrides(classes):
    """What is overridden in another file, and declared by no interface: a line each."""
    for place, made in classes.items():
        above = [classes[base] for base in ancestors(place, classes)]
        declared = {method for base in above if base.is_interface for method in base.methods}
        for base in above:
            if base.file != made.file:
                for method in set(made.methods) & set(base.methods) - declared - _FREE:
                    where = f"{made.file}:{made.methods[method]}"
                    yield f"{where}: {made.name}.{method} overrides {base.name}"


@pytest.fixture(scope="module")
def classes():
    return classes_of({f.relative_to(FIRMWARE).as_posix(): f.read_text() for f in sources()})


def test_one_place_removes_modules_and_no_class_is_a_proxy():
    found = {}
    for file in sources():
        text = file.read_text().splitlines()
        lines = [n for n, line in enumerate(text) if _BACK_DOORS.search(line)]
        if lines:
            found[file.relative_to(FIRMWARE).as_posix()] = lines
    assert set(found) <= {"msgin5g/main.py"}, found
    lines = found.get("msgin5g/main.py", [0])
    assert lines[-1] - lines[0] < 10, "more than one place"


def test_no_class_has_more_than_two_ancestors_of_ours(classes):
    found = {name: ancestors(name, classes) for name in classes}
    assert {n: above for n, above in found.items() if len(above) > _MAX_ANCESTORS} == {}


def test_no_method_is_overridden_in_another_file_but_those_of_an_interface(classes):
    assert list(overrides(classes)) == []


def test_what_overrides_is_found():
    base = "class A:\n    '''{}'''\n    def f(self): pass\n"
    other = "class B(A):\n    def f(self): pass\n    def g(self): pass\n"
    importing = "from a import A\n" + other
    found = classes_of({"a.py": base, "b.py": importing})
    assert ancestors(("b.py", "B"), found) == [("a.py", "A")]
    assert list(overrides(found)) == ["b.py:3: B.f overrides A"]
    interface = base.format("Interface: what a B does.")
    assert list(overrides(classes_of({"a.py": interface, "b.py": importing}))) == []
    assert list(overrides(classes_of({"a.py": base + other}))) == []


def test_an_endpoint_has_no_property_which_would_slow_each_store_into_it():
    for cls in ServerEndpoint.__mro__:
        assert [name for name, row in vars(cls).items() if isinstance(row, property)] == [], cls


def test_modules_are_few():
    texts = [text for text in (file.read_text() for file in sources()) if text.strip()]
    print(f"{len(texts)} modules, {sum(text.count(chr(10)) for text in texts)} lines")
    assert len(texts) <= _MAX_MODULES


def test_no_file_uses_the_private_names_of_another():
    assert list(private.faults()) == []


def test_a_private_name_of_another_file_is_found():
    def found(text):
        return [expression for _, expression in private.faults_of(text)]

    assert found("x._a\nx.y._b = 1\nself._c\ncls._d\nx.__class__\nos._exit(1)") == [
        "x._a",
        "x.y._b",
    ]
    assert found("class A:\n    def __init__(self):\n        self._a = 1\n\nother._a") == []
    assert found("from a import _b") == ["a._b"]
    assert found("getattr(x, '_a')\nmonkeypatch.setattr(x, '_b', 1)\ngetattr(x, 'c')") == [
        "x._a",
        "x._b",
    ]
