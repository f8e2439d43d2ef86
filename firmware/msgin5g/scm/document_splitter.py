"""An array of UeConfigDoc taken apart while its blocks arrive, in place.

TS 24.538 6.2.2.x: the gateway splits the configuration data of several UEs. Of the whole array
there is never more in memory than the document under work and the block it ends in.
"""

from micropython import const

from msgin5g.cbor.encoder import write_head
from msgin5g.cbor.decoder import ARRAY, MAP, TEXT, CborError, Reader

_NOBODY = const(-1)


class Splitter:
    """Finds the documents in a body that comes in pieces.

    After `next` gave true the document is view[start:end], until the next `feed`. A body that is
    one document and not an array of them has that one. max_size: bytes of a document.
    """

    def __init__(self, max_size):
        self.view = bytearray()
        self.start = 0
        self.end = 0
        self.done = False  # the array is over, and nothing came after it
        self._max_size = max_size
        self._left = None  # documents to come; None before the head, -1 for an indefinite array

    def feed(self, piece):
        """Take the next bytes of the body."""
        if self.end or not self.view:
            self.view = bytearray(memoryview(self.view)[self.end :])
            self.start = self.end = 0
        self.view.extend(piece)  # in place: a large document must not be there three times

    def next(self):
        """Go to the next document; false when it has not come whole. CborError: none ever will."""
        view = self.view
        reader = Reader(view, self.end)
        try:
            if self._left is None:
                self._left = reader.begin(ARRAY) if reader.peek() == ARRAY else 1
                self.end = reader.i
            if not reader.more(self._left):
                if reader.i != len(view):
                    raise CborError("more bytes")
                self.done = True
                return False
            start = reader.i
            reader.skip()
            if reader.i - start > self._max_size:
                raise CborError("too large")
        except CborError as error:
            # What is cut off here goes on in the next block.
            if error.args[0] != "cut off":
                raise
            if len(view) - self.end <= self._max_size:
                return False
            raise CborError("too large")
        self._left -= self._left > 0
        self.start = start
        self.end = reader.i
        return True


class Document:
    """Where the UeConfigDoc view[start:end] says whom it is for; CborError when it is none.

    everybody: it names nobody, so it is for every UE of the domain (TS 24.546 7.2.5).
    """

    def __init__(self, view, start, end):
        self._view = view
        self._start = start
        self._end = end
        self._ids_start = _NOBODY
        self._ids_end = 0
        self.document_id = None
        reader = Reader(view, start, end)
        n = reader.begin(MAP)
        while reader.more(n):
            key = reader.string(TEXT)
            begin = reader.i
            if key == b"ueConfigDocId" or key == b"UeConfigDocId":
                self.document_id = reader.string(TEXT)
            else:
                reader.skip()
            if key == b"valUeIds":
                if self._ids_start != _NOBODY:
                    raise CborError("key twice")
                self._ids_start = begin
                self._ids_end = reader.i
            n -= n > 0
        self.everybody = self._ids_start == _NOBODY

    def uris(self):
        """The URIs that the document names, one after the other."""
        if self.everybody:
            return
        reader = Reader(self._view, self._ids_start, self._ids_end)
        n = reader.begin(MAP)
        while reader.more(n):
            if reader.string(TEXT) == b"uris":
                left = reader.begin(ARRAY)
                while reader.more(left):
                    yield reader.string(TEXT)
                    left -= left > 0
            else:
                reader.skip()
            n -= n > 0

    def copy(self, ue_id=None):
        """The document as bytes, for `ue_id`: of all whom it names only this one is left."""
        if self.everybody or ue_id is None:
            return bytes(self._view[self._start : self._end])
        out = bytearray(self._view[self._start : self._ids_start])
        out.extend(b"\xa1\x64uris\x81")
        write_head(out, TEXT, len(ue_id))
        out.extend(ue_id)
        out.extend(self._view[self._ids_end : self._end])
        return out


def array_of(documents):
    """The body that has these documents, each of them CBOR already."""
    out = bytearray()
    write_head(out, ARRAY, len(documents))
    for document in documents:
        out.extend(document)
    return out
