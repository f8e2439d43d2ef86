"""The board's USB port: a pty that host tools open, close and open again."""

import hashlib
import os
import pty
import socket
import tty
from pathlib import Path

from msgin5g_tools.board.errors import BoardError

_PATIENCE_S = 0.5  # as a board's USB driver: a host that reads nothing for so long is absent
_MAX_UNSENT = 1 << 16


class HostPort:
    """Bytes to and from whoever has the port open.

    Output that no program reads is kept for half a second. Then it is dropped, and so is all
    output until a program reads again.
    """

    def __init__(self, link=None):
        self.master, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)
        os.set_blocking(self.master, False)
        tty.setraw(self._slave)  # it stays open: see _hold
        self._unsent = bytearray()
        self._stuck_at = None
        self._dropping = False
        self._link = self._name = None
        if link is not None:
            try:
                self._name = _claim(Path(link))
                self._link = _make_link(Path(link), self.path)
            except BaseException:
                self.close()
                raise

    @property
    def unsent(self):
        return len(self._unsent)

    @property
    def full(self):
        return len(self._unsent) >= _MAX_UNSENT

    def drop_at(self):
        """The moment when what is unsent will be dropped, or None."""
        return None if self._stuck_at is None else self._stuck_at + _PATIENCE_S

    def write(self, data, now):
        self._unsent += data
        self.flush(now)

    def flush(self, now):
        """Send what the pty takes; give up on a host that has not read for a while."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self.master, self._unsent)]
                self._stuck_at = None
                self._dropping = False
        except BlockingIOError:
            if self._stuck_at is None:
                self._stuck_at = now
            if self._dropping or now >= self._stuck_at + _PATIENCE_S:
                self._dropping = True
                self._unsent.clear()
                self._stuck_at = None

    def read(self):
        """What the host has sent: up to 4 KiB, empty when there is nothing."""
        try:
            return os.read(self.master, 4096)
        except BlockingIOError:
            return b""
        except OSError:
            self._hold()  # a hang-up of the host has closed our end of the pty too
            return b""

    def _hold(self):
        """Keep the slave open, raw: else each close by a host tool would be a hang-up, and the
        next tool would find the terminal in line mode with echo.
        """
        slave = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
        os.dup2(slave, self._slave, inheritable=False)
        os.close(slave)
        tty.setraw(self._slave)

    def close(self):
        if self._link is not None:
            if self._link.is_symlink() and os.readlink(self._link) == self.path:
                self._link.unlink()
            self._link = None
        if self._name is not None:
            self._name.close()
            self._name = None
        os.close(self.master)
        os.close(self._slave)


def _claim(link):
    """A socket that keeps a link for one board for as long as its process lives.

    Its name is the link's, in the kernel's own name space: nothing is left behind on the disk.
    """
    path = os.fsencode(link.parent.resolve() / link.name)
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(b"\0msgin5g-board-" + hashlib.sha256(path).hexdigest().encode())
    except OSError:
        claim.close()
        raise BoardError(f"link {link}: another virtual board has it: choose another") from None
    return claim


def _make_link(link, path):
    """Point `link` at the port; a link that another board has left behind is replaced."""
    try:
        if link.is_symlink() and os.readlink(link).startswith("/dev/pts/"):
            link.unlink()
        link.symlink_to(path)
    except FileExistsError:
        raise BoardError(f"link {link}: exists already, and is not a board's") from None
    except OSError as error:
        raise BoardError(f"link {link}: {error.strerror}") from None
    return link
