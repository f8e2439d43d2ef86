"""Which modules of the package a role needs: read from the sources, lazy imports included.

Flash, mip, ROMFS, the frozen manifests and the budgets all take their lists from here.
"""

import ast
from collections import namedtuple
from pathlib import Path

from msgin5g_tools.paths import FIRMWARE

PACKAGE = "msgin5g"
ROLES = ("ue", "relay", "gateway")
ALL = "all"
# The gateway's configuration client as a node of its own has the modules of a gateway.
_SAME_MODULES = {"seal-c": "gateway"}

# Imported by users of the package, not by main: by programs, and by people at the REPL.
FOR_USERS = (
    "msgin5g.coap.numbers",
    "msgin5g.port.event_loop_asyncio",
    "msgin5g.repl",
    "msgin5g.services.application",
)
# A lazy import of one of these, or of a module below it, counts for these roles only.
_ROLES_OF = {
    "msgin5g.builder.intermediary": ("relay", "gateway"),
    "msgin5g.builder.server_security": ("gateway",),
    "msgin5g.coap.responder": ("relay", "gateway"),
    "msgin5g.gateway": ("gateway",),
    "msgin5g.intermediary": ("relay", "gateway"),
    "msgin5g.relay": ("relay",),
    "msgin5g.settings.intermediary": ("relay", "gateway"),
}

# target: the whole name of a module. lazy: inside a function.
Import = namedtuple("Import", "target line lazy")


def module_name(file, root=FIRMWARE):
    """`msgin5g.coap.message` for ROOT/msgin5g/coap/message.py."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(root=FIRMWARE, packages=(PACKAGE,)):
    """{module name: file} of the packages below root."""
    files = (file for package in packages for file in sorted((root / package).rglob("*.py")))
    return {module_name(file, root): file for file in files}


def imports_of(file, names):
    """The Imports in a file of modules in `names`, wherever they stand in it.

    `from package import module` is an import of the module, `from module import name` of the
    module that has the name.
    """
    found = []
    tree = ast.parse(file.read_text())
    lazy = set()
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            lazy.update(ast.walk(function))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            members = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in names else node.module for name in members]
        elif _is_import_call(node):
            targets = [node.args[0].value]
        else:
            continue
        for name in dict.fromkeys(targets):
            if name in names:
                found.append(Import(name, node.lineno, node in lazy))
    return found


def _is_import_call(node):
    """Whether a node is `__import__("a name")`."""
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "__import__"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def import_graph(root=FIRMWARE):
    """{module: its Imports} of the package."""
    files = sources(root)
    return {name: imports_of(file, files) for name, file in files.items()}


def modules_of(role, graph):
    """The modules that a role, or "all", needs: a set of names."""
    role = _SAME_MODULES.get(role, role)
    todo = ["msgin5g.main", *(name for name in FOR_USERS if name in graph)]
    needed = set()
    while todo:
        module = todo.pop()
        if module not in needed:
            needed.add(module)
            todo.extend(parents_of(module))  # which run before it
            todo.extend(
                found.target
                for found in graph[module]
                if not found.lazy or role == ALL or role in _roles_of(found.target)
            )
    return needed


def parents_of(module):
    """`msgin5g` and `msgin5g.coap` for `msgin5g.coap.message`."""
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _roles_of(module):
    for name in [module, *reversed(parents_of(module))]:
        if name in _ROLES_OF:
            return _ROLES_OF[name]
    return ROLES


def path_of(module, root=FIRMWARE):
    """The path of a module's source below root, as text."""
    path = Path(*module.split("."))
    path = path / "__init__.py" if (root / path).is_dir() else path.with_suffix(".py")
    return path.as_posix()


def all_role_paths(root=FIRMWARE):
    """{role: paths below firmware/ of the modules that it needs, sorted}, and those of "all"."""
    graph = import_graph(root)
    return {
        role: sorted(path_of(module, root) for module in modules_of(role, graph))
        for role in (*ROLES, *_SAME_MODULES, ALL)
    }
