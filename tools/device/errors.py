"""The exit statuses, the same in every command, and the errors of work with a board.

    0  done; and configured, where the first boot was watched
    1  something is wrong: settings, secrets, a table, the build, a datagram, a check
    2  the command line is wrong (click's own)
    3  the serial port does not exist or cannot be opened
    4  the serial port is in use by another program
    5  what answers is not a MicroPython that can run the firmware, or nothing answers
    6  the board refused, is full or was disconnected: flash it again
    7  no configuration: the first boot after an installation, or `run --once`, ended without one
    8  the role of `run` has ended where a board would restart
  130  Ctrl-C: the boards boot what they had, or what they have got already

With several boards: the highest of all.
"""

import traceback
from pathlib import Path

WRONG_INPUT = 1
PORT_MISSING = 3
PORT_BUSY = 4
NOT_MICROPYTHON = 5
FAILED = 6
NOT_CONFIGURED = 7
WOULD_RESTART = 8
INTERRUPTED = 130


class DeviceError(Exception):
    """An error as one line, with its exit status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def device_error(error):
    """Any exception as a DeviceError: what nobody expected is one line as well."""
    if isinstance(error, DeviceError):
        return error
    if isinstance(error, UnicodeEncodeError):  # bytes of the command line that are no characters
        return DeviceError(WRONG_INPUT, f"{error.object!a}: is not UTF-8")
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"a bug in msgin5g: {error!r} at {Path(where.filename).name}:{where.lineno}"
    return DeviceError(FAILED, text)
