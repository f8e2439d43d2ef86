"""Documents as a JSON file that a person reads and writes.

    {"deny": ["urn:x-msgin5g:ue:0009"],
     "gateways": ["192.0.2.7"],
     "documents": [
       {"ueConfigDocId": "ue-0007",
        "valServiceId": "msgin5g",
        "valServiceDomain": "example.com",
        "ues": ["urn:x-msgin5g:ue:0007"],
        "configData": {"MSGin5G-Server-address": "coap://msgin5g.example.com",
                       "MSGin5G-UE-Service-id": "sensor-7@example.com",
                       "Segment-size": 1024}}]}

`ues` is short for valUeIds.uris, `imeiRanges` for valUeIds.imeiRanges, `configData` for one
ueConfigs entry of configType ON_NETWORK, `vendors` for ueVendors. The long forms `valUeIds`
and `ueConfigs` are allowed, too, for documents that have no short form. configData is kept as
JSON text: an object is written compactly, a string is kept unchanged. `service` is the
valServiceId of the path when the document itself has none; `extensions` has the keys that
UeConfigDoc does not define. A value that JSON does not have is {"$cbor": "hex"}.
"""

import json
from collections import namedtuple
from typing import Annotated, Any

from pydantic import BeforeValidator
from typing_extensions import NotRequired, TypedDict

from msgin5g_tools.paths import FIRMWARE
from msgin5g_tools.scm_server import identity, ue_config, ue_config_check
from msgin5g_tools.scm_server.config_data import (
    SERVICE_ID,
    compact,
    no_constant,
    parse_object,
    unique,
)
from msgin5g_tools.scm_server.shape import (
    CLOSED,
    MISSING,
    OPEN,
    UNKNOWN_KEY,
    Shape,
    fault,
    rule,
)

SHORT_TYPE = "ON_NETWORK"
WRAPPER = "$cbor"
SAME = ("ueConfigDocId", "configName", "valServiceId", "valServiceDomain")
_ANY_TEXT = "utf-8", "surrogatepass"  # JSON can hold half of a character

# documents: list of (service, doc_id, document as a dict).
Contents = namedtuple("Contents", "deny gateways documents")


def _object_or_text(value):
    if not isinstance(value, (dict, str)):
        raise fault("is neither an object nor a text")
    return value


class _File(TypedDict):
    __pydantic_config__ = CLOSED
    deny: NotRequired[list[Annotated[str, rule(identity.uri_fault)]]]
    gateways: NotRequired[list[Annotated[str, rule(identity.host_fault)]]]
    documents: NotRequired[list[Any]]


class _Config(TypedDict):
    __pydantic_config__ = OPEN
    configData: NotRequired[Annotated[Any, BeforeValidator(_object_or_text)]]


class _Entry(TypedDict):
    """The keys of a document in the file; ue_config_check has the rules of their values."""

    __pydantic_config__ = CLOSED
    ueConfigDocId: Any
    configName: NotRequired[Any]
    valServiceId: NotRequired[Any]
    valServiceDomain: NotRequired[Any]
    service: NotRequired[Any]
    ues: NotRequired[Any]
    imeiRanges: NotRequired[Any]
    vendors: NotRequired[Any]
    configData: NotRequired[Annotated[Any, BeforeValidator(_object_or_text)]]
    extensions: NotRequired[dict[str, Any]]
    valUeIds: NotRequired[dict[str, Any]]
    ueConfigs: NotRequired[list[_Config]]


_FILE = Shape(_File, "an object", "this file")
_ENTRY = Shape(_Entry, "an object", "a document")
_EXCLUDE = (("ues", "valUeIds"), ("imeiRanges", "valUeIds"), ("configData", "ueConfigs"))


def read(text, default_service):
    """(Contents, mistakes, warnings): lines that name the document and the key.

    Contents has everything only when there are no mistakes.
    """
    contents = Contents([], [], [])
    top, fault = _parsed(text)
    if fault:
        return contents, [fault], []
    if not isinstance(top, dict):
        return contents, ['is not an object with "documents"'], []
    mistakes = [f"{where}: {why}" for where, why in _FILE.faults(top)]
    warnings = []
    documents = top.get("documents", [])
    if not mistakes:
        contents = Contents(top.get("deny", []), top.get("gateways", []), [])
    seen, service_ids = set(), _ServiceIds()
    for i, entry in enumerate(documents if isinstance(documents, list) else ()):
        where = f"documents[{i}]"
        if not isinstance(entry, dict):
            mistakes.append(f"{where}: is not an object")
            continue
        if isinstance(entry.get("ueConfigDocId"), str):
            where += f" ({entry['ueConfigDocId']})"
        try:
            faults, service, document = _read_entry(entry, default_service, seen)
        except RecursionError:
            mistakes.append(f"{where}: is nested too deeply")
            continue
        if faults:
            mistakes += [f"{where}: {_short_name(key, entry)}: {why}" for key, why in faults]
            continue
        contents.documents.append((service, entry["ueConfigDocId"], document))
        doubts = _doubts(document, entry["ueConfigDocId"], where, service_ids)
        warnings += [f"{where}: {key}: {why}" for key, why in doubts]
    return contents, mistakes, warnings


def read_one(text, service):
    """(service, ID, document, mistakes, warnings) of the text of one document, as in a file.

    The first three are None when there is a mistake.
    """
    entry, fault = _parsed(text)
    if not fault and not isinstance(entry, dict):
        fault = "is not an object: it begins with { and ends with }"
    if fault:
        return None, None, None, [fault], []
    try:
        faults, service, document = _read_entry(entry, service, set())
    except RecursionError:
        faults = [("document", "is nested too deeply")]
    if faults:
        mistakes = [f"{_short_name(key, entry)}: {why}" for key, why in faults]
        return None, None, None, mistakes, []
    doc_id = entry["ueConfigDocId"]
    doubts = _doubts(document, doc_id, "this document", _ServiceIds())
    return service, doc_id, document, [], [f"{key}: {why}" for key, why in doubts]


def _parsed(text):
    """(value, None) of a JSON text, or (None, what is wrong and where)."""
    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=no_constant), None
    except json.JSONDecodeError as error:
        return None, f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return None, str(error)
    except RecursionError:
        return None, "is nested too deeply"


def _read_entry(entry, default_service, seen):
    """(faults, service, document); seen: the (service, id) so far."""
    faults = _ENTRY.faults(entry)
    # With these faults the rest of the entry can be checked, too.
    is_readable = all(why.startswith((MISSING, UNKNOWN_KEY)) for _, why in faults)
    for short, long in _EXCLUDE:
        if short in entry and long in entry:
            faults.append((short, f"and {long} exclude each other"))
    service = entry.get("service", entry.get("valServiceId", default_service))
    if not isinstance(service, str) or not 0 < len(service.encode(*_ANY_TEXT)) <= 255:
        faults.append(("service", "is not a text of 1 to 255 bytes"))
    elif any("\ud800" <= character <= "\udfff" for character in service):
        faults.append(("service", "has half of a character"))
    elif entry.get("valServiceId", service) != service:
        faults.append(("service", "is not the valServiceId"))
    if not is_readable:
        return faults, None, None
    document = _document(entry, faults)
    faults += ue_config_check.check(document)
    if not faults:
        key = service, entry["ueConfigDocId"]
        if key in seen:
            faults.append(("ueConfigDocId", "is there twice"))
        seen.add(key)
    return faults, service, document


def _document(entry, faults):
    """The UeConfigDoc of an entry of the right shape."""
    document = {key: entry[key] for key in SAME if key in entry}
    ids = dict(entry.get("valUeIds", {}))
    for short, key in (("ues", "uris"), ("imeiRanges", "imeiRanges")):
        if short in entry:
            ids[key] = entry[short]
    if ids or "valUeIds" in entry:
        document["valUeIds"] = _from_json(ids, "valUeIds", faults)
    if "vendors" in entry:
        document["ueVendors"] = entry["vendors"]
    configs = entry.get("ueConfigs")
    if "configData" in entry:
        configs = [{"configType": SHORT_TYPE, "configData": entry["configData"]}]
    if configs is not None:
        document["ueConfigs"] = [_config(config, faults) for config in configs]
    for key, value in entry.get("extensions", {}).items():
        if key in ue_config.ORDER or key == ue_config.OTHER_SPELLING:
            faults.append((f"extensions.{key}", "is not an extension"))
        document[key] = _from_json(value, f"extensions.{key}", faults)
    return document


def _config(config, faults):
    data = config.get("configData")
    if isinstance(data, dict):
        config = {**config, "configData": compact(data)}
    return _from_json(config, "ueConfigs", faults)


def _from_json(value, where, faults):
    """A JSON value as cbor2 has it: {"$cbor": hex} is replaced by the value that it encodes."""
    if isinstance(value, list):
        return [_from_json(item, where, faults) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) != [WRAPPER]:
        return {key: _from_json(item, where, faults) for key, item in value.items()}
    try:
        return ue_config.decode_item(bytes.fromhex(value[WRAPPER]))
    except (ValueError, TypeError):
        faults.append((where, f"{WRAPPER} is not the hex form of one CBOR item"))
        return None


class _ServiceIds:
    """Which document gives which MSGin5G UE Service ID: two UEs must not have the same one."""

    def __init__(self):
        self._owners = {}  # Service ID -> (where, the UEs of the document)

    def doubts(self, document, where):
        values = [
            parse_object(config["configData"]) or {} for config in document.get("ueConfigs", ())
        ]
        for value in {str(each[SERVICE_ID]) for each in values if SERVICE_ID in each}:
            ids = document.get("valUeIds", {})
            ues = {identity.normal_uri(uri) for uri in ids.get("uris", ())}
            if len(ues) != 1 or "imeiRanges" in ids or "ueVendors" in document:
                yield f"configData.{SERVICE_ID}", f"'{value}' is the same for several UEs"
            other, others = self._owners.setdefault(value, (where, ues))
            if other != where and others != ues:
                yield f"configData.{SERVICE_ID}", f"'{value}' is also that of {other}"


def _doubts(document, doc_id, where, service_ids):
    """Values that a server may send, but that are probably mistakes."""
    for imei in document.get("valUeIds", {}).get("imeiRanges", ()):
        for key in imei:
            if key not in ("tac", "snrs", "snrRange"):
                yield f"imeiRanges.{key}", "is unknown, and kept"
    if "ueConfigs" in document:
        for key, why in _refusals(document, doc_id):
            yield key, f"{why}: UEs will refuse it"
    yield from service_ids.doubts(document, where)


def _refusals(document, doc_id):
    """What UEs of this project will refuse; nothing in a wheel, which has no firmware."""
    if not FIRMWARE.is_dir():
        return ()
    from msgin5g_tools.scm_server import ue_rules

    return ue_rules.refusals(document, doc_id)


def _short_name(where, entry):
    """The key as the file spells it: ues[0] rather than valUeIds.uris[0]."""
    if "valUeIds" not in entry:
        where = where.replace("valUeIds.uris", "ues").replace("valUeIds.imeiRanges", "imeiRanges")
    if "ueConfigs" not in entry:
        where = where.replace("ueConfigs[0].", "")
    return where.replace("ueVendors", "vendors")
