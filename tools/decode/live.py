"""A live capture: dumpcap, Wireshark's own capturing program, writes it into a pipe.

dumpcap has the rights of its own (Debian: members of the group wireshark), so that this program
needs none.
"""

import shutil
import socket
import subprocess
from contextlib import contextmanager

from msgin5g_tools.board.interpreter import end_with


class LiveError(Exception):
    """Nothing can be captured; the text is one line."""


@contextmanager
def live_capture(interface, ports):
    """A binary file with the datagrams of these UDP ports, as they come, until it is left."""
    program = shutil.which("dumpcap")
    if program is None:
        raise LiveError("dumpcap is not installed (Debian: apt-get install tshark)")
    command = [program, "-q", "-P", "-i", interface, "-w", "-"]
    command += ["-f", " or ".join(f"udp port {port}" for port in ports)]
    lifeline, end = socket.socketpair()
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise LiveError(f"{program}: {_of_rights(error.strerror)}") from None
    end_with(end, process.pid)
    end.close()
    try:
        file = _Checked(process, interface)
        file.wait_for_start()
        yield file
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        lifeline.close()


class _Checked:
    """The standard output of dumpcap; LiveError when it ends with a failure."""

    def __init__(self, process, interface):
        self._process = process
        self._interface = interface
        self._begun = b""

    def wait_for_start(self):
        """Wait for the first byte: dumpcap has opened the interface."""
        self._begun = self.read(1)

    def read(self, size):
        begun, self._begun = self._begun, b""
        data = begun + self._process.stdout.read(size - len(begun))
        if not data and self._process.wait():
            raise LiveError(self._why(self._process.stderr.read()))
        return data

    def _why(self, said):
        text = said.decode("utf-8", "replace")
        if "permission" in text:
            return f"{self._interface}: {_of_rights('permission')}"
        if "No such device" in text:
            names = ", ".join(name for _, name in socket.if_nameindex())
            return f"{self._interface}: no such interface; there are {names}"
        lines = [line for line in text.splitlines() if line.strip() and "Capturing on" not in line]
        return f"{self._interface}: {lines[0] if lines else 'dumpcap ended'}"


def _of_rights(reason):
    if "ermission" not in reason:
        return reason
    return (
        "no right to capture: as root run `dpkg-reconfigure wireshark-common` and add yourself to"
        " the group wireshark, then log in again"
    )
