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
and `ueConfigs` are understood too and are used where the short one cannot say it. configData
is kept as JSON text: an object is written compactly, a string is kept as it is. `service` is
the valServiceId of the path where the document itself names none; keys that UeConfigDoc does
not define are in `extensions`. What JSON cannot say is {"$cbor": "hex"}.
"""

import json
from collections import namedtuple

from msgin5g_tools.scm_server import identity, ue_config

SHORT_TYPE = "ON_NETWORK"
SERVER_ADDRESS, SERVICE_ID = "MSGin5G-Server-address", "MSGin5G-UE-Service-id"
WRAPPER = "$cbor"
_TOP = ("deny", "gateways", "documents")
SAME = ("ueConfigDocId", "configName", "valServiceId", "valServiceDomain")
_KEYS = (
    *SAME,
    *("service", "ues", "imeiRanges", "vendors", "configData", "extensions"),
    *("valUeIds", "ueConfigs"),
)
_ANY_TEXT = "utf-8", "surrogatepass"  # JSON can hold half of a character
_MUST_BE_OBJECTS = ("valUeIds", "extensions")

# documents: list of (service, doc_id, document as a dict).
Contents = namedtuple("Contents", "deny gateways documents")


def read(text, default_service):
    """(Contents, mistakes, warnings): lines that name the document and the key."""
    mistakes, warnings = [], []
    contents = Contents([], [], [])
    try:
        top = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        return contents, [f"line {error.lineno}, column {error.colno}: {error.msg}"], []
    except ValueError as error:
        return contents, [str(error)], []
    except RecursionError:
        return contents, ["is nested too deeply"], []
    if not isinstance(top, dict):
        return contents, ['is not an object with "documents"'], []
    mistakes.extend(f"{key}: is not a key of this file" for key in top if key not in _TOP)
    for key, rule in (("deny", identity.uri_fault), ("gateways", identity.host_fault)):
        for where, item in _list(top, key, mistakes):
            fault = rule(item) if isinstance(item, str) else "is not a text"
            if fault:
                mistakes.append(f"{where}: {fault}")
            else:
                getattr(contents, key).append(item)
    seen = set()
    for where, entry in _list(top, "documents", mistakes):
        try:
            _read_document(where, entry, default_service, contents, seen, mistakes, warnings)
        except RecursionError:
            mistakes.append(f"{where}: is nested too deeply")
    return contents, mistakes, warnings


def _read_document(where, entry, default_service, contents, seen, mistakes, warnings):
    if not isinstance(entry, dict):
        mistakes.append(f"{where}: is not an object")
        return
    doc_id = entry.get("ueConfigDocId")
    if isinstance(doc_id, str):
        where = f"{where} ({doc_id})"
    faults = [(key, "is not a key of a document") for key in entry if key not in _KEYS]
    if "ueConfigDocId" not in entry:
        faults.append(("ueConfigDocId", "is missing"))
    for short, long in (
        ("ues", "valUeIds"),
        ("imeiRanges", "valUeIds"),
        ("configData", "ueConfigs"),
    ):
        if short in entry and long in entry:
            faults.append((short, f"and {long} exclude each other"))
    wrong = [key for key in _MUST_BE_OBJECTS if not isinstance(entry.get(key, {}), dict)]
    faults.extend((key, "is not an object") for key in wrong)
    service = entry.get("service", entry.get("valServiceId", default_service))
    if not isinstance(service, str) or not 0 < len(service.encode(*_ANY_TEXT)) <= 255:
        faults.append(("service", "is not a text of 1 to 255 bytes"))
    elif entry.get("valServiceId", service) != service:
        faults.append(("service", "is not the valServiceId"))
    if not wrong:
        document = _document(entry, faults)
        faults.extend(ue_config.check(document))
        if not faults and (service, doc_id) in seen:
            faults.append(("ueConfigDocId", "is there twice"))
    if faults:
        mistakes.extend(f"{where}: {_short_name(key, entry)}: {why}" for key, why in faults)
        return
    seen.add((service, doc_id))
    contents.documents.append((service, doc_id, document))
    warnings.extend(f"{where}: {key}: {why}" for key, why in _doubts(document))


def _document(entry, faults):
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
    if isinstance(configs, list):
        configs = [_config(config, faults) for config in configs]
    if configs is not None:
        document["ueConfigs"] = configs
    for key, value in entry.get("extensions", {}).items():
        if key in ue_config.ORDER or key == ue_config.OTHER_SPELLING:
            faults.append((f"extensions.{key}", "is not an extension"))
        document[key] = _from_json(value, f"extensions.{key}", faults)
    return document


def _config(config, faults):
    if not isinstance(config, dict):
        return config
    config = dict(config)
    data = config.get("configData")
    if isinstance(data, dict):
        config["configData"] = compact(data)
    elif "configData" in config and not isinstance(data, str):
        faults.append(("ueConfigs[0].configData", "is neither an object nor a text"))
        config["configData"] = ""
    return _from_json(config, "ueConfigs", faults)


def _from_json(value, where, faults):
    """A JSON value as cbor2 takes it: {"$cbor": hex} is replaced by what it stands for."""
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


def _doubts(document):
    """What looks like a slip, though a server may hand it out: DESIGN decision 10."""
    for imei in document.get("valUeIds", {}).get("imeiRanges", ()):
        for key in imei:
            if key not in ("tac", "snrs", "snrRange"):
                yield f"imeiRanges.{key}", "is unknown, and kept"
    for config in document.get("ueConfigs", ()):
        if config["configType"] == SHORT_TYPE:
            data = parse_object(config["configData"])
            if data is None:
                yield "configData", "is not a JSON object: UEs will refuse it"
                continue
            for key in (SERVER_ADDRESS, SERVICE_ID):
                if not isinstance(data.get(key), str):
                    yield f"configData.{key}", "is not there as a text: UEs will refuse it"
            size = data.get("Segment-size", 1)
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                yield "configData.Segment-size", "is not a positive number: UEs will refuse it"


def parse_object(text):
    """The JSON object in a configData, or None."""
    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def compact(data):
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def _short_name(where, entry):
    """The key as the file spells it: ues[0] rather than valUeIds.uris[0]."""
    if "valUeIds" not in entry:
        where = where.replace("valUeIds.uris", "ues").replace("valUeIds.imeiRanges", "imeiRanges")
    if "ueConfigs" not in entry:
        where = where.replace("ueConfigs[0].", "")
    return where.replace("ueVendors", "vendors")


def _list(top, key, mistakes):
    items = top.get(key, [])
    if not isinstance(items, list):
        mistakes.append(f"{key}: is not an array")
        return []
    return [(f"{key}[{i}]", item) for i, item in enumerate(items)]


def unique(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'the key "{key}" is there twice in one object')
        found[key] = value
    return found


def no_constant(name):
    raise ValueError(f"{name} is not JSON")
