"""What of a configuration may be shown on the console, in events and at the REPL."""

_SECRET = ("pass", "secret", "token", "psk", "credential", "private", "key")


def redact(value, key=""):
    """The value of a key, with the values of all keys that sound secret replaced."""
    key = key.lower()
    for word in _SECRET:
        if word in key:
            return "(not shown)"
    if isinstance(value, dict):
        return {k: redact(value[k], k) for k in value}
    if isinstance(value, list):
        return [redact(v) for v in value]
    return value
