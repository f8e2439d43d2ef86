"""Check firmware/ against what MicroPython's modules have on the ESP32 and on the RP2: mypy.

python -m msgin5g_tools.checks.types

The stubs of the two ports have the same file names, so each is installed below build/stubs, in
the version that constraints.txt pins, when it is not there yet. The firmware has no annotations:
what counts is a module, function, attribute or argument that a port does not have. What a shim of
the host tests has must be in the stubs, too.
"""

import ast
import re
import subprocess
import sys

from msgin5g_tools.paths import BUILD, FIRMWARE, ROOT, SHIM

PORTS = ("esp32", "rp2")
_CODES = {
    "attr-defined",
    "call-arg",
    "call-overload",
    "import-not-found",
    "name-defined",
    "syntax",
}
_LINE = re.compile(r"^(firmware/\S+?):(\d+): error: (.*?)  \[([a-z-]+)\]$")
_NO_ATTRIBUTE = re.compile(r'^"(?:type\[)?(\w+)[^"]*" has no attribute')
# RP2 has no ESP-NOW: the builder reports that in one line.
_EXPECTED = {("rp2", 'Cannot find implementation or library stub for module named "espnow"')}
# Of the shims: their own hands, which a board has not.
_HANDS = {"air", "apart", "boards", "here", "lost", "power_on", "remove_radio", "reset", "slow"}


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
    """What is wrong on one port with root/firmware, a line each."""
    stubs = stubs_of(port)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--check-untyped-defs"]
    command += ["--config-file", "", "--python-version", "3.10", "--no-strict-optional"]
    command += ["--custom-typeshed-dir", str(stubs), "--cache-dir", str(stubs / ".mypy_cache")]
    if root != ROOT:
        command[-1] = str(root / ".mypy_cache")
    done = subprocess.run(
        [*command, "-p", "msgin5g", "-p", "microcoapy"],
        cwd=root,
        env={"MYPYPATH": f"{stubs}:{root / FIRMWARE.name}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        return [f"mypy: {port}: {done.stdout}{done.stderr}"]
    return errors_in(done.stdout, port, own)


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


def shim_faults():
    """Names of the board in the shims that no port's stub has."""
    for name, ports in (("network", PORTS), ("espnow", ("esp32",))):
        known = set()
        for port in ports:
            for stub in (name, f"_{name}"):
                path = stubs_of(port) / f"{stub}.pyi"
                if path.exists():
                    known |= names_of(path)
        tree = ast.parse((SHIM / f"{name}.py").read_text())
        for node in tree.body:
            own = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                own += [n.name for n in node.body if isinstance(n, ast.FunctionDef)]
            elif isinstance(node, ast.Assign):
                own = [target.id for target in node.targets if isinstance(target, ast.Name)]
            for one in own:
                if not one.startswith("_") and one not in known | _HANDS | {"begin"}:
                    yield f"{(SHIM / name).relative_to(ROOT)}.py: {one} is in no port's stubs"


def main():
    own = classes()
    found = [line for port in PORTS for line in check(port, own)] + list(shim_faults())
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
