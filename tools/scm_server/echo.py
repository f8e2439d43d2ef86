"""Echo (RFC 9175): does this source address really answer?

Without it a spoofed 100-byte GET sends a large document to a victim. Where it is switched on,
a source that was not verified gets no answer of more than three times its request, and no
change of a document; it gets 4.01 with an Echo value that is good for a minute.
"""

import hashlib
import hmac
import secrets

FACTOR = 3  # RFC 9175 section 2.4
_VALUE_S = 60
_VERIFIED_S = 300
_MAX_VERIFIED = 4096  # the oldest is forgotten: it has to echo once more


class Verifier:
    def __init__(self, now):
        self._now = now
        self._key = secrets.token_bytes(16)
        self._verified = {}  # endpoint -> expires_at, oldest first

    def value(self, endpoint):
        """What the endpoint has to send back: the time and a keyed hash of both."""
        stamp = int(self._now()).to_bytes(4, "big")
        return stamp + self._hash(endpoint, stamp)

    def check(self, endpoint, value):
        """True when the endpoint is verified, by this Echo value or an earlier one."""
        now = self._now()
        if value is not None and self._genuine(endpoint, value, now):
            self._verified.pop(endpoint, None)
            if len(self._verified) >= _MAX_VERIFIED:
                del self._verified[next(iter(self._verified))]
            self._verified[endpoint] = now + _VERIFIED_S
        return self._verified.get(endpoint, 0) > now

    def _genuine(self, endpoint, value, now):
        stamp, digest = value[:4], value[4:]
        age_s = int(now) - int.from_bytes(stamp, "big")
        return 0 <= age_s <= _VALUE_S and hmac.compare_digest(digest, self._hash(endpoint, stamp))

    def _hash(self, endpoint, stamp):
        return hmac.new(self._key, endpoint.encode() + stamp, hashlib.sha256).digest()[:8]
