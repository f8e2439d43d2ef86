"""The settings of the server, checked."""

import re
from dataclasses import dataclass

from msgin5g_tools.scm_server import identity, options
from msgin5g_tools.scm_server.problem import ScmError

_ADDRESS = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})")
_MAX_RATE = 200


def address(text, name):
    """(host, port) of HOST:PORT or [V6]:PORT; `name` is its name in an error."""
    match = _ADDRESS.fullmatch(text)
    if not match or int(match[3]) > 65535:
        raise ScmError(f"{name}: '{text}' is not HOST:PORT with a port of 0 to 65535")
    return match[1] or match[2], int(match[3])


def metrics_address(text):
    """The same of PORT, which is on loopback, or HOST:PORT; for --metrics."""
    return address(f"127.0.0.1:{text}" if text.isascii() and text.isdigit() else text, "metrics")


def bind_error(host, port, error):
    """ScmError, one line, for an OSError or another one of binding."""
    text = getattr(error, "strerror", None) or str(error)
    return ScmError(f"cannot bind {address_text(host, port)}: {text}")


def address_text(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass
class Settings:
    """`bind`, `tcp` and `ws` are (host, port); port 0 lets the system choose."""

    db: str
    bind: tuple = ("127.0.0.1", 5683)
    tcp: tuple | None = None
    ws: tuple | None = None
    recipient: str | None = None  # URI of this server; a request for another Recipient gets 4.00
    recipient_option: int = 65020
    content_format: int = 65001
    path_prefix: str = ""  # the path of apiRoot (TS 24.546 C.1.1), such as root/scm
    service_id: str = "msgin5g"  # listed in /.well-known/core, also without documents
    bulk_id: str = "msgin5g-bulk"
    gateways: tuple = ()  # hosts entitled to bulk requests, besides those in the database
    max_age: int = 60
    max_body: int = 65536
    max_observers: int = 10000
    max_ues: int = 1_000_000  # whose requests are recorded, 200 to 400 bytes each
    max_rate: float | None = None  # requests a second of a host; 0: no limit; None: as for echo
    max_documents: int = 1000  # in one response
    max_connections: int = 500  # of TCP and WebSockets, within the limit of open files
    max_connections_of_host: int = 50
    connection_idle_s: float = 120.0  # then a connection is pinged
    connection_reply_s: float = 15.0  # for the answer to that, and for the first message
    strict_relay: bool = False
    read_only: bool = False
    echo: bool | None = None  # None: when `bind` is not on loopback, where sources can be forged
    administrator: str | None = None  # directory of an OSCORE security context
    require_security: bool = False  # refuse requests that are not protected by OSCORE
    poll_s: float | None = None  # how often to look for changes by others; None: as the engine
    integrity_s: float = 60.0  # how often all of the database is read, to find damage
    notify_interval_s: float = 0.2  # least time between two notifications to one observer

    def __post_init__(self):
        if self.recipient is not None:
            fault = identity.uri_fault(self.recipient)
            if fault:
                raise ScmError(f"recipient: '{self.recipient}' {fault}")
        _range("recipient option", self.recipient_option, 256, 65535)
        if self.recipient_option in options.KNOWN:
            raise ScmError(
                f"recipient option: {self.recipient_option} is the number of another option"
            )
        _range("content format", self.content_format, 0, 65535)
        _range("max age", self.max_age, 0, 2**32 - 1)
        _range("max body", self.max_body, 1, 16 * 1024 * 1024)
        _range("max observers", self.max_observers, 0, 1_000_000)
        _range("max ues", self.max_ues, 1, 100_000_000)
        _range("max connections", self.max_connections, 1, 1_000_000)
        _range("max connections of a host", self.max_connections_of_host, 1, 1_000_000)
        _range("max documents", self.max_documents, 1, 1_000_000)
        for name, value in (("service id", self.service_id), ("bulk id", self.bulk_id)):
            if not value or len(value.encode()) > 240:
                raise ScmError(f"{name}: '{value}' is not a text of 1 to 240 bytes")
        self.prefix = tuple(self.path_prefix.split("/")) if self.path_prefix else ()
        if not all(
            0 < len(part.encode()) < 256 and part not in (".", "..") for part in self.prefix
        ):
            raise ScmError(f"path prefix: '{self.path_prefix}' is no path such as root/scm")
        for host in self.gateways:
            fault = identity.host_fault(host)
            if fault:
                raise ScmError(f"gateway: '{host}' {fault}")
        self.gateways = tuple(map(identity.normal_host, self.gateways))
        is_loopback = identity.is_loopback(self.bind[0])
        if self.echo is None:
            self.echo = not self.strict_relay and not is_loopback
        if self.max_rate is None:
            self.max_rate = 0 if is_loopback else _MAX_RATE
        _range("max rate", self.max_rate, 0, 1_000_000)
        if self.echo and self.strict_relay:
            raise ScmError("echo: needs responses with 4.01, which a strict relay discards")


def _range(name, value, low, high):
    if not low <= value <= high:
        raise ScmError(f"{name}: {value} is not between {low} and {high}")
