"""The UEs of a simulation: identities, their documents at the server, their outcomes."""

import json
import random
from collections import namedtuple

from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.settings import settings_of  # noqa: E402
from msgin5g.ue import ConstrainedUe  # noqa: E402

CONFIGURED, NOT_FOUND, FORBIDDEN, WRONG, NONE = "2.05", "4.04", "4.03", "wrong", "none"
SERVICE = "msgin5g"
_PORT = 65401
MAX_UES = 100000

# number: from 1. expected: the correct outcome.
Identity = namedtuple("Identity", "number ue_id address expected")


def identities(n_ues, missing_percent, denied_percent, seed):
    """Every UE of a simulation; chance decides which have no document and which are denied."""
    chance = random.Random(seed)
    numbers = range(1, n_ues + 1)
    n_missing, n_denied = (round(n_ues * p / 100) for p in (missing_percent, denied_percent))
    unlucky = chance.sample(numbers, min(n_missing + n_denied, n_ues))
    expected = dict.fromkeys(unlucky[:n_missing], NOT_FOUND)
    expected.update(dict.fromkeys(unlucky[n_missing:], FORBIDDEN))
    return [
        Identity(
            n,
            f"urn:x-msgin5g:ue:{n:04d}",
            (f"10.{n // 62500}.{n // 250 % 250}.{n % 250 + 1}", _PORT),
            expected.get(n, CONFIGURED),
        )
        for n in numbers
    ]


def configuration(identity):
    """The configuration that the server has for a UE."""
    return {
        "MSGin5G-Server-address": "coap://msgin5g.example.com",
        "MSGin5G-UE-Service-id": f"user-{identity.number}@example.com",
    }


def fill(store, identities):
    """Put the documents and the deny list into the server's Store."""
    with store.transaction():
        for identity in identities:
            if identity.expected == FORBIDDEN:
                store.deny(identity.ue_id)
            if identity.expected != NOT_FOUND:
                data = json.dumps(configuration(identity))
                document = {
                    "valServiceDomain": "example.com",
                    "valUeIds": {"uris": [identity.ue_id]},
                    "ueConfigs": [{"configType": "ON_NETWORK", "configData": data}],
                }
                store.put(SERVICE, f"ue-{identity.number}", document)


class _RamConfiguration:
    """A configuration manager in RAM: it applies every configuration that it is offered."""

    def __init__(self):
        self.configuration = None
        self.etag = b""

    def offer(self, texts, etag, now):
        self.configuration, self.etag = json.loads(bytes(texts[0])), etag
        return "applied", ()

    def document_deleted(self, now):
        return None

    def step(self, now):
        return None

    def wait_ms(self, now):
        return None


class SimulatedUe:
    """The shipped UE as a node; it stops after its first final response.

    outcome: NONE until then, WRONG for the configuration of another UE. ended: called with the UE
    at its outcome. n_busy, n_timeouts: number of 5.03 responses and of requests that timed out.
    """

    def __init__(self, identity, next_hop, seed, now, ended):
        values = {"ue_id": identity.ue_id, "next_hop": list(next_hop), "observe": False}
        chance = random.Random(seed << 16 | identity.number)
        self._store = _RamConfiguration()
        self._ue = ConstrainedUe(
            settings_of(values), lambda: chance.getrandbits(8), self._store, next_hop, now
        )
        self.identity = identity
        self.outcome = NONE
        self.n_busy = self.n_timeouts = 0
        self._ended = ended
        self.transmit = self._ue.transmit
        self.wait_ms = self._ue.wait_ms

    def receive(self, transport, datagram, remote, now):
        self._ue.receive(transport, datagram, remote, now)
        self._take_events()

    def step(self, now):
        self._ue.step(now)
        self._take_events()

    def _take_events(self):
        while True:
            event = self._ue.poll()
            if event is None:
                return
            outcome = None
            if event["event"] == "applied":
                own = self._store.configuration == configuration(self.identity)
                outcome = CONFIGURED if own else WRONG
            elif event["event"] == "rejected" and event["code"] in (NOT_FOUND, FORBIDDEN):
                outcome = event["code"]
            self.n_busy += event["event"] == "rejected" and event["code"] == "5.03"
            self.n_timeouts += event["event"] == "timeout"
            if outcome and self.outcome == NONE:
                self.outcome = outcome
                self._ue.stop()
                self._ended(self)
