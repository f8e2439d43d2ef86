"""The protocol's own messages, which the fuzzer damages: requests, responses, bodies.

A message is made with message ID 0 and a token of four zeros; whoever sends it writes his own
over them.
"""

from msgin5g.cbor.encoder import dumps
from msgin5g.coap.message import encode, insert, uint_bytes
from msgin5g.coap.numbers import (
    ACK,
    BAD_REQUEST,
    BLOCK2,
    CON,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    ETAG,
    FORBIDDEN,
    GATEWAY_TIMEOUT,
    GET,
    MAX_AGE,
    NOT_FOUND,
    NO_RESPONSE,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    SIZE2,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    URI_PATH,
    VALID,
)
from msgin5g.intermediary.numbers import BAD_OPTION, HOP_LIMIT, PROXY_URI
from msgin5g.scm.problem_details import compose
from msgin5g.scm.request import ScmRequest
from builders import DATA, OTHER_ID, document

RECIPIENT = 65020
URI_HOST = 3
BLOCK_SIZE = 64
_TOKEN = bytes(4)


def packet(mtype, code, options, payload=b""):
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, mtype, code, 0, _TOKEN, options, payload)])


def with_ids(template, mid, token):
    """A bytearray of the template under this message ID and four-byte token."""
    buf = bytearray(template)
    buf[2] = mid >> 8
    buf[3] = mid & 255
    if len(buf) >= 8:
        buf[4:8] = token
    return buf


def bodies(ue_id):
    """CBOR as a server sends it: arrays of documents, one document, nested and unusual ones."""
    doc = document(ue_id, DATA)
    odd = document(ue_id, DATA, extra=[1, -5, {"deep": [[[None, True]]]}], more=b"\x00\x01")
    common = {"valServiceDomain": "x", "ueConfigs": [{"configType": "COMMON", "configData": DATA}]}
    return [
        dumps([doc]),
        dumps(doc),
        dumps([document(OTHER_ID, DATA), odd, common]),
        dumps([]),
        dumps({"valServiceDomain": "x", "valUeIds": {"imeiRanges": [{"tac": "12345678"}]}}),
        b"\x9f\xbf\x7f\x63val\x6dServiceDomain\xff\x61x\xff\xff",  # indefinite all the way
        b"\xd9\xd9\xf7" + dumps([doc]),  # tagged as CBOR
        dumps([document(ue_id, DATA, padding="p" * 700)]),
        bytes((0x84, 0xF9, 0x3C, 0, 0xF9, 0xFC, 0, 0xFA, 0x47, 0xC3, 0x50, 0, 0xFB, 0x7F, 0xF0))
        + bytes(6),  # floats of every size
    ]


def problems():
    """Concise problem details as servers send them."""
    return [
        compose(NOT_FOUND, "Not found", "no document for this UE"),
        compose(BAD_OPTION, "Bad option", None, 65001),
        dumps({-1: [0, "x"], -2: {"a": b""}, 7807: {0: "cause"}}),
        b"\xa1\x20\xd8\x26\x82\x62de\x63Nein",  # a title with its language, tag 38
        b"\xbf\x20\x7f\x61a\x61b\xff\xff",
    ]


def answers(ue_id):
    """What a server sends to the UE `ue_id` (bytes): templates, the first ones good.

    The first is a 2.05 for the collection, the second a 2.05 with Observe for the document.
    """
    whole = bodies(ue_id.decode())
    told = problems()
    made = [
        (ACK, CONTENT, [(ETAG, b"etag-one")], whole[0]),
        (ACK, CONTENT, [(ETAG, b"e"), (OBSERVE, bytes((1, 2, 3)))], whole[1]),
        (CON, CONTENT, [(OBSERVE, bytes((9, 9, 9))), (MAX_AGE, b"\x01")], whole[1]),
        (CON, CONTENT, [], whole[2]),
        (ACK, CONTENT, [(MAX_AGE, b"\x05")], whole[1]),
        (ACK, VALID, [(ETAG, b"etag-one")], b""),
        (CON, VALID, [(ETAG, b"e"), (OBSERVE, bytes((2, 2, 2)))], b""),
        (ACK, NOT_FOUND, [], told[0]),
        (ACK, FORBIDDEN, [], told[3]),
        (CON, BAD_REQUEST, [], told[1]),
        (ACK, SERVICE_UNAVAILABLE, [(MAX_AGE, b"\x02")], told[2]),
        (ACK, GATEWAY_TIMEOUT, [], told[4]),
        (ACK, TOO_MANY_REQUESTS, [(MAX_AGE, b"\xff\xff\xff\xff")], b""),
        (ACK, UNAUTHORIZED, [(ECHO, b"challenge")], told[0]),
    ]
    made.extend([(ACK, CONTENT, [], body) for body in whole[3:]])
    return [_answer(ue_id, *row) for row in made]


def _answer(ue_id, mtype, code, options, payload):
    if payload:
        insert(options, CONTENT_FORMAT, uint_bytes(65001 if code == CONTENT else 257))
    insert(options, RECIPIENT, ue_id)
    return packet(mtype, code, options, payload)


def blocks(ue_id):
    """A 2.05 of some blocks of BLOCK_SIZE: list of templates in order."""
    body = bodies(ue_id.decode())[2]
    out = []
    for start in range(0, len(body), BLOCK_SIZE):
        more = 8 if start + BLOCK_SIZE < len(body) else 0
        options = [(ETAG, b"block"), (BLOCK2, uint_bytes(start // BLOCK_SIZE << 4 | more | 2))]
        if not start:
            options.append((SIZE2, uint_bytes(len(body))))
        out.append(_answer(ue_id, ACK, CONTENT, options, body[start : start + BLOCK_SIZE]))
    return out


def requests(ue_id, server):
    """What the UE `ue_id` sends to a relay whose server is `server` (bytes): templates."""
    resource = ScmRequest("msgin5g", [ue_id], server)
    made = [
        resource.options(),
        resource.options(b"doc-1", b"etag-one", 0),
        resource.options(b"doc-1", None, 1),
        resource.options(None, None, None, 2, b"challenge"),
        ScmRequest("msgin5g", [ue_id], None).options(),
        ScmRequest("msgin5g", [OTHER_ID.encode()], server).options(),
        [(URI_PATH, b".well-known"), (URI_PATH, b"core")],
    ]
    for number, value in (
        (HOP_LIMIT, b"\x05"),
        (HOP_LIMIT, b"\x01"),
        (HOP_LIMIT, b""),
        (URI_HOST, b"scm.example"),
        (PROXY_URI, b"coap://scm.example/"),
        (NO_RESPONSE, b"\x1a"),
        (2050, b"unsafe"),
        (65001, b"critical"),
    ):
        options = resource.options()
        insert(options, number, value)
        made.append(options)
    return [packet(CON, GET, options) for options in made]
