"""Hold what each role takes against boards/*/budget.toml; fail when it is more, and say by what.

python -m msgin5g_tools.checks.budget             measure and compare
python -m msgin5g_tools.checks.budget --ratchet   and write lower limits where there is room, never higher

mpy_bytes: the .mpy files (-O1) that hold the modules of the role's manifest, joined as they are
put on boards (tools/link_firmware.py). core_mpy_bytes: of those what it has without application,
REPL, radio, watchdog, button and check of a trial. heap_bytes: the role configured and idle, above
the bare interpreter, on the 64-bit Unix port; a 32-bit board takes about half. All are for .mpy
files on the file system: what is frozen takes no heap for code.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cbor2

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from msgin5g_tools.build.mpy import BuildError
from msgin5g_tools.checks.manifests import (
    BOARDS,
    ROLES,
    Manifest,
    ManifestError,
    imports,
    modules_of,
)
from msgin5g_tools.build.mpy import module_name
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.paths import FIRMWARE, ROOT
from msgin5g_tools.commands.run import interpreter_command

_UE_ID = "urn:x-msgin5g:ue:0007"
_HEAP = "128K"  # ample: in a tight heap less is kept, and a document may be refused
_PADDINGS = (0, 7, 42)  # bytes of an environment variable
_ROOM_PERCENT = 2  # what a ratchet leaves for the next small change
_SERVER = {"address": ["127.0.0.1", 9]}
_SETTINGS = {
    "ue": {"ue_id": _UE_ID, "next_hop": ["127.0.0.1", 9], "start_delay_s": 0},
    "relay": {"ue_id": "urn:x-msgin5g:relay:1", "server": _SERVER},
    "gateway": {"ue_id": "urn:x-msgin5g:gateway:1", "server": _SERVER},
}


# Nothing imports it once its constants are written in: it is for people at the REPL.
_NOT_CORE = {"msgin5g.coap.numbers"}


def sizes_of(role, firmware, modules):
    """{file on the board: bytes} of the files of a role that hold any of these modules."""
    sizes = {}
    for file, parts in modules_by_file(role).items():
        if modules & set(parts):
            path = path_of(file)
            sizes[path] = (firmware / path).stat().st_size
    return sizes


def core_mpy_bytes_of(role, firmware):
    """Bytes of the .mpy files that a role has when its settings name nothing but what must be."""
    core = modules_of(role, imports(), optional=False) - _NOT_CORE
    return sum(sizes_of(role, firmware, core).values())


def heap_bytes_of(role, firmware):
    """Bytes of heap that a configured, idle role takes above the bare interpreter.

    A word that an earlier call has left on the stack can look like a reference, and keep what is
    not in use any more until a later collection. So this is the least of some runs, whose stacks
    lie elsewhere.
    """
    return min(_heap_bytes_of(role, firmware, padding) for padding in _PADDINGS)


def _heap_bytes_of(role, firmware, padding):
    settings = {"role": role, "bind": ["127.0.0.1", 0], **_SETTINGS[role]}
    if role != "ue":  # a small site
        settings["links"] = {
            f"urn:x-msgin5g:ue:{n:04}": [f"127.0.0.{n}", 65401] for n in range(2, 10)
        }
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "settings.json").write_text(json.dumps(settings))
        (Path(directory) / "answer").write_bytes(_answer([_document()]))
        (Path(directory) / "observed").write_bytes(_answer(_document(), b"\x21\x01"))
        command = [interpreter_command(), "-X", f"heapsize={_HEAP}"]
        command += [str(ROOT / "tools" / "heap_rig.py"), ".", directory]
        done = subprocess.run(
            command,
            cwd=firmware,  # how long its path is, no module knows
            env={**os.environ, "PADDING": "x" * padding},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    found = re.search(r"^(\d+)$", done.stdout, re.MULTILINE)
    if not found or (role == "ue" and "applied" not in done.stdout):
        sys.exit(f"budget: {role} does not come up in {_HEAP}: {done.stdout}{done.stderr}")
    return int(found[1])


def _document():
    """The document that configures the UE."""
    data = {
        "MSGin5G-Server-address": "coap://msgin5g.example:5683",
        "MSGin5G-UE-Service-id": "user-7@example.com",
    }
    return {
        "ueConfigDocId": "doc-1",
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [_UE_ID]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(data)}],
    }


def _answer(content, observe=b""):
    """Options and payload of an answer; observe: that option, after an ETag, or none."""
    recipient = _UE_ID.encode()
    return (
        b"\x44abcd"  # ETag
        + observe
        + (b"\x62\xfd\xe9" if observe else b"\x82\xfd\xe9")  # Content-Format 65001
        + b"\xed"  # Recipient, 65020: 65008 on, with an extended delta and length
        + (65020 - 12 - 269).to_bytes(2, "big")
        + bytes([len(recipient) - 13])
        + recipient
        + b"\xff"
        + cbor2.dumps(content)
    )


def measure():
    """({(board, role): {limit name: bytes}}, {(board, role): sizes of the files})."""
    firmware = {role: build_firmware() for role in ROLES}
    heaps = {role: heap_bytes_of(role, firmware[role]) for role in ROLES}
    cores = {role: core_mpy_bytes_of(role, firmware[role]) for role in ROLES}
    found, files = {}, {}
    for folder in sorted(path.parent for path in BOARDS.glob("*/budget.toml")):
        for role in ROLES:
            manifest = Manifest(folder / role / "manifest.py")
            modules = {module_name(file, FIRMWARE) for file, _ in manifest.files.values()}
            sizes = sizes_of(role, firmware[role], modules)
            sizes["main.py"] = (firmware[role] / "main.py").stat().st_size
            key = (folder.name, role)
            found[key] = {
                "mpy_bytes": sum(sizes.values()),
                "core_mpy_bytes": cores[role],
                "heap_bytes": heaps[role],
            }
            files[key] = sizes
    return found, files


def budget_of(board):
    """A budget.toml as a dict."""
    return tomllib.loads((BOARDS / board / "budget.toml").read_text())


def excesses(found, modules):
    """What is above its budget, a line each."""
    for (board, role), figures in found.items():
        budget = budget_of(board).get(role, {})
        for name, value in figures.items():
            if name not in budget:
                yield f"boards/{board}/budget.toml: [{role}] {name} is missing; it is {value}"
            elif value > budget[name]:
                line = (
                    f"{board} {role}: {name} is {value}, {value - budget[name]} above its budget"
                )
                if name == "mpy_bytes":
                    largest = sorted(modules[board, role].items(), key=lambda row: -row[1])[:5]
                    line += "; largest: " + ", ".join(f"{n} {size}" for n, size in largest)
                yield line


def ratchet(text, role, figures):
    """A budget.toml with lower limits for a role where there is room."""
    head, mark, section = text.partition(f"[{role}]\n")
    for name, value in figures.items():
        wanted = value + value * _ROOM_PERCENT // 100

        def lower(match, wanted=wanted):
            return f"{match[1]}{min(int(match[2]), wanted)}"

        section = re.sub(rf"^({name} = )(\d+)", lower, section, count=1, flags=re.MULTILINE)
    return head + mark + section


def main():
    try:
        found, modules = measure()
    except (BuildError, ManifestError) as error:
        sys.exit(f"budget: {error}")
    lines = list(excesses(found, modules))
    if "--ratchet" in sys.argv[1:]:
        for (board, role), figures in found.items():
            file = BOARDS / board / "budget.toml"
            file.write_text(ratchet(file.read_text(), role, figures))
    shown = {}
    for (board, role), figures in found.items():
        words = [f"{name} {value}" for name, value in figures.items()]
        shown.setdefault(f"{role}: {', '.join(words)}", []).append(board)
    for line, boards in shown.items():
        print(f"{line}: {', '.join(boards)}")
    for line in lines:
        print(line)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
