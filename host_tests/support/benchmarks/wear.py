"""How often each flash block is erased by 1,000 changes of the configuration.

    micropython -X heapsize=64M wear.py BLOCK_SIZE N_BLOCKS PROG_SIZE TEXT_SIZE CHANGES_PER_BOOT
        N_REFRESHES

A change is a new document that is applied, tried and confirmed; a refresh brings the same one
again. Real LittleFS. Prints one JSON object: `erased` is the list of counts by block, of which
0 and 1 are the superblock; `refresh_operations` is how many there were on the flash.
"""

import json
import sys

here = sys.argv[0][: sys.argv[0].rfind("/")] if "/" in sys.argv[0] else "."
sys.path[:] = [here + "/..", here + "/../../testkit", here + "/../../../firmware"]

import ram_disk  # noqa: E402
import vfs  # noqa: E402
from msgin5g.config.manager import ConfigurationManager  # noqa: E402
from msgin5g.config.schema import Schema  # noqa: E402
from msgin5g.config.store import StorageError, Store  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

BLOCK_SIZE, N_BLOCKS, PROG_SIZE, TEXT_SIZE, PER_BOOT, N_REFRESHES = (int(a) for a in sys.argv[1:7])
N_CHANGES = 1000


def document(n):
    text = '{"MSGin5G-Server-address":"h:1","MSGin5G-UE-Service-id":"ue","n":' + str(n)
    return (text + ',"x":"' + "x" * (TEXT_SIZE - len(text) - 8) + '"}').encode()


def boot(disk):
    ram_disk.mount(disk, "/flash", PROG_SIZE)
    manager = ConfigurationManager(Store(Flash("/flash", StorageError)), Schema())
    manager.start(0)
    return manager


def main():
    disk = ram_disk.RamDisk(BLOCK_SIZE, N_BLOCKS)
    ram_disk.format_disk(disk, PROG_SIZE)
    disk.erased = [0] * N_BLOCKS
    manager = boot(disk)
    for n in range(N_CHANGES):
        if n and n % PER_BOOT == 0:
            vfs.umount("/flash")
            manager = boot(disk)
        assert manager.offer(document(n), b"%d" % n, 0)[0] == "applied"
        assert manager.confirm(0)[0] == "confirmed"
    erased = list(disk.erased)
    before = disk.n_operations
    text = document(N_CHANGES - 1)
    for n in range(N_REFRESHES):
        assert manager.offer(text, b"%d" % n, 0)[0] == "unchanged"
    print(json.dumps({"erased": erased, "refresh_operations": disk.n_operations - before}))


main()
