"""The registries, continued: codes, options and Content-Formats for an intermediary only."""

from micropython import const

FETCH = const(0x05)  # RFC 8132
BAD_OPTION = const(0x82)
METHOD_NOT_ALLOWED = const(0x85)
NOT_ACCEPTABLE = const(0x86)
BAD_GATEWAY = const(0xA2)
PROXYING_NOT_SUPPORTED = const(0xA5)
HOP_LIMIT_REACHED = const(0xA8)  # RFC 8768

HOP_LIMIT = const(16)  # RFC 8768
BLOCK1 = const(27)  # RFC 7959
PROXY_URI = const(35)
PROXY_SCHEME = const(39)

LINK_FORMAT = const(40)  # RFC 6690
CONCISE_PROBLEM_DETAILS = const(257)  # RFC 9290
