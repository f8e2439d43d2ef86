"""Check boards/: what the manifests name exists, and is what each role imports, no more, no less.

python -m msgin5g_tools.checks.manifests           say what is wrong
python -m msgin5g_tools.checks.manifests --write   and put the lists in boards/manifest.py right

A manifest is evaluated with the functions that MicroPython's makemanifest.py gives it. What lies
in MicroPython's own tree, `$(PORT_DIR)/...`, is noted and not followed. `manifest.py` of a board
holds every role, `<role>/manifest.py` one.
"""

import ast
import json
import re
import sys
from pathlib import Path

from msgin5g_tools.build.mpy import module_name
from msgin5g_tools.paths import FIRMWARE, ROOT

BOARDS = ROOT / "boards"
ROLES = ("ue", "relay", "gateway")
# MicroPython's own: the board names of its tree, and who has ESP-NOW.
_NAMES = ("ESP32_GENERIC", "ESP32_GENERIC_S3", "ESP32_GENERIC_C3", "RPI_PICO_W", "RPI_PICO2_W")
_JSON_KEYS = {
    "deploy": list,
    "docs": str,
    "features": list,
    "images": list,
    "mcu": str,
    "product": str,
    "thumbnail": str,
    "url": str,
    "vendor": str,
}
# Imported inside functions, by those roles only.
_CHOICES = {
    "msgin5g.relay.relay": {"relay"},
    "msgin5g.gateway.gateway": {"gateway"},
    "msgin5g.builder_gateway": {"gateway"},
    "msgin5g.settings.intermediary": {"relay", "gateway"},
}
# Imported inside functions when the settings ask for it, or a person does.
OPTIONAL = ("app", "composition_radio", "settings_radio", "repl", "roles.check", "roles.ping")
OPTIONAL += ("port.aio", "port.beside", "port.button", "port.lookup", "port.prompt", "port.trace")
OPTIONAL += ("composition_parts", "port.watchdog", "port.peer", "roles.parts")
OPTIONAL += ("configuration.by_hand", "configuration.migration", "configuration.trial")
_OPTIONAL_OF_UE = ("composition_hop",)  # a UE on IP needs none of it
# Not imported by the firmware, but by its users: programs, and people at the REPL.
FOR_USERS = {
    "msgin5g.services.application",
    "msgin5g.repl",
    "msgin5g.port.event_loop_asyncio",
    "msgin5g.coap.numbers",
}


class ManifestError(Exception):
    """A manifest that makemanifest.py would not take, or that names what is not there."""


class _Options:
    def __init__(self, values):
        self._values = values
        self._defaults = {}

    def defaults(self, **values):
        self._defaults = values

    def __getattr__(self, name):
        return self._values.get(name, self._defaults.get(name))


class Manifest:
    """An evaluated manifest: `files` {path on the board: (source, opt)}, `outside` what it
    includes of MicroPython's tree."""

    def __init__(self, path):
        self.files = {}
        self.outside = []
        self._here = [path.parent]
        self._run(path, {})

    def _run(self, path, options):
        functions = {
            name: getattr(self, "_" + name) for name in ("include", "require", "package", "module")
        }
        functions["metadata"] = lambda **_: None
        functions["options"] = _Options(options)
        try:
            exec(compile(path.read_text(), str(path), "exec"), functions)
        except ManifestError:
            raise
        except Exception as error:
            raise ManifestError(f"{_short(path)}: {type(error).__name__}: {error}") from None

    def _include(self, path, **options):
        if path.startswith("$("):
            self.outside.append(path)
            return
        path = (self._here[-1] / path).resolve()
        if path.is_dir():
            path /= "manifest.py"
        if not path.exists():
            raise ManifestError(f"{_short(path)}: is included and does not exist")
        self._here.append(path.parent)
        self._run(path, options)
        self._here.pop()

    def _require(self, name, **_):
        self.outside.append(name)

    def _package(self, package_path, files=None, base_path=".", opt=None):
        base = (self._here[-1] / base_path).resolve()
        if files is None:
            files = [
                f.relative_to(base / package_path) for f in (base / package_path).rglob("*.py")
            ]
        for file in files:
            self._add(base, f"{package_path}/{file}", opt)

    def _module(self, module_path, base_path=".", opt=None):
        self._add((self._here[-1] / base_path).resolve(), module_path, opt)

    def _add(self, base, name, opt):
        if not (base / name).is_file():
            raise ManifestError(f"boards: {name} is named in a manifest and does not exist")
        self.files[name] = (base / name, opt)


def imports():
    """{module: [(imported module, whether inside a function)]} of the firmware's package."""
    files = {module_name(file, FIRMWARE): file for file in (FIRMWARE / "msgin5g").rglob("*.py")}
    found = {}
    for module, file in files.items():
        found[module] = wanted = []
        tree = ast.parse(file.read_text())
        at_import = set(tree.body)
        for node in ast.walk(tree):
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            names = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                names = [node.module] + [f"{node.module}.{name}" for name in names]
            for name in names:
                if name in files:
                    wanted.append((name, node not in at_import))
    return found


def modules_of(role, graph, optional=True):
    """The modules that a role imports, at once or later, from main and from what users import.

    optional: false for what it has when its settings name nothing but what must be.
    """
    without = set()
    if not optional:
        names = OPTIONAL + (_OPTIONAL_OF_UE if role == "ue" else ())
        without = {"msgin5g." + name for name in names}
    todo = ["msgin5g.main"] + (sorted(FOR_USERS & set(graph)) if optional else [])
    needed = set()
    while todo:
        module = todo.pop()
        if module in needed:
            continue
        needed.add(module)
        parts = module.split(".")
        todo.extend(".".join(parts[:i]) for i in range(1, len(parts)))
        for name, inside in graph[module]:
            of_roles = _CHOICES.get(name, {role})
            if not inside or (name not in without and (role in of_roles or role == "all")):
                todo.append(name)
    return needed


def faults_of_manifest(path, graph):
    """What is wrong with one manifest, a line each."""
    role, board = (path.parent.name, path.parents[1].name)
    if role not in ROLES:
        role, board = "all", role
    where = _short(path)
    manifest = Manifest(path)
    if not any(name.startswith("$(") for name in manifest.outside):
        yield f"{where}: does not include the manifest of MicroPython's own board or port"
    if "main.py" not in manifest.files:
        yield f"{where}: has no main.py: the board would do nothing at start"
    for name, (_, opt) in sorted(manifest.files.items()):
        if opt != 1:
            yield f"{where}: {name} is not frozen with opt=1"
    has = {module_name(file, FIRMWARE) for file, _ in manifest.files.values()} - {"main"}
    needed = modules_of(role, graph)
    if board.startswith("RPI_"):
        needed.discard("msgin5g.port.espnow")  # ESP-NOW is Espressif's
    for module in sorted(needed - has):
        yield f"{where}: role {role} imports {module}, which the manifest does not name"
    for module in sorted(has - needed):
        yield f"{where}: role {role} does not import {module}, which the manifest names"


def faults_of_json(path):
    """Whether a board.json has the form of MicroPython's."""
    where = _short(path)
    board = json.loads(path.read_text())
    for key, kind in _JSON_KEYS.items():
        if not isinstance(board.get(key), kind):
            yield f"{where}: {key} is missing or not a {kind.__name__}"
    for key in sorted(set(board) - set(_JSON_KEYS) - {"deploy_options", "variants"}):
        yield f"{where}: {key} is not a key of MicroPython's board.json"
    if sorted(board.get("features", [])) != board.get("features"):
        yield f"{where}: features are not in order"


def faults():
    """Everything that is wrong in boards/, a line each."""
    graph = imports()
    for name in _NAMES:
        folder = BOARDS / name
        wanted = ["manifest.py", *(f"{role}/manifest.py" for role in ROLES)]
        for file in [*wanted, "board.json", "budget.toml"]:
            if not (folder / file).exists():
                yield f"boards/{name}/{file}: is missing"
            elif file == "board.json":
                yield from faults_of_json(folder / file)
            elif file in wanted:
                try:
                    yield from faults_of_manifest(folder / file, graph)
                except ManifestError as error:
                    yield str(error)


def lists(graph):
    """{name of a list in boards/manifest.py: its files}."""
    needed = {role: modules_of(role, graph) for role in ROLES}
    common = set.intersection(*needed.values())
    found = {"_EVERY_ROLE": common}
    found.update({f"_{role.upper()}": modules - common for role, modules in needed.items()})
    return {name: sorted(file_of(m) for m in modules) for name, modules in found.items()}


def file_of(module):
    """The file of a module, below msgin5g/."""
    path = Path(*module.split(".")[1:])
    if (FIRMWARE / "msgin5g" / path).is_dir():
        return (path / "__init__.py").as_posix()
    return path.with_suffix(".py").as_posix()


def written(text, found):
    """The text of boards/manifest.py with these lists."""
    for name, files in found.items():
        value = "(\n" + "".join(f'    "{file}",\n' for file in files) + ")" if files else "()"
        text = re.sub(rf"^{name} = \([^)]*\)", f"{name} = {value}", text, flags=re.MULTILINE)
    return text


def _short(path):
    path = Path(path).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def main():
    if "--write" in sys.argv[1:]:
        shared = BOARDS / "manifest.py"
        shared.write_text(written(shared.read_text(), lists(imports())))
    found = list(dict.fromkeys(faults()))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
