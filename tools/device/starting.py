"""Whether the firmware on a board would start: the board loads everything and starts nothing."""

import json

from msgin5g_tools.device.errors import DeviceError

# A line that `load` prints when it refuses; then one of JSON. `broken`: why the package cannot be
# loaded. `main`: the fault of main.py, "" for none, None when there is no main.py. Secrets are
# checked on the board, which prints the rule and no value.
_PROGRAM = """
import json, os, sys
d = {"frozen": False, "broken": None, "main": None, "refused": False}
def forget():
    for name in list(sys.modules):
        if name.split(".")[0] == "msgin5g":
            del sys.modules[name]
paths = sys.path[:]
sys.path[:] = [".frozen"]
try:
    import msgin5g.main
    d["frozen"] = True
except ImportError:
    pass
forget()
sys.path[:] = paths
try:
    import msgin5g.main
    from msgin5g.settings import load
    if "settings.json" in os.listdir("/"):
        s = load("/settings.json")
        d["refused"] = s is None
        if s and s.security_mode == "oscore" and (s.role != "relay" or s.own_configuration):
            from msgin5g.config.store import StorageError
            try:
                from msgin5g.builder.security import own_context
                own_context(s, "/")
            except StorageError as e:
                print(e)
                d["refused"] = True
            except ImportError:  # an older firmware
                pass
except MemoryError:
    pass
except Exception as e:
    d["broken"] = type(e).__name__ + ": " + str(e)
forget()
try:
    with open("/main.py") as f:
        text = f.read()
    d["main"] = "" if "msgin5g" in text else "does not start msgin5g"
    compile(text, "main.py", "exec")
except OSError:
    pass
except (SyntaxError, UnicodeError):
    d["main"] = "cannot be compiled"
except (MemoryError, NameError):
    pass
print(json.dumps(d))
"""


def try_to_start(session):
    """The facts of _PROGRAM as a dict; `refused` is the line with the reason, or None."""
    try:
        printed = session.run(_PROGRAM)
    except DeviceError:  # MicroPython does not return from loading a truncated .mpy file
        broken = "the board hangs, reset it"
        return {"frozen": False, "broken": broken, "main": "", "refused": None}
    *said, facts = printed.strip().replace("\r", "").split("\n")
    found = json.loads(facts)
    found["refused"] = said[-1] if found["refused"] and said else None
    return found


def start_faults(starting, inventory, wanted):
    """A line for each reason why the board would not start what is installed in `/`."""
    installed = inventory.installed
    if starting["broken"]:
        yield f"msgin5g cannot be loaded: {starting['broken']}: msgin5g flash"
    else:
        same = {file.path for file in wanted if installed.get(file.path) == file.sha256}
        lost = [file.path for file in wanted if file.path not in installed]
        lost = [path for path in lost if path != "main.py"]
        if lost and "msgin5g/main.mpy" in same:
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            yield f"{lost[0]}{more}: missing: msgin5g flash"
    if starting["main"] is None and not starting["frozen"]:
        yield "there is no main.py: msgin5g flash"
    elif starting["main"]:
        yield f"main.py {starting['main']}: msgin5g flash"
