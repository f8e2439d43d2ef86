"""`msgin5g image`: everything for a board as one file: its file system, or a ROMFS of the modules.

A file system is for mass production, and for the virtual board, which takes a LittleFS of blocks
of 4096 bytes.
LittleFS keeps a small file inside its folder, up to the size of the reader's cache: 128 bytes on
an ESP32 and on the virtual board, more on an RP2. The image is made for the smallest, and in the
older version of the format, which every MicroPython of today reads and brings up to date. The
same input gives the same bytes.
"""

import hashlib
import re
import sys
from pathlib import Path

import click

from msgin5g_tools.build.mpy import BuildError
from msgin5g_tools.build.romfs import build_romfs
from msgin5g_tools.device import bundle
from msgin5g_tools.device.board_key import holds_key
from msgin5g_tools.device.boards import BLOCK_SIZE, BOARDS, write_command
from msgin5g_tools.device.bundle import ROLES, file_of
from msgin5g_tools.device.settings_check import read_secrets, read_settings
from msgin5g_tools.device.errors import FAILED, WRONG_INPUT, DeviceError
from msgin5g_tools.project_file import is_default

_INLINE_MAX = 128
_CACHE_SIZE = 1024
_DISK_VERSION = 0x00020000
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


def _size(context, parameter, text):
    """Bytes from 868352, 848K or 2M."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,9})([KkMm]?)", text)
    if not match:
        raise click.BadParameter(f"'{text}' is not a number with K or M, as 2M")
    size = int(match[1]) * _SIZE_UNITS[match[2].upper()]
    if size % BLOCK_SIZE or not 16 * BLOCK_SIZE <= size <= 1 << 28:
        raise click.BadParameter(f"'{text}': whole blocks of {BLOCK_SIZE} bytes, 16 at least")
    return size


@click.command()
@click.option("--board", type=click.Choice(sorted(BOARDS)))
@click.option("--settings", metavar="FILE")
@click.option("--secrets", metavar="FILE")
@click.option("--role", type=click.Choice(ROLES), help="In place of the settings' own.")
@click.option("--size", metavar="SIZE", callback=_size, help="Of the file system, as 2M.")
@click.option("--romfs", is_flag=True, help="Only the modules of the role, as a ROMFS image.")
@click.option("-o", "--output", metavar="OUT", required=True)
def image(board, settings, secrets, role, size, romfs, output):
    """Make a LittleFS image for a board: firmware, settings, secrets.

    Without --size it has the size that MicroPython's own build for that board gives its file
    system; `msgin5g doctor` prints the size on a board at hand. Secrets with a key of OSCORE are
    refused: each board needs one of its own.

    With --romfs make a ROMFS image of the modules of --role or of the settings' role: for boards
    whose MicroPython has a ROMFS partition. main.py and settings.json stay on the file system.

    Exit status: 0 made   1 settings, secrets or build wrong   2 usage   6 does not fit
    """
    try:
        if romfs:
            board = None if is_default("board") else board
            _make_romfs(settings, role, output, (board, secrets, size))
        else:
            _make_file_system(board, settings, secrets, role, size, output)
    except DeviceError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.status)


def _make_file_system(board, settings, secrets, role, size, output):
    for value, option in ((board, "--board"), (settings, "--settings")):
        if value is None:
            raise click.UsageError(f"{option} is missing")
    board = BOARDS[board]
    data, parsed = read_settings(settings, role)
    files = [*bundle.build(parsed.role), file_of("settings.json", data)]
    if secrets:
        secret_data = read_secrets(secrets, data)
        if holds_key(secret_data):
            # Boards with one key and the same numbers would give all their messages away.
            text = (
                "security.master_secret: a key is for one board: msgin5g provision puts it there"
            )
            raise DeviceError(WRONG_INPUT, f"{secrets}: {text}")
        files.append(file_of("secrets.json", secret_data))
    made = make_image(files, size or board.fs_size, board.prog_size)
    _write(output, made, private=bool(secrets))
    n_bytes = sum(len(file.data) for file in files)
    click.echo(
        f"{output}: {len(files)} files, {n_bytes} bytes, {parsed.role} {parsed.ue_id}; "
        f"file system of {len(made) >> 10} KiB\n"
        f"sha256 {hashlib.sha256(made).hexdigest()}\n"
        f"onto a board:          {write_command(board, output)}\n"
        f"onto the virtual one:  msgin5g board --image {output}"
    )


def _make_romfs(settings, role, output, others):
    if any(value is not None for value in others):
        raise click.UsageError("--board, --secrets and --size do not go with --romfs")
    if role is None:
        if settings is None:
            raise click.UsageError("--romfs needs --role or --settings")
        role = read_settings(settings)[1].role
    if not output.endswith((".romfs", ".img")):
        raise click.UsageError("--output: mpremote takes files that end in .romfs or .img")
    try:
        made = build_romfs(role).read_bytes()
    except BuildError as error:
        raise DeviceError(WRONG_INPUT, f"build: {error}") from None
    _write(output, made, private=False)
    click.echo(
        f"{output}: ROMFS of {len(made)} bytes, the modules of a {role}\n"
        f"sha256 {hashlib.sha256(made).hexdigest()}\n"
        f"onto a board:          mpremote romfs deploy {output}\n"
        "and on its file system: main.py and settings.json, and no folder msgin5g"
    )


def make_image(files, size, prog_size=32):
    """The bytes of a file system that holds these Files."""
    from littlefs import LittleFS
    from littlefs.errors import LittleFSError

    flash = LittleFS(
        block_size=BLOCK_SIZE,
        block_count=size // BLOCK_SIZE,
        read_size=32,
        prog_size=prog_size,
        cache_size=_CACHE_SIZE,
        lookahead_size=32,
        inline_max=_INLINE_MAX,
        disk_version=_DISK_VERSION,
    )
    try:
        for file in files:
            if "/" in file.path:
                flash.makedirs(file.path.rpartition("/")[0], exist_ok=True)
            with flash.open(file.path, "wb") as target:
                target.write(file.data)
    except LittleFSError:
        text = f"a file system of {size >> 10} KiB is too small: give a larger --size"
        raise DeviceError(FAILED, text) from None
    flash.unmount()
    return bytes(flash.context.buffer)


def _write(output, data, private):
    """Secrets are for the owner of the file alone."""
    try:
        path = Path(output)
        if private:
            path.touch(0o600)
            path.chmod(0o600)
        path.write_bytes(data)
    except OSError as error:
        raise DeviceError(WRONG_INPUT, f"{output}: {error.strerror}") from None
