"""For the tests of the configuration management server: a server in its own thread, a client with
a UDP socket and its own codec, and documents.

The codec is written from RFC 7252 alone, so that not aiocoap checks the bytes of the server.
"""

import asyncio
import itertools
import json
import queue
import socket
import sqlite3
import threading
from collections import namedtuple

import cbor2

from msgin5g_tools.scm_server import schema
from msgin5g_tools.scm_server.engine_sqlite import SqliteEngine
from msgin5g_tools.scm_server.fleet import Fleet
from msgin5g_tools.scm_server.server import ScmServer
from msgin5g_tools.scm_server.settings import Settings

CON, NON, ACK, RST = range(4)
ETAG, OBSERVE, LOCATION_PATH, URI_PATH, CONTENT_FORMAT = 4, 6, 8, 11, 12
MAX_AGE, URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2 = 14, 15, 17, 23, 27, 28
SIZE1, ECHO, NO_RESPONSE, RECIPIENT = 60, 252, 258, 65020
GET, POST, PUT, DELETE = "0.01", "0.02", "0.03", "0.04"
PROBLEM = 257
UE7, UE8 = "urn:x-msgin5g:ue:0007", "urn:x-msgin5g:ue:0008"
COLLECTION = "su-uc/v1/val-services/msgin5g/ue-configurations"
TIMEOUT_S = 20  # the machine may be busy with something else

Message = namedtuple("Message", "type code mid token options payload size")


def document(*uris, **more):
    """A UeConfigDoc for these UEs; without any, for every UE."""
    made = {"valServiceDomain": "example.com"}
    if uris:
        made["valUeIds"] = {"uris": list(uris)}
    return {**made, **more}


def configured(uri, configuration, **more):
    """A UeConfigDoc for this UE, with one configuration."""
    data = json.dumps(configuration)
    return document(uri, ueConfigs=[{"configType": "ON_NETWORK", "configData": data}], **more)


def uint(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(number, more, exponent):
    return uint(number << 4 | more << 3 | exponent)


def encode(mtype, code, mid, token=b"", options=(), payload=b""):
    detail = [int(part) for part in code.split(".")]
    nibble, extension = _nibble(len(token))
    out = bytearray([0x40 | mtype << 4 | nibble, detail[0] << 5 | detail[1]])
    out += mid.to_bytes(2, "big") + extension + token
    last = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, delta_extension = _nibble(number - last)
        size, size_extension = _nibble(len(value))
        out += bytes([delta << 4 | size]) + delta_extension + size_extension + value
        last = number
    return bytes(out) + (b"\xff" + payload if payload else b"")


def _nibble(value):
    if value < 13:
        return value, b""
    return (13, bytes([value - 13])) if value < 269 else (14, (value - 269).to_bytes(2, "big"))


def decode(datagram):
    assert datagram[0] >> 6 == 1
    size, i = _value(datagram[0] & 15, datagram, 4)
    token, i = datagram[i : i + size], i + size
    options, number = {}, 0
    while i < len(datagram) and datagram[i] != 0xFF:
        head = datagram[i]
        delta, i = _value(head >> 4, datagram, i + 1)
        size, i = _value(head & 15, datagram, i)
        number += delta
        options.setdefault(number, []).append(datagram[i : i + size])
        i += size
    code = f"{datagram[1] >> 5}.{datagram[1] & 31:02}"
    mid = int.from_bytes(datagram[2:4], "big")
    kind = datagram[0] >> 4 & 3
    return Message(kind, code, mid, token, options, datagram[i + 1 :], len(datagram))


def _value(nibble, datagram, i):
    n_bytes = max(0, nibble - 12)
    base = {13: 13, 14: 269}.get(nibble, nibble)
    return base + int.from_bytes(datagram[i : i + n_bytes], "big"), i + n_bytes


_chosen = [None]  # the PostgresqlServer of the fixture each_engine, or None


def choose_engine(postgresql_server):
    """Let `database_in` name databases of this PostgresqlServer; None: files of SQLite."""
    _chosen[0] = postgresql_server


def database_in(folder):
    """The database that belongs to a folder."""
    return _chosen[0].database_of(folder) if _chosen[0] else str(folder / "scm.db")


def old_database(path, version):
    """Make a file as a server with this version of the schema made it."""
    old = sqlite3.connect(path, isolation_level=None)
    for each in range(1, version + 1):
        for statement in schema.statements(each, SqliteEngine):
            old.execute(statement)
    old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    old.execute(f"PRAGMA user_version = {version}")
    old.close()


class Scm:
    """`with Scm(tmp_path) as scm:` a server with its own loop; `events` are its events so far."""

    def __init__(self, folder, **settings):
        self.settings = Settings(
            **{"db": database_in(folder), "bind": ("127.0.0.1", 0), "poll_s": 0.02}
            | {"notify_interval_s": 0.02}
            | settings
        )
        self.events = queue.Queue()
        self._ready = queue.Queue()

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        self.server = self._ready.get(timeout=TIMEOUT_S)
        if isinstance(self.server, Exception):
            self._thread.join()
            raise self.server
        self.address = self.server.address
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with ScmServer(self.settings, self.events.put) as server:
                self._ready.put(server)
                await self._stop.wait()
        except Exception as error:
            self._ready.put(error)

    def call(self, function):
        """The result of function(store), run in the server's thread."""

        async def inside():
            return function(self.server.store)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(TIMEOUT_S)

    def ue(self, uri):
        """What became of this UE: a fleet.Ue, or None."""

        async def inside():
            await self.server.fleet.finish()
            return Fleet(self.server.store).find(uri)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(TIMEOUT_S)

    def n_observers(self):
        return self.call(lambda store: self.server.n_observers)

    def client(self, host="127.0.0.1"):
        return Client(self.address, host)


class Client:
    """One UDP socket. `ask` sends a request and returns its piggybacked answer."""

    def __init__(self, server, host="127.0.0.1"):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.connect(server)
        self._mids = itertools.count(0x1000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._socket.close()

    def connect(self, server):
        """Talk to another server from now on."""
        self._socket.connect(server)

    def send(self, datagram):
        self._socket.send(datagram)

    @property
    def port(self):
        """The UDP port that it sends from."""
        return self._socket.getsockname()[1]

    def receive_datagram(self, timeout_s=TIMEOUT_S):
        """The next datagram as bytes; TimeoutError when none arrives in time."""
        self._socket.settimeout(timeout_s)
        return self._socket.recv(65536)

    def receive(self, timeout_s=TIMEOUT_S):
        """The next Message, or None when nothing arrives in time."""
        try:
            return decode(self.receive_datagram(timeout_s))
        except TimeoutError:
            return None

    def ask(self, code, path=COLLECTION, query=(), options=(), payload=b"", **how):
        token, mid = how.get("token", b"tokn"), next(self._mids)
        full = [(URI_PATH, part.encode()) for part in path.split("/")]
        full += [(URI_QUERY, item.encode()) for item in query]
        self.send(encode(how.get("mtype", CON), code, mid, token, full + list(options), payload))
        answer = self.receive()
        assert answer is not None, "no answer"
        assert answer.token == token and (answer.type, answer.mid) == (ACK, mid), answer
        return answer

    def get(self, *query, path=COLLECTION, options=()):
        return self.ask(GET, path, query, options)

    def put(self, doc_id, made, *query, options=()):
        path = f"{COLLECTION}/{doc_id}"
        return self.ask(PUT, path, query, options, payload=cbor2.dumps(made))

    def acknowledge(self, message):
        self.send(encode(ACK, "0.00", message.mid))


def ids(answer):
    """The ueConfigDocIds in a 2.05 with an array."""
    assert answer.code == "2.05", (answer.code, answer.payload)
    return [made["ueConfigDocId"] for made in cbor2.loads(answer.payload)]


def problem(answer):
    """The problem details of an error, checked to be what every error must carry."""
    entries = cbor2.loads(answer.payload)
    assert answer.options[CONTENT_FORMAT] == [uint(PROBLEM)], answer
    major, minor = answer.code.split(".")
    assert entries[-4] == int(major) * 32 + int(minor), (answer.code, entries)
    assert entries[-1] and entries[-2] and set(entries) <= {-1, -2, -4, -8}, entries
    return entries


def recipient(answer):
    values = answer.options.get(RECIPIENT, [])
    assert len(values) <= 1
    return values[0].decode() if values else None
