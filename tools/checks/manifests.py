"""Check boards/: the manifests name the modules that each role imports, no more and no less.

python -m msgin5g_tools.checks.manifests           report what is wrong
python -m msgin5g_tools.checks.manifests --write   and write the lists in boards/manifest.py

The manifest.py of a board is for every role, <role>/manifest.py is for one. The format is that of
MicroPython's tools/manifestfile.py, which is no package of its own on PyPI: here is as much of it
as our manifests use. What lies in MicroPython's tree, `$(PORT_DIR)/...`, is noted and not read.
"""

import json
import re
import sys
from pathlib import Path

from msgin5g_tools.build.modules import (
    ALL,
    PACKAGE,
    ROLES,
    import_graph,
    module_name,
    modules_of,
    path_of,
)
from msgin5g_tools.paths import FIRMWARE, ROOT

BOARDS = ROOT / "boards"
# MicroPython's own: the board names of its tree, and the keys of a board.json.
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
_ESPNOW = "msgin5g.port.espnow"


class ManifestError(Exception):
    """A manifest that MicroPython's build would refuse, or that names a missing file."""


class _Options:
    """`options` of a manifest: the arguments of the include, or their defaults."""

    def __init__(self, values):
        self.__dict__.update(values)

    def defaults(self, **values):
        self.__dict__.update({k: v for k, v in values.items() if k not in self.__dict__})


class Manifest:
    """An evaluated manifest.

    files: {path on the board: (source, opt)}. outside: what it takes from MicroPython's tree.
    """

    def __init__(self, path):
        self.files = {}
        self.outside = []
        self._folder = None
        self._evaluate(path, {})

    def include(self, path, **options):
        if path.startswith("$("):
            self.outside.append(path)
            return
        path = (self._folder / path).resolve()
        if path.is_dir():
            path /= "manifest.py"
        if not path.exists():
            raise ManifestError(f"{_short(path)}: is included and does not exist")
        self._evaluate(path, options)

    def require(self, name, **_):
        self.outside.append(name)

    def package(self, package_path, files=None, base_path=".", opt=None):
        base = (self._folder / base_path).resolve()
        if files is None:
            folder = base / package_path
            files = [file.relative_to(folder).as_posix() for file in folder.rglob("*.py")]
        for file in files:
            self._add(base, f"{package_path}/{file}", opt)

    def module(self, module_path, base_path=".", opt=None):
        self._add((self._folder / base_path).resolve(), module_path, opt)

    def _evaluate(self, path, options):
        functions = {
            "include": self.include,
            "metadata": lambda **_: None,
            "module": self.module,
            "options": _Options(options),
            "package": self.package,
            "require": self.require,
        }
        outer, self._folder = self._folder, path.parent
        try:
            exec(compile(path.read_text(), str(path), "exec"), functions)
        except ManifestError:
            raise
        except Exception as error:
            raise ManifestError(f"{_short(path)}: {type(error).__name__}: {error}") from None
        finally:
            self._folder = outer

    def _add(self, base, name, opt):
        if not (base / name).is_file():
            raise ManifestError(f"boards: {name} is named in a manifest and does not exist")
        self.files[name] = (base / name, opt)


def faults_of_manifest(path, graph):
    """What is wrong with one manifest, a line each."""
    role, board = path.parent.name, path.parents[1].name
    if role not in ROLES:
        role, board = ALL, role
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
        needed.discard(_ESPNOW)  # only Espressif's chips have ESP-NOW
    for module in sorted(needed - has):
        yield f"{where}: role {role} imports {module}, which the manifest does not name"
    for module in sorted(has - needed):
        yield f"{where}: role {role} does not import {module}, which the manifest names"


def faults_of_json(path):
    """Whether a board.json has the keys of MicroPython's."""
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
    graph = import_graph(FIRMWARE)
    for name in _NAMES:
        folder = BOARDS / name
        wanted = ["manifest.py", *(f"{role}/manifest.py" for role in ROLES)]
        for file in [*wanted, "board.json"]:
            if not (folder / file).exists():
                yield f"boards/{name}/{file}: is missing"
            elif file == "board.json":
                yield from faults_of_json(folder / file)
            else:
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
    return {
        name: sorted(path_of(module, FIRMWARE).removeprefix(f"{PACKAGE}/") for module in modules)
        for name, modules in found.items()
    }


def with_lists(text, found):
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
        shared.write_text(with_lists(shared.read_text(), lists(import_graph(FIRMWARE))))
    found = list(dict.fromkeys(faults()))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
