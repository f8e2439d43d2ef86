"""The rules of a UeConfigDoc (TS 24.546 C.3.1.3.2, C.3.1.5.2), and what is wrong with one.

A module apart from ue_config, because pydantic takes 16 MB: it is loaded where documents come in.
"""

from typing import Annotated

import cbor2
from aiocoap.numbers.codes import UNPROCESSABLE_ENTITY
from pydantic import AfterValidator, Field
from typing_extensions import NotRequired, TypedDict

from msgin5g_tools.scm_server import identity, options
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.scm_server.shape import OPEN, Shape, fault, rule
from msgin5g_tools.scm_server.ue_config import MAX_DEPTH, OTHER_SPELLING

_MAX_ID_SIZE = 255  # bytes: the identifier is a Uri-Path segment
_KEPT = (bytes, int, float, type(None), type(cbor2.undefined), cbor2.CBORSimpleValue)


def _id_fault(text):
    if not text:
        return "is empty"
    if text in options.DOTS:
        return f"is '{text}', which no Uri-Path can be"
    return f"is longer than {_MAX_ID_SIZE} bytes" if len(text.encode()) > _MAX_ID_SIZE else None


def _low_to_high(span):
    if int(span["low"]) > int(span["high"]):
        raise fault("has a low that is above its high")
    return span


_Text = Annotated[str, Field(min_length=1)]
_Id = Annotated[str, rule(_id_fault)]
_Uri = Annotated[str, rule(identity.uri_fault)]
_Tac = Annotated[str, rule(identity.tac_fault)]
_Snr = Annotated[str, rule(identity.snr_fault)]
_SOME = Field(min_length=1)


class _SnrRange(TypedDict):
    __pydantic_config__ = OPEN
    low: _Snr
    high: _Snr


class _ImeiRange(TypedDict):
    __pydantic_config__ = OPEN
    tac: _Tac
    snrs: NotRequired[Annotated[list[_Snr], _SOME]]
    snrRange: NotRequired[Annotated[_SnrRange, AfterValidator(_low_to_high)]]


class _UeIds(TypedDict):
    __pydantic_config__ = OPEN
    uris: NotRequired[Annotated[list[_Uri], _SOME]]
    imeiRanges: NotRequired[Annotated[list[_ImeiRange], _SOME]]


class _UeConfig(TypedDict):
    __pydantic_config__ = OPEN
    configType: _Text
    configData: str


class _UeConfigDoc(TypedDict):
    __pydantic_config__ = OPEN
    configName: NotRequired[str]
    valServiceDomain: _Text
    valServiceId: NotRequired[_Text]
    ueConfigDocId: NotRequired[_Id]
    UeConfigDocId: NotRequired[_Id]  # OTHER_SPELLING
    valUeIds: NotRequired[_UeIds]
    ueVendors: NotRequired[Annotated[list[_Text], _SOME]]
    ueConfigs: NotRequired[Annotated[list[_UeConfig], _SOME]]


_SHAPE = Shape(_UeConfigDoc, "a map")


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
    faults = _SHAPE.faults(document)
    if faults:
        return faults
    types = [config["configType"] for config in document.get("ueConfigs", ())]
    for i, kind in enumerate(types):
        if kind in types[:i]:
            faults.append((f"ueConfigs[{i}].configType", f"'{kind}' is there twice"))
    spellings = [document[key] for key in ("ueConfigDocId", OTHER_SPELLING) if key in document]
    if len(spellings) == 2 and spellings[0] != spellings[1]:
        faults.append(("ueConfigDocId", f"has another value than {OTHER_SPELLING}"))
    return faults


def _check_values(value, where, depth, faults):
    """Faults of values that could not be sent again unchanged: depth, keys, Unicode, kinds."""
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
    elif not isinstance(value, _KEPT):
        faults.append((where, f"is of a kind that is not supported ({type(value).__name__})"))
    elif isinstance(value, int) and not -(2**64) <= value < 2**64:
        faults.append((where, "is an integer of more than 64 bits"))
