"""What a configuration must look like: the keys of TS 24.538 clause 7.2.3, and the application's.

`configData` is one JSON object; a document may have another one for all networks (COMMON), which
gives the keys that the first one lacks. Keys that nobody declared are kept and ignored, so that a
newer server can serve an older board.

    schema = Schema()
    schema.declare("blink_ms", int, default=500, low=50, high=10_000)
    configuration, reasons = schema.check(text)

A reason names the key and the rule, never the value of a string, which may be a secret, nor the
number of a key that sounds secret (redact).
"""

from micropython import const
from msgin5g.config.json import JsonError, loads

SERVER_ADDRESS = "MSGin5G-Server-address"

_UE_SERVICE_ID = const("MSGin5G-UE-Service-id")
_SEGMENT_SIZE = const("Segment-size")
_MAX_SIZE = const(4096)
_MAX_IDENTITY_SIZE = const(255)  # of an address or an ID: the longest value of a CoAP URI option
# Bytes; the unit is not in the text that could be read. Under 64 a segment's headers outweigh
# what it carries; over 65,535 no UDP datagram carries it.
_MIN_SEGMENT_SIZE = const(64)
_MAX_SEGMENT_SIZE = const(65535)

_HOST = const("abcdefghijklmnopqrstuvwxyz0123456789-._")
_HOST6 = const("abcdef0123456789:.")
_SECRET = const(("pass", "secret", "token", "psk", "credential", "private", "key"))


def server_address(text):
    """(scheme, host, port) of a CoAP URI, an FQDN or IP address, with a port or without.

    None of any other text. The scheme is "" when the text has none; IPv6 is in brackets, and comes
    without them. A bare name has a dot, so that a word is not taken for an address.
    """
    scheme, slashes, rest = text.lower().partition("://")
    port = 5683
    if not slashes:
        scheme, rest = "", scheme
    else:
        secure = scheme[4:5] == "s"
        transport = scheme[5:] if secure else scheme[4:]
        # RFC 7252 section 6.1: no fragment.
        if scheme[:4] != "coap" or transport not in ("", "+tcp", "+ws") or "#" in rest:
            return None
        # RFC 7252 sections 6.1 and 6.2, RFC 8323 section 8.
        if secure:
            port = 5684
        if transport == "+ws":
            port = 443 if secure else 80
        rest = rest.partition("/")[0].partition("?")[0]
    if rest[:1] == "[":
        host, bracket, rest = rest[1:].partition("]")
        letters = _HOST6 if bracket and ":" in host else ""
    else:
        host = rest.partition(":")[0]
        rest = rest[len(host) :]
        letters = _HOST
    if rest:
        port = rest[1:]
        if rest[:1] != ":" or not port.isdigit() or len(port) > 5:
            return None
        port = int(port)
    elif not slashes and letters == _HOST and "." not in host:
        return None
    # strip() leaves nothing of a text that has only these letters.
    if not host or host.strip(letters) or not 0 < port < 65536:
        return None
    return scheme, host, port


# They compare bytes: MicroPython keeps each character that it takes from a str.
def _address_fault(text):
    octets = text.encode()
    if min(octets) <= 0x20 or max(octets) > 0x7E or not server_address(text):
        return "must be a CoAP URI, an FQDN, host:port or [v6]:port"


def _identity_fault(text):
    if min(text.encode()) <= 0x20 or "\x7f" in text:
        return "has a blank or a control character"


class Schema:
    """The declared keys, each with its rule, and the check of a document against all of them."""

    def __init__(self, max_size=_MAX_SIZE):
        """`max_size` is the longest document in bytes; a longer one is refused."""
        self.max_size = max_size
        self.rules = []  # the arguments of each `declare`, a tuple
        # A function that is called once, with this schema, before the first check: the keys of an
        # application are known only after the store has said whether the application may start.
        self.before_first_check = None
        longest = _MAX_IDENTITY_SIZE
        self.declare(SERVER_ADDRESS, str, True, None, 1, longest, _address_fault)
        self.declare(_UE_SERVICE_ID, str, True, None, 1, longest, _identity_fault)
        self.declare(_SEGMENT_SIZE, int, False, None, _MIN_SEGMENT_SIZE, _MAX_SEGMENT_SIZE)

    def declare(self, key, kind, required=False, default=None, low=None, high=None, fault=None):
        """Add the rule of one key.

        `kind` is str, int, bool, dict (an object), list, or float (any number). `low` and `high`
        bound a number, the bytes of a string, or the entries of an object or list. `default`
        stands in for an absent key, unless it is None. `fault(value)` names a further rule that
        the value breaks, or gives None; when that of an application raises, the document is
        refused.
        """
        self.rules.append((key, kind, required, default, low, high, fault))

    def check(self, texts):
        """(configuration, reasons) of a document: its texts, each bytes or a memoryview.

        These are JSON objects, of which the first one that has a key gives its value. One text
        may come without a list, and as str. A valid document gives its dict with the defaults
        filled in, and no reasons. An invalid one gives None and a list of str, one for each key
        that breaks its rule. No input raises, unless a `fault` does.
        """
        declare_more = self.before_first_check
        if declare_more:
            self.before_first_check = None
            declare_more(self)
        if isinstance(texts, str):
            try:
                texts = texts.encode()
            except UnicodeError as error:
                return None, ["configData: %s" % error]
        if isinstance(texts, bytes):
            texts = (texts,)
        if sum([len(text) for text in texts]) > self.max_size:
            return None, ["configData: more than %d bytes" % self.max_size]
        configuration = None
        for text in texts:
            values, reason = _object_of(text)
            if reason:
                return None, ["configData: %s" % reason]
            if configuration is None:
                configuration = values
            else:
                for key in values:
                    if key not in configuration:
                        configuration[key] = values[key]
        reasons = []
        for key, kind, required, default, low, high, fault in self.rules:
            if key in configuration:
                reason = _broken_rule(key, configuration[key], kind, low, high, fault)
                if reason:
                    reasons.append("%s: %s" % (key, reason))
            elif required:
                reasons.append("%s: missing" % key)
            elif default is not None:
                configuration[key] = default
        return (None if reasons else configuration), reasons


def _object_of(text):
    """(dict, None) of a JSON object, (None, the reason) of any other text."""
    i = 0
    while i < len(text) and text[i] in b" \t\n\r":
        i += 1
    if i < len(text) and text[i] == 0x3C:
        return None, "XML is not taken, only JSON"
    try:
        values = loads(text)
    except JsonError as error:
        return None, str(error)
    if type(values) is not dict:
        return None, "not a JSON object"
    return values, None


def _broken_rule(key, value, kind, low, high, fault):
    """The rule that `value` breaks, or None."""
    if type(value) is not kind and (kind is not float or type(value) is not int):
        return "must be of type %s" % kind.__name__
    size = value
    if kind is str:
        size = len(value.encode())
    elif kind in (dict, list):
        size = len(value)
    what = "" if size is value else "size "
    if low is not None and size < low:
        return "%s%s, less than %s" % (what, redact(size, key), low)
    if high is not None and size > high:
        return "%s%s, more than %s" % (what, redact(size, key), high)
    return fault(value) if fault else None


def redact(value, key=""):
    """The value of a key as it may be shown on the console, in events and at the REPL.

    The values of all keys that sound secret are replaced.
    """
    key = key.lower()
    for word in _SECRET:
        if word in key:
            return "(not shown)"
    if isinstance(value, dict):
        return {k: redact(value[k], k) for k in value}
    if isinstance(value, list):
        return [redact(v) for v in value]
    return value
