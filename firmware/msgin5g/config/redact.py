"""What of a configuration may be seen on the console, in events and at the REPL."""

_SECRET = ("pass", "secret", "token", "psk", "credential", "private", "key")


def public(value, key=""):
    """The value of a key as others may see it: without what belongs to keys that sound secret."""
    key = key.lower()
    for word in _SECRET:
        if word in key:
            return "(not shown)"
    if isinstance(value, dict):
        return {k: public(value[k], k) for k in value}
    if isinstance(value, list):
        return [public(v) for v in value]
    return value
