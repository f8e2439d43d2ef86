"""The folder of a board for the files of a test run; what is installed is not touched."""

from msgin5g_tools.device import programs

FOLDER = "/msgin5g.test"
_REMOVE = f"""
import os
def remove(path):
    for e in list(os.ilistdir(path)):
        if e[1] == 0x4000:
            remove(path + "/" + e[0])
        else:
            os.remove(path + "/" + e[0])
    os.rmdir(path)
if {FOLDER[1:]!r} in os.listdir("/"):
    remove({FOLDER!r})
"""


def put(session, files):
    """Write {path below the folder: bytes}; what was there before is removed."""
    wanted = {f"{FOLDER}/{path}": data for path, data in files.items()}
    folders = {path[:i] for path in wanted for i, char in enumerate(path) if char == "/" and i > 0}
    remove(session)
    session.run(programs.prepare(sorted(folders), []))
    for path, data in wanted.items():
        for program in programs.write_file(path, data):
            session.run(program)


def remove(session):
    """Remove the folder and all that is in it."""
    session.run(_REMOVE)
