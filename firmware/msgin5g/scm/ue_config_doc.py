"""UeConfigDoc (TS 24.546 C.3.1.3.2): the configuration of one UE or several, read in place.

    UeConfigDoc = {ueConfigDocId, valUeIds: {uris: [...]}, ueConfigs: [{configType, configData}]}

A body is an array of UeConfigDoc (collection) or one UeConfigDoc (individual document).
"""

from micropython import const

from msgin5g.cbor.reader import ARRAY, TEXT, CborError, Reader
from msgin5g.scm.request import UE_SNR, UE_TYPE, uri_equal

# The CDDL of TS 24.546 C.3.1.5.2 writes the first letter of the ID large, the table small.
_KEYS = const((b"ueConfigDocId", b"UeConfigDocId", b"valUeIds", b"ueConfigs"))
_CONFIG_TYPES = const((b"ON_NETWORK", b"COMMON"))  # others are reserved
# How closely a document is for a UE: it names others, nobody, the UE's IMEI, its URI.
_NOT_NAMED = const(0)
_EVERYBODY = const(1)
_TYPE = const(2)
_NAMED = const(3)


class DocumentError(Exception):
    """A body that holds no configuration for this UE; the text says why."""


class UeConfigDoc:
    """The UeConfigDoc that comes next in a Reader, which goes on to its end; or CborError.

    end: where it ends. ids: where its valUeIds begin, or None. names_everybody: it has none, so it
    is for every UE of the domain (TS 24.546 7.2.5). reader: the Reader, which every method moves.
    """

    def __init__(self, reader):
        self.reader = reader
        name, other_name, self.ids, self._configs = reader.find(_KEYS)
        self.end = reader.i
        if name is None:
            name = other_name
        self._name = name
        if name is not None and reader.view[name] >> 5 != TEXT:
            reader.text(name)  # a text with a tag, or CborError
            reader.i = self.end
        self.names_everybody = self.ids is None

    @property
    def document_id(self):
        """Its ueConfigDocId as bytes, or None."""
        return None if self._name is None else self.reader.text(self._name)

    def uris(self):
        """The URIs of the UEs that it names; ranges of IMEI name no URI.

        Take them all before the next call of another method.
        """
        return () if self.ids is None else self.reader.texts(self.ids, b"uris")

    def names(self, ue_id):
        """Whether it names the UE `ue_id` (bytes) by its URI."""
        for uri in self.uris():
            if uri == ue_id or uri_equal(uri, ue_id):
                return True
        return False

    def rank(self, ue_id, imei):
        """How closely it is for this UE: one of the ranks above."""
        if self.names_everybody:
            return _EVERYBODY
        if self.names(ue_id):
            return _NAMED
        return _TYPE if imei is not None and self.has_imei(imei) else _NOT_NAMED

    def has_imei(self, imei):
        """Whether one of its imeiRanges has this IMEI (see imei_of).

        TS 24.546 7.2.5: a TAC without serial numbers stands for every UE of that type.
        """
        reader = self.reader
        if self.ids is None:
            return False
        reader.i = self.ids
        reader.i = reader.find((b"imeiRanges",))[0]
        if reader.i is None:
            return False
        n = reader.begin(ARRAY)
        while reader.more(n):
            tac, snrs, limits = reader.find((b"tac", b"snrs", b"snrRange"))
            end = reader.i
            if tac is not None and reader.text(tac) == imei[0]:
                if snrs is None and limits is None:
                    return True
                if imei[1] >= 0 and self._has_snr(imei[1], snrs, limits):
                    return True
            reader.i = end
            n -= n > 0
        return False

    def _has_snr(self, snr, snrs, limits):
        """Whether a serial number is in the array at `snrs` or in the snrRange at `limits`."""
        reader = self.reader
        if snrs is not None:
            reader.i = snrs
            n = reader.begin(ARRAY)
            while reader.more(n):
                if _snr(reader.string(TEXT)) == snr:
                    return True
                n -= n > 0
        if limits is None:
            return False
        reader.i = limits
        low, high = reader.find((b"low", b"high"))
        if low is None or high is None:
            return False
        return 0 <= _snr(reader.text(low)) <= snr <= _snr(reader.text(high))

    def config_data(self):
        """The configData of its ON_NETWORK part (TS 24.538 7.2.3), then of its COMMON one.

        A list of texts, mostly memoryviews of the body: a key has the value of the first one that
        has it. More parts of one type follow the first of that type.
        """
        if self._configs is None:
            return []
        reader = self.reader
        reader.i = self._configs
        found = ([], [])
        n = reader.begin(ARRAY)
        while reader.more(n):
            kind, data = reader.find((b"configType", b"configData"))
            end = reader.i
            kind = None if kind is None else reader.text(kind)
            if data is not None and kind in _CONFIG_TYPES:
                found[_CONFIG_TYPES.index(kind)].append(data)
            reader.i = end
            n -= n > 0
        return [reader.text_in_place(i) for i in found[0] + found[1]]


def imei_of(queries):
    """(TAC as bytes, serial number or -1) that the Uri-Queries `queries` tell of a UE, or None.

    The first eight digits of an IMEI are the TAC, the query ue-type. The serial number, the query
    ue-snr, makes it one UE. A serial number alone is no IMEI.
    """
    tac = None
    snr = -1
    for query in queries:
        if query.startswith(UE_TYPE):
            tac = query[len(UE_TYPE) :]
        elif query.startswith(UE_SNR):
            snr = _snr(query[len(UE_SNR) :])
    return None if tac is None else (tac, snr)


def _snr(text):
    """A serial number as a number: leading zeros may be left out. -1 when the text is none."""
    return int(text) if text.isdigit() and len(text) <= 6 else -1


def find_configuration(body, ue_id, imei=None):
    """(texts, ueConfigDocId as bytes or None, whether it names the UE by its URI).

    ue_id: bytes. imei: see imei_of. texts: see config_data. A document that names the UE by its
    URI goes before one that names it by its IMEI, and that before one that names nobody.
    DocumentError says why there is none.
    """
    best = None
    best_rank = _NOT_NAMED
    reader = Reader(body)
    try:
        n = reader.begin_items()
        empty = True
        while reader.more(n):
            document = UeConfigDoc(reader)
            empty = False
            rank = document.rank(ue_id, imei)
            reader.i = document.end
            if rank > best_rank:
                best = document
                best_rank = rank
            n -= n > 0
        if empty:
            raise DocumentError("the array of documents is empty")
        if reader.i != reader.end:
            raise DocumentError("bytes after the documents")
        if best is None:
            raise DocumentError("no document is for this UE")
        texts = best.config_data()
    except CborError as error:
        raise DocumentError("body is not CBOR: " + str(error))
    if not texts:
        raise DocumentError("the document has no configData")
    return texts, best.document_id, best_rank == _NAMED
