"""MicroPython's `espnow` with scripted radio conditions; it behaves as documented.

    espnow.reset()
    espnow.here = b"......"      the board whose ESPNow() is made next
    espnow.apart.add((a, b))     a and b are out of each other's range
    espnow.air.full = 3          so many sends find the driver's buffers full
    espnow.air.receive_errors, send_errors      exceptions of the next calls
    espnow.boards[mac].lost_place = True        its ring buffer is corrupt until it is restarted
    espnow.lost.add(2)           this frame, counted from 0, does not arrive
    espnow.air.loses = f         f(frame): whether this one does not

A peer's radio acknowledges a frame whenever it is active and in range, whoever it is.
"""

MAX_DATA_LEN = 250
KEY_LEN = 16
ADDR_LEN = 6
MAX_TOTAL_PEER_NUM = 20
MAX_ENCRYPT_PEER_NUM = 6

_ERRORS = {
    "ESP_ERR_ESPNOW_NOT_INIT": -12389,
    "ESP_ERR_ESPNOW_ARG": -12390,
    "ESP_ERR_ESPNOW_NO_MEM": -12391,
    "ESP_ERR_ESPNOW_FULL": -12392,
    "ESP_ERR_ESPNOW_NOT_FOUND": -12393,
    "ESP_ERR_ESPNOW_EXIST": -12395,
}


class _Air:
    def __init__(self):
        self.full = 0
        self.receive_errors = []
        self.send_errors = []
        self.n_sent = 0
        self.loses = None


here = b""
air = _Air()
apart = set()
lost = set()
boards = {}


def reset():
    """An empty air."""
    air.__init__()
    apart.clear()
    lost.clear()
    boards.clear()


def _error(name):
    return OSError(_ERRORS[name], name)


class ESPNow:
    """The one object of a board."""

    def __new__(cls):
        if here not in boards:
            made = object.__new__(cls)
            made.mac = here
            made.peers = {}
            made.inbox = []
            made.rxbuf = 526
            made.pmk = None
            made.is_active = False
            made.lost_place = False
            boards[here] = made
        return boards[here]

    def config(self, rxbuf=None, **values):
        if values:
            raise ValueError("unknown config param")
        if rxbuf is not None:
            self.rxbuf = rxbuf

    def active(self, flag=None):
        if flag is not None:
            self.is_active = bool(flag)
            if not flag:
                self.peers = {}
                self.pmk = None
                self.inbox = []
                self.lost_place = False
        return self.is_active

    def set_pmk(self, pmk):
        if len(pmk) != KEY_LEN:
            raise ValueError("invalid buffer length")
        self.pmk = bytes(pmk)

    def add_peer(self, mac, lmk=None, channel=0, ifidx=0, encrypt=None):
        if not self.is_active:
            raise _error("ESP_ERR_ESPNOW_NOT_INIT")
        if len(mac) != ADDR_LEN or (lmk and len(lmk) != KEY_LEN):
            raise ValueError("invalid buffer length")
        if mac in self.peers:
            raise _error("ESP_ERR_ESPNOW_EXIST")
        n_keys = len([1 for key in self.peers.values() if key])
        if len(self.peers) >= MAX_TOTAL_PEER_NUM or (lmk and n_keys >= MAX_ENCRYPT_PEER_NUM):
            raise _error("ESP_ERR_ESPNOW_FULL")
        self.peers[bytes(mac)] = lmk and bytes(lmk)

    def send(self, mac, msg, sync=True):
        if not self.is_active:
            raise _error("ESP_ERR_ESPNOW_NOT_INIT")
        if mac not in self.peers:
            raise _error("ESP_ERR_ESPNOW_NOT_FOUND")
        if len(msg) > MAX_DATA_LEN:
            raise ValueError("invalid buffer length")
        if air.send_errors:
            raise air.send_errors.pop(0)
        if air.full:
            air.full -= 1
            raise _error("ESP_ERR_ESPNOW_NO_MEM")
        number = air.n_sent
        air.n_sent += 1
        peer = boards.get(mac)
        if (
            peer is None
            or not peer.is_active
            or number in lost
            or (air.loses is not None and air.loses(msg))
            or (self.mac, mac) in apart
            or (mac, self.mac) in apart
        ):
            return not sync
        # The radio acknowledges a frame encrypted with another key, but does not deliver it.
        key = self.peers[mac]
        if key is None or (peer.peers.get(self.mac) == key and peer.pmk == self.pmk):
            used = sum([13 + len(known) for _, known in peer.inbox])
            if used + 13 + len(msg) <= peer.rxbuf:
                peer.inbox.append((self.mac, bytes(msg)))
        return True

    def any(self):
        return bool(self.inbox)

    def recv(self, timeout_ms=None):
        if not self.is_active:
            raise _error("ESP_ERR_ESPNOW_NOT_INIT")
        assert timeout_ms == 0, "it would wait for a frame"
        if air.receive_errors:
            raise air.receive_errors.pop(0)
        if self.lost_place:
            raise ValueError("ESPNow.recv(): buffer error")
        return self.inbox.pop(0) if self.inbox else (None, None)
