"""MicroPython's `network`, as far as the firmware uses it, between the nodes of one computer.

An access point is a folder of the air with its key and a file for each station. Datagrams do not
go through it: they take the loopback interface, so addresses are those that the settings name.
"""

import os
from binascii import hexlify, unhexlify

import air

STAT_IDLE = 1000
STAT_CONNECTING = 1001
STAT_GOT_IP = 1010
STAT_NO_AP_FOUND = 201
STAT_WRONG_PASSWORD = 202
STAT_BEACON_TIMEOUT = 200
STAT_CONNECT_FAIL = 203
STAT_HANDSHAKE_TIMEOUT = 204

_STATION = "station-"
_interfaces = {}


def _path(ssid, name):
    return air.folder + "/" + hexlify(ssid.encode()).decode() + "/" + name


def _read(path):
    """The text of a file, or None."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


class WLAN:
    """One of the two interfaces, the same object every time it is asked for."""

    IF_STA = 0
    IF_AP = 1
    SEC_OPEN = 0
    SEC_WPA2 = 3

    def __new__(cls, interface=0):
        if interface not in _interfaces:
            made = object.__new__(cls)
            made.is_active = False
            made.values = {}
            made.joined = None  # the file of this station at an access point
            made.ssid = None
            made.failure = STAT_IDLE
            made.address = ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
            _interfaces[interface] = made
        return _interfaces[interface]

    def config(self, **values):
        self.values.update(values)

    def active(self, on=None):
        if on is None:
            return self.is_active
        if on and "ssid" in self.values and not self.is_active:
            ssid = self.values["ssid"]
            os.mkdir(_path(ssid, "")[:-1])
            with open(_path(ssid, "key"), "w") as file:
                file.write(self.values.get("key", ""))
        self.is_active = on

    def connect(self, ssid, key=None):
        expected = _read(_path(ssid, "key"))
        if expected is None:
            self.failure = STAT_NO_AP_FOUND
        elif expected != (key or ""):
            self.failure = STAT_WRONG_PASSWORD
        else:
            self.ssid = ssid
            self.joined = _path(ssid, _STATION + hexlify(air.mac).decode())
            with open(self.joined, "w"):
                pass

    def disconnect(self):
        if self.joined is not None:
            os.remove(self.joined)
        self.joined = None
        self.failure = STAT_IDLE

    def isconnected(self):
        return self.joined is not None and _read(_path(self.ssid, "key")) is not None

    def status(self, what=None):
        if what == "stations":
            names = os.listdir(_path(self.values["ssid"], "")[:-1])
            n = len(_STATION)
            return [(unhexlify(name[n:]),) for name in names if name.startswith(_STATION)]
        if what == "rssi":
            if self.joined is None:
                raise OSError("Wifi Not Connected")
            return -55
        return STAT_GOT_IP if self.isconnected() else self.failure

    def ifconfig(self, values=None):
        if values is None:
            return self.address
        self.address = values

    def ipconfig(self, name=None, **values):
        return True
