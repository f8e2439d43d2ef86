"""The UEs of the demo, the loopback address of each node, and the outcome each UE must have."""

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
    """A document for one UE, in the form that `msgin5g documents import` reads."""
    return {
        "ueConfigDocId": doc_id,
        "valServiceId": "msgin5g",
        "valServiceDomain": "example.com",
        "ues": [ue_id],
        "configData": configuration,
    }


DOCUMENTS = {
    "deny": [DENIED],
    "documents": [
        document("ue-0007", LINKED, CONFIGURATION),
        document("ue-0008", DENIED, CONFIGURATION),
    ],
}

# host: the last byte of its address. event, code: the expected outcome.
Ue = namedtuple("Ue", "name ue_id host event code")

UES = (
    Ue("UE 0007", LINKED, 7, "applied", "2.05"),
    Ue("UE 0008", DENIED, 8, "rejected", "4.03"),
    Ue("UE 0009", UNKNOWN, 9, "rejected", "4.04"),
)
_INTERMEDIARY_HOST, _SERVER_HOST, _TRUE_SERVER_HOST = 1, 2, 3
_MAX_ATTEMPTS = 64


class NoAddress(Exception):
    """No group of loopback addresses is free, or the system has only 127.0.0.1."""


class Addresses:
    """Loopback addresses that no other demo and no test uses.

    ues: list of Ue. server: the socket bound to the server's address in the relay's settings. It
    stays open as long as the demo runs, and so reserves the whole group of addresses.
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
    def intermediary(self):
        """The address of the relay or gateway."""
        return self._network + str(_INTERMEDIARY_HOST), PORT

    @property
    def true_server(self):
        return self._network + str(_TRUE_SERVER_HOST), SERVER_PORT

    def of(self, ue):
        return self._network + str(ue.host), PORT

    def participants(self):
        """Names by the address that the intermediary sees: {"127.x.y.7:65401": "UE 0007", ...}."""
        names = {text(self.of(ue)): ue.name for ue in self._ues}
        for address in (self.server.getsockname(), self.true_server):
            names[text(address)] = "server"
        return names

    def _claim(self):
        server = _bound((self._network + str(_SERVER_HOST), SERVER_PORT))
        try:
            for address in (self.intermediary, self.true_server, *map(self.of, self._ues)):
                _bound(address).close()
        except OSError:
            server.close()
            raise
        return server


def text(address):
    return f"{address[0]}:{address[1]}"


def documents():
    """The input of `msgin5g documents import`."""
    return DOCUMENTS


def relay_settings(addresses):
    return {
        "role": "relay",
        "ue_id": "urn:x-msgin5g:relay:1",
        "bind": addresses.intermediary,
        "server": {"address": addresses.server.getsockname()},
        "links": {ue.ue_id: addresses.of(ue) for ue in UES},
    }


def ue_settings(addresses, ue):
    return {
        "ue_id": ue.ue_id,
        "bind": addresses.of(ue),
        "next_hop": addresses.intermediary,
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
