"""UeConfigDoc (TS 24.546 C.3.1.3.2, C.3.1.5.2): decoded, put in order, encoded.

    {? ueConfigDocId, ? configName, valServiceDomain, ? valServiceId,
     ? valUeIds: {? uris: [+ Uri], ? imeiRanges: [+ {tac, ? snrs, ? snrRange: {low, high}}]},
     ? ueConfigs: [+ {configType, configData: tstr}],  * tstr => any}

A document is a dict as cbor2 makes it. Unknown keys are kept, at every level (C.3.1.7). One
of them is ours: `ueVendors`, the list of vendors that `ue-vendor` is compared with, because the
specification's document has no vendor. ue_config_check has the rules.
"""

import io

import cbor2
from aiocoap.numbers.codes import BAD_REQUEST

from msgin5g_tools.scm_server.problem import Problem

ORDER = (
    "ueConfigDocId",
    "configName",
    "valServiceDomain",
    "valServiceId",
    "valUeIds",
    "ueVendors",
    "ueConfigs",
)
OTHER_SPELLING = "UeConfigDocId"  # the CDDL of C.3.1.5.2 against table C.3.1.3.2.1-1
MAX_DEPTH = 16


class _NoTags(dict):
    """Decoders for cbor2: every tag is an error.

    C.3.1.5.2 needs no tags, and with shared references (tags 28 and 29) a few bytes could stand
    for an endless tree.
    """

    def __contains__(self, tag):
        return True

    def __getitem__(self, tag):
        return self.refuse

    def get(self, tag, default=None):
        return self.refuse

    @staticmethod
    def refuse(decoder, *value):
        raise ValueError("a UeConfigDoc has no tags")


def decode(body):
    """The document in a request's body; Problem 4.00 when it is not one well-formed item."""
    try:
        return decode_item(body)
    except ValueError as error:
        raise Problem(BAD_REQUEST, f"body is not well-formed CBOR: {error}") from None


def decode_item(data):
    """The one CBOR item that these bytes are, or ValueError."""
    stream = io.BytesIO(data)
    decoder = cbor2.CBORDecoder(
        stream, max_depth=MAX_DEPTH, allow_duplicate_keys=False, semantic_decoders=_NoTags()
    )
    try:
        item = decoder.decode()
    except cbor2.CBORDecodeError as error:
        raise ValueError(str(error.__cause__ or error)) from None
    if stream.tell() != len(data):
        raise ValueError(f"{len(data) - stream.tell()} bytes follow the item")
    return item


def encode(document, doc_id):
    """CBOR of the document as the server sends it: our key order, always with its identifier."""
    ordered = {"ueConfigDocId": doc_id}
    for key in ORDER[1:]:
        if key in document:
            ordered[key] = document[key]
    for key, value in document.items():
        if key not in ORDER and key != OTHER_SPELLING:
            ordered[key] = value
    return cbor2.dumps(ordered)
