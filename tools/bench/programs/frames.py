"""The datagrams that are measured: UEs, relay and server as they speak with default settings."""

from binascii import unhexlify

from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import Message, encode, size_of
from msgin5g.coap.numbers import (
    ACK,
    CHANGED,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    GET,
    OBSERVE,
    OSCORE,
    POST,
)
from msgin5g.scm.request import ScmRequest

# A request of 104 bytes.
REQUEST = unhexlify(
    "44011234a1b2c3d4b573752d7563027631"
    "0c76616c2d7365727669636573076d7367696e3567"
    "0d0475652d636f6e66696775726174696f6e73"
    "4d0775652d7572693d75726e3a783a75653a30303037"
    "22fe38edfcde05636f61703a2f2f636d732e6578616d706c65"
)

RECIPIENT = 65020
SERVER_URI = "coap://scm.example"
SERVER_ADDRESS = ["192.0.2.1", 5683]
SERVER = b"\x02\x00\x16\x33\xc0\x00\x02\x01" + bytes(8)  # as the Unix port gives it: a sockaddr

_DATA = (
    '{"MSGin5G-Server-address":"coap://msgin5g.example:5683",'
    '"MSGin5G-UE-Service-id":"user-7@example.com"}'
)


def ue_id(number):
    """A UE ID of 24 characters."""
    return b"urn:x-msgin5g:ue:%07d" % number


def ue_remote(number):
    return b"\x02\x00\xff\x79\xc0\xa8" + bytes((number >> 8, number & 255)) + bytes(8)


def document_id(number):
    return b"doc-%04d" % number


def document(number):
    """A UeConfigDoc with about 100 characters of configuration."""
    return {
        "ueConfigDocId": document_id(number).decode(),
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [ue_id(number).decode()]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": _DATA}],
    }


def body(*numbers):
    """The collection of the documents of these UEs, CBOR."""
    return dumps([document(number) for number in numbers])


def options_of(datagram):
    """The options of a datagram as a list of (number, value)."""
    message = Message(64).decode(datagram)
    return [(message.numbers[i], message.value(i)) for i in range(message.n_options)]


def request(number, mid, observe=False):
    """The GET of a UE: of the collection, or of its document to observe it."""
    resource = ScmRequest("msgin5g", [ue_id(number)], SERVER_URI.encode())
    token = bytes((number >> 8, number & 255, mid >> 8, mid & 255))
    options = resource.options(document_id(number), None, 0) if observe else resource.options()
    return _encoded(CON, GET, mid, token, options, b"")


def answer(number, asked, payload, observe=False):
    """The server's 2.05 to a request as it came to the server."""
    options = [(ETAG, b"12345678"), (CONTENT_FORMAT, b"\xfd\xe9"), (RECIPIENT, ue_id(number))]
    if observe:
        options.insert(1, (OBSERVE, b"\x02"))
    mid = asked[2] << 8 | asked[3]
    return _encoded(ACK, CONTENT, mid, bytes(asked[4:8]), options, payload)


def protected(datagram):
    """A request or an answer as it looks on the way when it is protected by OSCORE.

    What is inside is not encrypted: a relay does not look at it.
    """
    message = Message(64).decode(datagram)
    is_request = message.code < 32
    outer = [(OSCORE, b"\x09\x05\x07" if is_request else b"")]
    outer.append((RECIPIENT, message.option(RECIPIENT)))
    inner = [option for option in options_of(datagram) if option[0] != RECIPIENT]
    sealed = _encoded(0, message.code, 0, b"", inner, message.payload())[3:] + bytes(8)
    code = POST if is_request else CHANGED
    return _encoded(message.mtype, code, message.mid, message.token(), outer, sealed)


def _encoded(mtype, code, mid, token, options, payload):
    buf = bytearray(size_of(token, options, payload))
    encode(buf, mtype, code, mid, token, options, payload)
    return bytes(buf)
