"""Put files on a board so that it boots at any moment, whatever is interrupted.

    1  ask for the hashes of what is there (one round trip)
    2  write what differs below msgin5g.new/: the firmware that runs is not touched, and
       what an earlier attempt has left there in good order is not written again
    3  read the hashes back
    4  put a main.py in place that completes the rest (programs.commit), by one rename
    5  let it: move every file to its place, settings and secrets next to last, main.py last
    6  read the hashes back

Up to 4 the board boots what it had before. This program may be killed at any point: 5 runs on the
board. The board's power may fail at any point: LittleFS renames in one piece, and a board that
starts between 4 and the end of 5 goes on with 5, then starts the new firmware. Mixed versions
never run. That is why settings and main.py come last: nothing else is needed to be sure of it.
"""

from msgin5g_tools.device import programs
from msgin5g_tools.device.errors import FAILED, DeviceError
from msgin5g_tools.device.inventory import conflict, plan, room_fault, take_inventory


def install(session, inventory, wanted, line, dry_run=False):
    """Make the board have exactly the `wanted` Files; the number that was copied.

    line: reports the progress (progress.Line). With dry_run it only reports what would be done.
    """
    fault = conflict(inventory, wanted)
    if fault:
        raise DeviceError(FAILED, fault)
    todo = plan(inventory, wanted)
    if dry_run:
        _report(todo, line)
        return len(todo.copy)
    fault = room_fault(inventory, todo.copy)
    if fault:
        raise DeviceError(FAILED, fault)
    if todo.missing:
        _stage(session, todo, line)
        _commit(session, todo)
        _verify(take_inventory(session).installed, wanted)
    elif todo.leftovers:
        session.run(programs.prepare([], todo.leftovers))
    return len(todo.copy)


def _report(todo, line):
    for file in todo.copy:
        line.say(f"would copy {file.path} ({len(file.data)} bytes)")
    for path in todo.unwanted:
        line.say(f"would remove {path}")


def _stage(session, todo, line):
    folders = {f"/{programs.STAGING}"}
    for file in todo.missing:
        parts = file.path.split("/")[:-1]
        folders.update(
            "/".join(["", programs.STAGING, *parts[: i + 1]]) for i in range(len(parts))
        )
    session.run(programs.prepare(sorted(folders), todo.leftovers))
    line.total(len(todo.copy))
    for file in todo.copy:
        for program in file.programs(f"/{programs.STAGING}"):
            session.run(program)
        line.copied(file)
    _verify(take_inventory(session).staged, todo.missing)


def _commit(session, todo):
    as_main, at_repl = programs.commit(todo.unwanted)
    for program in programs.replace_file("/main.py", as_main):
        session.run(program)
    session.run(at_repl)


def _verify(found, wanted):
    wrong = [file.path for file in wanted if found.get(file.path) != file.sha256]
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DeviceError(FAILED, f"{wrong[0]}{more} read back wrong: flash it again")
