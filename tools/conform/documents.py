"""UeConfigDoc (TS 24.546 C.3.1.3.2, C.3.1.5.2): made for the tests, and examined."""

import json

import cbor2

from msgin5g_tools.conform.case import require
from msgin5g_tools.conform.check import Failure, NotApplicable
from msgin5g_tools.conform.wire import CONTENT_FORMAT, code_text

PROBLEM_DETAILS = 257  # application/concise-problem-details+cbor, RFC 9290
_ID = "ueConfigDocId"
_OTHER_ID = "UeConfigDocId"  # the CDDL of C.3.1.5.2 against table C.3.1.3.2.1-1
SERVER_ADDRESS, SERVICE_ID = "MSGin5G-Server-address", "MSGin5G-UE-Service-id"


def made(doc_id, *uris, name="user", filler=0):
    """A UeConfigDoc for these UEs. filler: bytes that make it longer."""
    data = {SERVER_ADDRESS: "coap://msgin5g.example", SERVICE_ID: f"{name}@example.com"}
    document = {
        _ID: doc_id,
        "configName": "x" * filler,
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": list(uris)},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": json.dumps(data)}],
    }
    if not filler:
        del document["configName"]
    return document


def problem(code, title):
    """Concise problem details for an error."""
    return cbor2.dumps({-1: title, -4: code})


def load(payload):
    """The CBOR item of a payload, or Failure."""
    try:
        return cbor2.loads(payload)
    except Exception as error:  # whatever cbor2 has to say about bytes of a stranger
        raise Failure(f"the payload is not CBOR: {error}") from None


def array_of(message):
    """The documents of a 2.05 for the collection."""
    found = load(message.payload)
    require(isinstance(found, list), f"an array was due, not {type(found).__name__}")
    for document in found:
        require(isinstance(document, dict), "an element of the array is no map")
    return found


def id_of(document):
    found = document.get(_ID, document.get(_OTHER_ID))
    require(isinstance(found, str) and found, "a document has no ueConfigDocId")
    return found


def uris_of(document):
    """The UEs that a document names by URI."""
    ids = document.get("valUeIds")
    found = ids.get("uris", []) if isinstance(ids, dict) else []
    return found if isinstance(found, list) else []


def require_shape(document):
    """Failure unless this is a UeConfigDoc."""
    require(all(isinstance(key, str) for key in document), "a key is no text")
    id_of(document)
    domain = document.get("valServiceDomain")
    require(isinstance(domain, str) and domain, "valServiceDomain is missing, or no text")
    for name in ("configName", "valServiceId"):
        require(isinstance(document.get(name, ""), str), f"{name} is no text")
    ids = document.get("valUeIds", {})
    require(isinstance(ids, dict), "valUeIds is no map")
    require(all(isinstance(uri, str) for uri in uris_of(document)), "valUeIds.uris has no texts")
    configs = document.get("ueConfigs", [{"configType": "", "configData": ""}])
    require(isinstance(configs, list) and configs, "ueConfigs is no array with elements")
    types = []
    for config in configs:
        require(isinstance(config, dict), "an element of ueConfigs is no map")
        for name in ("configType", "configData"):
            require(isinstance(config.get(name), str), f"{name} is missing, or no text")
        types.append(config["configType"])
    require(len(types) == len(set(types)), "ueConfigs has one configType twice")


def require_configuration(document):
    """Failure unless the on-network part holds what TS 24.538 7.2.3 demands."""
    texts = [
        config["configData"]
        for config in document.get("ueConfigs", [])
        if config.get("configType") == "ON_NETWORK"
    ]
    if not texts:
        raise NotApplicable("the document has no part ON_NETWORK")
    if texts[0].lstrip().startswith("<"):
        for name in (SERVER_ADDRESS, SERVICE_ID):
            require(name in texts[0], f"the XML of configData has no {name}")
        return
    try:
        data = json.loads(texts[0])
    except ValueError as error:
        raise Failure(f"configData is neither JSON nor XML: {error}") from None
    require(isinstance(data, dict), "configData is no JSON object")
    for name in (SERVER_ADDRESS, SERVICE_ID):
        require(isinstance(data.get(name), str) and data[name], f"configData has no {name}")


def require_problem(message):
    """Failure unless an error carries concise problem details (C.1.3 note 2, RFC 9290)."""
    found = message.uint(CONTENT_FORMAT)
    require(message.payload, f"{code_text(message.code)} has no payload")
    require(found == PROBLEM_DETAILS, f"Content-Format {found} in place of {PROBLEM_DETAILS}")
    details = load(message.payload)
    require(isinstance(details, dict) and details, "problem details are a map with entries")
    code = details.get(-4, message.code)
    require(code == message.code, f"response-code {code} in a {code_text(message.code)}")
