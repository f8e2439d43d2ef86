"""The names of types, codes, options and media types.

Sources: RFC 7252 section 12 and the IANA CoRE parameters. Two numbers are not registered, and are
settings: the Recipient option and the Content-Format of UeConfigDoc (see docs/internals.md).
"""

TYPES = ("CON", "NON", "ACK", "RST")

CODES = {
    "0.00": "Empty",
    "0.01": "GET",
    "0.02": "POST",
    "0.03": "PUT",
    "0.04": "DELETE",
    "0.05": "FETCH",
    "0.06": "PATCH",
    "0.07": "iPATCH",
    "2.01": "Created",
    "2.02": "Deleted",
    "2.03": "Valid",
    "2.04": "Changed",
    "2.05": "Content",
    "2.31": "Continue",
    "4.00": "Bad Request",
    "4.01": "Unauthorized",
    "4.02": "Bad Option",
    "4.03": "Forbidden",
    "4.04": "Not Found",
    "4.05": "Method Not Allowed",
    "4.06": "Not Acceptable",
    "4.08": "Request Entity Incomplete",
    "4.09": "Conflict",
    "4.12": "Precondition Failed",
    "4.13": "Request Entity Too Large",
    "4.15": "Unsupported Content-Format",
    "4.22": "Unprocessable Entity",
    "4.29": "Too Many Requests",
    "5.00": "Internal Server Error",
    "5.01": "Not Implemented",
    "5.02": "Bad Gateway",
    "5.03": "Service Unavailable",
    "5.04": "Gateway Timeout",
    "5.05": "Proxying Not Supported",
    "5.08": "Hop Limit Reached",
}

# The kind of a value: see values.py.
TEXT, UINT, OPAQUE, EMPTY, FORMAT, OBSERVE, BLOCK, SECONDS = range(8)

# number -> (name, kind of its value, smallest and largest size in bytes)
OPTIONS = {
    1: ("If-Match", OPAQUE, 0, 8),
    3: ("Uri-Host", TEXT, 1, 255),
    4: ("ETag", OPAQUE, 1, 8),
    5: ("If-None-Match", EMPTY, 0, 0),
    6: ("Observe", OBSERVE, 0, 3),
    7: ("Uri-Port", UINT, 0, 2),
    8: ("Location-Path", TEXT, 0, 255),
    9: ("OSCORE", OPAQUE, 0, 255),
    11: ("Uri-Path", TEXT, 0, 255),
    12: ("Content-Format", FORMAT, 0, 2),
    14: ("Max-Age", SECONDS, 0, 4),
    15: ("Uri-Query", TEXT, 0, 255),
    16: ("Hop-Limit", UINT, 1, 1),
    17: ("Accept", FORMAT, 0, 2),
    19: ("Q-Block1", BLOCK, 0, 3),
    20: ("Location-Query", TEXT, 0, 255),
    21: ("EDHOC", EMPTY, 0, 0),
    23: ("Block2", BLOCK, 0, 3),
    27: ("Block1", BLOCK, 0, 3),
    28: ("Size2", UINT, 0, 4),
    31: ("Q-Block2", BLOCK, 0, 3),
    35: ("Proxy-Uri", TEXT, 1, 1034),
    39: ("Proxy-Scheme", TEXT, 1, 255),
    60: ("Size1", UINT, 0, 4),
    252: ("Echo", OPAQUE, 1, 40),
    258: ("No-Response", UINT, 0, 1),
    292: ("Request-Tag", OPAQUE, 0, 8),
}

PROBLEM_DETAILS = 257
CBOR = 60
JSON = 50
TEXTS = (0, 40, 41, JSON)
UE_CONFIG_MEDIA_TYPE = "application/vnd.3gpp.seal-ue-config-info+cbor"

MEDIA_TYPES = {
    0: "text/plain",
    19: "application/ace+cbor",
    40: "application/link-format",
    41: "application/xml",
    42: "application/octet-stream",
    JSON: "application/json",
    CBOR: "application/cbor",
    PROBLEM_DETAILS: "application/concise-problem-details+cbor",
    10001: "application/oscore",
}


class Registry:
    """The names in one deployment, which chooses two numbers (settings.json)."""

    def __init__(self, recipient_option=65020, content_format=65001):
        self.recipient_option = recipient_option
        self.content_format = content_format

    def option(self, number):
        """(name, kind of its value, smallest size, largest size), or None."""
        if number == self.recipient_option:
            return "Recipient", TEXT, 1, 255
        return OPTIONS.get(number)

    def media_type(self, number):
        """The media type of a Content-Format, or None."""
        if number == self.content_format:
            return UE_CONFIG_MEDIA_TYPE
        return MEDIA_TYPES.get(number)


def code_name(text):
    """`GET` for 0.01, `2.05 Content` for 2.05, the number alone when it has no name."""
    name = CODES.get(text)
    if name is None or text.startswith("0."):
        return name or text
    return f"{text} {name}"
