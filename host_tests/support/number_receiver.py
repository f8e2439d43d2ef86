"""A next hop that never answers, and sees whether a number comes twice with one key."""

import socket
import threading

from addresses import network

from msgin5g.coap.message import Message
from msgin5g.coap.numbers import OSCORE
from msgin5g.oscore.protect import read_option

PORT = 65401


class NumberReceiver(threading.Thread):
    """`with NumberReceiver() as receiver`: `address` is [host, port].

    seen: {(kid, Partial IV): message without message ID and token}. twice: the pairs that came
    with two messages. ue: an address for a UE.
    """

    def __init__(self):
        super().__init__(daemon=True)
        net = network()
        self.ue = [net + "2", PORT]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((net + "1", PORT))
        self.address = list(self.socket.getsockname())
        self.socket.settimeout(0.05)
        self.seen = {}
        self.twice = []
        self.datagrams = []
        self._known = set()
        self._more = threading.Condition()
        self._ends = False

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        self.join()
        self.socket.close()

    def run(self):
        while not self._ends:
            try:
                datagram = self.socket.recv(2000)
            except TimeoutError:
                continue
            with self._more:
                self._take(datagram)
                self._more.notify_all()

    def _take(self, datagram):
        message = Message().decode(datagram)
        if not message.code:
            return  # a ping of msgin5g doctor
        self.datagrams.append(datagram)
        partial_iv, kid, _ = read_option(message.option(OSCORE))
        pair = kid, int.from_bytes(partial_iv, "big")
        # A retransmission has the same bytes; a repeated request has another message ID.
        sealed = bytes(message.payload())
        if self.seen.setdefault(pair, sealed) != sealed:
            self.twice.append(pair)

    def next(self, timeout_s=20):
        """The pairs that have come since the last call; waits for one."""
        with self._more:
            done = self._more.wait_for(lambda: len(self.seen) > len(self._known), timeout_s)
            assert done, "no further number came"
            new = set(self.seen) - self._known
            self._known |= new
            return new
