"""Wi-Fi as services of a node: a station that stays connected, an access point for linked UEs.

    step(now)      poll the driver, and do what is due
    wait_ms(now)   milliseconds until the next poll
    status()       the state for repl.status(), as a dict

`emit(name, reasons)` is the node's, set before the first step: `link_up` and `link_down` with a
reason. Status codes and exceptions are those of the `network` module of the ESP32 and RP2 ports.

A soft reset leaves the radio as it was: connected, with its static address, its access point on
the air. So each start sets or clears everything that a setting is about.
"""

from micropython import const
from msgin5g.coap.ticks import add, diff

_WAITING = const(0)
_CONNECTING = const(1)
_CONNECTED = const(2)

_POLL_MS = const(1000)
_POLL_CONNECTING_MS = const(250)
_CONNECT_MS = const(12000)  # association; after that the attempt has failed
_ADDRESS_MS = const(60000)  # and as long for an address: a DHCP server may be slow
_FIRST_RETRY_MS = const(1000)
_LONGEST_RETRY_MS = const(16000)
# Codes of the ESP32 port that have no constant in `network` (IEEE 802.11, ESP-IDF).
_WRONG_KEY = (15, 204)  # the four-way handshake timed out
_NO_ACCESS_POINT = (200, 210, 211, 212)  # no beacons; none with that security; signal too weak
_NO_ADDRESS = "0.0.0.0"
_DRIVER_ERRORS = (OSError, RuntimeError)  # the ESP32 has the latter for codes without a name


class Station:
    """Keeps this board connected to the access point `ssid`, with back-off after failures.

    network: the module. address: a static IPv4 address of this board in place of DHCP, in a /24
    network whose .1 is the access point. on_up(now), or None: called when the connection is up
    again after it was lost or an attempt failed.
    """

    def __init__(self, network, random, ssid, key, address=None):
        self.emit = self.on_up = None
        self._network = network
        self._random = random
        self._ssid = ssid
        self._key = key
        self._state = _WAITING
        self._at = None  # the next poll or attempt; None: at once
        self._deadline_at = 0
        self._n_failures = 0
        self.reason = "connecting"
        self._associated = False
        self._wlan = wlan = network.WLAN(network.WLAN.IF_STA)
        wlan.active(True)
        try:
            # Else the ESP32 retries for ever by itself and reports only "connecting".
            wlan.config(reconnects=0)
        except (ValueError, OSError):
            pass  # the RP2 has no such setting, and does not retry
        self._disconnect()
        if address is not None:
            gateway = address[: address.rfind(".")] + ".1"
            wlan.ifconfig((address, "255.255.255.0", gateway, gateway))
        elif not wlan.ipconfig("dhcp4"):
            # `ifconfig("dhcp")` would wait for ten seconds on the RP2, whose interface also keeps
            # an address that DHCP did not give.
            old = wlan.ifconfig()
            if old[0] != _NO_ADDRESS:
                wlan.ifconfig((_NO_ADDRESS, old[1], _NO_ADDRESS, old[3]))
            wlan.ipconfig(dhcp4=True)

    def step(self, now):
        """The clock has moved."""
        if self._at is not None and diff(now, self._at) < 0:
            return
        state = self._state
        if state == _WAITING:
            self._connect(now)
        elif self._wlan.isconnected():
            if state == _CONNECTING:
                self._connected(now)
            self._at = add(now, _POLL_MS)
        elif state == _CONNECTED:
            self._failed("lost " + self._ssid, now)
            self._at = now  # the first attempt is at once
        else:
            reason = self._failure()
            if reason is None and not self._associated and self._is_associated():
                self._associated = True
                self._deadline_at = add(now, _ADDRESS_MS)
            if reason is not None or diff(now, self._deadline_at) >= 0:
                late = "no address from DHCP" if self._associated else "no answer"
                self._failed(reason or late, now)
            else:
                self._at = add(now, _POLL_CONNECTING_MS)

    def wait_ms(self, now):
        """Milliseconds until the next poll."""
        return 0 if self._at is None else max(diff(self._at, now), 0)

    @property
    def is_up(self):
        """Whether it is connected, with an address."""
        return self._state == _CONNECTED

    def status(self):
        """The state for repl.status(), as a dict."""
        connected = self.is_up
        return {
            "link": "wifi",
            "up": connected,
            "reason": None if connected else self.reason,
            "address": self._wlan.ifconfig()[0] if connected else None,
        }

    def _connect(self, now):
        self._state = _CONNECTING
        self._associated = False
        self._deadline_at = add(now, _CONNECT_MS)
        self._at = add(now, _POLL_CONNECTING_MS)
        try:
            self._wlan.connect(self._ssid, self._key)
        except _DRIVER_ERRORS as error:  # the driver is busy
            self._failed("refused by the driver: " + str(error), now)

    def _connected(self, now):
        self._state = _CONNECTED
        again = self._n_failures > 0
        self._n_failures = 0
        self.reason = None
        self.emit("link_up", ["wifi: " + self._ssid])
        if again and self.on_up is not None:
            self.on_up(now)

    def _failure(self):
        """The reason why the attempt has failed, None while it has not."""
        network = self._network
        status = self._wlan.status()
        if status == network.STAT_WRONG_PASSWORD or status in _WRONG_KEY:
            return "wrong key for " + self._ssid
        if status == network.STAT_NO_AP_FOUND or status in _NO_ACCESS_POINT:
            return "no access point " + self._ssid
        if status in (network.STAT_IDLE, network.STAT_CONNECTING, network.STAT_GOT_IP):
            return None
        return None if self._is_associated() else "failed with status " + str(status)

    def _is_associated(self):
        """Whether the access point has let us in; an address may still be missing."""
        network = self._network
        if not hasattr(network, "STAT_BEACON_TIMEOUT"):  # the RP2: CYW43_LINK_NOIP has no name
            return self._wlan.status() == network.STAT_GOT_IP - 1
        try:
            # The ESP32 gives a signal strength only then.
            self._wlan.status("rssi")
            return True
        except _DRIVER_ERRORS:
            return False

    def _disconnect(self):
        try:
            self._wlan.disconnect()
        except _DRIVER_ERRORS:
            pass  # it was not connected

    def _failed(self, reason, now):
        self._state = _WAITING
        self._disconnect()
        if reason != self.reason:
            self.reason = reason
            self.emit("link_down", ["wifi: " + reason])
        delay_ms = min(_FIRST_RETRY_MS << min(self._n_failures, 6), _LONGEST_RETRY_MS)
        self._n_failures += 1
        # Up to a quarter more, so that the boards of a site do not all reconnect at once.
        self._at = add(now, delay_ms + delay_ms * self._random() // 1024)


class AccessPoint:
    """An access point whose stations are the linked UEs of a relay or gateway.

    stations: {MAC address, 6 bytes: UE ID}. on_up(ue_id) and on_down(ue_id), or None, are called
    when one of them associates or leaves. Another device that associates is counted in
    `n_unknown_peer` and has no link.
    """

    def __init__(self, network, ssid, key, channel, stations):
        self.emit = self.on_up = self.on_down = None
        self.stations = stations
        self._present = set()
        self._at = None
        self.n_unknown_peer = 0
        kind = network.WLAN
        self._wlan = wlan = kind(kind.IF_AP)
        if wlan.active():
            wlan.active(False)  # an access point that is on the air keeps its old name
        values = {"ssid": ssid, "security": kind.SEC_OPEN, "channel": channel}
        if key is not None:
            # The RP2 has only the mixed mode.
            mode = kind.SEC_WPA2 if hasattr(kind, "SEC_WPA2") else kind.SEC_WPA_WPA2
            values.update({"key": key, "security": mode})
        try:
            wlan.config(**values)  # before activation: on an RP2 it has no effect later
            wlan.active(True)
        except _DRIVER_ERRORS:
            wlan.active(True)
            wlan.config(**values)  # other drivers refuse it before activation

    def is_present(self, ue_id):
        """Whether the station of a UE is associated."""
        return ue_id in [self.stations.get(mac) for mac in self._present]

    def step(self, now):
        """The clock has moved."""
        if self._at is not None and diff(now, self._at) < 0:
            return
        self._at = add(now, _POLL_MS)
        try:
            present = {bytes(row[0]) for row in self._wlan.status("stations")}
        except _DRIVER_ERRORS:
            return  # not started yet
        for mac in present - self._present:
            ue_id = self.stations.get(mac)
            if ue_id is None:
                self.n_unknown_peer += 1
            else:
                if self.on_up is not None:
                    self.on_up(ue_id)
                self.emit("link_up", ["wifi: " + ue_id])
        for mac in self._present - present:
            ue_id = self.stations.get(mac)
            if ue_id is not None:
                if self.on_down is not None:
                    self.on_down(ue_id)
                self.emit("link_down", ["wifi: " + ue_id])
        self._present = present

    def wait_ms(self, now):
        """Milliseconds until the next poll."""
        return 0 if self._at is None else max(diff(self._at, now), 0)

    def status(self):
        """The state for repl.status(), as a dict."""
        present = [self.stations[mac] for mac in self._present if mac in self.stations]
        return {
            "link": "access_point",
            "up": self._wlan.active(),
            "stations": sorted(present),
            "unknown_peers": len(self._present) - len(present),
        }
