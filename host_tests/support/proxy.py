"""A proxy between two peers: it records every datagram, forwards it, and may drop some."""

import select
import socket
import threading
import time
from collections import namedtuple

from peers import PORT, TIMEOUT_S, host
from scm_setup import RST, decode

ANSWER_S = 2  # within which the server answers the last request of a client that has gone

# up: from the client to the server; message: scm_setup's Message, by a decoder of its own
Passed = namedtuple("Passed", "up datagram message")


class Proxy:
    """The client sends to `address`; the server receives it from `back`.

    lose(passed): whether a datagram is dropped; the log has it all the same. `log` and `lost` are
    lists of Passed. A new client replaces the one before.

    It ends once all that its client has sent is forwarded and answered. A cancellation of an
    observation, sent as a client ends, would otherwise be lost, and the notifications or the late
    answer would reach the next proxy at the same `back`.
    """

    def __init__(self, server, back=None, lose=None):
        self.log = []
        self.lost = []
        self._arrived = []  # `log` without the lost ones
        self._server = server
        self._lose = lose or (lambda passed: False)
        self._changed = threading.Condition()
        self._front = _bound((host(), 5683))
        self._back = _bound(back or (host(), PORT))
        self.address = self._front.getsockname()
        self.back = self._back.getsockname()
        self._client = None
        self._bell, self._door = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._bell.close()
        self._thread.join(TIMEOUT_S)
        for each in (self._front, self._back, self._door):
            each.close()
        if kind is not None:
            print(self.diagram())  # pytest shows it with the failure
        else:
            assert not self._thread.is_alive(), "the proxy has not ended"

    def _run(self):
        sockets = [self._front, self._back]
        while self._door not in (ready := select.select([*sockets, self._door], [], [])[0]):
            self._forward(ready)
        until = time.monotonic() + ANSWER_S
        left = ANSWER_S
        while left > 0 and (ready := select.select(sockets, [], [], left * self._is_asked())[0]):
            self._forward(ready)
            left = until - time.monotonic()

    def _forward(self, ready):
        for each in ready:
            try:
                datagram, remote = each.recvfrom(65536)
            except OSError:
                continue  # a peer has gone: an ICMP message says so
            if each is self._front:
                self._client = remote
            self._pass(each is self._front, datagram)

    def _is_asked(self):
        """Whether a request has neither an answer nor a Reset yet."""
        asked = {}  # message ID of each open request by its token
        for passed in self.log:
            message = passed.message
            is_empty = message.code == "0.00"
            if passed.up and message.code[0] == "0" and not is_empty:
                if not self._is_lost(passed):
                    asked[message.token] = message.mid
            elif not passed.up and not is_empty:
                asked.pop(message.token, None)
            elif not passed.up and message.type == RST:
                asked = {token: mid for token, mid in asked.items() if mid != message.mid}
        return bool(asked)

    def _pass(self, up, datagram):
        passed = Passed(up, datagram, decode(datagram))
        with self._changed:
            is_lost = self._lose(passed)
            self.log.append(passed)
            (self.lost if is_lost else self._arrived).append(passed)
            self._changed.notify_all()
        if not is_lost:
            if up:
                self._back.sendto(datagram, self._server)
            elif self._client:
                self._front.sendto(datagram, self._client)

    def inject(self, datagram):
        """Send this to the server in place of the client."""
        self._pass(True, datagram)

    def wait(self, ready, timeout_s=TIMEOUT_S):
        """Wait until ready(messages) is true, and return its value.

        messages: list of (up, message) in order, without the lost ones.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: ready(self.passed()), timeout_s):
                raise AssertionError("the awaited message did not pass")
            return ready(self.passed())

    def passed(self):
        """The messages so far without the lost ones: list of (up, message)."""
        return [(p.up, p.message) for p in self._arrived]

    def count(self, up, ready, timeout_s=TIMEOUT_S):
        """Wait for that many messages in one direction, and return them."""
        self.wait(lambda passed: len([1 for way, _ in passed if way == up]) >= ready, timeout_s)
        return [message for way, message in self.passed() if way == up]

    def diagram(self):
        """All messages, lost ones included, one line each."""
        return "\n".join(
            ("--> " if p.up else "<-- ") + "LOST " * self._is_lost(p) + str(p.message)
            for p in self.log
        )

    def _is_lost(self, passed):
        return any(passed is lost for lost in self.lost)


def _bound(address):
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(address)
    return made
