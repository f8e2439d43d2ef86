"""The boards by MicroPython's own names: their chip, their file system, how it gets there.

Sources, all below ports/ of the MicroPython repository:

    RP2    rp2/boards/*/mpconfigboard.h: MICROPY_HW_FLASH_STORAGE_BYTES, which is the end of the
           flash (2 MiB on a Pico W, 4 MiB on a Pico 2 W); rp2/rp2_flash.c: blocks of one flash
           sector; rp2/modules/_boot.py: progsize=256
    ESP32  esp32/partitions-4MiBplus.csv: the firmware's partition is 0x1F0000 bytes from 0x10000
           and so ends at 2 MiB; the file system takes the rest of the flash (pull request
           17337). The modules that the boards are named after have 4 MiB, that of the S3 has
           8 MiB (ESP32_GENERIC_S3/sdkconfig.board). esp32/modules/inisetup.py: mkfs with
           VfsLfs2's own sizes

A file system of another size than its place does not mount, and ESP32 builds with other partition
tables exist: `msgin5g doctor` prints what a board really has, and `msgin5g image --size` takes it.
"""

from collections import namedtuple

BLOCK_SIZE = 4096
_MiB = 1 << 20

# title and chip: sys.implementation._machine is "TITLE with CHIP". fs_size: bytes. offset: where
# the file system begins in flash. prog_size: LittleFS writes multiples of it.
Board = namedtuple("Board", "name title chip fs_size offset prog_size")

BOARDS = {
    board.name: board
    for board in (
        Board("ESP32_GENERIC", "Generic ESP32 module", "ESP32", 2 * _MiB, 2 * _MiB, 32),
        Board("ESP32_GENERIC_S3", "Generic ESP32S3 module", "ESP32S3", 6 * _MiB, 2 * _MiB, 32),
        Board("ESP32_GENERIC_C3", "ESP32C3 module", "ESP32C3", 2 * _MiB, 2 * _MiB, 32),
        Board(
            "RPI_PICO_W", "Raspberry Pi Pico W", "RP2040", 848 << 10, 2 * _MiB - (848 << 10), 256
        ),
        Board(
            "RPI_PICO2_W",
            "Raspberry Pi Pico 2 W",
            "RP2350",
            2560 << 10,
            4 * _MiB - (2560 << 10),
            256,
        ),
    )
}


def write_command(board, image):
    """The command line that puts an image of a board's file system into its flash."""
    if board.name.startswith("ESP32"):
        return f"esptool write_flash 0x{board.offset:x} {image}"
    return f"picotool load -t bin {image} -o 0x{0x10000000 + board.offset:x}"


def board_fault(board, facts):
    """Why the board that gives these facts is not the one that is named, or None.

    A MicroPython that does not say for which board it was built is judged by its chip.
    """
    if board is None:
        return None
    build, machine = facts["build"].split("-")[0], facts["machine"]
    if build == board.name or (not build and machine.endswith(f" with {board.chip}")):
        return None
    return f"this is {build or machine or facts['platform']}, not {board.name}"
