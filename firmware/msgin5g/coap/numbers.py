"""The registries: message types, codes and option numbers (RFC 7252 section 12 and others).

Those that a UE needs; what only an intermediary needs is in intermediary/numbers.py.
"""

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
FETCH = const(0x05)  # RFC 8132
VALID = const(0x43)
CHANGED = const(0x44)
CONTENT = const(0x45)
BAD_REQUEST = const(0x80)
UNAUTHORIZED = const(0x81)
FORBIDDEN = const(0x83)
NOT_FOUND = const(0x84)
TOO_MANY_REQUESTS = const(0x9D)
SERVICE_UNAVAILABLE = const(0xA3)
GATEWAY_TIMEOUT = const(0xA4)

# Options, RFC 7252 section 5.10 and the RFC named.
URI_HOST = const(3)
ETAG = const(4)
OBSERVE = const(6)  # RFC 7641
OSCORE = const(9)  # RFC 8613
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
MAX_AGE = const(14)
URI_QUERY = const(15)
ACCEPT = const(17)
BLOCK2 = const(23)  # RFC 7959
SIZE2 = const(28)
ECHO = const(252)  # RFC 9175
NO_RESPONSE = const(258)  # RFC 7967

# Content-Format.
CBOR = const(60)

MAX_MESSAGE_SIZE = const(1152)  # RFC 7252 section 4.6
