"""`msgin5g decode --live`, and captures from a pipe: datagrams are explained as they come."""

import os
import signal
import socket
import stat
import subprocess
import sys

import pytest
from peers import program

from msgin5g_tools.decode.capture_writer import CaptureWriter

COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "decode"]
DATAGRAM = bytes.fromhex("44011234a1b2c3d4 b5 73752d7563 02 7631")
LINE = b"CON GET            0x1234  a1b2c3d4  v1  17 bytes\n"


def start(*arguments, **more):
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **more,
    )


def test_datagrams_of_an_interface_as_they_come():
    program("dumpcap", "tshark")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        port = end.getsockname()[1]
        process = start("--live", "lo", "--port", port, "--oneline")
        said = process.stderr.readline()
        if b"no right" in said:
            process.wait()
            pytest.skip(said.decode())
        assert said == f"lo: captures UDP port {port}; Ctrl-C ends it\n".encode()
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        (dumpcap,) = open(children).read().split()
        for i in range(2):  # the first line is there before the second datagram is sent
            end.sendto(DATAGRAM, ("127.0.0.1", port))
            line = process.stdout.readline()
            assert line.startswith(b"#%d " % (i + 1)) and line.endswith(LINE), line
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert not os.path.exists(f"/proc/{dumpcap}")
    process.communicate()


def test_a_capture_from_a_pipe_is_explained_as_it_comes():
    process = start("--pcap", "-", "--oneline", stdin=subprocess.PIPE)
    writer = CaptureWriter(process.stdin)
    for i in range(2):
        writer.write(i, ("127.0.0.1", 65401), ("127.0.0.2", 5683), DATAGRAM)
        process.stdin.flush()
        way = b"#%d  %d.000000 s  127.0.0.1:65401 -> 127.0.0.2:5683  " % (i + 1, i)
        assert process.stdout.readline() == way + LINE
    out, said = process.communicate(timeout=20)
    assert (out, process.returncode) == (b"", 0)
    assert said == b"2 of 2 frames have a datagram of UDP port 5683, 65401\n"


NO_RIGHT = """#!/bin/sh
echo "Capturing on 'Loopback: lo'" >&2
echo 'dumpcap: You do not have permission to capture on device "lo".' >&2
echo '(socket: Operation not permitted)' >&2
exit 1
"""
NO_DEVICE = """#!/bin/sh
echo 'The capture session could not be initiated on interface "x" (No such device exists).' >&2
exit 1
"""
OTHER = "#!/bin/sh\necho 'dumpcap: something else.' >&2\nexit 2\n"


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (NO_RIGHT, "Error: --live: lo: no right to capture: as root run `dpkg-reconfigure "),
        (NO_DEVICE, "Error: --live: lo: no such interface; there are "),
        (OTHER, "Error: --live: lo: dumpcap: something else."),
        (None, "Error: --live: dumpcap is not installed (Debian: apt-get install tshark)"),
    ],
)
def test_what_prevents_a_live_capture_is_one_line(tmp_path, script, line):
    if script is not None:
        fake = tmp_path / "dumpcap"
        fake.write_text(script)
        fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    process = start("--live", "lo", env={**os.environ, "PATH": str(tmp_path)})
    out, said = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, b"")
    assert said.decode().startswith(line) and said.count(b"\n") == 1, said
