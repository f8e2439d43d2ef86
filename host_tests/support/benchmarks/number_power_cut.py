"""Cut the power at every flash operation of the numbers of protected messages.

    micropython -X heapsize=8M number_power_cut.py BLOCK_SIZE N_BLOCKS PROG_SIZE RESTARTS FILLING

Real LittleFS on a disk in RAM. A board starts, and uses 200 numbers; the power fails at each
write, erase and sync in turn, before it, or with its first or second half done, and again at each
operation of the start after that. No number may be used twice. Then RESTARTS restarts follow each
other, whose power fails at random moments. At last an old image of the flash is put back, five
times, and ten restarts follow each time.

FILLING is the number of writes that went into the directory's log before, so that its compaction
falls on every step.

Prints `N cuts, N restarts, N numbers, none twice`; the first number that comes back ends it.
"""

import gc
import sys

here = sys.argv[0][: sys.argv[0].rfind("/")] if "/" in sys.argv[0] else "."
sys.path[:] = [here + "/..", here + "/../../testkit", here + "/../../../firmware"]

import ram_disk  # noqa: E402
import vfs  # noqa: E402
from msgin5g_testkit.checks import xorshift  # noqa: E402
from msgin5g.config.store import StorageError  # noqa: E402
from msgin5g.oscore.context import ProtectionError  # noqa: E402
from msgin5g.oscore.sequence_store import SequenceStore  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

BLOCK_SIZE, N_BLOCKS, PROG_SIZE, RESTARTS = (int(argument) for argument in sys.argv[1:5])
KEY = bytes(range(16))
random = xorshift(41)


class Receiver:
    """Knows all numbers that have come, as runs of successive ones: {first: last}."""

    def __init__(self, runs=None):
        self.runs = runs or {}
        self.first = self.last = None

    def copy(self):
        return Receiver(dict(self.runs))

    def start(self):
        """The board has restarted: its numbers may begin anywhere."""
        if self.first is not None:
            self.runs[self.first] = self.last
        self.first = self.last = None

    def take(self, number, case):
        if self.first is None:
            self.first = number
        else:
            assert number == self.last + 1, case
        self.last = number

    def check(self, case):
        """No run has a number of another one."""
        self.start()
        end = -1
        for first in sorted(self.runs):
            assert first > end, case + ": number " + str(first) + " twice"
            end = self.runs[first]

    def count(self):
        return sum([self.runs[first] - first + 1 for first in self.runs])


def run(image, receiver, n, cut_at=0, how=0, case="", skips=None):
    """Start a board, use n numbers, and lose the power at an operation; the disk.

    skips: gives the bytes of the count of numbers that the start skips; None, as after a deep
    sleep, skips none, so that nothing but the bound keeps a number from coming back.
    """
    disk = ram_disk.RamDisk(BLOCK_SIZE, N_BLOCKS, image)
    disk.cut_at = cut_at
    disk.how = how
    receiver.start()
    try:
        ram_disk.mount(disk, "/flash", PROG_SIZE)
        store = SequenceStore(Flash("/flash", StorageError), KEY, b"board")
        has_numbers = store.load(skips)
        assert has_numbers or disk.is_dead, case + ": no numbers"
        for _ in range(n if has_numbers else 0):
            receiver.take(store.next(), case)
    except (ram_disk.PowerCut, ProtectionError, OSError):
        if not disk.is_dead:
            raise
    try:
        vfs.umount("/flash")
    except OSError:
        pass
    return disk


def cuts(image, receiver, n, case, then):
    """Cut at each operation, in each way; call `then` with what is left."""
    n_operations = run(image, receiver.copy(), n, case=case).n_operations
    for at in range(1, n_operations + 1):
        for how in (ram_disk.WHOLE, ram_disk.TORN, ram_disk.TORN_BACK):
            known = receiver.copy()
            disk = run(image, known, n, at, how, case)
            assert disk.is_dead, case
            then(disk.image, known, case + ", cut at " + str(at) + " way " + str(how))


def main():
    n_cuts = 0
    n_numbers = 0
    for argument in sys.argv[5:]:
        disk = ram_disk.RamDisk(BLOCK_SIZE, N_BLOCKS)
        ram_disk.format_disk(disk, PROG_SIZE)
        ram_disk.mount(disk, "/flash", PROG_SIZE)
        for _ in range(int(argument)):
            with open("/flash/filling", "wb") as file:
                file.write(b"x")
        assert SequenceStore(Flash("/flash", StorageError), KEY, b"board").create()
        vfs.umount("/flash")
        receiver = Receiver()
        image = run(disk.image, receiver, 200).image
        receiver.check("start")

        def once(image, known, case):
            nonlocal n_cuts, n_numbers
            n_cuts += 1
            after = known.copy()
            run(image, after, 70, case=case)
            after.check(case)
            n_numbers += after.count()
            if n_cuts % 5 == 0:
                cuts(image, known, 70, case, twice)

        def twice(image, known, case):
            nonlocal n_cuts
            n_cuts += 1
            run(image, known, 70, case=case)
            known.check(case)

        cuts(image, receiver, 200, "filling " + argument, once)
        gc.collect()

    old = image
    for restart in range(RESTARTS):
        image = run(image, receiver, random() >> 1, random() >> 3, random() % 3).image
        if restart == RESTARTS // 2:
            old = image
    for _ in range(5):
        image = old
        for _ in range(10):
            cut = (random() >> 1, random() >> 3, random() % 3)
            image = run(image, receiver, *cut, skips=random).image
    receiver.check("restarts")
    n_numbers += receiver.count()
    print("%d cuts, %d restarts, %d numbers, none twice" % (n_cuts, RESTARTS, n_numbers))


main()
