"""The query of a request: TS 24.546 table C.3.1.2.2.3.1-1 and the change request's bulk form.

ue-vendor=TEXT  ue-type=8 digits  ue-snr=1 to 6 digits  ue-uri=URI  bulkConfFlag=ID
refused=ETAG:REASON

The last one is ours, not 3GPP's: what a UE refuses (ETAG, in hex, may be empty), and why. Without
REASON it refuses nothing.
"""

import re
from collections import namedtuple

from aiocoap.numbers.codes import BAD_REQUEST

from msgin5g_tools.scm_server import identity
from msgin5g_tools.scm_server.problem import Problem
from msgin5g_tools.text import printable

_RECIPIENT_SIZES = range(1, 256)

REFUSED = "refused"
_MAX_REASON = 128  # characters
_REFUSED = re.compile(r"((?:[0-9a-f]{2}){0,8}):(.*)", re.DOTALL)

# `uris`: as in the request, each once. `bulk`: whether the request has bulkConfFlag.
Selector = namedtuple("Selector", "vendor type snr uris bulk")


def parse(uri_query, bulk_id):
    """The Selector of a tuple of Uri-Query values, or Problem 4.00 that names the parameter."""
    values = dict.fromkeys(("ue-vendor", "ue-type", "ue-snr", "bulkConfFlag", REFUSED))
    uris = []
    n_uri_options = 0
    for item in uri_query:
        name, equals, value = item.partition("=")
        if not equals:
            raise Problem(BAD_REQUEST, f"query parameter '{item}' has no '='")
        if name == "ue-uri":
            n_uri_options += 1
            uris.extend(identity.split_uris(value))
        elif name not in values:
            raise Problem(BAD_REQUEST, f"query parameter '{name}' is unknown")
        elif values[name] is not None:
            raise Problem(BAD_REQUEST, f"query parameter {name} is given twice")
        else:
            _check(name, value, _RULES.get(name, _empty_fault)(value))
            values[name] = value
    for uri in uris:
        _check("ue-uri", uri, identity.uri_fault(uri))
    bulk = values["bulkConfFlag"] is not None
    _check_bulk(values["bulkConfFlag"], bulk_id, n_uri_options, uris)
    return Selector(
        values["ue-vendor"], values["ue-type"], values["ue-snr"], tuple(dict.fromkeys(uris)), bulk
    )


def ue_uris(uri_query):
    """Every ue-uri of a request, valid or not, each once: for the Recipient and for the log."""
    found = []
    for item in uri_query:
        if item.startswith("ue-uri="):
            found.extend(identity.split_uris(item[len("ue-uri=") :]))
    return list(dict.fromkeys(found))


def recipient(uri_query):
    """The Recipient of the response: the one ue-uri, or None (none, several, wrong size)."""
    uris = ue_uris(uri_query)
    if len(uris) != 1 or len(uris[0].encode()) not in _RECIPIENT_SIZES:
        return None
    return uris[0]


def refused(uri_query):
    """(ETag, reason) of what a UE reports, reason None: nothing is refused; None: no report."""
    for item in uri_query:
        name, _, value = item.partition("=")
        found = _REFUSED.fullmatch(value) if name == REFUSED else None
        if found:
            return bytes.fromhex(found[1]), printable(found[2][:_MAX_REASON]) or None
    return None


def _empty_fault(value):
    return None if value else "is empty"


def _refused_fault(value):
    return None if _REFUSED.fullmatch(value) else "is not an ETag in hex, a colon and a reason"


_RULES = {
    "ue-type": identity.tac_fault,
    "ue-snr": identity.snr_fault,
    REFUSED: _refused_fault,
}


def _check(name, value, fault):
    if fault:
        raise Problem(BAD_REQUEST, f"query parameter {name}: '{value}' {fault}")


def _check_bulk(flag, bulk_id, n_uri_options, uris):
    if flag is None:
        if len(uris) > 1:
            raise Problem(
                BAD_REQUEST,
                f"query parameter ue-uri names {len(uris)} UEs"
                + (" in one comma list (a comma inside a URI is %2C)" * (n_uri_options == 1))
                + ": that needs bulkConfFlag",
            )
    elif flag != bulk_id:
        raise Problem(BAD_REQUEST, f"query parameter bulkConfFlag: '{flag}' is not known here")
    elif not uris:
        raise Problem(BAD_REQUEST, "query parameter bulkConfFlag needs ue-uri")
