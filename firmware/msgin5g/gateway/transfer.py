"""One GET to the server for one UE or several, with its blocks (RFC 7959 section 2.4)."""

from micropython import const

from msgin5g.coap.block2 import CHANGED, Block2Receiver
from msgin5g.coap.ticks import add, diff
from msgin5g.coap.exchange import SENT
from msgin5g.scm.document_splitter import DocumentSplitter

_MAX_RESTARTS = const(3)


class Transfer:
    """What is asked of the server at once, and how far its answer has come.

    members: whoever waits for it, the owner's objects; ids: the MSGin5G UE IDs (bytes) that it
    names, and queries further ones, the same for all its blocks. document_id: of the individual
    document, None for the collection.
    """

    def __init__(self, members, ids, queries, document_id, szx, max_size):
        self.members = members
        self.observers = ()  # see roles/gateway_documents.py
        self.ids = ids
        self.queries = queries
        self.document_id = document_id
        self.exchange = None  # the request under way
        self.n_restarts = 0
        self.asked_at = 0
        self._block2 = Block2Receiver(szx)
        self._max_size = max_size
        self.begin()

    def ask(self, client, now, echo=None, etag=None, observe=None, token=None):
        """Ask for the next block, or the first one; false when there is no room for a request."""
        block2 = self._block2.next_block()
        self.exchange = client.ask(
            self, self.ids, self.queries, self.document_id, block2, etag, observe, token, echo
        )
        self.asked_at = now
        self.again = self.exchange is None
        return not self.again

    def restart(self):
        """Begin anew: the body has changed under the transfer; false when it did so too often."""
        self.n_restarts += 1
        self.begin()
        self.again = self.n_restarts <= _MAX_RESTARTS
        return self.again

    def begin(self):
        """Expect the first block."""
        self.splitter = DocumentSplitter(self._max_size)
        self._block2 = Block2Receiver(self._block2.szx)
        self.fresh_until = None  # when the answer will be too old, once it has begun
        self.common = []  # its documents that are for everybody
        self.again = False  # the next block is to be asked for

    @property
    def size(self):
        """Bytes received so far."""
        return self._block2.size

    @property
    def etag(self):
        """The ETag of the server's answer, or None."""
        return self._block2.etag

    def take(self, message):
        """Take the block in a 2.05 response; see Block2Receiver.take."""
        progress = self._block2.take(message)
        if progress != CHANGED:
            self.splitter.feed(memoryview(message.view)[message.payload_start : message.size])
        return progress

    def silent_ms(self, now, patience_ms):
        """Milliseconds until nothing was heard for `patience_ms`; None when nothing is asked.

        To ask anew is then better than to wait: four transmissions were lost, or, after an
        acknowledgement and twice the time, the other side has forgotten.
        """
        if self.exchange is None:
            return None
        if self.exchange.state != SENT:
            patience_ms *= 2
        return max(diff(add(self.asked_at, patience_ms), now), 0)
