"""The Wi-Fi services against a scripted `network`, with the codes and habits of both ports."""

from msgin5g_testkit.shim import network

from msgin5g_testkit.checks import xorshift
from msgin5g.port.wlan import AccessPoint, Station

_MASK = 0x3FFFFFFF


class Clock:
    """Virtual time, which wraps as on a board, for one service."""

    def __init__(self, port):
        self.ms = 0
        self.emitted = []
        network.reset(port, lambda: self.ms)

    def now(self):
        return (_MASK - 5000 + self.ms) & _MASK

    def emit(self, name, reasons):
        self.emitted.append((self.ms, name, reasons[0]))

    def run(self, service, for_ms):
        end = self.ms + for_ms
        while True:
            service.step(self.now())
            wait = service.wait_ms(self.now())
            assert wait >= 0
            if self.ms + wait > end:
                self.ms = end
                return
            self.ms += max(wait, 1)

    def last(self):
        return self.emitted[-1][1:] if self.emitted else None


def _station(clock, address=None, on_up=None):
    station = Station(network, xorshift(7), "site", "the key", address)
    station.emit = clock.emit
    station.on_up = on_up
    return station


def test_a_station_connects_and_reports_it():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "the key"
        station = _station(clock)
        assert station.status()["reason"] == "connecting"
        clock.run(station, 5000)
        assert clock.emitted[0][0] < 3000 and clock.last() == ("link_up", "wifi: site"), port
        assert station.status() == {
            "link": "wifi",
            "up": True,
            "reason": None,
            "address": "192.168.4.2",
        }
        clock.run(station, 600000)
        assert len(clock.emitted) == 1 and network.WLAN(0).n_connects == 1, port


def test_a_static_address():
    clock = Clock("rp2")
    network.air["site"] = "the key"
    station = _station(clock, address="192.168.4.77")
    clock.run(station, 5000)
    assert station.status()["address"] == "192.168.4.77"
    assert network.WLAN(0).ifconfig()[2] == "192.168.4.1"


def test_a_wrong_key_is_reported_and_can_be_corrected():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "another key"
        woken = []
        station = _station(clock, on_up=woken.append)
        clock.run(station, 30000)
        assert clock.emitted[0][0] < 30000 and station.status()["up"] is False, port
        assert clock.last() == ("link_down", "wifi: wrong key for site"), (port, clock.emitted)
        clock.run(station, 600000)
        assert len(clock.emitted) == 1, port  # reported once, not at every attempt
        n_connects = network.WLAN(0).n_connects
        assert 20 < n_connects < 50, (port, n_connects)
        network.air["site"] = "the key"
        clock.run(station, 30000)
        assert clock.last() == ("link_up", "wifi: site") and len(woken) == 1, port


def test_an_access_point_that_vanishes_and_returns():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "the key"
        woken = []
        station = _station(clock, on_up=woken.append)
        clock.run(station, 10000)
        assert not woken, port  # the first time is no return
        del network.air["site"]
        gone_at = clock.ms
        clock.run(station, 30000)
        assert clock.emitted[1][0] - gone_at < 30000, port
        assert clock.emitted[1][1:] == ("link_down", "wifi: lost site"), port
        assert clock.last() == ("link_down", "wifi: no access point site"), port
        clock.run(station, 3600000)
        assert len(clock.emitted) == 3, (port, clock.emitted)
        network.air["site"] = "the key"
        clock.run(station, 30000)
        assert clock.last() == ("link_up", "wifi: site") and len(woken) == 1, port


def test_a_driver_that_refuses_is_tried_again():
    clock = Clock("esp32")
    network.air["site"] = "the key"
    network.WLAN(0).busy = 2
    station = _station(clock)
    clock.run(station, 30000)
    assert clock.emitted[0][1:] == (
        "link_down",
        "wifi: refused by the driver: Wifi Internal State Error",
    )
    assert clock.last() == ("link_up", "wifi: site")


def test_an_access_point_knows_its_ues():
    ue, other, stranger = b"\x02\0\0\0\0\x07", b"\x02\0\0\0\0\x08", b"\x02\0\0\0\0\x66"
    for port, security in (("esp32", 3), ("rp2", 4)):
        clock = Clock(port)
        log = []
        stations = {ue: "urn:ue:7", other: "urn:ue:8"}
        point = AccessPoint(network, "relay", "12345678", 6, stations)
        point.emit = clock.emit
        point.on_up = lambda ue_id, log=log: log.append(("up", ue_id))
        point.on_down = lambda ue_id, log=log: log.append(("down", ue_id))
        wlan = network.WLAN(1)
        assert wlan.active() and wlan.parameters == {
            "ssid": "relay",
            "key": "12345678",
            "security": security,
            "channel": 6,
        }
        wlan.stations = [ue, stranger]
        clock.run(point, 3000)
        assert log == [("up", "urn:ue:7")] and point.n_unknown_peer == 1, port
        assert point.status()["stations"] == ["urn:ue:7"] and point.status()["unknown_peers"] == 1
        wlan.stations = [other]
        clock.run(point, 3000)
        assert sorted(log[1:]) == [("down", "urn:ue:7"), ("up", "urn:ue:8")], port
        assert clock.emitted[0][1:] == ("link_up", "wifi: urn:ue:7")
        wlan.active(False)
        clock.run(point, 3000)
        assert len(log) == 3, port


def test_a_driver_that_takes_settings_only_before_or_after_activation():
    for port, refused_while in (("esp32", False), ("rp2", True)):
        network.reset(port, lambda: 0, [refused_while])
        AccessPoint(network, "relay", "12345678", 6, {})
        wlan = network.WLAN(1)
        assert wlan.active() and wlan.parameters["ssid"] == "relay", port
        assert wlan.parameters["key"] == "12345678" and wlan.parameters["channel"] == 6, port


def test_an_open_access_point():
    Clock("esp32")
    AccessPoint(network, "relay", None, 1, {})
    assert network.WLAN(1).on_air == {"ssid": "relay", "security": 0, "channel": 1}


def test_a_slow_dhcp_server_is_waited_for():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "the key"
        network.slow["dhcp"] = 40000
        station = _station(clock)
        clock.run(station, 39000)
        assert clock.emitted == [] and network.WLAN(0).n_connects == 1, (port, clock.emitted)
        clock.run(station, 5000)
        assert clock.last() == ("link_up", "wifi: site"), port


def test_a_dhcp_server_that_is_silent_is_the_reason():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "the key"
        network.slow["dhcp"] = 1 << 30
        station = _station(clock)
        clock.run(station, 300000)
        assert clock.emitted[0][0] < 70000 and len(clock.emitted) == 1, (port, clock.emitted)
        assert clock.last() == ("link_down", "wifi: no address from DHCP"), port
        assert station.status()["reason"] == "no address from DHCP", port
        network.slow["dhcp"] = 0
        clock.run(station, 90000)
        assert clock.last() == ("link_up", "wifi: site"), port


def test_an_esp32_whose_authentication_expired_has_not_joined():
    clock = Clock("esp32")
    station = _station(clock)
    wlan = network.WLAN(0)
    # WIFI_REASON_AUTH_EXPIRE has the number of the RP2's CYW43_LINK_NOIP.
    wlan.status = lambda what=None: _not_connected() if what else 2
    clock.run(station, 1000)
    assert clock.last() == ("link_down", "wifi: failed with status 2")


def _not_connected():
    raise OSError("Wifi Not Connected")


def test_over_a_soft_reset_a_static_address_that_was_removed_is_gone():
    for port in ("esp32", "rp2"):
        clock = Clock(port)
        network.air["site"] = "the key"
        clock.run(_station(clock, address="192.168.9.77"), 5000)
        assert network.WLAN(0).ifconfig()[0] == "192.168.9.77", port
        station = _station(clock)  # the radio is still connected
        assert not network.WLAN(0).isconnected(), port
        clock.run(station, 5000)
        assert station.status()["address"] == "192.168.4.2", port


def test_over_a_soft_reset_an_access_point_has_its_new_name_key_and_channel():
    for port in ("esp32", "rp2"):
        Clock(port)
        AccessPoint(network, "old", "12345678", 6, {})
        AccessPoint(network, "new", None, 1, {})
        on_air = network.WLAN(1).on_air
        assert on_air["ssid"] == "new" and on_air["security"] == 0, port
        assert on_air["channel"] == 1, port


def test_a_driver_code_without_a_name_is_a_failed_attempt():
    clock = Clock("esp32")
    network.air["site"] = "the key"
    station = _station(clock)
    wlan = network.WLAN(0)
    connect = wlan.connect
    wlan.connect = _unknown_error
    clock.run(station, 500)
    assert clock.last() == ("link_down", "wifi: refused by the driver: Wifi Unknown Error 0x0101")
    wlan.connect = connect
    clock.run(station, 30000)
    assert clock.last() == ("link_up", "wifi: site")


def _unknown_error(ssid, key):
    raise RuntimeError("Wifi Unknown Error 0x0101")


class Codes:
    """Stands for `network` of the ESP32 and its station: a test sets `state` and `connected`."""

    STAT_IDLE = 1000
    STAT_CONNECTING = 1001
    STAT_GOT_IP = 1010
    STAT_NO_AP_FOUND = 201
    STAT_WRONG_PASSWORD = 202
    STAT_BEACON_TIMEOUT = 200

    def __init__(self):
        self.state = 1001
        self.connected = False
        self.n_connects = 0

    def active(self, on):
        pass

    def config(self, reconnects):
        pass

    def disconnect(self):
        pass

    def ipconfig(self, name):
        return True

    def ifconfig(self):
        return ("10.0.0.5", "", "", "")

    def isconnected(self):
        return self.connected

    def connect(self, ssid, key):
        self.n_connects += 1

    def status(self, what=None):
        if what:
            raise OSError("Wifi Not Connected")
        return self.state


def _scripted(random=0):
    codes = Codes()
    made = Station(_Network(codes), lambda: random, "site", "the key")
    said = []
    made.emit = lambda name, reasons: said.append((name, reasons[0]))
    return made, codes, said


class _Network:
    """The module: its constants, and WLAN, which always gives the one station."""

    def __init__(self, codes):
        for name in dir(Codes):
            if name.startswith("STAT_"):
                setattr(self, name, getattr(Codes, name))
        self.codes = codes
        self.WLAN = _Wlan(codes)


class _Wlan:
    IF_STA = 0

    def __init__(self, codes):
        self.codes = codes

    def __call__(self, interface):
        return self.codes


def test_each_code_of_a_failed_attempt_has_its_reason():
    for codes, reason in (
        ((15, 202, 204), "wrong key for site"),
        ((200, 201, 210, 211, 212), "no access point site"),
        ((203,), "failed with status 203"),
        ((1000, 1001, 1010), None),
    ):
        for code in codes:
            station, radio, said = _scripted()
            station.step(0)
            radio.state = code
            station.step(250)
            assert said == ([("link_down", "wifi: " + reason)] if reason else []), code


def test_the_delay_doubles_from_a_second_to_sixteen_with_a_quarter_of_chance():
    for random, more in ((0, 0), (255, 255)):
        station, radio, _ = _scripted(random)
        now = _MASK - 20000  # the clock wraps meanwhile
        for delay_ms in (1000, 2000, 4000, 8000, 16000, 16000, 16000, 16000):
            radio.state = 1001
            assert station.wait_ms(now) == 0
            station.step(now)
            assert station.wait_ms(now) == 250
            now = (now + 250) & _MASK
            radio.state = 201
            station.step(now)
            delay_ms += delay_ms * more // 1024
            assert station.wait_ms(now) == delay_ms
            station.step((now + delay_ms - 1) & _MASK)
            assert radio.state == 201
            now = (now + delay_ms) & _MASK
        assert radio.n_connects == 8


def test_an_attempt_takes_twelve_seconds_at_most():
    station, _, said = _scripted()
    station.step(0)
    for now in range(250, 12000, 250):
        station.step(now)
        assert said == [] and station.wait_ms(now) == 250, now
    station.step(12000)
    assert said == [("link_down", "wifi: no answer")]


def test_a_connection_that_is_lost_is_tried_again_at_once_and_that_is_told():
    for fails_first in (False, True):
        station, radio, said = _scripted()
        woken = []
        station.on_up = woken.append
        now = 0
        if fails_first:
            station.step(now)
            radio.state = 201
            station.step(250)
            radio.state = 1001
            now = 1250
        station.step(now)
        radio.connected = True
        station.step(now + 250)
        assert said[-1] == ("link_up", "wifi: site") and station.is_up
        assert woken == ([now + 250] if fails_first else [])
        assert station.wait_ms(now + 250) == 1000
        radio.connected = False
        n = radio.n_connects
        station.step(now + 1250)
        assert said[-1] == ("link_down", "wifi: lost site") and not station.is_up
        assert station.wait_ms(now + 1250) == 0
        station.step(now + 1250)
        assert radio.n_connects == n + 1
        radio.connected = True
        station.step(now + 1500)
        assert woken[-1] == now + 1500


def test_what_is_overdue_is_due_at_once():
    station, _, _ = _scripted()
    assert station.wait_ms(5) == 0
    station.step(0)
    assert station.wait_ms(249) == 1
    assert station.wait_ms(250) == station.wait_ms(251) == station.wait_ms(900) == 0
    clock = Clock("esp32")
    point = AccessPoint(network, "plant", None, 1, {})
    assert point.wait_ms(clock.now()) == 0
    point.step(0)
    assert point.wait_ms(999) == 1 and point.wait_ms(1000) == point.wait_ms(1001) == 0


def test_an_address_that_dhcp_did_not_give_is_cleared_and_no_address_is_left_alone():
    for old, cleared in (("192.168.9.77", [("0.0.0.0", "m", "0.0.0.0", "dns")]), ("0.0.0.0", [])):
        codes = Codes()
        dhcp, given = [], []

        def ipconfig(name=None, dhcp4=None, dhcp=dhcp):
            if name is None:
                dhcp.append(dhcp4)
            return False

        def ifconfig(values=None, old=old, given=given):
            if values is not None:
                given.append(values)
            return (old, "m", "gateway", "dns")

        codes.ipconfig, codes.ifconfig = ipconfig, ifconfig
        Station(_Network(codes), lambda: 0, "site", "the key")
        assert given == cleared and dhcp == [True]


def test_an_attempt_after_one_that_had_no_address_is_an_attempt_of_its_own():
    station, radio, said = _scripted()
    refused = radio.status
    radio.status = lambda what=None: -60 if what else 1001
    station.step(0)
    station.step(250)
    station.step(60000)
    assert said == []
    station.step(60250)
    assert said == [("link_down", "wifi: no address from DHCP")]
    radio.status = refused
    station.step(61250)
    station.step(61500)
    station.step(73000)
    assert len(said) == 1
    station.step(73250)
    assert said[1:] == [("link_down", "wifi: no answer")]
