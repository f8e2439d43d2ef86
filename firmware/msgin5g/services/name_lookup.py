"""Host names in the settings: looked up while the node runs, and again now and then.

A lookup blocks the loop as long as the platform's getaddrinfo does, on a board some seconds when
no DNS server answers. So there is one lookup at a time, and after it a rest of four times as long,
in which the node works. A name is looked up

    when the network is up, and when it is up again
    after a failure, with a back-off from 2 s to 10 minutes
    every 10 minutes, and when the peer does not answer: its address may have changed

While an address is not known, what needs it waits; everything else works.
"""

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter

_FIRST_RETRY_MS = const(2000)
_LONGEST_RETRY_MS = const(600000)
_REFRESH_MS = const(600000)
_SOONEST_MS = const(60000)  # from one lookup to the next one of a peer that does not answer
_REST = const(4)  # times the time that the last lookup took
_LONGEST_REST_MS = const(60000)
_HOLD_MS = const(60000)  # a lookup that takes longer has hung: the watchdog is to reset the board
_PING_RETRY_MS = const(60000)


class HostName:
    """One host name of the settings. setting: where it stands. use, n_timeouts: see add."""

    def __init__(self, setting, host, port, use, n_timeouts):
        self.setting = setting
        self.host = host
        self.port = port
        self.use = use
        self.n_timeouts = n_timeouts
        self.n_timeouts_seen = 0
        self.looked_up_at = 0
        self.remote = None  # the last one that was used
        self.why = "not looked up yet"  # why there is none
        self.reported = False  # as unresolved
        self.n_failures = 0
        self.due_at = None  # None: at once


class NameLookup:
    """A service of a node.

    look_up: a function (host, port, remote) that gives the remote, or None when the name is not
    known; the given one when it is still right. is_up: a function that says whether there is a
    network. clock: a function that gives `now`. random: one that gives a random byte.
    """

    def __init__(self, look_up, is_up, clock, random):
        self.names = []  # HostNames, the one looked up last at the end
        self._look_up = look_up
        self._is_up = is_up
        self._clock = clock
        self._random = random
        self._node = None
        self._was_up = False
        self._rest_until = None
        self._next_at = None  # when the next name is due; None: at once
        self._failed_host = None  # of a ping
        self._failed_until = 0

    def add(self, setting, host, port, use, n_timeouts=None):
        """Look up an address that the setting names, and call use(remote, now) when it changes.

        False from `use` refuses the address, which is offered again later. n_timeouts: a function
        that gives how often the peer has not answered, or None.
        """
        self.names.append(HostName(setting, host, port, use, n_timeouts))

    def join(self, node):
        """Become a service of a Node."""
        self._node = node
        node.name_lookup = self
        node.services.append(self)

    def unresolved(self):
        """The names without an address: a list of texts."""
        return [_text(name, name.why) for name in self.names if name.remote is None]

    def resolve(self, host, port):
        """The remote of an address that a configuration names, or None: see Ping.

        A name that is not known is not looked up again for a minute.
        """
        now = self._clock()
        if host == self._failed_host and diff(now, self._failed_until) < 0:
            return None
        remote = self._timed_look_up(host, port, None)
        self._failed_host = None
        if remote is None:
            self._failed_host = host
            self._failed_until = add(self._clock(), _PING_RETRY_MS)
        return remote

    # The verbs of a service

    def step(self, now):
        """The clock has moved."""
        if not self.names:
            return
        if not self._is_up():
            self._was_up = False
            return
        if not self._was_up:
            self._was_up = True
            self._next_at = None
            for name in self.names:
                name.due_at = None
        for name in self.names:
            if name.n_timeouts is not None and name.n_timeouts() != name.n_timeouts_seen:
                if diff(now, name.looked_up_at) >= _SOONEST_MS:
                    name.due_at = self._next_at = None
        if self._wait_ms(now) == 0:
            name = min(self.names, key=lambda name: _wait_ms(name.due_at, now))
            self.names.remove(name)
            self.names.append(name)
            self._update(name)

    def wait_ms(self, now):
        """Milliseconds until the next lookup; None while there is no network."""
        return self._wait_ms(now) if self.names and self._was_up else None

    def _wait_ms(self, now):
        return max(_wait_ms(self._next_at, now), _wait_ms(self._rest_until, now))

    def _update(self, name):
        remote = self._timed_look_up(name.host, name.port, name.remote)
        name.looked_up_at = now = self._clock()
        if name.n_timeouts is not None:
            name.n_timeouts_seen = name.n_timeouts()
        if remote is None:
            self._failed(name, "not known", now)
        elif remote != name.remote and name.use(remote, now) is False:
            self._failed(name, "another UE has this address, or the table of links is full", now)
        else:
            if name.reported or (name.remote is not None and remote != name.remote):
                self._node.emit("resolved", [_text(name, "has an address")])
            name.remote = remote
            name.reported = False
            name.n_failures = 0
            name.due_at = add(now, _REFRESH_MS)
        wait = None
        for other in self.names:
            wait = shorter(wait, _wait_ms(other.due_at, now))
        self._next_at = add(now, wait)

    def _failed(self, name, why, now):
        """The address that was known, if there is one, is used on."""
        name.why = why
        if name.remote is None and not name.reported:
            name.reported = True
            self._node.emit("unresolved", [_text(name, why)])
        delay_ms = min(_FIRST_RETRY_MS << min(name.n_failures, 9), _LONGEST_RETRY_MS)
        name.n_failures += 1
        # Up to a quarter more, so that the boards of a site do not all ask at once.
        name.due_at = add(now, delay_ms + delay_ms * self._random() // 1024)

    def _timed_look_up(self, host, port, remote):
        """Look up while a timer feeds the watchdog, and note for how long to rest then."""
        watchdog = self._node.watchdog
        if watchdog and watchdog.held:
            watchdog = None  # held already, by a person at the REPL
        if watchdog:
            watchdog.hold(_HOLD_MS)
        began_at = self._clock()
        try:
            return self._look_up(host, port, remote)
        except MemoryError:
            return None
        finally:
            now = self._clock()
            took_ms = diff(now, began_at)
            self._rest_until = add(now, min(_REST * took_ms, _LONGEST_REST_MS))
            if watchdog:
                watchdog.release()


def _text(name, text):
    return name.setting + ": " + name.host + ": " + text


def _wait_ms(at, now):
    return 0 if at is None else max(diff(at, now), 0)
