"""UeConfigDoc (TS 24.546 C.3.1.3.2): the configuration of one UE found in a body, in place.

A body is an array of UeConfigDoc (collection) or one UeConfigDoc (individual document). Only
what this UE needs is copied out of it: its configData and the ID of the document.
"""

from micropython import const

from msgin5g.cbor.decoder import ARRAY, MAP, TEXT, CborError, Reader
from msgin5g.scm.errors import DocumentError
from msgin5g.scm.request import same_uri

_OTHERS = const(0)  # the document is for somebody else
_EVERYBODY = const(1)  # it names nobody
_NAMED = const(2)  # it names this UE


def find_configuration(body, ue_id):
    """(configData as bytes, ueConfigDocId as bytes or None) for the UE `ue_id` (bytes).

    A document that names the UE goes before one that names nobody. DocumentError says why
    there is none.
    """
    try:
        return _find(Reader(body), ue_id)
    except CborError as error:
        raise DocumentError("body is not CBOR: " + str(error))


def _find(reader, ue_id):
    best = _OTHERS
    found = None
    if reader.peek() == ARRAY:
        n = reader.begin(ARRAY)
        count = 0
        while reader.more(n):
            rank, data, document_id = _document(reader, ue_id)
            if rank > best:
                best = rank
                found = (data, document_id)
            count += 1
            n -= n > 0
        if count == 0:
            raise DocumentError("the array of documents is empty")
    else:
        best, data, document_id = _document(reader, ue_id)
        found = (data, document_id)
    if reader.i != reader.end:
        raise DocumentError("bytes after the documents")
    if best == _OTHERS:
        raise DocumentError("no document is for this UE")
    if found[0] is None:
        raise DocumentError("the document has no configData")
    return found


def _document(reader, ue_id):
    """(rank, configData or None, document ID or None) of the UeConfigDoc that comes."""
    rank = _EVERYBODY
    data = document_id = None
    n = reader.begin(MAP)
    while reader.more(n):
        key = reader.string(TEXT)
        # The CDDL of TS 24.546 C.3.1.5.2 writes the first letter large, the table small.
        if key == b"ueConfigDocId" or key == b"UeConfigDocId":
            document_id = reader.string(TEXT)
        elif key == b"valUeIds":
            rank = _rank(reader, ue_id)
        elif key == b"ueConfigs":
            data = _config_data(reader)
        else:
            reader.skip()
        n -= n > 0
    return rank, data, document_id


def _rank(reader, ue_id):
    """How ValUeIds speak of the UE; IMEI ranges alone name no URI, so they name others."""
    rank = _OTHERS
    n = reader.begin(MAP)
    while reader.more(n):
        if reader.string(TEXT) == b"uris":
            uris = reader.begin(ARRAY)
            while reader.more(uris):
                if same_uri(reader.string(TEXT), ue_id):
                    rank = _NAMED
                uris -= uris > 0
        else:
            reader.skip()
        n -= n > 0
    return rank


def _config_data(reader):
    """configData of the ON_NETWORK part (TS 24.538 7.2.3), else of the COMMON one, else None."""
    best = None
    n = reader.begin(ARRAY)
    while reader.more(n):
        kind = data = None
        pairs = reader.begin(MAP)
        while reader.more(pairs):
            key = reader.string(TEXT)
            if key == b"configType":
                kind = reader.string(TEXT)
            elif key == b"configData":
                data = reader.string(TEXT)
            else:
                reader.skip()
            pairs -= pairs > 0
        if kind == b"ON_NETWORK" or (kind == b"COMMON" and best is None):
            best = data
        n -= n > 0
    return best
