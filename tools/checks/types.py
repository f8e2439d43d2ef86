"""Check firmware/ against what MicroPython's modules have on the ESP32 and on the RP2: mypy.

python -m msgin5g_tools.checks.types

The stubs of the two ports have the same file names, so each is installed below build/stubs, in
the version that constraints.txt pins, when it is not there yet. The firmware has no annotations:
what counts is a module, function, attribute or argument that a port does not have. What a shim of
the host tests has must be in the stubs, too.

The stubs of os, sys, struct, json and others also have names of CPython that no port has. What
MicroPython has is documented there, so the firmware may use the documented names only.
"""

import ast
import itertools
import re
import subprocess
import sys

from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT, SHIM

PORTS = ("esp32", "rp2")
_STDLIB = "stdlib"  # the folder of the stubs that also have names of CPython
_CODES = {
    "attr-defined",
    "call-arg",
    "call-overload",
    "import-not-found",
    "name-defined",
    "syntax",
}
_LINE = re.compile(r"^((?:firmware|examples)/\S+?):(\d+): error: (.*?)  \[([a-z-]+)\]$")
_NO_ATTRIBUTE = re.compile(r'^"(?:type\[)?(\w+)[^"]*" has no attribute')
# RP2 has no ESP-NOW: the builder reports that in one line.
_EXPECTED = {("rp2", 'Cannot find implementation or library stub for module named "espnow"')}
# Of the shims: their own hands, which a board has not.
_HANDS = {
    "air",
    "apart",
    "begin",
    "boards",
    "here",
    "lost",
    "power_on",
    "remove_radio",
    "reset",
    "slow",
}


def stubs_of(port):
    """The folder of a port's stubs, installed if need be."""
    pinned = re.search(
        rf"^micropython-{port}-stubs==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
    folder = BUILD / "stubs" / f"{port}-{pinned[1]}"
    if not (folder / "network.pyi").exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        pip += ["--constraint", str(ROOT / "constraints.txt"), "--target", str(folder)]
        subprocess.run([*pip, f"micropython-{port}-stubs"], check=True)
    return folder


def classes():
    """The names of the firmware's own classes: their attributes are its own affair."""
    found = set()
    for file in FIRMWARE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
    return found


def errors_in(output, port, own):
    """The lines of mypy's output that count."""
    for line in output.splitlines():
        match = _LINE.match(line)
        if not match or match[4] not in _CODES:
            continue
        attribute = _NO_ATTRIBUTE.match(match[3])
        if attribute and (attribute[1] in own or attribute[1] == "Collection"):
            continue
        if (port, match[3]) not in _EXPECTED:
            yield f"{match[1]}:{match[2]}: {port}: {match[3]}"


def check(port, own, root=ROOT):
    """What is wrong on one port with root/firmware and the example application, a line each."""
    stubs = stubs_of(port)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--check-untyped-defs"]
    command += ["--config-file", "", "--python-version", "3.10", "--no-strict-optional"]
    command += ["--custom-typeshed-dir", str(stubs), "--cache-dir", str(stubs / ".mypy_cache")]
    if root != ROOT:
        command[-1] = str(root / ".mypy_cache")
    firmware = root / FIRMWARE.name
    example = root / "examples" / "blinking-light"
    files = [*firmware.glob("*.py"), *example.glob("*.py")]
    command += itertools.chain(*(("-m", file.stem) for file in files))
    done = subprocess.run(
        [*command, "-p", "msgin5g", "-p", "microcoapy"],
        cwd=root,
        env={"MYPYPATH": f"{stubs}:{firmware}:{example}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        return [f"mypy: {port}: {done.stdout}{done.stderr}"]
    return errors_in(done.stdout, port, own)


def stub_of(port, module):
    """The stub of a module; None where it has none, as a module of our own."""
    folder = stubs_of(port)
    stdlib = folder / _STDLIB
    paths = (folder / f"{module}.pyi", stdlib / f"{module}.pyi", stdlib / module / "__init__.pyi")
    return next((path for path in paths if path.exists()), None)


def documented(path):
    """The names of a stub, without those of CPython where the stub has these, too."""
    if _STDLIB not in path.parts:
        return names_of(path)
    found, ahead = set(), [ast.parse(path.read_text()).body]
    while ahead:
        body = ahead.pop()
        for node, after in itertools.zip_longest(body, body[1:]):
            if isinstance(node, ast.If):  # for a version of Python
                ahead += [node.body, node.orelse]
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
                found.add(node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = after.value if isinstance(after, ast.Expr) else None
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    found.add(node.target.id)
    return found


def undocumented(port, root=ROOT):
    """A line for each name of such a module that the firmware uses and a port does not have."""
    for file in sorted((root / FIRMWARE.name).rglob("*.py")):
        tree = ast.parse(file.read_text())
        for line, module, name in sorted(_uses(tree)):
            stub = stub_of(port, module)
            # mypy knows what the others have, and asyncio, whose stub is a package.
            if stub is None or _STDLIB not in stub.parts or module == "asyncio":
                continue
            if name not in documented(stub):
                yield f"{file.relative_to(root)}:{line}: {port}: no {module}.{name}"


def _uses(tree):
    """(line, module, name) of each name of a module, but those that are asked for by `hasattr`."""
    modules, imported, found, asked = set(), set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {(node.lineno, node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add((node.lineno, node.value.id, node.attr))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "hasattr":
            asked.add((getattr(node.args[0], "id", ""), getattr(node.args[1], "value", "")))
    found = {use for use in found if use[1] in modules}
    return {use for use in found | imported if use[1:] not in asked}


def names_of(path):
    """The names that a module or stub defines, at its top and in its classes."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


def shim_faults(folder=SHIM, root=ROOT):
    """Names of the board in the shims that a port's stubs do not have."""
    for name, ports in (("network", PORTS), ("espnow", ("esp32",))):
        own = set(_public(ast.parse((folder / f"{name}.py").read_text()))) - _HANDS
        for port in ports:
            stubs = (stub_of(port, module) for module in (name, f"_{name}"))
            known = set().union(*(names_of(stub) for stub in stubs if stub))
            for one in sorted(own - known):
                yield f"{(folder / name).relative_to(root)}.py: {port} has no {one}"


def _public(tree):
    """The names of a shim that an application can use."""
    for node in tree.body:
        names = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            names += [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        yield from (name for name in names if not name.startswith("_"))


def main():
    own = classes()
    found = [line for port in PORTS for line in (*check(port, own), *undocumented(port))]
    found += shim_faults()
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
