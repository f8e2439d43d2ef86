"""The gateway splits an array of UeConfigDoc while its blocks arrive (TS 24.538 6.2.2).

Of the whole array there is never more in memory than one document and the block that it ends in.
"""

from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import CborError, Reader
from msgin5g.scm.request import uri_equal
from msgin5g.scm.ue_config_doc import UeConfigDoc


class DocumentSplitter:
    """Finds the documents in a body that comes in pieces.

    After `next` gave true `document` is a SplitDocument, until the next `feed`; None for an item
    that is no UeConfigDoc. A body that is one document and not an array of them has that one.
    max_size: bytes of a document.
    """

    def __init__(self, max_size):
        self.view = bytearray()
        self.document = None
        self._end = 0  # of the documents that were found
        self.done = False  # the array is over, and nothing came after it
        self._max_size = max_size
        self._reader = Reader(self.view)
        self._left = None  # documents to come; None before the head, -1 for an indefinite array

    def feed(self, piece):
        """Take the next bytes of the body."""
        if self._end or not self.view:
            self.document = None
            self.view = bytearray(memoryview(self.view)[self._end :])
            self._end = 0
            self._reader.view = self.view
        self.view.extend(piece)  # in place: a large document must not be there three times
        self._reader.end = len(self.view)

    def next(self):
        """Go to the next document; false when it has not come whole. CborError: none ever will."""
        view = self.view
        reader = self._reader
        reader.i = self._end
        reader.skips_keys = False
        try:
            left = self._left
            if left is None:
                left = self._left = reader.begin_items()
                self._end = reader.i
            if left == 0 or (left < 0 and not reader.more(left)):
                if reader.i != len(view):
                    raise CborError("more bytes")
                self.done = True
                return False
            start = reader.i
            try:
                self.document = SplitDocument(reader)
            except CborError as error:
                if error.args[0] == "cut off":
                    raise
                self.document = None
                reader.i = start
                reader.skips_keys = True  # nobody reads them
                reader.skip()
            if reader.i - start > self._max_size:
                raise CborError("too large")
        except CborError as error:
            # What is cut off here goes on in the next block.
            if error.args[0] != "cut off":
                raise
            if len(view) - self._end <= self._max_size:
                return False
            raise CborError("too large")
        self._left -= self._left > 0
        self._end = reader.i
        return True


class SplitDocument(UeConfigDoc):
    """A UeConfigDoc that the gateway copies out of a body, for those that it is for.

    n_uris: how many URIs it names, once `copies` has looked for them.
    """

    n_uris = 0

    def __init__(self, reader):
        self._start = reader.i
        super().__init__(reader)
        self._ids_end = self.reader.ends[2]

    def copies(self, ue_ids, imei=None):
        """(UE ID, copy for this UE) of those of the UEs `ue_ids` (bytes) that it names.

        imei: what their requests, which are the same, tell of their IMEI, see imei_of. Not of a
        document that names everybody.
        """
        if imei is not None and self.has_imei(imei):
            return [(ue_id, self._copy_of_type(ue_id, imei)) for ue_id in ue_ids]
        found = []
        self.n_uris = 0
        for uri in self.reader.texts(self.ids, b"uris"):
            self.n_uris += 1
            lower = uri.lower()
            for ue_id in ue_ids:
                # Most of them differ in more than the case of letters: no call for those.
                if uri == ue_id or (lower == ue_id.lower() and uri_equal(uri, ue_id)):
                    found.append(ue_id)
        return [(ue_id, self.copy(ue_id)) for ue_id in found]

    def copy(self, ue_id=None):
        """It as bytes; with `ue_id`, this UE alone is left of all that it names."""
        if ue_id is None or self.ids is None:
            return bytes(self.reader.view[self._start : self.end])
        return self._with_ids({"uris": [ue_id.decode()]})

    def copy_for(self, ue_id):
        """It as bytes for a UE that the server gives it, whether or not it names this UE by URI.

        Of all that it names this UE alone is left, or else what it says about IMEIs: whether that
        is its own only the UE knows.
        """
        if self.ids is None or self.names(ue_id):
            return self.copy(ue_id)
        reader = self.reader
        reader.i = self.ids
        start = reader.find((b"imeiRanges",))[0]
        view = reader.view
        out = bytearray(view[self._start : self.ids])
        if start is None:
            out.append(0xA0)
        else:
            out.extend(b"\xa1\x6aimeiRanges")
            out.extend(view[start : reader.ends[0]])
        out.extend(view[self._ids_end : self.end])
        return out

    def _copy_of_type(self, ue_id, imei):
        """It as bytes for a UE with this IMEI. It still names the IMEI if that is all it names:
        for the UE, a document with its URI goes before it."""
        if self.names(ue_id):
            return self.copy(ue_id)
        tac, snr = imei
        imei_range = {"tac": tac.decode()}
        if snr >= 0:
            imei_range["snrs"] = [str(snr)]
        return self._with_ids({"imeiRanges": [imei_range]})

    def _with_ids(self, ids):
        """It as bytes with other valUeIds."""
        view = self.reader.view
        out = bytearray(view[self._start : self.ids])
        out.extend(dumps(ids))
        out.extend(view[self._ids_end : self.end])
        return out
