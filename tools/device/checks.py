"""The checks of `msgin5g doctor`: each gives a mark, a subject and words."""

import calendar
import json
import time
from collections import namedtuple

from msgin5g_tools.device.boards import BOARDS
from msgin5g_tools.device.settings_check import checked_settings
from msgin5g_tools.device.errors import DeviceError
from msgin5g_tools.device.events import SAFE_MODE
from msgin5g_tools.device.inventory import plan
from msgin5g_tools.device.session import BOOT_FAULT
from msgin5g_tools.device.starting import start_faults, try_to_start

OK, WARN, FAIL = "ok", "warn", "fail"
Check = namedtuple("Check", "mark subject words")

_SMALL_HEAP = 64 << 10
_SMALL_FLASH = 64 << 10
_CLOCK_S = 60
_OLDEST = (1, 24)
_PLAUSIBLE_YEAR = 2025

# What the inventory does not contain. `ping` is [host, port] of the next hop or None: a CoAP ping
# is an empty confirmable message, and an endpoint answers with a Reset (RFC 7252 section 4.3).
EXAMINE = """
import gc, json, os, sys, time
gc.collect()
d = {{"heap": gc.mem_free() + gc.mem_alloc(), "heap_free": gc.mem_free(),
     "time": list(time.gmtime()[:6]), "ping": None, "known": True, "wlan": None, "reset": None,
     "fs_at": None}}
try:
    import machine
    d["reset"] = machine.reset_cause()
except (ImportError, AttributeError):
    pass
try:
    import network
    w = network.WLAN(network.STA_IF)
    d["wlan"] = [w.active(), w.isconnected(), w.ifconfig()[0]]
except Exception:
    pass
try:
    import esp32
    d["fs_at"] = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0].info()[2]
except (ImportError, IndexError, OSError):
    pass
target = {target!r}
if target:
    try:
        import select, socket
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if {bind!r}:
            s.bind(socket.getaddrinfo({bind!r}, 0)[0][-1])
        p = select.poll()
        p.register(s, select.POLLIN)
        try:
            a = socket.getaddrinfo(target[0], target[1], socket.AF_INET, socket.SOCK_DGRAM)[0][-1]
        except (OSError, IndexError):
            d["known"] = False
            raise OSError("not known: check it, or use an IPv4 address")
        d["ping"] = "no answer"
        for i in range(2):
            t = time.ticks_ms()
            s.sendto(b"\\x40\\x00\\x4d\\x35", a)
            if p.poll(700):
                r = s.recv(16)
                d["ping"] = time.ticks_diff(time.ticks_ms(), t) if r else "no answer"
                break
        s.close()
    except OSError as e:
        d["ping"] = str(e)
print(json.dumps(d))
"""


# Whether the next start is one in safe mode, by the firmware's own rules; it only reads.
_SAFE_MODE = """
try:
    from msgin5g.config.manager import ConfigurationManager
    from msgin5g.config.schema import Schema
    from msgin5g.config.store import StorageError, Store
    from msgin5g.port.flash import Flash
    m = ConfigurationManager(Store(Flash("/", StorageError)), Schema(8192))
    m.start(0, False)
    print(m.safe_mode)
except Exception:
    print(False)
"""


def examine(session, inventory):
    """The facts of EXAMINE and of starting.try_to_start as a dict, `boot`: did boot.py end, and
    `safe_mode`."""
    target, bind = None, None
    try:
        settings = checked_settings(inventory.settings or b"")[1]
        target = settings.next_hop if settings.role == "ue" else settings.server_address
        bind = settings.bind[0] if settings.bind[0].startswith("127.") else None
    except DeviceError:
        pass
    program = EXAMINE.format(target=target and list(target), bind=bind)
    examined = json.loads(session.run(program))
    examined.update(try_to_start(session), boot=session.boot_ended)
    examined["safe_mode"] = False
    if not examined["broken"]:
        examined["safe_mode"] = session.run(_SAFE_MODE).strip() == "True"
    return examined


def checks(inventory, examined, files_of):
    """All Checks; files_of(role) gives the Files that this checkout would install."""
    facts = inventory.facts
    if examined.get("safe_mode"):
        subject, _, words = SAFE_MODE.partition(": ")
        yield Check(FAIL, subject, words)
    yield _version(facts)
    yield _board(facts, examined.get("fs_at"))
    yield _heap(examined)
    yield _flash(facts)
    role, parsed, found = _settings(inventory)
    yield from _installed(inventory, examined, files_of(role), role)
    if not examined["boot"]:
        subject, _, words = BOOT_FAULT.partition(": ")
        yield Check(FAIL, subject, words)
    yield found
    if parsed is not None and parsed.unknown:
        yield Check(WARN, "settings", "unknown, ignored: " + ", ".join(parsed.unknown))
    refused = parsed and examined["refused"]
    yield _secrets(inventory, refused)
    if parsed is not None and not (refused or "").startswith("security: oscore: "):
        yield _security(parsed)
    yield _clock(examined["time"])
    yield from _network(examined, parsed)


def _version(facts):
    version = tuple(int(part) for part in facts["version"].split(".")[:2])
    words = f"{facts['version']}, .mpy version {facts['mpy']}"
    if version < _OLDEST:
        return Check(FAIL, "MicroPython", f"{words}: 1.24 or newer is needed")
    return Check(OK, "MicroPython", words)


def _board(facts, fs_at):
    board = BOARDS.get(facts["build"].split("-")[0])
    words = f"{facts['machine']} ({facts['build'] or facts['platform']}), id {facts['id']}"
    if board and board.fs_size != facts["size"]:
        words += f"; its file system takes msgin5g image --size {facts['size'] >> 10}K"
    if board and fs_at is not None and fs_at != board.offset:
        words += f"; it begins at 0x{fs_at:x}"
    return Check(OK, "board", words)


def _heap(examined):
    words = f"{examined['heap_free'] >> 10} of {examined['heap'] >> 10} KiB free at the prompt"
    return Check(OK if examined["heap_free"] >= _SMALL_HEAP else WARN, "heap", words)


def _flash(facts):
    words = f"{facts['free'] >> 10} of {facts['size'] >> 10} KiB free"
    return Check(OK if facts["free"] >= _SMALL_FLASH else WARN, "flash", words)


def _settings(inventory):
    """(role, Settings or None, Check)."""
    if inventory.settings is None:
        return "ue", None, Check(FAIL, "settings", "there is no settings.json")
    try:
        parsed = checked_settings(inventory.settings)[1]
    except DeviceError as error:
        return "ue", None, Check(FAIL, "settings", str(error).removeprefix("settings: "))
    return parsed.role, parsed, Check(OK, "settings", f"valid: {parsed.role} {parsed.ue_id}")


def _installed(inventory, examined, wanted, role):
    in_lib = any(path.startswith("lib/msgin5g/") for path in inventory.files)
    if in_lib and (inventory.n_bytes or examined["frozen"]):
        yield Check(WARN, "installed", "in /lib by mip as well; that copy does not run")
    if inventory.staged:
        yield Check(
            WARN, "installed", "an installation was interrupted: msgin5g flash completes it"
        )
    if not inventory.n_bytes:
        if examined["frozen"]:
            yield Check(OK, "installed", "frozen into the image")
        elif in_lib and examined["main"] == "":
            yield Check(WARN, "installed", "in /lib, which msgin5g flash leaves alone")
        elif in_lib:
            yield Check(
                FAIL, "installed", "in /lib, so that no main.py runs: mip install --target /"
            )
        else:
            yield Check(FAIL, "installed", "nothing: run msgin5g flash")
        return
    faults = list(start_faults(examined, inventory, wanted))
    for fault in faults:
        yield Check(FAIL, "installed", fault)
    if faults:
        return
    todo = plan(inventory, wanted)
    differ = [file for file in todo.missing if inventory.installed.get(file.path) != file.sha256]
    words = f"{len(wanted)} files, {inventory.n_bytes} bytes of msgin5g for {role}"
    if not differ and not todo.unwanted:
        yield Check(OK, "installed", f"{words}, as in this checkout")
        return
    parts = []
    if differ:
        parts.append(f"{len(differ)} missing or different from this checkout")
    if todo.unwanted:
        parts.append(f"{len(todo.unwanted)} that {role} does not need")
    yield Check(WARN, "installed", f"files: {' and '.join(parts)}: msgin5g flash")


def _secrets(inventory, refused):
    """refused: the line with which the firmware refuses settings that are valid alone."""
    if refused:
        subject, _, words = refused.partition(": ")
        if subject == "settings" and "secrets.json" in inventory.files:
            words = f"with the settings: {words}"
            subject = "secrets"
        return Check(FAIL, subject, words)
    if "secrets.json" in inventory.files:
        return Check(OK, "secrets", "present; their values are never shown")
    return Check(OK, "secrets", "none")


def _security(parsed):
    if parsed.security_mode == "none":
        if parsed.role == "relay":
            return Check(OK, "security", "none of its own: it relays what UEs protect as it is")
        return Check(OK, "security", "none: traffic is plain text")
    if parsed.role in ("gateway", "seal-c"):
        whom = "with a key only" if parsed.security_required else "without a key, too"
        words = f"OSCORE: what it asks for is protected; it serves UEs {whom}"
        return Check(OK, "security", words)
    return Check(OK, "security", "OSCORE: what the board asks for is protected")


def _clock(shown):
    off = calendar.timegm((*shown, 0, 0, 0)) - time.time()
    text = "{}-{:02}-{:02} {:02}:{:02}:{:02}".format(*shown)
    if shown[0] < _PLAUSIBLE_YEAR:
        return Check(WARN, "clock", f"not set: {text}")
    if abs(off) > _CLOCK_S:
        return Check(WARN, "clock", f"{text}, {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}")
    return Check(OK, "clock", f"{text} UTC")


def _network(examined, parsed):
    wlan, ping = examined["wlan"], examined["ping"]
    online = wlan is None or wlan[1]
    if wlan is not None:
        active, connected, address = wlan
        if connected:
            yield Check(OK, "network", f"Wi-Fi: {address}")
        else:
            words = "not connected" if active else "off; the firmware switches it on"
            yield Check(WARN, "network", f"Wi-Fi: {words}")
    if parsed is None:
        return
    target = parsed.next_hop if parsed.role == "ue" else parsed.server_address
    if target is None:
        return  # an ESP-NOW peer
    name = f"{'next hop' if parsed.role == 'ue' else 'server'} {target[0]}:{target[1]}"
    if isinstance(ping, int):
        yield Check(OK, "network", f"{name} answers a CoAP ping in {ping} ms")
    elif not examined.get("known", True) and online:
        yield Check(FAIL, "network", f"{name}: {ping}")
    else:
        yield Check(WARN, "network", f"{name}: {ping}")
