"""Which modules of the firmware go into one file on a board, by how long they stay loaded.

    main      what stays as long as the node runs
    address   what makes addresses and sockets, at start and when a name is looked up
    composition   from settings to a node
    composition_parts   what a node with parts has beside
    own       a relay's or gateway's own configuration client, when its settings ask for one
    trial     what that needs for a trial, for an older layout, or when a person changes it
    stored    the life cycle of a configuration and what stores it
    answer    what reads an answer; unloaded when it is read

Everything else stays a file of its own: what is needed at start only, or when the settings or a
person ask for it. What users import by name keeps its name, all the rest lies in one folder.
"""

import ast
import json
import shutil

from tools.build_mpy import BuildError, build_once, compile_files, prepared_sources, remove_stale
from tools.check_manifests import FOR_USERS, imports, modules_of
from tools.link_modules import Linker
from tools.link_scopes import LinkError, does_nothing
from tools.paths import BUILD, FIRMWARE

_TOGETHER = (
    ("msgin5g.main", ("main", "roles.node", "port.loop", "port.udp", "port.system")),
    ("msgin5g.own", ("roles.ue", "keeper")),
    ("msgin5g.address", ("port.address",)),
    ("msgin5g.composition", ("composition",)),
    ("msgin5g.composition_parts", ("composition_parts",)),
    ("msgin5g.stored", ("composition_lifecycle",)),
    (
        "msgin5g.trial",
        tuple("configuration." + name for name in ("trial", "by_hand", "migration")),
    ),
    ("msgin5g.answer", ("roles.conclusion", "seal.documents", "seal.problem")),
)
_SINKS = ("msgin5g.own", "msgin5g.stored", "msgin5g.answer")
_OF_ROLE = {
    "ue": ("roles.ue", "keeper"),
    "relay": ("roles.relay",),
    "gateway": ("roles.gateway",),
}
_AS_GATEWAY = {"seal-c": "gateway"}  # a gateway's configuration client as a node of its own
_PACKAGES = ("coap", "configuration", "port", "repl", "roles", "seal")


def _closure(module, imported):
    """A module and what is imported when it is."""
    found = [module]
    for name in found:
        found.extend(m for m in imported.get(name, ()) if m not in found)
    return found


def files_of(role, sources):
    """{file: its modules} of a role; sources: {module: text}, their constants inlined."""
    wanted = modules_of(role, imports())
    imported = {}
    left = []  # those that have anything in them
    for module in sorted(wanted):
        nodes = [n for n in ast.parse(sources[module]).body if not does_nothing(n)]
        if nodes:
            left.append(module)
        imported[module] = [
            n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module in sources
        ]
    files = {}
    for file, seeds in _TOGETHER:
        modules = []
        if file == "msgin5g.main":
            seeds += _OF_ROLE[role]
        for seed in seeds:
            for module in _closure("msgin5g." + seed, imported):
                if module in left:
                    left.remove(module)
                    modules.append(module)
        if modules:
            files[file] = modules
    for module in left:
        file = module
        if module not in FOR_USERS and not module.startswith("msgin5g.repl."):
            file = "msgin5g." + module.rpartition(".")[2]
        if file in files or (file.rpartition(".")[2] in _PACKAGES and file != "msgin5g.repl"):
            raise LinkError(f"{module}: there is a {file} already")
        files[file] = [module]
    return files


def modules_by_file(role):
    """{file: its modules} of what a board of this role gets."""
    return files_of(role, _texts())


def _texts():
    return {module: text for module, (_, text) in prepared_sources(alone=True)[0].items()}


def linked_sources(role):
    """{file: Linked} of all that a board of this role gets, and where the lines come from."""
    sources = _texts()
    files = files_of(role, sources)
    modules = {module for file in files.values() for module in file}
    linker = Linker(
        {m: sources[m] for m in sorted(modules)}, files, FOR_USERS | {"msgin5g.main"}, _SINKS
    )
    return {file: linker.link(file) for file in files}


def link_firmware(role, target=None):
    """What a board of this role gets, below `target`: few .mpy files, and main.py.

    Beside `target`, in <target>.lines.json, {file: [[module, line], ...]} of the files' lines.
    """
    role = _AS_GATEWAY.get(role, role)
    return build_once(target or BUILD / "linked" / role, lambda place: _link(role, place))


def _link(role, target):
    try:
        linked = linked_sources(role)
    except LinkError as error:
        raise BuildError(str(error)) from None
    jobs = []
    for file, (text, _) in linked.items():
        jobs.append((FIRMWARE / "main.py", target / path_of(file), 1, text, file, True))
    remove_stale(target, {job[1] for job in jobs})
    compile_files(jobs)
    shutil.copy(FIRMWARE / "main.py", target / "main.py")
    lines = {file: result.lines for file, result in linked.items()}
    lines_of(target).write_text(json.dumps(lines))


def path_of(file):
    """Where a file, named as a module, lies on a board."""
    path = file.replace(".", "/")
    return path + ("/__init__.mpy" if file == "msgin5g.repl" else ".mpy")


def lines_of(target):
    """The file beside a linked build that says where its lines come from."""
    return target.with_suffix(".lines.json")
