"""docs/api.md: what an application may use, from the docstrings of the code.

python -m msgin5g_tools.checks.api            checks the page; exit status 1 when it differs
python -m msgin5g_tools.checks.api --write    writes it
"""

import ast
import inspect
import sys

from msgin5g_tools.paths import FIRMWARE, ROOT, TESTKIT

PAGE = ROOT / "docs" / "api.md"
_HEAD = """\
# API: every name that an application may use

Made from the docstrings by `python -m msgin5g_tools.checks.api --write`: change them, not this
page. [Applications](applications.md) explains how to use it.
"""
_NODE = FIRMWARE / "msgin5g" / "services" / "application.py"
PING = FIRMWARE / "msgin5g" / "services" / "ping.py"
_SCHEMA = FIRMWARE / "msgin5g" / "config" / "schema.py"
_REPL = FIRMWARE / "msgin5g" / "repl" / "__init__.py"
_KIT = TESTKIT / "msgin5g_testkit"
_MAX_SIGNATURE = 105
_VERBS = {"receive", "step", "transmit", "wait_ms"}  # of a node, for the network
# What follows in the file is not for the application.
_END_OF_NODE = "# What the builder and the loops call"


class MissingDocstring(Exception):
    """A public name that says nothing of itself."""


def page():
    """The text of docs/api.md; MissingDocstring names the file and the name."""
    parts = [_HEAD]
    parts += ["## node: what the hooks of an application get\n", *_names_of_node()]
    ping = _class_in(PING, "Ping")
    parts += ["## Ping: what node.ping() gives\n", _text(PING, ping, "Ping")]
    parts += [_entry(PING, each, "ping.") for each in _public(ping)]
    declare = [each for each in _public(_class_in(_SCHEMA, "Schema")) if each.name == "declare"]
    parts += ["## schema: what declare(schema) gets\n"]
    parts += [_entry(_SCHEMA, each, "schema.") for each in declare]
    parts += ["## repl: at the prompt of a board\n"]
    parts += [_entry(_REPL, each, "repl.") for each in _public(_tree(_REPL))]
    parts += list(_names_of_kit())
    return "\n".join(parts)


def _names_of_node():
    end = _NODE.read_text().partition(_END_OF_NODE)[0].count("\n")
    for each in _public(_class_in(_NODE, "Application")):
        if each.lineno <= end:
            yield _entry(_NODE, each, "node.")


def _names_of_kit():
    """The public names of the test kit, those of its table of homes."""
    table = [
        node.value
        for node in _tree(_KIT / "__init__.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HOMES"
    ]
    if not table:
        return
    yield "## msgin5g_testkit: for tests\n"
    for name, home in ast.literal_eval(table[0]).items():
        file = _KIT / f"{home}.py"
        (found,) = [each for each in _public(_tree(file)) if each.name == name]
        yield _entry(file, found, "")
        if isinstance(found, ast.ClassDef):
            instance = name[0].lower() + name[1:]
            for each in _public(found):
                if each.name not in _VERBS:
                    yield _entry(file, each, f"{instance}.")


def _tree(file):
    return ast.parse(file.read_text())


def _class_in(file, name):
    (found,) = [each for each in _tree(file).body if getattr(each, "name", None) == name]
    return found


def _public(parent):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for each in parent.body:
        if isinstance(each, kinds) and not each.name.startswith("_"):
            yield each


def _entry(file, node, prefix):
    awaited = "await " if isinstance(node, ast.AsyncFunctionDef) else ""
    text = _text(file, node, prefix + node.name)
    return f"### `{awaited}{prefix}{_signature(node)}`\n\n{text}"


def _signature(node):
    """The name, with the arguments of a call."""
    call = node
    if isinstance(node, ast.ClassDef):
        made = [e for e in node.body if getattr(e, "name", None) == "__init__"]
        call = made[0] if made else None
    elif any(ast.unparse(each) == "property" for each in node.decorator_list):
        return node.name
    if call is None:
        return node.name + "()"
    arguments = call.args
    if arguments.args and arguments.args[0].arg == "self":
        arguments.args = arguments.args[1:]
    text = f"{node.name}({ast.unparse(arguments)})"
    if len(text) > _MAX_SIGNATURE:  # without types, so that it is one line
        for argument in arguments.args:
            argument.annotation = None
        text = f"{node.name}({ast.unparse(arguments)})"
    return text


def _text(file, node, name):
    text = ast.get_docstring(node)
    if not text:
        raise MissingDocstring(f"{file.name}: {name} has no docstring")
    return inspect.cleandoc(text) + "\n"


def main():
    try:
        text = page()
    except MissingDocstring as error:
        sys.exit(str(error))
    if "--write" in sys.argv:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/api.md differs from the docstrings: call this with --write")


if __name__ == "__main__":
    main()
