"""Cut the power at every flash operation of everything that config ever stores.

    micropython -X heapsize=8M power_cut.py BLOCK_SIZE N_BLOCKS PROG_SIZE TEXT_SIZE FILLING...

Real LittleFS on a disk in RAM. Each scenario starts from a snapshot. It runs once to count the
write, erase and sync operations, and then once for each operation and each way to fail at it: the
operation does not happen, or only its first half, or only its second half. The next start must
find the old or the new configuration, whole, and must be able to store another one.

All scenarios run once for each FILLING, the number of writes that went into the directory's log
before. So the compaction of the log, and the relocation of its blocks, happen at every step. With
a "d" behind the number the start after each seventh cut is itself cut, at each of its operations
(a double cut). With an "m" every write goes to a new folder if possible, not only one in many;
N_BLOCKS must be 160 or more then.

Before that the file system is filled: a document is then refused, and changes nothing.

Prints a line for each scenario, then `N cuts, N lost`. The first loss ends it with its case.
"""

import gc
import json
import os
import struct
import sys
from binascii import crc32

here = sys.argv[0][: sys.argv[0].rfind("/")] if "/" in sys.argv[0] else "."
sys.path[:] = [here + "/..", here + "/../../testkit", here + "/../../../firmware"]

import ram_disk  # noqa: E402
import vfs  # noqa: E402
from msgin5g.config.manager import SAFE_MODE_MS, ConfigurationManager  # noqa: E402
from msgin5g.config.schema import Schema  # noqa: E402
from msgin5g.config.store import GOOD, TRIAL, StorageError, Store  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

BLOCK_SIZE, N_BLOCKS, PROG_SIZE, TEXT_SIZE = (int(argument) for argument in sys.argv[1:5])
TRIAL_MS = 300_000
GOOD_MS = 60_000
LATER = 400_000


def configuration_of(name):
    return {
        "MSGin5G-Server-address": "coap://" + name,
        "MSGin5G-UE-Service-id": "ue",
        "x": name[0] * (TEXT_SIZE - len(name) - 80),
    }


def document(name):
    return json.dumps(configuration_of(name)).encode()


class Moving(Flash):
    """Makes a new folder at every write."""

    def make_folder_when_due(self, sequence, folder):
        return super().make_folder_when_due(crc32(b"0") % (N_BLOCKS // 20), folder)


class Board:
    """A board from power-on to power-off; `disk` may lose power meanwhile."""

    def __init__(self, image, cut_at=0, how=0):
        self.disk = ram_disk.RamDisk(BLOCK_SIZE, N_BLOCKS, image)
        self.disk.cut_at = cut_at
        self.disk.how = how
        self.manager = None

    def power_on(self):
        ram_disk.mount(self.disk, "/flash", PROG_SIZE)
        flash = (Moving if moving else Flash)("/flash", StorageError)
        self.manager = ConfigurationManager(Store(flash), Schema(), TRIAL_MS, GOOD_MS)
        self.event = self.manager.start(0)

    def power_off(self):
        try:
            vfs.umount("/flash")
        except OSError:  # the power failed before it was mounted
            pass

    def run(self, scenario):
        """Start, and run a scenario; whether the power stayed on."""
        try:
            self.power_on()
            scenario(self.manager)
        except (ram_disk.PowerCut, OSError):
            if not self.disk.is_dead:
                raise
        self.power_off()
        return not self.disk.is_dead

    def runs(self):
        """The name of the document that runs, None for none; it must be complete."""
        configuration = self.manager.configuration
        if configuration is None:
            return None
        name = configuration["MSGin5G-Server-address"][7:]
        assert configuration == configuration_of(name), "not whole: " + name
        return name


def after(image, *scenarios):
    """The image after all of the scenarios, with a reset before each one."""
    for scenario in scenarios:
        board = Board(image)
        assert board.run(scenario)
        image = board.disk.image
    return image


def nothing(manager):
    pass


def offer(name):
    def scenario(manager):
        manager.offer(document(name), name.encode(), 0)

    return scenario


def good(name):
    def scenario(manager):
        manager.offer(document(name), name.encode(), 0)
        manager.confirm(0)

    return scenario


def confirm(manager):
    manager.confirm(0)


def too_late(manager):
    manager.step(LATER)


def lasted(manager):
    manager.step(GOOD_MS)


def by_hand(manager):
    manager.ended_by_hand(0)


def lasted_in_safe_mode(manager):
    assert manager.safe_mode
    manager.step(SAFE_MODE_MS)


def roll_back(manager):
    manager.roll_back(0)


def factory_reset(manager):
    manager.remove_all(0)


def removed(manager):
    manager.on_deleted = "remove"
    manager.document_deleted(0)


def put_file(name, data):
    def scenario(manager):
        with open("/flash/" + name, "wb") as file:
            file.write(data)

    return scenario


def old_layout(manager):
    """Two records of version 1: "zero" is good, "one" is newer and good."""
    write_1("slot-a", GOOD, 6, "zero")
    write_1("slot-b", GOOD, 7, "one")


def old_trial(manager):
    """Two records of version 1: "one" is good, "two" is newer and on trial."""
    write_1("slot-a", GOOD, 6, "one")
    write_1("slot-b", TRIAL, 7, "two")


def write_1(slot, state, sequence, name):
    text = document(name)
    etag = name.encode()
    data = struct.pack(">4sBBBIH", b"MG5C", 1, state, len(etag), sequence, len(text)) + etag + text
    with open("/flash/" + slot, "wb") as file:
        file.write(data + struct.pack("<I", crc32(data)))


# What was done before; what is cut; what may run at the next start.
SCENARIOS = (
    ("first configuration", (), offer("one"), (None, "one")),
    ("first reset on trial", (offer("one"),), nothing, ("one",)),
    ("first confirmation", (offer("one"),), confirm, ("one",)),
    ("second configuration", (good("one"),), offer("two"), ("one", "two")),
    ("third over a trial", (good("one"), offer("two")), offer("three"), ("two", "three")),
    ("confirmation", (good("one"), offer("two")), confirm, ("two",)),
    ("reset on trial", (good("one"), offer("two")), nothing, ("two",)),
    ("roll-back, too late", (good("one"), offer("two")), too_late, ("two", "one")),
    ("roll-back, resets", (good("one"), offer("two"), nothing, nothing), nothing, ("two", "one")),
    ("roll-back, by hand", (good("one"), good("two")), roll_back, ("two", "one")),
    ("boot that lasts", (good("one"), offer("two"), too_late), lasted, ("one",)),
    ("safe mode", (good("one"), offer("two"), too_late, nothing, nothing), nothing, ("one",)),
    ("ended by hand", (good("one"), offer("two")), by_hand, ("two",)),
    ("leaving safe mode", (offer("one"), nothing, nothing), lasted_in_safe_mode, ("one",)),
    (
        "over one rolled back",
        (good("one"), offer("two"), too_late),
        offer("three"),
        ("one", "three"),
    ),
    ("migration", (old_layout,), nothing, ("one",)),
    ("migration on trial", (old_trial,), nothing, ("two",)),
    ("migration, then second", (old_layout,), offer("two"), ("one", "two")),
    ("damaged slot", (good("one"), put_file("slot-a", b"?" * 600)), offer("two"), ("one", "two")),
    ("factory reset", (good("one"), good("two")), factory_reset, ("two", None)),
    ("removed", (good("one"), good("two")), removed, ("two", None)),
    ("removed on trial", (good("one"), offer("two")), removed, ("two", None)),
    ("removed, rolled back", (good("one"), offer("two"), too_late), removed, ("one", None)),
)

counts = {"single": 0, "double": 0}
moving = False


def check(image, allowed, case):
    """Start after a cut, check, and store another one; the operations of that start."""
    board = Board(image)
    assert board.run(nothing), case
    name = board.runs()
    assert name in allowed, case + ": runs " + str(name)
    if not case.startswith("damaged slot"):
        assert "unreadable" not in str(board.manager.history), case
    n_operations = board.disk.n_operations
    assert board.run(good("four")), case
    assert board.run(nothing) and board.runs() == "four", case
    assert not [n for n in board_files(board) if n not in FILES], case
    assert not moving or "slots-0" in board_files(board) or "slots-1" in board_files(board), case
    return n_operations


FILES = ("slot-a", "slot-b", "slot-a.bad", "filling", "slots-0", "slots-1")


def board_files(board):
    ram_disk.mount(board.disk, "/flash", PROG_SIZE)
    names = os.listdir("/flash")
    vfs.umount("/flash")
    return names


def cut(image, scenario, n_operations, seen):
    """Call `seen(image, case)` for each way to cut `scenario` short."""
    for at in range(1, n_operations + 1):
        images = []
        for how in (ram_disk.WHOLE, ram_disk.TORN, ram_disk.TORN_BACK):
            board = Board(image, at, how)
            assert not board.run(scenario)
            if board.disk.image not in images:  # half a sync is no sync
                images.append(board.disk.image)
                seen(board.disk.image, str(at) + " of " + str(n_operations) + ", way " + str(how))


def files_of(folder):
    """{path: bytes} of the files below a folder, the ballast without them; None for a folder."""
    files = {}
    for name in os.listdir(folder):
        path = folder + "/" + name
        if os.stat(path)[0] & 0x4000:
            files[path] = None
            files.update(files_of(path))
        else:
            with open(path, "rb") as file:
                files[path] = b"" if name.startswith("ballast") else file.read()
    return files


def full(start):
    """A file system without a free block: refused, and all is as it was, also after a reset."""
    board = Board(after(start, good("one"), good("two")))
    board.power_on()
    n_ballasts = 0
    while (
        os.statvfs("/flash")[3] and n_ballasts < 9
    ):  # a file gives back what its last, refused write had taken
        with open("/flash/ballast%d" % n_ballasts, "wb") as file:
            n_ballasts += 1
            try:
                while True:
                    file.write(bytes(BLOCK_SIZE // 2))
                    file.flush()
            except OSError:
                pass
    before = files_of("/flash")
    assert board.manager.offer(document("three"), b"three", 0) == ("refused", ("storage: full",))
    assert files_of("/flash") == before and board.runs() == "two"
    board.power_off()
    board.power_on()
    assert files_of("/flash") == before and board.runs() == "two"
    for n in range(n_ballasts):
        os.remove("/flash/ballast%d" % n)
    assert board.manager.offer(document("three"), b"three", 0)[0] == "applied"
    board.power_off()


def campaign(start, filling, with_double):
    for title, before, scenario, allowed in SCENARIOS:
        image = after(start, *before)
        board = Board(image)
        board.run(scenario)
        n_operations = board.disk.n_operations
        gc.collect()

        def single(cut_image, case, title=title, allowed=allowed):
            counts["single"] += 1
            case = title + ", filling " + str(filling) + ", cut at " + case
            n_next = check(cut_image, allowed, case)
            if with_double and counts["single"] % 7 == 0:
                cut(
                    cut_image,
                    nothing,
                    n_next,
                    lambda i, c: double(i, case + ", then " + c, allowed),
                )

        def double(cut_image, case, allowed):
            counts["double"] += 1
            check(cut_image, allowed + ("one",), case)

        before_count = dict(counts)
        cut(image, scenario, n_operations, single)
        print(
            "%-24s filling %4d: %3d operations, %4d cuts, %4d double cuts"
            % (
                title,
                filling,
                n_operations,
                counts["single"] - before_count["single"],
                counts["double"] - before_count["double"],
            )
        )


def main():
    global moving  # noqa: PLW0603
    disk = ram_disk.RamDisk(BLOCK_SIZE, N_BLOCKS)
    ram_disk.format_disk(disk, PROG_SIZE)
    image = disk.image
    for argument in sys.argv[5:]:
        filling = int(argument.rstrip("dm"))
        moving = "m" in argument

        def fill(manager, n=filling):
            for _ in range(n):
                with open("/flash/filling", "wb") as file:
                    file.write(b"x")

        start = after(image, fill)
        full(start)
        campaign(start, filling, "d" in argument)
    print(
        str(counts["single"] + counts["double"])
        + " cuts, 0 lost ("
        + str(counts["double"])
        + " of them double)"
    )


main()
