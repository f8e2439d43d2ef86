"""ESP-NOW as the one-to-one direct link between two ESP32: a transport and a service in one.

A remote is the peer's MAC address, 6 bytes. An ESP-NOW frame carries 250 bytes, a CoAP message
has up to 1,152: a datagram is sent in numbered pieces, which the receiver joins. When one piece is
lost, the datagram is lost, and CoAP sends it again.

    0xC0 | number of pieces, datagram number, index of the piece, up to 247 bytes
    0xC0                                                             a probe

`espnow.send` waits for the acknowledgement of the peer's radio, so it shows whether the peer is
in range. A peer that was silent for a while is probed. A peer that misses three frames in a row is
out of range; it is probed less and less often until it answers.

A driver that lost its place in its ring buffer, or fails again and again, is restarted.
"""

from micropython import const
from msgin5g.coap.ticks import add, diff

_MARK = const(0xC0)
_PROBE = const(b"\xc0")
_PIECE_SIZE = const(247)  # espnow.MAX_DATA_LEN less the header
_MAX_PIECES = const(6)  # 1,281 bytes and more
_MAX_QUEUE = const(24)  # frames; a datagram that does not fit is dropped
_RECEIVE_BUFFER = const(2 * 1578)  # twelve frames with what the driver adds
_BUSY_MS = const(10)  # the driver's buffers are full: retry after this time,
_MAX_BUSY = const(50)  # at most this often
_JOIN_MS = const(3000)  # an incomplete datagram is dropped after this time
_MAX_LOST = const(3)
_FIRST_PROBE_MS = const(1000)
_MAX_FAULTS = const(8)  # of the driver, one after the other, before it is restarted
_RESTART_MS = const(1000)  # from one restart to the next


class Peer:
    """One peer: ue_id, and up: True in range, False out of range, None not known yet."""

    def __init__(self, mac, ue_id):
        self.mac = mac
        self.ue_id = ue_id
        self.up = None
        self.n_lost = 0
        self.probe_at = None  # None: at once
        self.number = -1  # of the datagram that is joined
        self.pieces = None
        self.joining_at = 0


class EspNowTransport:
    """espnow: an ESPNow object, not active yet. peers: {MAC: (key of 16 bytes or None, UE ID)}.

    on_up(peer, now, again): a peer has come into range; again is true after it had been out of
    range. on_down(peer): it has gone out of range. emit: the node's, set by Radios. probe_ms: how
    long a peer may be silent. n_failed: datagrams that were not sent; n_unknown_peer: frames from
    devices that are not peers; n_broken: datagrams with missing pieces; n_lost: what memory was
    too short for; n_restarts: of the driver.
    """

    def __init__(self, espnow, pmk, peers, probe_ms=10000):
        self.socket = espnow
        self.peers = {}
        self.on_up = self.on_down = self.emit = None
        self.n_failed = self.n_unknown_peer = self.n_broken = self.n_lost = self.n_restarts = 0
        self._pmk = pmk
        self._keys = peers
        self._n_receive_faults = self._n_send_faults = 0  # of the driver, one after the other
        self._restart_at = None  # not before this moment; None: at once
        self._probe_ms = probe_ms
        self._queue = []  # [peer, frame, number of the datagram]
        self._n_busy = 0
        self._busy_until = None
        self._number = 0
        self._now = 0
        for mac in peers:
            self.peers[mac] = Peer(mac, peers[mac][1])
        self._start()

    # The transport

    def receive(self):
        """(datagram, remote), or None when no complete datagram has come."""
        try:
            return self._receive()
        except MemoryError:
            self.n_lost += 1
            return None

    def _receive(self):
        while True:
            try:
                mac, frame = self.socket.recv(0)
            except OSError:  # not active
                self._n_receive_faults += 1
                return None
            except MemoryError:
                self._n_receive_faults += 1
                raise
            except ValueError:  # the driver has lost its place in its buffer: it stays lost
                self._n_receive_faults = _MAX_FAULTS
                return None
            self._n_receive_faults = 0
            if mac is None:
                return None
            peer = self.peers.get(bytes(mac))
            if peer is None:
                self.n_unknown_peer += 1
                continue
            self._note_reached(peer)
            datagram = self._join(peer, frame)
            if datagram is not None:
                return datagram, peer.mac

    def send(self, datagram, remote):
        """Send one datagram in pieces; one that cannot be sent counts as failed."""
        peer = self.peers.get(remote)
        size = len(datagram)
        n_pieces = (size + _PIECE_SIZE - 1) // _PIECE_SIZE or 1
        if peer is None or n_pieces > _MAX_PIECES or len(self._queue) + n_pieces > _MAX_QUEUE:
            self.n_failed += 1
            return
        self._number = number = (self._number + 1) & 0xFF
        n_queued = len(self._queue)
        try:
            for i in range(n_pieces):
                frame = bytearray((_MARK | n_pieces, number, i))
                frame.extend(datagram[i * _PIECE_SIZE : (i + 1) * _PIECE_SIZE])
                self._queue.append((peer, frame, number))
        except MemoryError:
            while len(self._queue) > n_queued:
                self._queue.pop()
            self.n_failed += 1
            self.n_lost += 1
            return
        self._flush()

    def close(self):
        """Switch ESP-NOW off."""
        self.socket.active(False)

    # The service

    def step(self, now):
        """The clock has moved."""
        self._now = now
        self._restart_when_due()
        try:
            self._run_due(now)
        except MemoryError:
            self.n_lost += 1  # it is still due

    def _run_due(self, now):
        if self._queue:
            self._flush()
        for peer in self.peers.values():
            if peer.pieces is not None and diff(now, peer.joining_at) >= _JOIN_MS:
                peer.pieces = None
                self.n_broken += 1
            if peer.probe_at is None or diff(now, peer.probe_at) >= 0:
                if not self._queue:
                    self._queue.append((peer, _PROBE, -1))
                    self._flush()

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do."""
        if self._queue:
            return max(diff(self._busy_until, now), 0) if self._busy_until is not None else 0
        wait = self._probe_ms
        if self._must_restart():
            at = self._restart_at
            wait = 0 if at is None else min(wait, max(diff(at, now), 0))
        for peer in self.peers.values():
            wait = 0 if peer.probe_at is None else min(wait, max(diff(peer.probe_at, now), 0))
            if peer.pieces is not None:
                wait = min(wait, max(_JOIN_MS - diff(now, peer.joining_at), 0))
            if not wait:
                break
        return wait

    def status(self):
        """The state for repl.status(), as a dict."""
        states = {None: "not known yet", False: "out of range", True: None}
        peers = list(self.peers.values())
        down = [p.ue_id + ": " + states[p.up] for p in peers if not p.up]
        return {
            "link": "espnow",
            "up": len(down) < len(peers),
            "reason": ", ".join(sorted(down)) or None,
        }

    # The driver

    def _start(self):
        espnow = self.socket
        espnow.config(rxbuf=_RECEIVE_BUFFER)
        espnow.active(True)
        if self._pmk is not None:
            espnow.set_pmk(self._pmk)
        for mac in self._keys:
            key = self._keys[mac][0]
            if key is None:
                espnow.add_peer(mac)
            else:
                espnow.add_peer(mac, key, encrypt=True)

    def _must_restart(self):
        return max(self._n_receive_faults, self._n_send_faults) >= _MAX_FAULTS

    def _restart_when_due(self):
        """Restart the driver, which empties its buffers; the peers are added again."""
        now = self._now
        if self._restart_at is not None:
            if diff(now, self._restart_at) < 0:
                return
            self._restart_at = None
        if not self._must_restart():
            return
        self._restart_at = add(now, _RESTART_MS)
        self.n_restarts += 1
        try:
            self.socket.active(False)
            self._start()
            self._n_receive_faults = self._n_send_faults = 0
        except (OSError, RuntimeError, MemoryError):
            pass  # again, in a while

    # Frames

    def _flush(self):
        if self._busy_until is not None:
            if diff(self._now, self._busy_until) < 0:
                return
            self._busy_until = None
        try:
            self._send_frames()
        except MemoryError:
            self.n_lost += 1
            self._busy_until = add(self._now, _BUSY_MS)

    def _send_frames(self):
        while self._queue:
            peer, frame, number = self._queue[0]
            try:
                acknowledged = self.socket.send(peer.mac, frame, True)
                self._n_send_faults = 0
            except OSError as error:
                busy = error.args and error.args[-1] == "ESP_ERR_ESPNOW_NO_MEM"
                if busy and self._n_busy < _MAX_BUSY:
                    self._n_busy += 1
                    self._busy_until = add(self._now, _BUSY_MS)
                    return
                if not busy:
                    self._n_send_faults += 1
                acknowledged = False  # the interface is down: the same as out of range
            self._n_busy = 0
            self._queue.pop(0)
            if acknowledged:
                self._note_reached(peer)
            else:
                if number >= 0:
                    self.n_failed += 1
                    self._queue = [row for row in self._queue if row[2] != number]
                self._note_missed(peer)

    def _note_reached(self, peer):
        peer.n_lost = 0
        peer.probe_at = add(self._now, self._probe_ms)
        if not peer.up:
            # `up` follows: what memory is too short for is repeated at the next frame.
            if self.on_up is not None:
                self.on_up(peer, self._now, peer.up is not None)
            peer.up = True
            self._emit("link_up", peer.ue_id)

    def _note_missed(self, peer):
        peer.n_lost += 1
        n = peer.n_lost - _MAX_LOST
        delay_ms = _FIRST_PROBE_MS if n < 0 else _FIRST_PROBE_MS << min(n, 4)
        peer.probe_at = add(self._now, min(delay_ms, self._probe_ms))
        if n >= 0 and peer.up is not False:
            if self.on_down is not None:
                self.on_down(peer)
            peer.up = False
            self._emit("link_down", peer.ue_id + " is out of range")

    def _emit(self, name, text):
        if self.emit is not None:
            self.emit(name, ["espnow: " + text])

    def _join(self, peer, frame):
        """The datagram that this frame completes, else None."""
        first = frame[0] if frame else 0
        n_pieces = first & 15
        if first & 0xF0 != _MARK or not 1 <= n_pieces <= _MAX_PIECES or len(frame) < 3:
            return None
        index = frame[2]
        if index >= n_pieces:
            return None
        piece = bytes(frame[3:])
        if n_pieces == 1:
            return piece
        if peer.pieces is None or frame[1] != peer.number or len(peer.pieces) != n_pieces:
            if peer.pieces is not None:
                self.n_broken += 1
            peer.number = frame[1]
            peer.pieces = [None] * n_pieces
            peer.joining_at = self._now
        peer.pieces[index] = piece
        for known in peer.pieces:
            if known is None:
                return None
        datagram = b"".join(peer.pieces)
        peer.pieces = None
        return datagram
