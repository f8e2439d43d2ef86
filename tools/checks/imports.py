"""Check the import direction of the firmware, circles, and that importing a module does nothing.

    cbor, coap <- oscore <- scm, config <- ue, intermediary <- relay, gateway <- services
    <- builder <- main, repl

Each may import what is left of it. settings is for main and repl, which hand the Settings to the
builder. port is for builder, main and repl, and imports coap.ticks and nothing else of the
package. Imports inside functions count, and so does `from package import module`.
"""

import ast
import sys

from msgin5g_tools.build.modules import PACKAGE, imports_of, sources
from msgin5g_tools.paths import FIRMWARE

_BASE = ("cbor", "coap")
_PARTS = (*_BASE, "oscore", "scm", "config")
_NODES = (*_PARTS, "ue", "intermediary")
_BELOW_BUILDER = (*_NODES, "relay", "gateway", "node", "services")
_BELOW_MAIN = (*_BELOW_BUILDER, "port", "builder")

# What the modules of a room may import beside those of their own: a room, or one module.
ALLOWED = {
    "cbor": (),
    "coap": (),
    "oscore": _BASE,
    "scm": (*_BASE, "oscore"),
    "config": (*_BASE, "oscore"),
    "ue": _PARTS,
    "intermediary": _PARTS,
    "relay": _NODES,
    "gateway": _NODES,
    "node": ("coap.text", "coap.ticks"),
    "services": (*_NODES, "relay", "gateway", "node"),
    "settings": (*_BASE, "config"),
    "port": ("coap.ticks",),
    "builder": (*_BELOW_BUILDER, "port"),
    "repl": (*_BELOW_MAIN, "settings"),
    "main": (*_BELOW_MAIN, "settings", "repl"),
}
# They test what the interpreter has when they are imported, and choose by it.
FEATURE_TESTS = ("coap.ticks",)
_QUIET_CALLS = {"const", "namedtuple"}


def direction_faults(graph):
    """(module, line, what is wrong) of each import against the direction."""
    for module, found in graph.items():
        room = _below(module).split(".")[0]
        if not room:
            continue
        allowed = ALLOWED.get(room)
        if allowed is None:
            yield module, 1, f"{room} has no place in the import direction (ALLOWED)"
            continue
        for target, line, _ in found:
            name = _below(target)
            other = name.split(".")[0]
            if other and other != room and other not in allowed and name not in allowed:
                yield module, line, f"{room} may not import {target}"


def circles(graph):
    """Each circle of imports once, as a list of module names that ends with its first."""
    found = []
    done = set()

    def follow(module, path):
        if module in path:
            circle = path[path.index(module) :]
            first = circle.index(min(circle))
            circle = circle[first:] + circle[:first]
            if [*circle, circle[0]] not in found:
                found.append([*circle, circle[0]])
        elif module not in done:
            for target, _, _ in graph.get(module, ()):
                follow(target, [*path, module])
            done.add(module)

    for module in sorted(graph):
        follow(module, [])
    return found


def import_time_faults(text):
    """(line, what is wrong) of each statement that does something when a module is imported."""
    return list(_statement_faults(ast.parse(text).body))


def _statement_faults(statements):
    for node in statements:
        evaluated = []
        if isinstance(node, ast.ClassDef):
            evaluated = [*node.decorator_list, *node.bases, *node.keywords]
            yield from _statement_faults(node.body)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            defaults = [*node.args.defaults, *node.args.kw_defaults]
            evaluated = [*node.decorator_list, *(value for value in defaults if value)]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            evaluated = [node.value] if node.value else []
        elif not (
            isinstance(node, (ast.Import, ast.ImportFrom, ast.Pass))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ):
            yield node.lineno, "importing this module does something"
        for part in (part for value in evaluated for part in ast.walk(value)):
            if isinstance(part, ast.Call) and getattr(part.func, "id", "") not in _QUIET_CALLS:
                yield part.lineno, "importing this module calls something"


def faults(root=FIRMWARE):
    """Everything that is wrong below root, a line each."""
    files = sources(root)
    graph = {module: imports_of(file, files) for module, file in files.items()}
    where = {module: file.relative_to(root.parent).as_posix() for module, file in files.items()}
    for module, line, text in direction_faults(graph):
        yield f"{where[module]}:{line}: {text}"
    for circle in circles(graph):
        yield f"{where[circle[0]]}: a circle of imports: {' -> '.join(circle)}"
    for module, file in files.items():
        if _below(module) in FEATURE_TESTS:
            continue
        for line, text in import_time_faults(file.read_text()):
            yield f"{where[module]}:{line}: {text}"


def _below(module):
    """`coap.message` for `msgin5g.coap.message`, and nothing for the package itself."""
    return module.removeprefix(PACKAGE).removeprefix(".")


def main():
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
