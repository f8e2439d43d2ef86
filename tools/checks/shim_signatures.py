"""Check that test kit and virtual board promise nothing that a board has not: names, arguments.

The test kit's machine, network, espnow, socket and so on, and the virtual board's machine, are
compared with the stubs of the ports (see checks.types): each public name is in the stub of a port,
and each function takes at most the arguments that it takes there, by their names where a caller
may use a name.
"""

import ast
from collections import namedtuple

from msgin5g_tools.checks.types import PORTS, documented, names_of, stub_of
from msgin5g_tools.paths import ROOT, SHIM

# required, at_most: numbers of arguments; at_most None: any. names: None for one without a name.
Signature = namedtuple("Signature", "required at_most names")

_KIT = SHIM.parent
_ONBOARD = ROOT / "tools" / "board" / "onboard" / "machine.py"
# The class of the test kit, "" for the module itself -> what it stands for on a board.
_STANDS_FOR = (
    (SHIM / "network.py", "WLAN", "network", "WLAN"),
    (SHIM / "espnow.py", "ESPNow", "espnow", "ESPNow"),
    (SHIM / "cryptolib.py", "aes", "cryptolib", "aes"),
    (SHIM / "micropython.py", "", "micropython", ""),
    (SHIM / "uctypes.py", "", "uctypes", ""),
    (_KIT / "board.py", "_Machine", "machine", ""),
    (_KIT / "board.py", "_Pin", "machine", "Pin"),
    (_KIT / "board.py", "Pin", "machine", "Pin"),
    (_KIT / "board.py", "ADC", "machine", "ADC"),
    (_KIT / "board.py", "RTC", "machine", "RTC"),
    (_KIT / "board.py", "WDT", "machine", "WDT"),
    (_ONBOARD, "", "machine", ""),
    (_ONBOARD, "Pin", "machine", "Pin"),
    (_ONBOARD, "ADC", "machine", "ADC"),
    (_ONBOARD, "RTC", "machine", "RTC"),
    (_ONBOARD, "WDT", "machine", "WDT"),
    (_KIT / "virtual_modules.py", "VirtualTime", "time", ""),
    (_KIT / "virtual_modules.py", "VirtualOs", "os", ""),
    (_KIT / "virtual_modules.py", "Socket", "socket", "socket"),
    (_KIT / "virtual_modules.py", "VirtualSocket", "socket", ""),
    (_KIT / "virtual_modules.py", "VirtualSelect", "select", ""),
    (_KIT / "virtual_modules.py", "_Poller", "select", "poll"),
)
# The shims' own hands: no application calls them. `begin` is called by `__new__`.
_HANDS = {
    ("WLAN", "begin"),
    ("", "ending"),
    ("_Machine", "__init__"),
    ("VirtualTime", "__init__"),
    ("VirtualOs", "__init__"),
    ("VirtualOs", "drop_drawn"),
    ("Socket", "__init__"),
    ("Socket", "arrived"),
    ("VirtualSocket", "__init__"),
    ("VirtualSocket", "send"),
    ("VirtualSocket", "receive"),
    ("VirtualSocket", "closed"),
    ("VirtualSocket", "has_arrived"),
    ("VirtualSelect", "__init__"),
    ("_Poller", "__init__"),
}
# Where functions are added to modules of CPython: those of the test kit, and of `msgin5g run`.
ADDS = (SHIM / "micropython.py", ROOT / "tools" / "commands" / "run.py")
# What a program of `msgin5g run` replaces by the same with another place for its output.
_REPLACED = {("builtins", "print")}
# A module that a port does not have -> the reason.
_NOT_ON = {("espnow", "rp2"): "RP2 boards have no ESP-NOW"}
# What Python calls: their names are in no list of functions.
_LIKE_CONSTRUCTOR = ("__init__", "__new__")


def faults(stands_for=_STANDS_FOR, root=ROOT):
    """One line for each thing that the shims have and a board has not."""
    for path, own, module, name in stands_for:
        place = f"{path.relative_to(root)}: {own or module}"
        for port in PORTS:
            if (module, port) in _NOT_ON:
                continue
            known = functions(stub_of(port, module), name)
            constants = names_of(stub_of(port, module)) | _constants(stub_of(port, module), name)
            for function, signatures in functions(path, own).items():
                if (own, function) in _HANDS or _private(function):
                    continue
                if function not in known:
                    if function not in constants and function not in _LIKE_CONSTRUCTOR:
                        yield f"{place}: {port} has no {function}()"
                    continue
                for fault in _compared(signatures[0], known[function]):
                    yield f"{place}: {function}(): {port} {fault}"


def added_faults(files=ADDS, root=ROOT):
    """One line for each function that is added to a module of CPython, and differs on a board."""
    for path in files:
        for module, name, ours in added(path):
            if (module, name) in _REPLACED:
                continue
            place = f"{path.relative_to(root)}: {module}.{name}()"
            for port in PORTS:
                stub = stub_of(port, module)
                known = functions(stub, "") if stub and name in documented(stub) else {}
                if name not in known:
                    yield f"{place}: {port} has no such function"
                    continue
                for fault in (*_compared(ours, known[name]), *_named(ours, known[name])):
                    yield f"{place}: {port} {fault}"


def added(path):
    """(module, name, Signature) of each `module.name = function`, also in a program in a text."""
    trees = [ast.parse(path.read_text())]
    for node in ast.walk(trees[0]):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and "import" in node.value
        ):
            try:
                trees.append(ast.parse(node.value))
            except SyntaxError:  # a text
                continue
    for tree in trees:
        own = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        modules = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
                continue
            target, value = node.targets[0], node.value
            if isinstance(target.value, ast.Name) and target.value.id in modules:
                function = value if isinstance(value, ast.Lambda) else own[value.id]
                yield target.value.id, target.attr, _signature(function.args, False)


def _private(name):
    return name.startswith("_") and name not in ("__init__", "__call__")


def _body(path, owner):
    tree = ast.parse(path.read_text())
    if not owner:
        return tree.body
    return [
        part
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name == owner
        for part in node.body
    ]


def functions(path, owner):
    """{name: [Signature of each overload]} of a class or, for "", of a module."""
    found = {}
    for node in _body(path, owner):
        if isinstance(node, ast.FunctionDef):
            static = any(getattr(d, "id", "") == "staticmethod" for d in node.decorator_list)
            method = not static and bool(node.args.posonlyargs + node.args.args)
            method = method and (node.args.posonlyargs + node.args.args)[0].arg in ("self", "cls")
            found.setdefault(node.name, []).append(_signature(node.args, method))
    return found


def _constants(path, owner):
    return {
        node.target.id
        for node in _body(path, owner)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _signature(args, method):
    positional = [None] * len(args.posonlyargs) + [a.arg for a in args.args]
    n_defaults = len(args.defaults)
    required = len(positional) - n_defaults - method
    named = [a.arg for a in args.kwonlyargs]
    names = positional[method:] + named
    open_end = args.vararg or args.kwarg
    return Signature(max(required, 0), None if open_end else len(names), names)


def _named(ours, theirs):
    """The arguments that only ours takes by name. For what CPython alone runs: it has `/`."""
    for i, name in enumerate(ours.names):
        if name is not None and all(signature.names[i : i + 1] == [None] for signature in theirs):
            yield f"does not take argument {name} by its name"


def _compared(ours, theirs):
    """What is wrong with a signature of ours, beside all those of a port's stub."""
    if any(signature.at_most is None for signature in theirs):
        return
    most = max(signature.at_most for signature in theirs)
    if ours.at_most is not None and ours.at_most > most:
        yield f"takes {most} arguments at most, not {ours.at_most}"
    least = max(signature.required for signature in theirs)
    if ours.required > least:
        yield f"needs {least} arguments, not {ours.required}"
    allowed = {name for signature in theirs for name in signature.names}
    for i, name in enumerate(ours.names):
        if name not in allowed and not any(None in s.names[i : i + 1] for s in theirs):
            yield f"has no argument {name}"
