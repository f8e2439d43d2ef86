"""Text from the network, for people: a terminal shows it, and does nothing else.

Control characters (C0, DEL, C1), marks that change the direction of writing, and the separators of
lines become escapes: `\\u001b`. They are the escapes of JSON, so a line of JSON stays JSON.
"""


def unsafe_at(octets, i=0):
    """The index of the first such character from `i` on, in bytes of UTF-8; -1 without one."""
    end = len(octets)
    while i < end:
        byte = octets[i]
        if byte < 0x20 or byte == 0x7F:
            return i
        if byte > 0xC1 and i + 1 < end:
            following = octets[i + 1]
            if byte == 0xC2 and following < 0xA0:  # C1
                return i
            if byte == 0xD8 and following == 0x9C:  # U+061C
                return i
            if byte == 0xE2 and i + 2 < end:
                number = _number(octets, i)
                if 0x200E <= number <= 0x202E and not 0x200F < number < 0x2028:
                    return i
                if 0x2066 <= number <= 0x2069:
                    return i
        i += 1
    return -1


def _number(octets, i):
    """The number of the character at `i`, which has one byte to three."""
    byte = octets[i]
    if byte < 0x80:
        return byte
    if byte < 0xE0:
        return (byte & 0x1F) << 6 | (octets[i + 1] & 0x3F)
    return (byte & 0x0F) << 12 | (octets[i + 1] & 0x3F) << 6 | (octets[i + 2] & 0x3F)


def printable(octets):
    """The text of bytes in UTF-8, safe to print; UnicodeError when they are not UTF-8."""
    at = unsafe_at(octets)
    if at < 0:
        return str(octets, "utf-8")
    text = ""
    i = 0
    while at >= 0:
        number = _number(octets, at)
        text += str(octets[i:at], "utf-8") + "\\u%04x" % number
        i = at + (1 if number < 0x80 else 2 if number < 0x800 else 3)
        at = unsafe_at(octets, i)
    return text + str(octets[i:], "utf-8")


def code_text(code):
    """`4.04` for 0x84."""
    return "%d.%02d" % (code >> 5, code & 31)
