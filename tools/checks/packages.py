"""Check the packages of mip, firmware/*.json: each has what its role imports, no more, no less.

python -m msgin5g_tools.checks.packages           say what is wrong
python -m msgin5g_tools.checks.packages --write   and put the lists right

`package.json` has every role, `ue.json`, `relay.json` and `gateway.json` have one,
`microcoapy.json` has the drop-in for microCoAPy with what it needs of the package.
"""

import ast
import json
import sys

from msgin5g_tools.checks.manifests import ROLES, file_of, imports, modules_of
from msgin5g_tools.paths import FIRMWARE, ROOT

_VERSION = "0.1.0"


def packages():
    """{file name: the files below firmware/ that it puts on a board}."""
    graph = imports()
    found = {}
    for role in ("all", *ROLES):
        files = ["msgin5g/" + file_of(module) for module in modules_of(role, graph)]
        found["package.json" if role == "all" else f"{role}.json"] = ["main.py", *sorted(files)]
    own = sorted((FIRMWARE / "microcoapy").glob("*.py"))
    todo = []
    for file in own:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                todo.append(node.module)
    needed = set()
    while todo:
        module = todo.pop()
        if module in graph and module not in needed:
            needed.add(module)
            parts = module.split(".")
            todo.extend(".".join(parts[:i]) for i in range(1, len(parts)))
            todo.extend(name for name, _ in graph[module])
    files = [f"microcoapy/{file.name}" for file in own]
    files += sorted("msgin5g/" + file_of(module) for module in needed)
    found["microcoapy.json"] = files
    return found


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
