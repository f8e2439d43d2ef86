"""A serial port: the one place that opens one, and that says in one line why it fails."""

import errno
import os
import struct
from pathlib import Path

import serial
from serial.tools import list_ports

from msgin5g_tools.device.errors import (
    FAILED,
    NOT_MICROPYTHON,
    PORT_BUSY,
    PORT_MISSING,
    DeviceError,
)

try:
    from termios import error as termios_error
except ImportError:  # Windows
    termios_error = OSError

BAUD_RATE = 115200
# A port that has gone gives any of these: termios.error is no OSError, and a pty has no modem
# lines. SerialException is an OSError; SerialTimeoutException is one of those.
LOST = (OSError, serial.SerialException, termios_error, struct.error)
_BUSY = (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK)
_ABSENT = (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO)


def usb_ports():
    """What pyserial knows of each port where a board may be: those on USB, sorted by name."""
    found = (port for port in list_ports.comports() if port.vid is not None)
    return sorted(found, key=lambda port: port.device)


def real_port(port):
    """The port behind a symbolic link."""
    return os.path.realpath(port) if os.path.exists(port) else port


def open_serial(port, **options):
    """The port as an exclusive serial.Serial; DeviceError gives the reason when it fails."""
    try:
        return serial.Serial(port, BAUD_RATE, exclusive=True, **options)
    except (*LOST, ValueError) as error:
        raise not_opened(port, error) from None


def not_opened(port, error):
    """The DeviceError for a port that cannot be opened."""
    number = error.args[0] if isinstance(error, termios_error) else getattr(error, "errno", None)
    if number in _BUSY:
        return DeviceError(PORT_BUSY, "the port is in use by another program" + _named(port))
    if number == errno.EACCES:
        return DeviceError(PORT_MISSING, "no permission: is your user in the group of the port?")
    if number in _ABSENT or not os.path.exists(port):
        names = ", ".join(found.device for found in usb_ports())
        there = f"connected: {names}" if names else "no board is connected"
        return DeviceError(PORT_MISSING, f"there is no such port; {there}")
    return DeviceError(PORT_MISSING, "this is not a serial port")


def failed(port, error):
    """The DeviceError for an error of work at a port that could be opened.

    Where a board answers wrongly or not at all, the reason may be another program that reads the
    port without a lock and gets what the board has sent.
    """
    known = isinstance(error, DeviceError)
    if known and error.status not in (FAILED, NOT_MICROPYTHON):
        return error
    if not os.path.exists(port):
        return DeviceError(FAILED, "the board was disconnected: connect it and run this again")
    other = other_reader(port)
    if other:
        return DeviceError(PORT_BUSY, f"{error}; {other}" if known else str(other))
    if known:
        return error
    return DeviceError(FAILED, "the connection was lost: run the command again")


def other_reader(port):
    """The DeviceError that names the programs that read the port without a lock, or None."""
    others = _named(port)
    if not others:
        return None
    text = f"another program reads this port{others}: end it, then run this again"
    return DeviceError(PORT_BUSY, text)


def _named(port):
    others = ", ".join(f"{name} (process {pid})" for pid, name in readers(port))
    return f": {others}" if others else ""


def readers(port):
    """[(pid, name)] of the other processes that have the port open, as far as Linux shows them.

    The program that has the far end of a pty is no reader: it is the virtual board.
    """
    port = os.path.realpath(port)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == os.getpid():
            continue
        try:
            files = {os.readlink(file): file.name for file in (folder / "fd").iterdir()}
            if port in files and not _has_far_end(folder, port):
                found.append((pid, (folder / "comm").read_text().strip()))
        except OSError:
            pass  # it has ended, or belongs to another user
    return sorted(found)


def _has_far_end(folder, port):
    """Whether a process, by its folder in /proc, has the master of the pty."""
    number = port.removeprefix("/dev/pts/")
    for info in (folder / "fdinfo").iterdir():
        lines = info.read_text().split("\n")
        if any(line.split() == ["tty-index:", number] for line in lines):
            return True
    return False
