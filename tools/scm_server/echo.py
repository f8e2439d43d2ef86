"""Echo (RFC 9175): verifies that a request comes from its source address.

Without it a GET of 100 bytes with a forged source sends a large document to a victim. With it, a
source that is not verified gets no response longer than three times its request, observes and
changes nothing; it gets 4.01 with an Echo value that is valid for a minute.
"""

import hashlib
import hmac
import secrets

FACTOR = 3  # RFC 9175 section 2.4
_VALUE_S = 60
_VERIFIED_S = 300
MAX_VERIFIED = 65_536  # the oldest is dropped, and must echo again


class Verifier:
    def __init__(self, now, max_verified=MAX_VERIFIED):
        self._now = now
        self._max_verified = max_verified
        self._key = secrets.token_bytes(16)
        self._verified = {}  # endpoint -> expires_at, oldest first

    def value(self, endpoint):
        """The value that the endpoint must send back: the time, and a keyed hash of both."""
        stamp = int(self._now()).to_bytes(4, "big")
        return stamp + self._hash(endpoint, stamp)

    def check(self, endpoint, value):
        """True when this Echo value, or an earlier one, has verified the endpoint."""
        if self.is_genuine(endpoint, value):
            self.add(endpoint)
        return self._verified.get(endpoint, 0) > self._now()

    def add(self, endpoint):
        """This endpoint is verified."""
        self._verified.pop(endpoint, None)
        if len(self._verified) >= self._max_verified:
            del self._verified[next(iter(self._verified))]
        self._verified[endpoint] = self._now() + _VERIFIED_S

    def is_genuine(self, endpoint, value):
        """Whether this is a value for the endpoint, of the last minute; None is not."""
        if value is None:
            return False
        stamp, digest = value[:4], value[4:]
        age_s = int(self._now()) - int.from_bytes(stamp, "big")
        return 0 <= age_s <= _VALUE_S and hmac.compare_digest(digest, self._hash(endpoint, stamp))

    def _hash(self, endpoint, stamp):
        return hmac.new(self._key, endpoint.encode() + stamp, hashlib.sha256).digest()[:8]
