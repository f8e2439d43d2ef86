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
_DOCUMENTS = {
    "deny": [DENIED],
    "documents": [
        {
            "ueConfigDocId": doc_id,
            "valServiceId": "msgin5g",
            "valServiceDomain": "example.com",
            "ues": [ue_id],
            "configData": CONFIGURATION,
        }
        for doc_id, ue_id in (("ue-0007", LINKED), ("ue-0008", DENIED))
    ],
}

# host: of the last byte. event, code: the outcome that is expected.
Ue = namedtuple("Ue", "name ue_id host event code")

UES = (
    Ue("UE 0007", LINKED, 7, "applied", "2.05"),
    Ue("UE 0008", DENIED, 8, "rejected", "4.03"),
    Ue("UE 0009", UNKNOWN, 9, "rejected", "4.04"),
)
_RELAY_HOST, _SERVER_HOST, _TRUE_SERVER_HOST = 1, 2, 3
_MAX_ATTEMPTS = 64


class NoAddress(Exception):
    """No addresses on loopback are free, or there are none but 127.0.0.1."""


class Addresses:
    """Loopback addresses of our own; two demos at once, or a demo beside tests, do not meet.

    server: the socket that stands at the server's address as the relay knows it. It is open as
    long as the demo lives, and so keeps others off all of the addresses.
    """

    def __init__(self):
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
    def relay(self):
        return self._network + str(_RELAY_HOST), PORT

    @property
    def true_server(self):
        return self._network + str(_TRUE_SERVER_HOST), SERVER_PORT

    def of(self, ue):
        return self._network + str(ue.host), PORT

    def stations(self):
        """What the relay calls the others: {"127.x.y.7:65401": "UE 0007", ...}."""
        names = {text(self.of(ue)): ue.name for ue in UES}
        names[text((self._network + str(_SERVER_HOST), SERVER_PORT))] = "server"
        return names

    def _claim(self):
        server = _bound((self._network + str(_SERVER_HOST), SERVER_PORT))
        try:
            for address in (self.relay, self.true_server, *map(self.of, UES)):
                _bound(address).close()
        except OSError:
            server.close()
            raise
        return server


def text(address):
    return f"{address[0]}:{address[1]}"


def write_documents(path):
    """The file for `msgin5g documents import`."""
    path.write_text(json.dumps(_DOCUMENTS, indent=2))


def write_relay_settings(path, addresses):
    _write(
        path,
        {
            "role": "relay",
            "ue_id": "urn:x-msgin5g:relay:1",
            "bind": addresses.relay,
            "server": {"address": addresses.server.getsockname()},
            "links": {ue.ue_id: addresses.of(ue) for ue in UES},
        },
    )


def write_ue_settings(path, addresses, ue):
    _write(
        path,
        {
            "ue_id": ue.ue_id,
            "bind": addresses.of(ue),
            "next_hop": addresses.relay,
            "start_delay_s": 0,
            "observe": False,
            "log": "json",
        },
    )


def _write(path, settings):
    path.write_text(json.dumps(settings, indent=2))


def _bound(address):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        end.bind(address)
    except OSError:
        end.close()
        raise
    return end
