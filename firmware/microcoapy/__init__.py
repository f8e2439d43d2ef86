"""microCoAPy's public API on the endpoint of msgin5g: programs written for it run unchanged.

What they gain: confirmable messages are retransmitted, responses are matched
by token and source, duplicates are processed once, paths keep their order, and no datagram hangs
or breaks the program.
"""

from microcoapy.coap_macros import (
    COAP_CONTENT_FORMAT,
    COAP_METHOD,
    COAP_OPTION_NUMBER,
    COAP_RESPONSE_CODE,
    COAP_TYPE,
)
from microcoapy.coap_option import CoapOption
from microcoapy.coap_packet import CoapPacket
from microcoapy.microcoapy import Coap

__all__ = (
    "COAP_CONTENT_FORMAT",
    "COAP_METHOD",
    "COAP_OPTION_NUMBER",
    "COAP_RESPONSE_CODE",
    "COAP_TYPE",
    "Coap",
    "CoapOption",
    "CoapPacket",
)
