"""Check the import direction of the firmware, and that importing a module does nothing.

    cbor, coap <- oscore <- seal <- roles <- composition, main; settings beside seal; port apart.

Only main, composition and repl, and what is in port itself, import port.
"""

import ast
import sys

from msgin5g_tools.build.modules import module_name
from msgin5g_tools.paths import FIRMWARE

# What a module of a layer may import, by the first part of its name below msgin5g.
_BASE = {"cbor", "cbor_reader", "unload"}
ALLOWED = {
    "unload": set(),
    "cbor_reader": set(),
    "cbor": _BASE,
    "coap": _BASE | {"coap"},
    "oscore": _BASE | {"coap", "oscore"},
    "configuration": _BASE | {"coap", "configuration"},
    "settings": _BASE | {"coap", "configuration", "settings"},
    "seal": _BASE | {"coap", "oscore", "seal"},
    "roles": _BASE | {"coap", "oscore", "seal", "roles", "configuration"},
    "keeper": _BASE | {"composition"},
    "port": _BASE | {"coap", "configuration", "port"},
}
ALLOWED_EVERYTHING = {"composition", "composition_gateway", "main", "repl", "app", "examples"}

# Statements that do nothing when a module is imported.
_QUIET = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
)
_QUIET_CALLS = {"const", "namedtuple"}


def _layer_of(part):
    """settings_hop belongs to settings, composition_gateway to composition."""
    whole = part.split("_")[0]
    return whole if whole in ("settings", "composition") else part


def faults_of(file):
    """What breaks the rules in one file, a line each."""
    name = module_name(file, FIRMWARE)
    parts = name.split(".")
    layer = _layer_of(parts[1]) if len(parts) > 1 else ""
    tree = ast.parse(file.read_text())
    where = file.relative_to(FIRMWARE.parent).as_posix()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            targets = [node.module]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        for target in targets:
            below = target.split(".")
            if (
                below[0] != "msgin5g"
                or len(below) == 1
                or layer in ALLOWED_EVERYTHING
                or not layer
            ):
                continue
            if _layer_of(below[1]) not in ALLOWED.get(layer, set()):
                yield f"{where}:{node.lineno}: {layer} may not import {target}"
    for node in tree.body:
        quiet = isinstance(node, _QUIET) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        )
        for part in ast.walk(node) if isinstance(node, ast.Assign) else ():
            if isinstance(part, ast.Call) and getattr(part.func, "id", "") not in _QUIET_CALLS:
                quiet = False
        if not quiet:
            yield f"{where}:{node.lineno}: importing this module does something"


def main():
    package = FIRMWARE / "msgin5g"
    faults = [fault for file in sorted(package.glob("**/*.py")) for fault in faults_of(file)]
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
