"""A folder of settings: its nodes, its servers, and which of them each address belongs to.

What the files are is known by their names, see docs/operation.md. The settings are those of
boards. Here each node and server gets a loopback address, and `Folder.here` puts these in place of
the addresses in a setting, a document or a text.
"""

import json
import re
from pathlib import Path

from msgin5g_tools.device.application_file import ApplicationFile
from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.device.settings_check import file_text, read_settings
from msgin5g_tools.device.table import read_table
from msgin5g_tools.person_file import parse_json
from msgin5g_tools.toml_file import TomlFile

_DOCUMENTS, _CHANGE, _BASE = "documents.json", "change.json", "base.json"
_TABLES = ("boards.csv", "boards.json")
_EVERYWHERE = "0.0.0.0"
_OF_ACCESS_POINT = "192.168.4.1"  # what MicroPython's ports give their own access point
_ORDER = ("seal-c", "gateway", "relay", "ue")  # each after those that it needs
_IPV4 = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)")
_FIRST_HOST, _MAX_PLACES = 10, 200  # of the loopback network


class Place:
    """A node or a server. host: the last number of its loopback address, which is `address`."""

    def __init__(self, name, file):
        self.name = name
        self.file = file
        self.host = None
        self.address = None


class Node(Place):
    """values: its settings, a dict. settings: the same, checked. row: of the table, or None."""

    def __init__(self, name, file, values, settings, row=None):
        super().__init__(name, file)
        self.values = values
        self.settings = settings
        self.row = row

    @property
    def role(self):
        return self.settings.role

    @property
    def ue_id(self):
        return self.settings.ue_id

    def group(self, name):
        return self.values.get(name, {})


class Server(Place):
    """bind: [host, port] in the settings. options: those of its TOML file, or None."""

    def __init__(self, name, file, bind, options=None):
        super().__init__(name, file)
        self.bind = bind
        self.options = options


class Folder:
    """What is in a folder; DeviceError or FileError, one line, when it cannot be started.

    nodes: in the order in which they start. documents, change: objects for `documents import`,
    or None. application: an ApplicationFile that runs beside each UE that is no board, or None.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.nodes = sorted(self._nodes(), key=lambda node: _ORDER.index(node.role))
        if not self.nodes:
            raise DeviceError(WRONG_INPUT, f"{path}: there is no file with settings of a node")
        self.documents = self._json(_DOCUMENTS)
        self.change = self._json(_CHANGE)
        app = self.path / "app.py"
        self.application = ApplicationFile(app, "micropython") if app.exists() else None
        self.servers = self._servers()
        self._hosts = {}  # of the settings -> the Place
        places = [*self.servers, *self.nodes]
        if len(places) > _MAX_PLACES:
            text = f"{path}: {len(places)} nodes and servers are more than {_MAX_PLACES}"
            raise DeviceError(WRONG_INPUT, text)
        for number, place in enumerate(places):
            place.host = _FIRST_HOST + number
            own = {place.bind[0]} if isinstance(place, Server) else self._own_hosts(place)
            for host in sorted(own):
                self._claim(host, place)
        for node in self.nodes:
            for key, holder, name in _addresses(node.values):
                if holder[name][0] not in (*self._hosts, _EVERYWHERE):
                    what = f"{key}: {holder[name][0]}: no node or server of this folder has that"
                    raise DeviceError(WRONG_INPUT, f"{node.file}: {what} address")

    @property
    def places(self):
        return [*self.servers, *self.nodes]

    def hosts_of(self, place):
        """The hosts by which the settings mean a place, sorted."""
        return sorted(host for host, owner in self._hosts.items() if owner is place)

    def here(self, value):
        """The same with loopback addresses; value: a text, or what JSON has.

        A name stays: it may be that of the server in its URI.
        """
        if isinstance(value, str):
            return _IPV4.sub(lambda match: self._address(match[0]), value)
        if isinstance(value, dict):
            return {key: self.here(inner) for key, inner in value.items()}
        return [self.here(inner) for inner in value] if isinstance(value, list) else value

    def _address(self, host):
        return self._hosts[host].address if host in self._hosts else host

    def settings_here(self, node):
        """The settings of a node with loopback addresses."""
        values = json.loads(json.dumps(node.values))
        values.setdefault("bind", [_EVERYWHERE, node.settings.bind[1]])
        for _, holder, name in _addresses(values):
            host, port = holder[name]
            own = name == "bind" and host == _EVERYWHERE
            holder[name] = [node.address if own else self._hosts[host].address, port]
        return values

    def mac_of(self, node):
        """The MAC address by which another node knows this one, or one of its own."""
        for other in self.nodes:
            peer = other.group("espnow").get("peers", {}).get(node.ue_id)
            mac = other.group("access_point").get("stations", {}).get(node.ue_id)
            if other is not node and (peer or mac):
                return bytes.fromhex((mac or peer[0]).replace(":", "").replace("-", ""))
        return bytes((2, 0, 0, 0, 0, node.host))

    def sites(self):
        """{SSID: key} of the Wi-Fi that nodes join and none of them opens."""
        opened = {node.group("access_point").get("ssid") for node in self.nodes}
        joined = {}
        for node in self.nodes:
            wifi = node.group("wifi")
            if "ssid" in wifi and wifi["ssid"] not in opened:
                joined.setdefault(wifi["ssid"], wifi.get("key", ""))
        return joined

    # Reading

    def _json(self, name):
        file = self.path / name
        return parse_json(file_text(file), file) if file.exists() else None

    def _nodes(self):
        try:
            files = sorted(self.path.glob("*.json"))
            next(self.path.iterdir(), None)
        except OSError as error:
            raise DeviceError(WRONG_INPUT, f"{self.path}: {error.strerror}") from None
        for file in files:
            if file.name in (_DOCUMENTS, _CHANGE, _BASE, *_TABLES):
                continue
            data, settings = read_settings(file)
            yield Node(file.stem, file, json.loads(data), settings)
        for table in (self.path / name for name in _TABLES):
            if not table.exists():
                continue
            rows, faults = read_table(file_text(table), self._json(_BASE) or {}, str(table))
            if faults:
                raise DeviceError(WRONG_INPUT, f"{table}: {faults[0]}")
            for row in rows:
                name = row.label or f"row {row.number}"
                yield Node(name, table, json.loads(row.settings), row.parsed, row)

    def _servers(self):
        files = sorted(self.path.glob("*.toml"))
        if files:
            return [_server_of(file) for file in files]
        if self.documents is None:
            return []
        found = None
        for node in self.nodes:
            for key, holder, name in _addresses(node.values):
                asks = key == "next_hop" and node.settings.next_hop_is == "server"
                if key != "server.address" and not asks:
                    continue
                if found and found.bind != holder[name]:
                    text = f"{node.file}: {key}: {holder[name][0]}: {found.file.name} has another"
                    raise DeviceError(WRONG_INPUT, f"{text} server; a folder has one")
                found = found or Server("server", node.file, holder[name])
        return [found] if found else []

    def _own_hosts(self, node):
        """The hosts by which the settings of all nodes mean this one."""
        known = [node.settings.bind[0], node.group("wifi").get("address")]
        known += [node.group("seal_c").get("bind", [None])[0]]
        known += [_OF_ACCESS_POINT if node.group("access_point") else None]
        known += [other.group("links").get(node.ue_id, [None])[0] for other in self.nodes]
        return set(known) - {None, _EVERYWHERE}

    def _claim(self, host, place):
        other = self._hosts.setdefault(host, place)
        if other is not place:
            text = f"{place.file}: {host}: is the address of {other.name}, too"
            raise DeviceError(WRONG_INPUT, text)


def _server_of(file):
    options = TomlFile(file).values
    host, _, port = str(options.get("bind", "")).rpartition(":")
    if not host or not port.isdigit():
        raise DeviceError(WRONG_INPUT, f"{file}: bind: must be HOST:PORT, as UEs reach it")
    return Server(file.stem, file, [host, int(port)], options)


def _addresses(values):
    """(dotted key, the object that has it, its key there) of each address in settings."""
    for group, key in (
        (None, "bind"),
        (None, "next_hop"),
        ("server", "address"),
        ("seal_c", "bind"),
        ("seal_c", "peer"),
    ):
        holder = values.get(group, {}) if group else values
        if key in holder:
            yield f"{group}.{key}" if group else key, holder, key
    links = values.get("links", {})
    for ue_id in links:
        yield f"links: {ue_id}", links, ue_id
