"""UeConfigDoc (TS 24.546 C.3.1.3.2): the configuration of one UE or several, read in place.

    UeConfigDoc = {ueConfigDocId, valUeIds: {uris: [...]}, ueConfigs: [{configType, configData}]}

A body is an array of UeConfigDoc (collection) or one UeConfigDoc (individual document).
"""

from micropython import const

from msgin5g.cbor.reader import ARRAY, TEXT, CborError, Reader
from msgin5g.scm.request import uri_equal

# The CDDL of TS 24.546 C.3.1.5.2 writes the first letter of the ID large, the table small.
_KEYS = const((b"ueConfigDocId", b"UeConfigDocId", b"valUeIds", b"ueConfigs"))


class DocumentError(Exception):
    """A body that holds no configuration for this UE; the text says why."""


class UeConfigDoc:
    """The UeConfigDoc that begins at view[start]; CborError when there is none.

    end: where it ends. ids: where its valUeIds begin, or None. names_everybody: it has none, so it
    is for every UE of the domain (TS 24.546 7.2.5). reader: the Reader that moves over it.
    """

    def __init__(self, view, start, end):
        self.reader = reader = Reader(view, start, end)
        name, other_name, self.ids, self._configs = reader.find(_KEYS)
        self.end = reader.i
        if name is None:
            name = other_name
        self._name = name
        if name is not None and view[name] >> 5 != TEXT:
            reader.text(name)  # a text with a tag, or CborError
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
        """Whether it names the UE `ue_id` (bytes)."""
        for uri in self.uris():
            if uri == ue_id or uri_equal(uri, ue_id):
                return True
        return False

    def config_data(self):
        """The configData of its ON_NETWORK part (TS 24.538 7.2.3), else of the COMMON one.

        None when there is neither.
        """
        if self._configs is None:
            return None
        reader = self.reader
        reader.i = self._configs
        best = None
        n = reader.begin(ARRAY)
        while reader.more(n):
            kind, data = reader.find((b"configType", b"configData"))
            end = reader.i
            kind = None if kind is None else reader.text(kind)
            if kind == b"ON_NETWORK" or (kind == b"COMMON" and best is None):
                best = data
            reader.i = end
            n -= n > 0
        return None if best is None else reader.text(best)


def find_configuration(body, ue_id):
    """(configData as bytes, ueConfigDocId as bytes or None) for the UE `ue_id` (bytes).

    A document that names the UE goes before one that names nobody. DocumentError says why
    there is none.
    """
    best = None
    reader = Reader(body)
    try:
        # Anything but an array counts as the one document.
        n = reader.begin(ARRAY) if reader.peek() == ARRAY else 1
        empty = True
        named = False
        while reader.more(n):
            document = UeConfigDoc(body, reader.i, reader.end)
            reader.i = document.end
            empty = False
            if document.names_everybody:
                best = best or document
            elif not named and document.names(ue_id):
                best = document
                named = True
            n -= n > 0
        if empty:
            raise DocumentError("the array of documents is empty")
        if reader.i != reader.end:
            raise DocumentError("bytes after the documents")
        if best is None:
            raise DocumentError("no document is for this UE")
        data = best.config_data()
    except CborError as error:
        raise DocumentError("body is not CBOR: " + str(error))
    if data is None:
        raise DocumentError("the document has no configData")
    return data, best.document_id
