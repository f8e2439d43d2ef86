"""The relay or gateway of a simulation: the shipped role, and how full its tables get."""

from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.gateway.gateway import Gateway  # noqa: E402
from msgin5g.gateway.scm_local import LocalScmClient  # noqa: E402
from msgin5g.relay import Relay  # noqa: E402
from msgin5g.settings import SettingsError, settings_of  # noqa: E402

ROLES = ("relay", "gateway")
HOST = "192.0.2.10"
ADDRESS = (HOST, 65401)
SERVER = ("192.0.2.1", 5683)
_IGNORED = ("role", "ue_id", "bind", "server", "links")  # the simulation sets these itself


def settings_for(role, n_ues, given=None):
    """Settings of a relay or gateway with room for all its UEs; given: a dict of others, or None.

    A gateway puts as many UEs into a bulk request as one message can name, and waits up to half a
    minute for the late ones of a large crowd, so that they do not make many small requests.
    SettingsError, one line, for a wrong or unknown key in `given`.
    """
    values = {"role": role, "ue_id": f"urn:x-msgin5g:{role}:1"}
    values["server"] = {"address": list(SERVER)}
    values["relay"] = {"max_links": n_ues}
    if role == "gateway":
        values["relay"]["max_flows"] = 64
        values["bulk"] = {"count": 1000, "window_s": min(2 + n_ues // 33, 30)}
        values["gateway"] = {"max_waiting": n_ues, "max_answers": 64, "max_transfers": 32}
    for key, value in (given or {}).items():
        if key in _IGNORED:
            continue
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            values[key] = {**values[key], **value}
        else:
            values[key] = value
    settings = settings_of(values)
    if settings.unknown:
        raise SettingsError("settings: unknown: " + ", ".join(settings.unknown))
    return settings


def role_of(settings, random_byte, now):
    """A Relay or Gateway without links."""
    if settings.role == "relay":
        return Relay(settings, random_byte, SERVER, now)
    gateway = Gateway(settings, random_byte, now)
    gateway.connect(LocalScmClient(settings, gateway.endpoint, 0, SERVER))
    return gateway


class Measured:
    """A relay or gateway as a node; `peaks` has the largest size of each of its tables."""

    def __init__(self, role):
        self.role = role
        endpoint = role.endpoint
        self._tables = {
            "links": lambda: len(role.links),
            "exchanges": lambda: len(endpoint.exchanges),
            "incoming": lambda: endpoint.n_incoming,
        }
        if isinstance(role, Relay):
            self._tables["flows"] = lambda: role.n_requests + role.n_observing
            self._tables["held_back"] = lambda: len(role.held_back)
        else:
            self._tables["waiting"] = lambda: role.n_waiting
            self._tables["transfers"] = lambda: len(role.transfers.under_way)
            self._tables["answers"] = lambda: len(role.responder.unacknowledged)
            self._tables["held_bytes"] = lambda: role.pending_requests.held_size
        self.peaks = dict.fromkeys(self._tables, 0)
        self.transmit = role.transmit
        self.wait_ms = role.wait_ms

    def receive(self, transport, datagram, remote, now):
        self.role.receive(transport, datagram, remote, now)
        self._measure()

    def step(self, now):
        self.role.step(now)
        self._measure()

    def _measure(self):
        peaks = self.peaks
        for name, size in self._tables.items():
            peaks[name] = max(peaks[name], size())
