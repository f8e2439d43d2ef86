"""The configuration management server under load: `msgin5g bench --server`.

One UDP socket plays all peers: it sends from any address of 127.0.0.0/8. Processor time is that of
the server process, so that other programs on the machine disturb it little; latencies are as seen
by the peers.
"""

import json
import os
import select
import signal
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cbor2

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.loopback import free_ports
from msgin5g_tools.commands.db_option import ENVIRONMENT
from msgin5g_tools.scm_server.store import Store

_COMMAND = "from msgin5g_tools.cli import main; main()"
_SERVICE = "msgin5g"
_PATH = ("su-uc", "v1", "val-services", _SERVICE, "ue-configurations")
_CON, _ACK = 0, 2
GET, _PUT = 1, 3
_OBSERVE, _URI_PATH, _URI_QUERY = 6, 11, 15
_PROBE_S = 0.01
_IP_PKTINFO = 8  # of Linux: Python does not name it
_PROBER = 0  # the peer that sends the GETs whose time is taken
_WINDOW = 16
_TIMEOUT_S = 60
_LIFETIME_S = 260
_N_ROUNDS = 4


def _ue(n):
    return f"urn:x-msgin5g:ue:{n:06}"


def document(n, name="0"):
    data = {
        "MSGin5G-Server-address": "coap://msgin5g.example.com",
        "MSGin5G-UE-Service-id": f"sensor-{n}@example.com",
    }
    return {
        "valServiceDomain": "example.com",
        "configName": name,
        "valUeIds": {"uris": [_ue(n)]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(data)}],
    }


def _options(*options):
    out, last = bytearray(), 0
    for number, value in options:
        delta, size = number - last, len(value)
        nibbles = [min(delta, 13), min(size, 13)]
        out.append(nibbles[0] << 4 | nibbles[1])
        out += bytes(each - 13 for each in (delta, size) if each >= 13) + value
        last = number
    return bytes(out)


def request(code, mid, token, n, observe=False, payload=b""):
    path = [(_URI_PATH, part.encode()) for part in (*_PATH, f"d{n:06}")]
    options = [(_OBSERVE, b"")] * observe + path + [(_URI_QUERY, f"ue-uri={_ue(n)}".encode())]
    head = bytes([0x40 | _CON << 4 | len(token), code]) + (mid & 0xFFFF).to_bytes(2, "big")
    return head + token + _options(*options) + (b"\xff" + payload if payload else b"")


class Server:
    """`with Server(folder) as server:` the command as a process.

    Its database is in the folder, unless db names another one.
    """

    def __init__(self, folder, *arguments, program=None, db=None):
        self.db = db or str(Path(folder) / "scm.db")
        command = [sys.executable, "-c", program or _COMMAND]
        if not program:
            command += ["scm-server", "--bind", "127.0.0.1:0", "--json"]
        environment = {**os.environ, ENVIRONMENT: self.db}  # a URL may have a password
        log = Path(folder) / "log"
        with log.open("w") as stdout:
            self._process = subprocess.Popen(
                [*command, *arguments], stdout=stdout, env=environment
            )
        ends_at = time.monotonic() + _TIMEOUT_S
        while "\n" not in log.read_text():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                raise BenchError("the server did not start")
            time.sleep(0.05)
        with log.open() as lines:
            host, _, port = json.loads(lines.readline())["bind"].rpartition(":")
        self.address = host, int(port)
        self._proc = Path(f"/proc/{self._process.pid}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def signal(self, number):
        """Send it a signal."""
        self._process.send_signal(number)

    def cpu_s(self):
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mb(self):
        pages = int((self._proc / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Peers:
    """Peers n = 0, 1, ... at 127.1.x.y, all with one socket. Notifications are acknowledged."""

    def __init__(self, server):
        self._server = server
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("0.0.0.0", 0))
        self._mid = 0
        self.notified = {}  # n -> when
        self.latencies = []
        self._probe_at = None
        self._probe_token = b""

    def close(self):
        self._socket.close()

    def send(self, n, datagram):
        source = socket.inet_aton(f"127.1.{n >> 8 & 255}.{n & 255}")
        info = struct.pack("@I4s4s", 0, source, bytes(4))
        self._socket.sendmsg([datagram], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, self._server)

    def request(self, peer, code, n, **more):
        self._mid += 1
        token = b"n" + n.to_bytes(3, "big")
        self.send(peer, request(code, self._mid, more.pop("token", token), n, **more))

    def receive(self, timeout_s):
        """The next datagram, or None; notifications are acknowledged and noted."""
        if not select.select([self._socket], [], [], max(0, timeout_s))[0]:
            return None
        datagram = self._socket.recv(2048)
        if datagram[0] >> 4 & 3 == _CON:
            n = int.from_bytes(datagram[5:8], "big")
            self.send(n, bytes([0x60, 0]) + datagram[2:4])
            self.notified.setdefault(n, time.monotonic())
        return datagram

    def exchange(self, requests):
        """Send the requests of an iterator of (peer, code, n, options), 16 at a time."""
        waiting, n_done = 0, 0
        requests = iter(requests)
        is_over = False
        while waiting or not is_over:
            while waiting < _WINDOW and not is_over:
                following = next(requests, None)
                if following is None:
                    is_over = True
                    break
                peer, code, n, more = following
                self.request(peer, code, n, **more)
                waiting += 1
            answer = self.receive(2)
            if answer is None:
                waiting = 0  # lost: it is not repeated here
            elif answer[0] >> 4 & 3 == _ACK:
                waiting -= 1
                n_done += 1
        return n_done

    def probe(self, until):
        """Send a GET every 10 ms until until() is true; their latencies are in `latencies`."""
        self.latencies = []
        ends_at = time.monotonic() + _TIMEOUT_S
        next_at = time.monotonic()
        while self._probe_at is not None or not until():
            now = time.monotonic()
            if now > ends_at:
                raise BenchError(f"timed out after {_TIMEOUT_S} s")
            if self._probe_at is None and now >= next_at:
                self._probe_token = b"p" + (self._mid & 0xFFFF).to_bytes(2, "big")
                self._probe_at = now
                next_at = now + _PROBE_S
                self.request(_PROBER, GET, 1, token=self._probe_token)
            datagram = self.receive(next_at - now if self._probe_at is None else 0.01)
            if datagram and datagram[4 : 4 + (datagram[0] & 15)] == self._probe_token:
                self.latencies.append(time.monotonic() - self._probe_at)
                self._probe_at = None
            elif self._probe_at is not None and time.monotonic() - self._probe_at > 2:
                self._probe_at = None
                self.latencies.append(2.0)


def _percentile(values, percent):
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def fill(db, n_documents, name="0"):
    with Store(db) as store:
        for start in range(0, n_documents, 500):
            with store.transaction():
                for n in range(start, min(start + 500, n_documents)):
                    store.put(_SERVICE, f"d{n:06}", document(n, name))


def _write_file(path, n_documents, name):
    entries = []
    for n in range(n_documents):
        made = document(n, name)
        entries.append(
            {
                "ueConfigDocId": f"d{n:06}",
                "valServiceDomain": made["valServiceDomain"],
                "configName": name,
                "ues": made["valUeIds"]["uris"],
                "configData": made["ueConfigs"][0]["configData"],
            }
        )
    Path(path).write_text(json.dumps({"documents": entries}))


def observers(folder, n_observers, report):
    """A change of one document, of all, and the GETs of others meanwhile."""
    with Server(folder) as server:
        fill(server.db, n_observers)
        peers = Peers(server.address)
        before_mb, before_s = server.rss_mb(), server.cpu_s()
        n_done = peers.exchange((n, GET, n, {"observe": True}) for n in range(n_observers))
        report("observers", f"{n_done}")
        kilobytes = (server.rss_mb() - before_mb) / n_observers * 1000
        report("memory of an observer, with what repeats its response", f"{kilobytes:.1f} KB")
        cost_us = (server.cpu_s() - before_s) / n_observers * 1e6
        report("processor time of a registration", f"{cost_us:.0f} us")
        stop_at = time.monotonic() + 3
        peers.probe(lambda: time.monotonic() > stop_at)
        idle_s = _percentile(peers.latencies, 99)
        report("GET, idle: p99", f"{idle_s * 1000:.1f} ms")
        for way in ("import", "PUT"):
            _change_one_by_one(server, peers, way, range(2, min(42, n_observers)), idle_s, report)
        file = Path(folder) / "all.json"
        _write_file(file, n_observers, "all")
        _change_all(server, peers, file, n_done, report)
        peers.close()


def _change_one_by_one(server, peers, way, numbers, idle_s, report):
    """way: "PUT" by a peer, or "import" by another process. idle_s: a GET when nothing changes."""
    delays, others = [], []
    for n in numbers:
        peers.notified.clear()
        started_at = time.monotonic()
        if way == "PUT":
            body = cbor2.dumps(document(n, f"{way}-{started_at}"))
            peers.request(_PROBER, _PUT, n, payload=body)
        else:
            with Store(server.db) as store:
                store.put(_SERVICE, f"d{n:06}", document(n, f"{way}-{started_at}"))
            started_at = time.monotonic()
        peers.probe(lambda n=n: n in peers.notified)
        delays.append(peers.notified[n] - started_at)
        others += peers.latencies
    report(f"one document changed by {way}: notified, median", _ms(statistics.median(delays)))
    over_s = _percentile(others, 99) - idle_s
    report(f"one document changed by {way}: GETs of others, p99 above idle", _ms(over_s))


def _change_all(server, peers, file, n_observers, report):
    """Import a file that changes every document."""
    peers.notified.clear()
    before_s, started_at = server.cpu_s(), time.monotonic()
    importing = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "documents", "import", file, "--db", server.db],
        stdout=subprocess.DEVNULL,
    )
    peers.probe(lambda: importing.poll() or len(peers.notified) == n_observers)
    if importing.wait():
        raise BenchError("the documents were not imported")
    report("all documents changed: all notified after", f"{time.monotonic() - started_at:.1f} s")
    report("all documents changed: slowest GET of others", _ms(max(peers.latencies)))
    cost_us = (server.cpu_s() - before_s) / n_observers * 1e6
    report("processor time of a notification", f"{cost_us:.0f} us")


def throughput(folder, report, n_many=100_000, n_gets=4000):
    """The throughput with many documents, of that with few, and of that of a bare resource.

    It is that of the processor time of a GET. The same number of UEs ask: what became of each is
    recorded, which costs the more, the more of them there are.
    """
    costs = {}
    for n_documents in (1000, n_many):
        sub = Path(folder) / str(n_documents)
        sub.mkdir()
        with Server(sub) as server:
            fill(server.db, n_documents)
            name = f"{n_documents:,} documents"
            costs[name] = cost_of_get(server, n_documents, 1000, n_gets)
            if n_documents > 10 * n_gets:
                each_s = cost_of_get(server, n_documents, n_gets, n_gets)
                report(f"processor time of a GET: {name}, each of another UE", _us(each_s))
                report(f"memory of the server: {name}", f"{server.rss_mb():.0f} MB")
        size_mb, copied_s = _backup(server.db)
        report(f"database: {name}", f"{size_mb:.1f} MB, backed up in {copied_s:.2f} s")
    with Server(folder, str(free_ports(1)[0]), program=_BARE) as server:
        costs["a bare aiocoap resource"] = cost_of_get(server, 1000, 1000, n_gets)
    for name, cost_s in costs.items():
        report(f"processor time of a GET: {name}", _us(cost_s))
    few, many, bare = costs.values()
    what = f"throughput with {n_many:,} documents, of that"
    report(f"{what} with 1,000", f"{few / many:.2f}")
    report(f"{what} of a bare resource", f"{bare / many:.2f}")
    return few / many, bare / many


def cost_of_get(server, n_documents, n_ues, n_gets):
    """Seconds of a processor for a GET: the least of some rounds.

    Other programs on the machine make it more, never less.
    """
    peers = Peers(server.address)
    spread = [n % n_ues * 7919 % n_documents for n in range(n_gets)]
    costs = []
    for _ in range(_N_ROUNDS):
        before_s = server.cpu_s()
        n_done = peers.exchange((n % 5000, GET, n, {}) for n in spread)
        costs.append((server.cpu_s() - before_s) / n_done)
    peers.close()
    return min(costs)


def _backup(db):
    """(size in MB, time in seconds) of a copy, made as docs/server.md says."""
    copy, began = Path(f"{db}.copy"), time.perf_counter()
    connection = sqlite3.connect(db)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    return copy.stat().st_size / 1e6, time.perf_counter() - began


def flood(folder, report, n_requests=300_000, n_peers=10_000, lifetime_s=_LIFETIME_S):
    """The memory of a flood from many sources, and whether it comes back."""
    with Server(folder, "--echo", "--max-rate", "200") as server:
        fill(server.db, 1000)
        peers = Peers(server.address)
        peers.exchange((n, GET, n, {}) for n in range(500))
        before_mb = server.rss_mb()
        n_done = peers.exchange(
            (n % n_peers, GET, n % 1000, {"token": b"f" + n.to_bytes(3, "big")})
            for n in range(n_requests)
        )
        most_mb = server.rss_mb() - before_mb
        report(f"{n_done} requests from {n_peers} sources: memory", f"{most_mb:+.0f} MB")
        time.sleep(lifetime_s)
        left_mb = server.rss_mb() - before_mb
        report(f"memory {lifetime_s} s later", f"{left_mb:+.0f} MB")
        peers.close()


_BARE = """
import asyncio, json, sys, os
os.environ["AIOCOAP_REUSE_PORT"] = "0"
import aiocoap
from aiocoap import resource
class Bare(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=bytes(250), content_format=60)
class Site(resource.Site):
    def __init__(self):
        super().__init__()
        for n in range(1000):
            self.add_resource(%r + (f"d{n:06}",), Bare())
async def main():
    context = await aiocoap.Context.create_server_context(
        Site(), bind=("127.0.0.1", int(sys.argv[1])), transports=["udp6"])
    print(json.dumps({"bind": "127.0.0.1:" + sys.argv[1]}), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
""" % (_PATH,)


def _us(seconds):
    return f"{seconds * 1e6:.0f} us"


def _ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def measure_server(report, n_observers=10_000, with_flood=True):
    """Everything; report(what, figure) is called with each figure when it is known."""
    with tempfile.TemporaryDirectory() as folder:
        observers(folder, n_observers, report)
    with tempfile.TemporaryDirectory() as folder:
        throughput(folder, report)
    if with_flood:
        with tempfile.TemporaryDirectory() as folder:
            flood(folder, report)
