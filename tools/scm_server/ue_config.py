"""UeConfigDoc (TS 24.546 C.3.1.3.2, C.3.1.5.2): decoded, checked, put in order, encoded.

    {? ueConfigDocId, ? configName, valServiceDomain, ? valServiceId,
     ? valUeIds: {? uris: [+ Uri], ? imeiRanges: [+ {tac, ? snrs, ? snrRange: {low, high}}]},
     ? ueConfigs: [+ {configType, configData: tstr}],  * tstr => any}

A document is a dict as cbor2 makes it. Unknown keys are kept, at every level (C.3.1.7). One
of them is ours: `ueVendors`, the list of vendors that `ue-vendor` is matched with, because
the specification's document has nothing that a vendor could be matched with.
"""

import io

import cbor2
from aiocoap.numbers.codes import BAD_REQUEST, UNPROCESSABLE_ENTITY

from msgin5g_tools.scm_server import identity
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
MAX_ID_SIZE = 255  # bytes: the identifier is a Uri-Path segment
_PLAIN = (bytes, int, float, type(None), type(cbor2.undefined), cbor2.CBORSimpleValue)


class _NoTags(dict):
    """Decoders for cbor2, one for every tag: refuse it.

    C.3.1.5.2 needs no tags, and shared references (tags 28 and 29) would let a few bytes
    stand for a tree without end.
    """

    def __contains__(self, tag):
        return True

    def __getitem__(self, tag):
        return self.refuse

    def get(self, tag, default=None):
        return self.refuse

    @staticmethod
    def refuse(decoder, *value):
        raise ValueError("tags have no place in a UeConfigDoc")


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
    """CBOR of the document as it is served: our key order, the identifier always there."""
    ordered = {"ueConfigDocId": doc_id}
    for key in ORDER[1:]:
        if key in document:
            ordered[key] = document[key]
    for key, value in document.items():
        if key not in ORDER and key != OTHER_SPELLING:
            ordered[key] = value
    return cbor2.dumps(ordered)


def require(document, service, doc_id=None):
    """Problem 4.22 unless this is a UeConfigDoc for this service (and, when given, this id)."""
    faults = check(document)
    if not faults:
        named = document.get("ueConfigDocId", document.get(OTHER_SPELLING))
        if document.get("valServiceId", service) != service:
            faults.append(("valServiceId", f"is not '{service}' as in the path"))
        if doc_id is not None and named not in (None, doc_id):
            faults.append(("ueConfigDocId", f"is not '{doc_id}' as in the path"))
    if faults:
        where, reason = faults[0]
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Problem(UNPROCESSABLE_ENTITY, f"{where}: {reason}{more}")


def check(document):
    """Everything wrong with a document: list of (where, reason), empty when it is good."""
    if not isinstance(document, dict):
        return [("document", "is not a map")]
    faults = []
    _check_values(document, "document", MAX_DEPTH, faults)
    if faults:
        return faults
    for key in ("configName", "valServiceDomain", "valServiceId"):
        _text(document, key, key, faults, required=key == "valServiceDomain")
    for key in ("ueConfigDocId", OTHER_SPELLING):
        if _text(document, key, key, faults) and len(document[key].encode()) > MAX_ID_SIZE:
            faults.append((key, f"is longer than {MAX_ID_SIZE} bytes"))
    spellings = [document[key] for key in ("ueConfigDocId", OTHER_SPELLING) if key in document]
    if len(spellings) == 2 and spellings[0] != spellings[1]:
        faults.append(("ueConfigDocId", "has another value than UeConfigDocId"))
    if "valUeIds" in document:
        _check_ids(document["valUeIds"], faults)
    if "ueVendors" in document:
        for where, vendor in _items(document, "ueVendors", "ueVendors", faults):
            if not isinstance(vendor, str) or not vendor:
                faults.append((where, "is not a text"))
    if "ueConfigs" in document:
        _check_configs(document, faults)
    return faults


def _check_values(value, where, depth, faults):
    """Only what can be sent again as it came: text keys, Unicode, bounded depth."""
    if depth == 0:
        faults.append((where, f"is nested deeper than {MAX_DEPTH}"))
    elif isinstance(value, dict):
        for key, item in value.items():
            if where == "document" and not isinstance(key, str):
                faults.append((where, f"has the key {key!r}, which is not a text"))
            inner = f"{key}" if where == "document" else f"{where}.{key}"
            _check_values(key, inner, depth - 1, faults)
            _check_values(item, inner, depth - 1, faults)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_values(item, f"{where}[{i}]", depth - 1, faults)
    elif isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            faults.append((where, "is not Unicode text"))
    elif not isinstance(value, _PLAIN):
        faults.append((where, f"is of a kind that is not kept ({type(value).__name__})"))
    elif isinstance(value, int) and not -(2**64) <= value < 2**64:
        faults.append((where, "is an integer of more than 64 bits"))


def _text(parent, key, where, faults, required=False):
    """True when the text is there and good."""
    if key not in parent:
        if required:
            faults.append((where, "is missing"))
        return False
    if not isinstance(parent[key], str):
        faults.append((where, "is not a text"))
    elif not parent[key] and key != "configName":
        faults.append((where, "is empty"))
    else:
        return True
    return False


def _items(parent, key, where, faults):
    """(where, item) of an array that needs at least one item."""
    items = parent[key]
    if not isinstance(items, list) or not items:
        faults.append((where, "is not an array with at least one item"))
        return []
    return [(f"{where}[{i}]", item) for i, item in enumerate(items)]


def _maps(parent, key, where, faults):
    for inner, item in _items(parent, key, where, faults):
        if isinstance(item, dict):
            yield inner, item
        else:
            faults.append((inner, "is not a map"))


def _check_ids(ids, faults):
    if not isinstance(ids, dict):
        faults.append(("valUeIds", "is not a map"))
        return
    if "uris" in ids:
        for where, uri in _items(ids, "uris", "valUeIds.uris", faults):
            _fault(uri, where, identity.uri_fault, faults)
    if "imeiRanges" in ids:
        for where, imei in _maps(ids, "imeiRanges", "valUeIds.imeiRanges", faults):
            _check_imei(imei, where, faults)


def _check_imei(imei, where, faults):
    if _text(imei, "tac", f"{where}.tac", faults, required=True):
        _fault(imei["tac"], f"{where}.tac", identity.tac_fault, faults)
    if "snrs" in imei:
        for inner, snr in _items(imei, "snrs", f"{where}.snrs", faults):
            _fault(snr, inner, identity.snr_fault, faults)
    if "snrRange" not in imei:
        return
    span, where = imei["snrRange"], f"{where}.snrRange"
    if not isinstance(span, dict):
        faults.append((where, "is not a map"))
        return
    n_before = len(faults)
    for key in ("low", "high"):
        if _text(span, key, f"{where}.{key}", faults, required=True):
            _fault(span[key], f"{where}.{key}", identity.snr_fault, faults)
    if len(faults) == n_before and int(span["low"]) > int(span["high"]):
        faults.append((where, "has a low that is above its high"))


def _fault(value, where, rule, faults):
    reason = rule(value) if isinstance(value, str) else "is not a text"
    if reason:
        faults.append((where, reason))


def _check_configs(document, faults):
    types = []
    for where, config in _maps(document, "ueConfigs", "ueConfigs", faults):
        if _text(config, "configType", f"{where}.configType", faults, required=True):
            if config["configType"] in types:
                faults.append((f"{where}.configType", f"'{config['configType']}' is there twice"))
            types.append(config["configType"])
        if "configData" not in config:
            faults.append((f"{where}.configData", "is missing"))
        elif not isinstance(config["configData"], str):
            faults.append((f"{where}.configData", "is not a text"))
