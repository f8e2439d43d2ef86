"""MicroPython's `network` with a scripted radio: it behaves as documented, and as the ports do.

    network.reset("esp32", clock)              or "rp2"; clock() gives milliseconds that only grow
    network.air["site"] = "the key"            an access point; delete it and it vanishes

The ESP32's driver tries again by itself, and then says STAT_CONNECTING whatever is wrong, unless
`config(reconnects=0)`; the RP2's does not, and has no such parameter. Times are about the real.
`refuses` are the states, active or not, in which `config` raises OSError: drivers differ.
`slow["dhcp"]` is how many milliseconds after the association the address comes.

A soft reset leaves the radio as it was: make the next Station without `reset`.
"""

_ASSOCIATE_MS = 1500
_WRONG_KEY_MS = 2500
_NO_AP_MS = 3000
_BEACONS_MS = 6000  # how long an access point may be silent before it counts as lost

_CODES = {
    "esp32": {
        "STAT_IDLE": 1000,
        "STAT_CONNECTING": 1001,
        "STAT_GOT_IP": 1010,
        "STAT_NO_AP_FOUND": 201,
        "STAT_WRONG_PASSWORD": 202,
        "STAT_BEACON_TIMEOUT": 200,
        "STAT_CONNECT_FAIL": 203,
        "STAT_HANDSHAKE_TIMEOUT": 204,
    },
    "rp2": {
        "STAT_IDLE": 0,
        "STAT_CONNECTING": 1,
        "STAT_GOT_IP": 3,
        "STAT_NO_AP_FOUND": -2,
        "STAT_WRONG_PASSWORD": -3,
        "STAT_CONNECT_FAIL": -1,
    },
}

STAT_IDLE = STAT_CONNECTING = STAT_GOT_IP = STAT_NO_AP_FOUND = STAT_WRONG_PASSWORD = 0

air = {}
slow = {"dhcp": 0}
_state = {}


def remove_radio():
    """From now on this is a machine without a radio."""
    _state.clear()
    globals().pop("WLAN", None)


def power_on():
    """The radio forgets all, as when the power comes back; the air stays."""
    _state.update({0: None, 1: None})


def reset(port, clock, refuses=()):
    """A new radio in an empty air."""
    air.clear()
    slow["dhcp"] = 0
    globals()["WLAN"] = _WLAN
    _state.clear()
    _state.update({"port": port, "clock": clock, "refuses": refuses, 0: None, 1: None})
    for codes in _CODES.values():
        for name in codes:
            globals().pop(name, None)
    globals().update(_CODES[port])
    for name in ("SEC_WPA2",):
        if port == "esp32":
            setattr(WLAN, name, 3)
        elif hasattr(WLAN, name):
            delattr(WLAN, name)


class WLAN:
    """One of the two interfaces, the same object every time it is asked for."""

    IF_STA = 0
    IF_AP = 1
    SEC_OPEN = 0
    SEC_WPA_WPA2 = 4

    def __new__(cls, interface=0):
        if _state[interface] is None:
            wlan = object.__new__(cls)
            wlan.begin(interface)
            _state[interface] = wlan
        return _state[interface]

    def begin(self, interface):
        self.interface = interface
        self.parameters = {}
        self.on_air = {}  # the parameters of an active access point
        self.stations = []  # MAC addresses at this access point
        self.n_connects = 0
        self.busy = 0  # this many calls of `connect` are refused
        self._active = False
        self._asked = None
        self._asked_at = 0
        self._up = False
        self._lost_at = None
        self._address = ("0.0.0.0", "255.255.255.0", "0.0.0.0", "0.0.0.0")
        self._dhcp = _state["port"] == "esp32"  # on the RP2 from the first activation
        self._reconnects = -1
        self._reason = 0

    def active(self, on=None):
        if on is not None:
            rp2 = _state["port"] == "rp2"
            if self.interface == WLAN.IF_STA:
                if on and rp2 and not self._active:
                    self._dhcp = True
                if not on and rp2:
                    return self._active  # it is ignored
                if not on:
                    self.disconnect()
            elif on and not (rp2 and self._active):
                self.on_air = dict(self.parameters)
            self._active = bool(on)
        return self._active

    def config(self, *names, **values):
        if names:
            return self.parameters[names[0]]
        if self.interface == WLAN.IF_AP and self._active in _state["refuses"]:
            raise OSError("Wifi Invalid Mode")
        if self._active and _state["port"] == "esp32":
            self.on_air = self.parameters
        for name, value in values.items():
            if name == "reconnects":
                if _state["port"] != "esp32":
                    raise ValueError("unknown config param")
                self._reconnects = value
            elif name in ("ssid", "key", "security", "channel", "hidden", "pm"):
                self.parameters[name] = value
            else:
                raise ValueError("unknown config param")

    def ifconfig(self, values=None):
        if values is None:
            return self._address
        self._address = tuple(values)
        self._dhcp = False

    def ipconfig(self, name=None, dhcp4=None):
        if name is not None:
            return self._dhcp and (self._up or _state["port"] != "esp32")
        if dhcp4 and not self._dhcp and _state["port"] == "esp32":
            self._address = ("0.0.0.0",) + self._address[1:]
        self._dhcp = bool(dhcp4)

    def connect(self, ssid=None, key=None):
        if not self._active:
            raise OSError("Wifi Not Started")
        if self.busy or (self._asked is not None and _state["port"] == "esp32"):
            self.busy = max(self.busy - 1, 0)
            raise OSError("Wifi Internal State Error")
        self.n_connects += 1
        if self._dhcp:
            self._address = ("0.0.0.0",) + self._address[1:]
        self._asked = (ssid, key)
        self._asked_at = _state["clock"]()
        self._reason = 0
        self._up = False

    def disconnect(self):
        self._asked = None
        self._up = False

    def isconnected(self):
        if self.interface == 1:
            return bool(self.stations)
        self._look()
        return self._up

    def status(self, what=None):
        if what == "stations":
            if self.interface != 1:
                raise OSError("AP required")
            if not self._active:
                raise OSError("Wifi Not Started")
            return [(mac,) for mac in self.stations]
        self._look()
        if what == "rssi" and _state["port"] == "esp32":
            if not self._associated():
                raise OSError("Wifi Not Connected")
            return -55
        if what is not None:
            raise ValueError("unknown status param")
        if self._up:
            return STAT_GOT_IP
        if self._asked is None:
            return self._reason or STAT_IDLE
        if self._associated() and _state["port"] == "rp2":
            return 2  # CYW43_LINK_NOIP
        if self._reason and (_state["port"] != "esp32" or self._reconnects == 0):
            return self._reason
        return STAT_CONNECTING

    def _associated(self):
        """Whether the access point has let this station in."""
        if self._asked is None or self._reason:
            return False
        ssid, key = self._asked
        waited = _state["clock"]() - self._asked_at
        return self._up or (air.get(ssid, 0) == key and waited >= _ASSOCIATE_MS)

    def _look(self):
        """The state of the connection."""
        if self._asked is None:
            return
        now = _state["clock"]()
        ssid, key = self._asked
        waited = now - self._asked_at
        if self._up:
            if air.get(ssid) == key:
                self._lost_at = None
            elif self._lost_at is None:
                self._lost_at = now
            elif now - self._lost_at >= _BEACONS_MS:
                self._up = False
                self._reason = STAT_NO_AP_FOUND
                if self._reconnects == 0:
                    self._asked = None
        elif ssid not in air:
            if waited >= _NO_AP_MS:
                self._reason = STAT_NO_AP_FOUND
        elif air[ssid] != key:
            if waited >= _WRONG_KEY_MS:
                self._reason = STAT_WRONG_PASSWORD
        elif waited >= _ASSOCIATE_MS and not self._reason:
            if self._address[0] == "0.0.0.0":
                if not self._dhcp or waited < _ASSOCIATE_MS + slow["dhcp"]:
                    return
                self._address = ("192.168.4.2", "255.255.255.0", "192.168.4.1", "192.168.4.1")
            self._up = True
            self._lost_at = None


_WLAN = WLAN
remove_radio()  # there is none until `reset`
