"""The registries: message types, codes and option numbers (RFC 7252 section 12 and others)."""

from micropython import const

# Message types, RFC 7252 section 3.
CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)

# Codes as one byte, class * 32 + detail, RFC 7252 section 12.1.
EMPTY = const(0x00)
GET = const(0x01)
POST = const(0x02)
PUT = const(0x03)
DELETE = const(0x04)
FETCH = const(0x05)  # RFC 8132
VALID = const(0x43)
CONTENT = const(0x45)
BAD_REQUEST = const(0x80)
UNAUTHORIZED = const(0x81)
BAD_OPTION = const(0x82)
FORBIDDEN = const(0x83)
NOT_FOUND = const(0x84)
METHOD_NOT_ALLOWED = const(0x85)
NOT_ACCEPTABLE = const(0x86)
TOO_MANY_REQUESTS = const(0x9D)
INTERNAL_SERVER_ERROR = const(0xA0)
BAD_GATEWAY = const(0xA2)
SERVICE_UNAVAILABLE = const(0xA3)
GATEWAY_TIMEOUT = const(0xA4)
PROXYING_NOT_SUPPORTED = const(0xA5)
HOP_LIMIT_REACHED = const(0xA8)  # RFC 8768

# Options, RFC 7252 section 5.10 and the RFC named.
URI_HOST = const(3)
ETAG = const(4)
OBSERVE = const(6)  # RFC 7641
URI_PORT = const(7)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
MAX_AGE = const(14)
URI_QUERY = const(15)
HOP_LIMIT = const(16)  # RFC 8768
ACCEPT = const(17)
BLOCK2 = const(23)  # RFC 7959
BLOCK1 = const(27)
SIZE2 = const(28)
PROXY_URI = const(35)
PROXY_SCHEME = const(39)
SIZE1 = const(60)
ECHO = const(252)  # RFC 9175
NO_RESPONSE = const(258)  # RFC 7967

# Content-Formats.
LINK_FORMAT = const(40)
CBOR = const(60)
CONCISE_PROBLEM_DETAILS = const(257)  # RFC 9290

MAX_MESSAGE_SIZE = const(1152)  # RFC 7252 section 4.6
