"""The built-in check of a configuration on trial.

lasting   it passes when the node has run for a while with the configuration
ping      and when the server that the configuration names has answered a CoAP ping
"""

from micropython import const
from msgin5g.coap.ticks import add, diff
from msgin5g.config.store import TRIAL
from msgin5g.services.ping import Ping

_AGAIN_MS = const(10000)


class TrialCheck:
    """A service of a node. `ping` is the last Ping, or None; `passed`: this check went well.

    asked_at: when the ping was started.
    """

    def __init__(self, ue, resolve):
        """ue: the ConstrainedUe. resolve: as Ping has it; None for the check `lasting`."""
        self._ue = ue
        self._resolve = resolve
        self._configuration = None  # the one that is checked
        self._again_at = None
        self.ping = self.asked_at = None
        self.passed = False

    def step(self, now):
        """The clock has moved."""
        manager = self._ue.configuration
        configuration = manager.configuration
        if manager.state != TRIAL or manager.safe_mode or configuration is None:
            self._configuration = None
            return
        if configuration is not self._configuration:
            self._configuration = configuration
            self.passed = self._resolve is None
            if self.passed:
                manager.check_passed()
            else:
                self._start_ping(now)
        if self.passed:
            return
        if self._again_at is not None:
            if diff(now, self._again_at) >= 0:
                self._start_ping(now)
            return
        answered = self.ping.answered
        if answered:
            self.passed = True
            manager.check_passed()
        elif answered is not None:
            self._again_at = add(now, _AGAIN_MS)

    def _start_ping(self, now):
        ue = self._ue
        self.asked_at = now
        self._again_at = None
        self.ping = Ping(ue.endpoint, ue.client.transport, self._resolve, self._configuration)

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do; None: until a datagram arrives."""
        if self._configuration is None or self.passed or self._again_at is None:
            return None
        return max(0, diff(self._again_at, now))
