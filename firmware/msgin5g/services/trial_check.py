"""The built-in check of a configuration on trial.

lasting   it is good when the node has run for a while with it
ping      and when the server that it names has answered a CoAP ping
"""

from micropython import const

from msgin5g.coap.ticks import add, diff
from msgin5g.config.store import TRIAL

_AGAIN_MS = const(10000)


class Check:
    """A part of a node, for its ConstrainedUe. lookup: as Ping has it; None for `lasting`."""

    def __init__(self, ue, lookup):
        self._ue = ue
        self._lookup = lookup
        self._about = None  # the configuration that the check is about
        self._again_at = None
        self.ping = None  # the last one
        self.passed = False

    def step(self, now):
        """The clock has moved."""
        lifecycle = self._ue.configuration
        about = lifecycle.configuration
        if lifecycle.state != TRIAL or lifecycle.safe_mode or about is None:
            self._about = None
            return
        if about is not self._about:
            self._about = about
            self.passed = self._lookup is None
            if self.passed:
                lifecycle.check_passed()
            else:
                self._begin()
        if self.passed:
            return
        if self._again_at is not None:
            if diff(now, self._again_at) >= 0:
                self._begin()
            return
        answered = self.ping.answered
        if answered:
            self.passed = True
            lifecycle.check_passed()
        elif answered is not None:
            self._again_at = add(now, _AGAIN_MS)

    def _begin(self):
        from msgin5g.services.ping import Ping

        ue = self._ue
        self._again_at = None
        self.ping = Ping(ue.endpoint, ue.client.transport, self._lookup, self._about)

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do; None: what arrives will tell."""
        if self._about is None or self.passed or self._again_at is None:
            return None
        return max(0, diff(self._again_at, now))
