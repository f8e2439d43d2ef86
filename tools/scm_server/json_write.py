"""The reverse of json_form: documents as the text of a JSON file.

It uses the short form where that is complete. json_form reads the text back to the same documents,
byte for byte in CBOR.
"""

import json
import math

import cbor2

from msgin5g_tools.scm_server import ue_config
from msgin5g_tools.scm_server.config_data import compact, parse_object
from msgin5g_tools.scm_server.json_form import SAME, SHORT_TYPE, WRAPPER


def write(deny, gateways, documents):
    """The text of a file: documents are (service, doc_id, document as a dict)."""
    top = {
        "deny": list(deny),
        "gateways": list(gateways),
        "documents": [_entry(service, document) for service, _, document in documents],
    }
    return json.dumps(top, indent=2, ensure_ascii=False) + "\n"


def entry_text(service, document):
    """The text of one document, for json_form.read_one; no character of it is unprintable."""
    text = json.dumps(_entry(service, document), indent=2, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _entry(service, document):
    entry = {key: document[key] for key in SAME if key in document}
    if "valServiceId" not in document:
        entry["service"] = service
    ids = document.get("valUeIds")
    if ids is not None:
        short = {"uris": "ues", "imeiRanges": "imeiRanges"}
        if ids and list(ids) == [key for key in short if key in ids]:
            entry.update({short[key]: _to_json(value) for key, value in ids.items()})
        else:
            entry["valUeIds"] = _to_json(ids)
    if "ueVendors" in document:
        entry["vendors"] = document["ueVendors"]
    configs = document.get("ueConfigs")
    if configs is not None:
        alone = configs[0] if len(configs) == 1 else {}
        if list(alone) == ["configType", "configData"] and alone["configType"] == SHORT_TYPE:
            entry["configData"] = _data(alone["configData"])
        else:
            entry["ueConfigs"] = [
                {
                    key: _data(value) if key == "configData" else _to_json(value)
                    for key, value in config.items()
                }
                for config in configs
            ]
    extensions = {key: _to_json(document[key]) for key in document if key not in ue_config.ORDER}
    if extensions:
        entry["extensions"] = extensions
    return entry


def _data(text):
    """configData as an object when that is written as the same text, else the text itself."""
    data = parse_object(text)
    return data if data is not None and compact(data) == text else text


def _to_json(value):
    return value if is_plain(value) else {WRAPPER: cbor2.dumps(value).hex()}


def is_plain(value):
    """True when JSON can hold exactly this value."""
    if isinstance(value, dict):
        return list(value) != [WRAPPER] and all(
            isinstance(key, str) and is_plain(item) for key, item in value.items()
        )
    if isinstance(value, list):
        return all(map(is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))
