"""A message as a microCoAPy program sees and makes it."""

from msgin5g.coap.message import insert, uint_bytes
from msgin5g.coap.numbers import CONTENT_FORMAT, URI_QUERY

from microcoapy.coap_macros import (
    COAP_CONTENT_FORMAT,
    COAP_METHOD,
    COAP_OPTION_NUMBER,
    COAP_TYPE,
    COAP_VERSION,
    CoapResponseCode,
    coapTypeToString,
)
from microcoapy.coap_option import CoapOption, as_bytes


class CoapPacket:
    """`method` is the code, of a response too; `options` a list of CoapOption."""

    def __init__(self):
        self.version = COAP_VERSION.COAP_VERSION_1
        self.type = COAP_TYPE.COAP_CON
        self.method = COAP_METHOD.COAP_GET
        self.token = b""
        self.payload = b""
        self.messageid = 0
        self.content_format = COAP_CONTENT_FORMAT.COAP_NONE
        self.query = b""
        self.options = []

    def addOption(self, number, opt_payload):
        """Add an option; the order that the wire wants is made when the packet is sent."""
        self.options.append(CoapOption(number, opt_payload))

    def setUriHost(self, address):
        self.addOption(COAP_OPTION_NUMBER.COAP_URI_HOST, address)

    def setUriPath(self, url):
        """Add the segments of a path; empty ones are left out."""
        for segment in url.split("/"):
            if segment:
                self.addOption(COAP_OPTION_NUMBER.COAP_URI_PATH, segment)

    def toString(self):
        """One line for a person."""
        return "type: {}, method: {}.{:02d}, messageid: {}, payload: {}".format(
            coapTypeToString(self.type),
            *CoapResponseCode.decode(self.method),
            self.messageid,
            self.payload,
        )


def parts_of(packet):
    """(options, payload) of a packet: options ascending, equals in the order of the program."""
    options = []
    for option in packet.options:
        insert(options, option.number, option.buffer)
    if packet.content_format != COAP_CONTENT_FORMAT.COAP_NONE:
        insert(options, CONTENT_FORMAT, uint_bytes(packet.content_format))
    if packet.query:
        insert(options, URI_QUERY, as_bytes(packet.query))
    return options, as_bytes(packet.payload)


def packet_of(message):
    """A decoded message as a packet, which outlives it."""
    packet = CoapPacket()
    packet.type = message.mtype
    packet.method = message.code
    packet.messageid = message.mid
    packet.token = message.token() or None
    packet.payload = message.payload()
    for i in range(message.n_options):
        packet.options.append(CoapOption(message.numbers[i], message.value(i)))
    i = message.find(CONTENT_FORMAT)
    if i >= 0:
        packet.content_format = message.uint(CONTENT_FORMAT)
    return packet
