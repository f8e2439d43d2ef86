"""The relay or gateway of a simulation: the shipped role, and how full its tables get."""

from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.gateway.gateway import Gateway  # noqa: E402
from msgin5g.relay.relay import Relay  # noqa: E402
from msgin5g.gateway.scm_local import Collocated  # noqa: E402
from msgin5g.settings.core import SettingsError, settings_of  # noqa: E402

ROLES = ("relay", "gateway")
HOST = "192.0.2.10"
ADDRESS = (HOST, 65401)
SERVER = ("192.0.2.1", 5683)
_OURS = ("role", "ue_id", "bind", "server", "links")  # of a settings file: not what is simulated


def settings_for(role, n_ues, given=None):
    """Settings of a hop that has room for all its UEs; given: a dict of others, or None.

    A gateway asks for as many UEs as one message can name; for those who come late in a large
    crowd it waits up to half a minute, lest they make many small requests. SettingsError, one
    line, for what is wrong or unknown in `given`.
    """
    values = {"role": role, "ue_id": f"urn:x-msgin5g:{role}:1"}
    values["server"] = {"address": list(SERVER)}
    values["relay"] = {"max_links": n_ues}
    if role == "gateway":
        values["relay"]["max_flows"] = 64
        values["bulk"] = {"count": 1000, "window_s": min(2 + n_ues // 33, 30)}
        values["gateway"] = {"max_waiting": n_ues, "max_answers": 64, "max_transfers": 32}
    for key, value in (given or {}).items():
        if key in _OURS:
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
    gateway.seal_c = Collocated(settings, gateway.endpoint, 0, SERVER)
    return gateway


class Watched:
    """A hop as a node that notes the largest size of each of its tables in `peaks`."""

    def __init__(self, hop):
        self.hop = hop
        endpoint = hop.endpoint
        self._tables = {
            "links": lambda: len(hop.links),
            "exchanges": lambda: len(endpoint._exchanges),
            "incoming": lambda: len(endpoint._incoming),
        }
        if isinstance(hop, Relay):
            self._tables["flows"] = lambda: len(hop._flows)
            self._tables["held_back"] = lambda: len(hop._held)
        else:
            self._tables["waiting"] = lambda: hop.n_waiting
            self._tables["transfers"] = lambda: len(hop._transfers)
            self._tables["answers"] = lambda: len(hop._answers)
            self._tables["held_bytes"] = lambda: hop._held_size
        self.peaks = dict.fromkeys(self._tables, 0)
        self.transmit = hop.transmit
        self.wait_ms = hop.wait_ms

    def receive(self, transport, datagram, remote, now):
        self.hop.receive(transport, datagram, remote, now)
        self._look()

    def step(self, now):
        self.hop.step(now)
        self._look()

    def _look(self):
        peaks = self.peaks
        for name, size in self._tables.items():
            peaks[name] = max(peaks[name], size())
