"""The connections of TCP and WebSockets: a limited number of each host and in all, none idle.

A connection has the methods `poke()`, which makes a living peer send something, and `drop()`,
which closes it at once.
"""

import resource
from collections import Counter

PING = b"\x00\xe2"  # code 7.02, no token: the same bytes on TCP and WebSockets (RFC 8323)
BACKLOG = 16  # connections that are accepted at one go
_RESERVED = 100  # file descriptors for all that is no connection
_LEAST = 8


def within_descriptor_limit(n):
    """So many connections, or as many as this process may have open files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return n if limit == resource.RLIM_INFINITY else min(n, max(_LEAST, limit - _RESERVED))


class _State:
    __slots__ = ("heard_at", "host", "is_open", "is_poked")

    def __init__(self, host, now):
        self.host = host
        self.heard_at = now
        self.is_open = self.is_poked = False


class Connections:
    """When all are taken, the one that has been silent for longest makes room for a new one.

    A connection without a first message after `reply_s` is dropped. One that is silent for
    `idle_s` is poked, and dropped if nothing comes in `reply_s`. What is dropped is counted in
    `drops`, a collections.Counter.
    """

    def __init__(self, max_connections, max_of_host, idle_s, reply_s, now, drops=None):
        self._drops = Counter() if drops is None else drops
        self._max_connections = max_connections
        self._max_of_host = max_of_host
        self._idle_s = idle_s
        self._reply_s = reply_s
        self._now = now
        self._states = {}  # connection -> _State
        self._n_of_host = {}

    def __len__(self):
        return len(self._states)

    @property
    def check_s(self):
        """How often to call `check`."""
        return min(self._idle_s, self._reply_s) / 4

    def admit(self, connection, host):
        """True if the connection may stay; False if its host has too many."""
        if self._n_of_host.get(host, 0) >= self._max_of_host:
            self._drops["connection_of_host"] += 1
            return False
        if len(self._states) >= self._max_connections:
            silent = min(self._states, key=lambda each: self._states[each].heard_at)
            self._drops["connection_for_another"] += 1
            self.remove(silent)
            silent.drop()
        self._states[connection] = _State(host, self._now())
        self._n_of_host[host] = self._n_of_host.get(host, 0) + 1
        return True

    def heard(self, connection):
        """A whole message has come."""
        state = self._states.get(connection)
        if state:
            state.heard_at = self._now()
            state.is_open, state.is_poked = True, False

    def remove(self, connection):
        state = self._states.pop(connection, None)
        if state:
            self._n_of_host[state.host] -= 1
            if not self._n_of_host[state.host]:
                del self._n_of_host[state.host]

    def check(self):
        """Poke and drop those that are silent."""
        now = self._now()
        for connection, state in list(self._states.items()):
            silent_s = now - state.heard_at
            limit_s = self._idle_s + self._reply_s if state.is_open else self._reply_s
            if silent_s > limit_s:
                self._drops["connection_silent"] += 1
                self.remove(connection)
                connection.drop()
            elif state.is_open and silent_s > self._idle_s and not state.is_poked:
                state.is_poked = True
                connection.poke()
