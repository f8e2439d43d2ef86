"""The gateway's side towards the UEs: who waits, and the answer that each of them gets.

An answer is a message of its own, confirmable and repeated until the UE has acknowledged it
(RFC 7252 section 5.2.2), in the shape that the server would have given it. What is too large for
one message goes block by block: the later blocks are cut from the body that the cache keeps.
"""

from hashlib import sha256

from micropython import const

from msgin5g.coap.block2 import cut, szx_of
from msgin5g.coap.message import insert, uint_bytes
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CONCISE_PROBLEM_DETAILS,
    CONTENT,
    CONTENT_FORMAT,
    ETAG,
    MAX_AGE,
    MAX_MESSAGE_SIZE,
    OBSERVE,
    SIZE2,
    VALID,
)
from msgin5g.coap.ticks import diff
from msgin5g.coap.exchange import QUEUED, SENT, Incoming
from msgin5g.gateway.cache import Cache, Entry
from msgin5g.intermediary.admission import Hop
from msgin5g.intermediary.link_table import LinkedUe, LinkTable
from msgin5g.scm.problem_details import compose
from msgin5g.scm.document_splitter import array_of

# Header, ETag, Observe, Content-Format, Max-Age, Block2, Size2, head of Recipient, marker.
_OVERHEAD = const(4 + 9 + 4 + 4 + 6 + 5 + 5 + 5 + 1)
_KEY_HEAD = const(3)  # bytes before the token
_HOPELESS = const(3)  # transmissions after which an answer makes room for others

# What a request asks for, as a tuple; equal requests of several UEs share one.
DOCUMENT_ID = const(0)  # of the individual document, None for the collection
ACCEPT = const(1)  # the Content-Format of the answer
BLOCK = const(2)  # Block2, None when the UE leaves the size to us
KNOWN_ETAG = const(3)
QUERIES = const(4)  # all but ue-uri
CONFIRMABLE = const(5)
OBSERVING = const(6)  # Observe of the request, None without
SPECIAL = const(7)  # whether it has a query that is not for several UEs


class Place(LinkedUe):
    """A Link with the one request that its UE has under way.

    asked: message ID and token as one number, after a 1 that keeps their leading zeros: with
    tokens of four bytes it is no object on a 64-bit port. form: what it asks for, None when it
    does not wait any more. found: its documents so far. verdict: how it ended, while it is ready.
    """

    def __init__(self, ue_id, transport, remote):
        super().__init__(ue_id, transport, remote)
        self.asked = None
        self.form = None
        self.asked_at = 0
        self.found = None
        self.verdict = None


class Verdict:
    """What an answer is made of, the same for all who asked together.

    payload: of an error. documents: those that are for everybody; or an Entry of the cache.
    upstream: the server's ETag of all that it is made of, None when there is none.
    """

    upstream = None

    def __init__(self, code, payload=b"", max_age_s=None, fresh_until=0, documents=()):
        self.code = code
        self.payload = payload
        self.max_age_s = max_age_s
        self.fresh_until = fresh_until
        self.documents = documents


def tag_of(body):
    """The ETag of a body: the same for the same content, whoever made it, and when."""
    return sha256(body).digest()[:8]


class Answers(Hop):
    """The half of a gateway that answers."""

    def __init__(self, settings, random):
        self._max_answers = settings.max_answers
        n = 4 * settings.max_answers + 2 * settings.max_transfers + 2 * settings.max_observations
        super().__init__(settings, random, n + 4, 4)
        self.links = LinkTable(settings.max_links, settings.peer_key, Place)
        self.cache = Cache(settings.cache_size)
        self._szx = szx_of(settings.block_size)
        self.n_waiting = 0
        self._held_size = 0  # bytes of documents that wait to be sent
        self._ready = []  # Places with a verdict, in the order of their verdicts
        self._answers = []  # exchanges of answers that are not acknowledged yet

    def _conclude(self, one, verdict):
        """Answer a request as soon as there is room for one more answer on its way."""
        if one.verdict is None:
            self._ready.append(one)
        one.verdict = verdict
        if verdict.code != CONTENT:
            self._empty(one)

    def _fail(self, members, code, title, max_age_s=None):
        """Answer requests with an error of our own."""
        if members:
            verdict = Verdict(code, compose(code, title), max_age_s)
            for one in members:
                self._conclude(one, verdict)

    def _empty(self, one):
        """Let go of the documents of a request."""
        if one.found:
            for document in one.found:
                self._held_size -= len(document)
        one.found = None

    def _flush(self, now):
        """Send what is ready while there is room for answers on their way."""
        answers = self._answers
        n_hopeful = 0
        for i in range(len(answers) - 1, -1, -1):
            exchange = answers[i]
            if exchange.state != QUEUED and exchange.state != SENT:
                answers.pop(i)
            elif exchange.n_sent < _HOPELESS:
                n_hopeful += 1
        while self._ready and n_hopeful < self._max_answers:
            if len(answers) >= 4 * self._max_answers:
                return
            self._answer(self._ready[0], now)
            self._ready.pop(0)
            n_hopeful += 1

    def _answer(self, one, now):
        form = one.form
        verdict = one.verdict
        code = verdict.code
        if code == CONTENT:
            entry = verdict.documents
            if not isinstance(entry, Entry):
                documents = (one.found or []) + entry
                if form[DOCUMENT_ID] is None:
                    body = array_of(documents)
                    key = (one.ue_id, form[QUERIES])
                    entry = self.cache.put(key, body, tag_of(body), verdict.fresh_until)
                    entry.upstream = verdict.upstream
                else:
                    body = documents[0]
                    entry = Entry(None, body, tag_of(body), verdict.fresh_until)
            code, options, payload = self._cut(entry, form, one, one.asked, now)
        else:
            payload = verdict.payload
            options = [(CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
            if verdict.max_age_s is not None:
                options.append((MAX_AGE, uint_bytes(verdict.max_age_s)))
            insert(options, self._recipient_option, one.ue_id)
        self._send_answer(one, code, options, payload)
        self._empty(one)
        one.form = None

    def _send_answer(self, one, code, options, payload, former=None):
        """Send an answer of its own; gives the exchange, None for a non-confirmable one."""
        confirmable = one.form[CONFIRMABLE]
        token = uint_bytes(one.asked)[_KEY_HEAD:]
        to = Incoming(one.transport, one.remote, 0, token, confirmable, 0)
        exchange = self.endpoint.notify(to, code, options, payload, one, None, confirmable, former)
        if exchange is not None:
            self._answers.append(exchange)
        self.n_waiting -= 1
        one.verdict = None
        return exchange

    def _cut(self, entry, form, peer, key, now, sequence=None):
        """(code, options, payload) of the block of a body that a request asks for.

        sequence: the number of a notification (RFC 7641), None when it is not one.
        """
        left_s = max(diff(entry.fresh_until, now), 0) // 1000
        options = [(ETAG, entry.etag)]
        if sequence is not None:
            options.append((OBSERVE, uint_bytes(sequence)))
        block = form[BLOCK]
        number = 0 if block is None else block >> 4
        if form[KNOWN_ETAG] == entry.etag and not number:
            options.append((MAX_AGE, uint_bytes(left_s)))
            insert(options, self._recipient_option, peer.ue_id)
            return VALID, options, b""
        options.append((CONTENT_FORMAT, uint_bytes(form[ACCEPT])))
        options.append((MAX_AGE, uint_bytes(left_s)))
        body = entry.body
        room = MAX_MESSAGE_SIZE - _OVERHEAD - len(uint_bytes(key)) - len(peer.ue_id)
        part = cut(block, len(body), min(self._szx, szx_of(room)))
        if part is None:
            options = [(CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
            insert(options, self._recipient_option, peer.ue_id)
            return BAD_REQUEST, options, compose(BAD_REQUEST, "Block2")
        start, end, block2 = part
        if block2 is not None:
            options.append((BLOCK2, uint_bytes(block2)))
            if not start:
                options.append((SIZE2, uint_bytes(len(body))))
        insert(options, self._recipient_option, peer.ue_id)
        return CONTENT, options, bytes(memoryview(body)[start:end])
