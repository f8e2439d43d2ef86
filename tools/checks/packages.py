"""Check the packages of mip, firmware/*.json: each has what its role imports, no more, no less.

python -m msgin5g_tools.checks.packages           report what is wrong
python -m msgin5g_tools.checks.packages --write   and write the lists

`package.json` has every role, `ue.json`, `relay.json` and `gateway.json` have one,
`microcoapy.json` has the drop-in for microCoAPy with what it needs of the package.
"""

import json
import sys

from msgin5g_tools.build.modules import (
    ALL,
    ROLES,
    import_graph,
    imports_of,
    modules_of,
    parents_of,
    path_of,
    sources,
)
from msgin5g_tools.paths import FIRMWARE, ROOT

_VERSION = "0.1.0"
_DROP_IN = "microcoapy"


def packages():
    """{file name: the files below firmware/ that it puts on a board}."""
    graph = import_graph(FIRMWARE)
    found = {}
    for role in (ALL, *ROLES):
        files = sorted(path_of(module, FIRMWARE) for module in modules_of(role, graph))
        found["package.json" if role == ALL else f"{role}.json"] = ["main.py", *files]
    found[f"{_DROP_IN}.json"] = _drop_in_files(graph)
    return found


def _drop_in_files(graph):
    own = sources(FIRMWARE, (_DROP_IN,))
    todo = [found.target for file in own.values() for found in imports_of(file, graph)]
    needed = set()
    while todo:
        module = todo.pop()
        if module not in needed:
            needed.update(parents_of(module))
            needed.add(module)
            todo.extend(found.target for found in graph[module])
    files = [path_of(module, FIRMWARE) for module in own]
    return files + sorted(path_of(module, FIRMWARE) for module in needed)


def text_of(files):
    """A package file: [path on the board, path beside the package file], and the version."""
    rows = ",\n".join(f"    {json.dumps([file, file])}" for file in files)
    return f'{{\n  "urls": [\n{rows}\n  ],\n  "version": "{_VERSION}"\n}}\n'


def faults():
    """What is wrong, a line each."""
    for name, files in packages().items():
        path = FIRMWARE / name
        where = path.relative_to(ROOT).as_posix()
        if not path.exists():
            yield f"{where}: is missing"
            continue
        listed = json.loads(path.read_text())["urls"]
        for target, source in listed:
            if target != source or not (FIRMWARE / source).is_file():
                yield f"{where}: {source} does not exist, or is not where it belongs"
        listed = {target for target, _ in listed}
        for file in sorted(set(files) - listed):
            yield f"{where}: {file} is needed and not listed"
        for file in sorted(listed - set(files)):
            yield f"{where}: {file} is listed and not needed"


def main():
    if "--write" in sys.argv[1:]:
        for name, files in packages().items():
            (FIRMWARE / name).write_text(text_of(files))
    found = list(faults())
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
