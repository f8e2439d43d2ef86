"""The programs that run on the board, as text: small, for any MicroPython, without our package."""

from binascii import b2a_base64

STAGING = "msgin5g.new"  # what will be installed, complete, below this folder
PACKAGE = "msgin5g"
CHUNK_SIZE = 2048

# Everything about the board that is to be known before it is changed, in one round trip: a line
# of JSON, then `file SIZE SHA-256 PATH` and `folder PATH`. A frozen package has no files but can
# be imported. LittleFS counts some blocks twice: a full flash has less than no free
# block, which statvfs gives as a number near 2**32.
INVENTORY = """
import os, sys, hashlib, binascii, json
def sha(path):
    h = hashlib.sha256()
    b = bytearray(512)
    m = memoryview(b)
    n = 0
    with open(path, "rb") as f:
        while True:
            k = f.readinto(b)
            if not k:
                return n, binascii.hexlify(h.digest()).decode()
            h.update(m[:k])
            n += k
def show(path):
    try:
        s = os.stat(path)
    except OSError:
        return
    if s[0] & 0x4000:
        print("folder", path)
        for e in os.ilistdir(path):
            show(path + "/" + e[0])
    else:
        print("file", *sha(path), path)
def facts():
    i = sys.implementation
    v = os.statvfs("/")
    d = {"name": i.name, "version": ".".join([str(x) for x in i.version[:3]]),
         "mpy": getattr(i, "_mpy", 0) & 255, "build": getattr(i, "_build", ""),
         "machine": getattr(i, "_machine", ""), "platform": sys.platform,
         "block": v[0], "free": v[0] * v[3] if 0 <= v[3] <= v[2] else 0,
         "size": v[1] * v[2], "id": "", "settings": None}
    try:
        import machine
        d["id"] = binascii.hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        pass
    try:
        with open("/settings.json", "rb") as f:
            d["settings"] = binascii.hexlify(f.read(16385)).decode()
    except OSError:
        pass
    print(json.dumps(d))
facts()
for name in ("main.py", "settings.json", "secrets.json", "oscore-a", "oscore-b", "msgin5g",
             "msgin5g.new", "lib/msgin5g"):
    show("/" + name)
"""

# The second half of an installation, from the moment when everything is on the board and has been
# read back: move it into place. While it is under way it is main.py, so that the board, should
# its power fail in between, completes the work at its next start and goes on with it. The real
# main.py takes its place as the last step.
_COMMIT = '''"""msgin5g flash: completes an installation that was cut short, then starts it."""
import os
def move(source, target):
    try:
        os.rename(source, target)
    except OSError as e:
        if e.errno != 17:  # EEXIST: a file system that does not replace
            raise
        os.remove(target)
        os.rename(source, target)
def folder(source, target, last):
    try:
        os.mkdir(target or "/")
    except OSError as e:
        if target and e.errno != 17:
            raise
    for e in list(os.ilistdir(source)):
        a, b = source + "/" + e[0], target + "/" + e[0]
        if e[1] == 0x4000:
            folder(a, b, ())
        elif e[0] not in last:
            move(a, b)
    if not last:
        os.rmdir(source)
def commit(unwanted):
    new = "/msgin5g.new"
    last = ("settings.json", "secrets.json", "main.py")
    folder(new, "", last)
    for path in unwanted:
        try:
            os.remove(path)
            os.rmdir(path[:path.rindex("/")])
        except OSError:
            pass
    for name in last:
        if name in os.listdir(new):
            move(new + "/" + name, "/" + name)
    os.rmdir(new)
if "msgin5g.new" in os.listdir("/"):
    commit({unwanted!r})
'''
_THEN_START = """
with open("/main.py") as f:
    text = f.read()
exec(text)
"""


# A watchdog that the firmware has started goes on, also through the soft reset that brought us
# here; nothing stops one. A timer feeds it until the reset at the end.
FEED_WATCHDOG = """
import sys, machine
ms = {ms}
if sys.platform == "rp2":
    ms = min(ms, 8388)
wdt = machine.WDT(timeout=ms)
if hasattr(machine, "Timer"):
    timer = machine.Timer(0 if sys.platform == "esp32" else -1)
    timer.init(period=ms // 3, mode=machine.Timer.PERIODIC, callback=lambda _: wdt.feed())
else:
    wdt = machine.WDT(timeout=3600000)
"""


def feed_watchdog(timeout_s):
    return FEED_WATCHDOG.replace("{ms}", str(timeout_s * 1000))


def commit(unwanted):
    """(main.py while an installation is being completed, the same for the REPL)."""
    text = _COMMIT.replace("{unwanted!r}", repr(tuple(unwanted)))
    return text + _THEN_START, text


def write_file(path, data):
    """The programs that write one file, each small enough for a small heap."""
    chunks = [data[i : i + CHUNK_SIZE] for i in range(0, len(data), CHUNK_SIZE)] or [b""]
    for i, chunk in enumerate(chunks):
        text = b2a_base64(chunk, newline=False).decode()
        program = f"n=f.write(a({text!r}))\n"
        if i == 0:
            program = f"f=open({path!r},'wb')\n" + program
        if i == len(chunks) - 1:
            program += "f.close()\n"
        yield program


def prepare(folders, leftovers):
    """Before the first file: what `write_file` needs, the folders, no leftovers."""
    return f"""
import os
from binascii import a2b_base64 as a
for p in {leftovers!r}:
    os.remove(p)
for p in {folders!r}:
    try:
        os.mkdir(p)
    except OSError as e:
        if e.errno != 17:
            raise
"""


def replace_file(path, text):
    """Write a file so that it is there with its old content or with the new, never with half."""
    yield from write_file(f"{path}.tmp", text.encode())
    yield (
        "try:\n"
        f" os.rename({path + '.tmp'!r}, {path!r})\n"
        "except OSError as e:\n"
        " if e.errno != 17:\n"
        "  raise\n"
        f" os.remove({path!r})\n"
        f" os.rename({path + '.tmp'!r}, {path!r})\n"
    )
