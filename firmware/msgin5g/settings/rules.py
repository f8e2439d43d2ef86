"""The rules of settings: a table with a line for each key, and one clear error for a mistake.

A line is `key kind low high default`. The kinds are

    n   a whole number, from low to high
    t   a text of low to high bytes
    u   a URI of low to high bytes
    h   low to high bytes as hexadecimal digits
    a   an address, [host, port], with a port of at least low
    f   a flag, true by default when a 1 follows
    c   one of the words or numbers that follow, by default the first

Without a default the value is None. Its attribute has the name of the key, `refresh_min_s` for
refresh.min_s; after a colon the attribute has only the rest, `nstart` for transmission:nstart.
"""

from binascii import unhexlify

from micropython import const

_SCHEME = const("abcdefghijklmnopqrstuvwxyz0123456789+-.")


class SettingsError(Exception):
    """A setting that cannot be used; the text names the key and the rule in one line.

    key: the key. without_value: the text without the number of the key, None where it has none.
    """

    key = ""
    without_value = None


def take_all(settings, values, keys):
    """Set the attributes of `keys`, a table, from `values`, and remove these."""
    for line in keys.split("\n"):
        key, kind, *rule = line.split(" ")
        name = key.split(":")[-1].replace(".", "_")
        key = key.replace(":", ".")
        value = take(values, key)
        rule = [int(word) if word.isdigit() else word for word in rule]
        if value is not None:
            value = checked(key, kind, value, rule)
        elif kind == "f":
            value = bool(rule)
        elif kind == "c":
            value = rule[0]
        elif len(rule) > 2:
            value = rule[2]
        setattr(settings, name, value)


def take(values, key):
    """Remove the value of a key from `values` and return it; None without one.

    A group whose last key is taken is removed as well: what stays is unknown.
    """
    group, dot, inner = key.partition(".")
    value = values.pop(group, None)
    if dot and value is not None:
        inside = value
        if not isinstance(inside, dict):
            raise error(group, "must be an object")
        value = inside.pop(inner, None)
        if inside:
            values[group] = inside
    return value


def checked(key, kind, value, rule):
    """The value of a key; SettingsError when it breaks the rule, see the table of kinds."""
    number = value
    what = ""
    if kind == "a":
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise error(key, "must be [host, port]")
        checked(key, "t", value[0], (1, 253))
        value = tuple(value)
        number = value[1]
        rule = (rule[0], 65535)
        what = "port "
    elif kind in "tu":
        if not isinstance(value, str):
            raise error(key, "must be a text")
        number = len(value.encode())
    elif kind == "h":
        try:
            value = unhexlify(value if isinstance(value, str) else "?")
        except ValueError:
            raise error(key, "must be hexadecimal digits, two for each byte")
        number = len(value)
    elif kind == "f":
        if type(value) is not bool:
            raise error(key, "must be true or false")
        return value
    elif kind == "c":
        if value not in rule:
            words = "must be one of " + ", ".join(map(str, rule))
            mistake = error(key, str(value)[:32] + ": " + words)
            mistake.without_value = str(error(key, words))
            raise mistake
        return rule[rule.index(value)]  # 64.0 is 64
    if type(number) is not int:
        raise error(key, what + "must be a whole number")
    if not rule[0] <= number <= rule[1]:
        bounds = "%d to %d" % (rule[0], rule[1])
        if kind in "tuh":
            raise error(key, "%d bytes are not %s" % (number, bounds))
        mistake = error(key, what + "%d is not %s" % (number, bounds))
        mistake.without_value = str(error(key, what + "must be " + bounds))
        raise mistake
    # A text is compared as bytes: MicroPython keeps each character that it takes from a str.
    if kind in "tu" and (min(value.encode()) < 0x20 or "\x7f" in value):
        raise error(key, "has a control character")
    if kind == "u":
        # RFC 3986 section 3: a scheme, a colon and a path; no blanks.
        scheme, _, rest = value.lower().partition(":")
        if not rest or " " in rest or not scheme[:1].isalpha() or scheme.strip(_SCHEME):
            raise error(key, "must be a URI such as urn:x-msgin5g:ue:0007")
    return value


def error(key, rule):
    """The SettingsError of a key."""
    mistake = SettingsError("settings: %s: %s" % (key, rule))
    mistake.key = key
    return mistake


def checked_ue_id(key, value):
    """A UE ID among the values of a key."""
    return checked(key, "u", value, (1, 248))
