"""Who takes part in the demo, where they live on loopback, and what is expected of them."""

import json
import os
import socket
from collections import namedtuple

PORT = 65401
SERVER_PORT = 5683
LINKED = "urn:x-msgin5g:ue:0007"
DENIED = "urn:x-msgin5g:ue:0008"
UNKNOWN = "urn:x-msgin5g:ue:0009"
FOREIGN = "urn:x-msgin5g:ue:0010"  # a UE that has no link with the relay

CONFIGURATION = {
    "MSGin5G-Server-address": "coap://msgin5g.example.com",
    "MSGin5G-UE-Service-id": "sensor-7@example.com",
    "Segment-size": 1024,
}


def document(doc_id, ue_id, configuration):
    """A document for one UE, as `msgin5g documents import` takes it."""
    return {
        "ueConfigDocId": doc_id,
        "valServiceId": "msgin5g",
        "valServiceDomain": "example.com",
        "ues": [ue_id],
        "configData": configuration,
    }


_DOCUMENTS = {
    "deny": [DENIED],
    "documents": [
        document("ue-0007", LINKED, CONFIGURATION),
        document("ue-0008", DENIED, CONFIGURATION),
    ],
}

# host: of the last byte. event, code: the outcome that is expected.
Ue = namedtuple("Ue", "name ue_id host event code")

UES = (
    Ue("UE 0007", LINKED, 7, "applied", "2.05"),
    Ue("UE 0008", DENIED, 8, "rejected", "4.03"),
    Ue("UE 0009", UNKNOWN, 9, "rejected", "4.04"),
)
_HOP_HOST, _SERVER_HOST, _TRUE_SERVER_HOST = 1, 2, 3
_MAX_ATTEMPTS = 64


class NoAddress(Exception):
    """No addresses on loopback are free, or there are none but 127.0.0.1."""


class Addresses:
    """Loopback addresses of our own; two demos at once, or a demo beside tests, do not meet.

    ues: list of Ue. server: the socket that stands at the server's address as the relay knows
    it. It is open as long as the demo lives, and so keeps others off all of the addresses.
    """

    def __init__(self, ues):
        self._ues = ues
        error = None
        for attempt in range(_MAX_ATTEMPTS):
            n = os.getpid() + attempt * 37
            self._network = f"127.{128 + (n >> 8 & 63)}.{n & 255}."
            try:
                self.server = self._claim()
                return
            except OSError as reason:
                error = reason
        raise NoAddress(f"no free addresses on loopback: {error.strerror}")

    def close(self):
        self.server.close()

    @property
    def hop(self):
        """Of the relay or gateway."""
        return self._network + str(_HOP_HOST), PORT

    @property
    def true_server(self):
        return self._network + str(_TRUE_SERVER_HOST), SERVER_PORT

    def of(self, ue):
        return self._network + str(ue.host), PORT

    def stations(self):
        """What the hop calls the others: {"127.x.y.7:65401": "UE 0007", ...}."""
        names = {text(self.of(ue)): ue.name for ue in self._ues}
        for address in (self.server.getsockname(), self.true_server):
            names[text(address)] = "server"
        return names

    def _claim(self):
        server = _bound((self._network + str(_SERVER_HOST), SERVER_PORT))
        try:
            for address in (self.hop, self.true_server, *map(self.of, self._ues)):
                _bound(address).close()
        except OSError:
            server.close()
            raise
        return server


def text(address):
    return f"{address[0]}:{address[1]}"


def documents():
    """What `msgin5g documents import` is given."""
    return _DOCUMENTS


def relay_settings(addresses):
    return {
        "role": "relay",
        "ue_id": "urn:x-msgin5g:relay:1",
        "bind": addresses.hop,
        "server": {"address": addresses.server.getsockname()},
        "links": {ue.ue_id: addresses.of(ue) for ue in UES},
    }


def ue_settings(addresses, ue):
    return {
        "ue_id": ue.ue_id,
        "bind": addresses.of(ue),
        "next_hop": addresses.hop,
        "start_delay_s": 0,
        "observe": False,
        "log": "json",
    }


def write(path, values):
    path.write_text(json.dumps(values, indent=2))


def _bound(address):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        end.bind(address)
    except OSError:
        end.close()
        raise
    return end
