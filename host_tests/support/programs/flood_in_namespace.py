"""A flood from 10,000 forged sources at `msgin5g scm-server`, in a network namespace of its own.

unshare -rn python flood_in_namespace.py FOLDER N_REQUESTS: prints {"done": how many were answered,
"most_mb": by how much the server's memory had grown, "rest_mb": the same when all that the server
remembered had expired, "again_mb": the same at the end of a second flood}. The clock of the server
is moved for that.
"""

import fcntl
import json
import signal
import socket
import struct
import sys
import time

from msgin5g_tools.bench import scm_server as bench
from msgin5g_tools.scm_server.store import Store

PORT = 5683
N_PEERS = 10_000
N_DOCUMENTS = 1000
N_AGAIN = 35_000  # the server remembers 32,768 requests
WINDOW = 64
_IP_PKTINFO = 8
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8914, 0x8916, 0x891C
_IFF_UP = 1
_CON, _ACK, _GET = 0, 2, 1

# The server, with a clock that SIGUSR1 moves.
SERVER = """
import signal, time
from types import SimpleNamespace
from msgin5g_tools.scm_server.aiocoap_internals import message_manager
ahead = [0]
message_manager.time = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0])
def move(number, frame):
    ahead[0] += 300
signal.signal(signal.SIGUSR1, move)
from msgin5g_tools.cli import main
main()
"""


def open_loopback():
    """Make all of 10.0.0.0/8 addresses of this namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for request, host in ((_SIOCSIFADDR, "10.0.0.1"), (_SIOCSIFNETMASK, "255.0.0.0")):
            address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))
            fcntl.ioctl(made, request, struct.pack("16s16s", b"lo", address))
        fcntl.ioctl(made, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


class Flood:
    """Requests from any source; answers are counted, and tell how fast to go on."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("0.0.0.0", 0))
        self.done = 0

    def send(self, peer, mid):
        source = socket.inet_aton(f"10.1.{peer >> 8}.{peer & 255}")
        info = struct.pack("@I4s4s", 0, source, bytes(4))
        datagram = bench.request(_GET, mid, b"f" + mid.to_bytes(3, "big"), mid % N_DOCUMENTS)
        control = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
        self._socket.sendmsg([datagram], control, 0, ("10.0.0.1", PORT))

    def run(self, n_requests):
        waiting = 0
        self._socket.settimeout(2)
        for n in range(n_requests):
            self.send(n % N_PEERS, n)
            waiting += 1
            while waiting >= WINDOW:
                waiting = self._receive(waiting)
        while waiting:
            waiting = self._receive(waiting)

    def _receive(self, waiting):
        try:
            self._socket.recv(2048)
        except TimeoutError:
            return 0  # lost
        self.done += 1
        return waiting - 1


def main(folder, n_requests):
    open_loopback()
    db = f"{folder}/scm.db"
    with Store(db) as store, store.transaction():
        for n in range(N_DOCUMENTS):
            store.put("msgin5g", f"d{n:06}", bench.document(n))
    command = ["scm-server", "--bind", f"0.0.0.0:{PORT}", "--db", db, "--json"]
    with bench.Server(folder, *command, program=SERVER) as server:
        flood = Flood()
        flood.run(1000)
        before_mb = server.rss_mb()
        flood.run(n_requests)
        most_mb = server.rss_mb() - before_mb
        server.signal(signal.SIGUSR1)
        time.sleep(12)  # it looks every ten seconds for what has expired
        rest_mb = server.rss_mb() - before_mb
        figures = {"done": flood.done, "most_mb": most_mb, "rest_mb": rest_mb}
        flood.run(N_AGAIN)
        print(json.dumps({**figures, "again_mb": server.rss_mb() - before_mb}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
