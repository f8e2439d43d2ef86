"""What becomes of an answer of the server at the gateway: split among those who asked."""

from micropython import const

from msgin5g.cbor.decoder import CborError
from msgin5g.coap.errors import BlockError
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    GATEWAY_TIMEOUT,
    MAX_AGE,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    VALID,
)
from msgin5g.coap.ticks import add
from msgin5g.gateway.responder import Verdict
from msgin5g.gateway.scheduler import Collector
from msgin5g.scm.request import uri_equal
from msgin5g.scm.ue_config_doc import UeConfigDoc
from msgin5g.coap.block2 import CHANGED, COMPLETE

_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5
_MAX_AGE_S = const(86400)
_LARGE = const(2048)  # bytes: two blocks, more than of documents that come several in one


class Bulk(Collector):
    """The part of a gateway that takes the server's answers apart."""

    def _upstream(self, transfer, now):
        """The endpoint's message answers a transfer."""
        endpoint = self.endpoint
        message = endpoint.message
        i = message.find(self._recipient_option)
        if i >= 0:
            named = message.value(i)
            if not uri_equal(named, transfer.ids[0] if len(transfer.ids) == 1 else self._ue_id):
                endpoint.count("foreign_recipient")
                return
        for i in range(message.n_options):
            number = message.numbers[i]
            if number & 1 and number != BLOCK2 and number != self._recipient_option:
                endpoint.count("critical_option")  # RFC 7252 section 5.4.1: rejected
                return
        if not self._accept(transfer, message, now):
            return
        code = message.code
        if code == CONTENT:
            self._content(transfer, message, now)
        elif code == VALID and len(transfer.ids) == 1 and transfer.document_id is None:
            self._renewed(transfer, message, now)
        elif code == BAD_REQUEST and transfer.size:
            self._restart(transfer)  # a block past the end: the body has become shorter
        elif code == UNAUTHORIZED and message.find(ECHO) >= 0 and transfer.restart():
            # RFC 9175 section 2.3: show that we are reachable at our address.
            self._ask(transfer, now, message.option(ECHO))
        else:
            self._refused(transfer, code, message, now)

    def _accept(self, transfer, message, now):
        """Take a message for a transfer; false when there is nothing new in it."""
        self.endpoint.accept(now)
        transfer.exchange = None
        return True

    def _content(self, transfer, message, now):
        try:
            if message.uint(CONTENT_FORMAT, CBOR) not in (CBOR, self._settings.content_format):
                raise BlockError("format")
            progress = transfer.take(message)
            if progress == CHANGED:
                self._restart(transfer)
                return
            if transfer.fresh_until is None:
                transfer.fresh_until = self._fresh_until(message, now)
            splitter = transfer.splitter
            while splitter.next():
                self._found(transfer, splitter)
            if progress == COMPLETE:
                if not splitter.done:
                    raise BlockError("cut off")
                self._complete(transfer, now)
                return
        except MemoryError:
            # Once more, when it is one document that there is no memory for.
            large = transfer.n_restarts and len(transfer.splitter.view) > _LARGE
            self._restart(transfer)
            self._hurry(now)
            if large:
                self._settle(transfer, SERVICE_UNAVAILABLE, "Too large")
            return
        except (BlockError, CborError) as error:
            self.endpoint.count("bad_answer")
            title = "Too large" if error.args[0] == "too large" else "Bad answer"
            self._settle(transfer, SERVICE_UNAVAILABLE, title)
            return
        transfer.again = True
        if self._held_size > self._hold_size:
            # Those whose document has come give up its memory first.
            verdict = self._verdict(transfer)
            for one in [m for m in transfer.members if m.found]:
                transfer.members.remove(one)
                self._conclude(one, verdict)

    def _found(self, transfer, splitter):
        """Hand a document to those of the members whom it names; to nobody else."""
        try:
            document = UeConfigDoc(splitter.view, splitter.start, splitter.end)
            if document.names_everybody:
                transfer.common.append(document.copy())
                return
            wanted = False
            for uri in document.uris():
                for one in transfer.members:
                    if uri_equal(uri, one.ue_id):
                        copy = document.copy(one.ue_id)
                        self._held_size += len(copy)
                        one.found = (one.found or []) + [copy]
                        wanted = True
            if not wanted:
                self.endpoint.count("not_asked")
        except CborError:
            self.endpoint.count("bad_doc")

    def _verdict(self, transfer):
        return Verdict(CONTENT, b"", None, transfer.fresh_until, transfer.common)

    def _fresh_until(self, message, now):
        seconds = min(message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S), _MAX_AGE_S)
        return add(now, seconds * 1000)

    def _renewed(self, transfer, message, now):
        """2.03: what is kept for the one UE is still what the server has for it."""
        entry = self._kept_for(transfer)
        if entry is None:
            self._restart(transfer)  # it had to make room meanwhile
            return
        entry.fresh_until = self._fresh_until(message, now)
        verdict = Verdict(CONTENT, b"", None, entry.fresh_until, entry)
        for one in transfer.members:
            self._conclude(one, verdict)
        transfer.members = []
        self._end(transfer)

    def _complete(self, transfer, now):
        """All documents have come: who has none by now has none."""
        verdict = self._verdict(transfer)
        if len(transfer.ids) == 1:
            verdict.upstream = transfer.etag
        without = []
        for one in transfer.members:
            if one.found or transfer.common:
                self._conclude(one, verdict)
            else:
                without.append(one)
        self._fail(without, NOT_FOUND, "Not found")
        transfer.members = []
        self._end(transfer)

    def _restart(self, transfer):
        for one in transfer.members:
            self._empty(one)
        if not transfer.restart():
            self._settle(transfer, SERVICE_UNAVAILABLE, "Changing")

    def _settle(self, transfer, code, title, max_age_s=None):
        members = transfer.members
        transfer.members = []
        self._end(transfer)
        self._fail(members, code, title, max_age_s)

    def _refused(self, transfer, code, message, now):
        """An error for all who asked together."""
        max_age_s = message.uint(MAX_AGE)
        if code == GATEWAY_TIMEOUT:
            self._settle(transfer, code, "No answer")
        elif code >> 5 != 4:
            self._settle(transfer, SERVICE_UNAVAILABLE, "Error", max_age_s)
        elif len(transfer.ids) == 1:
            members = transfer.members
            transfer.members = []
            self._end(transfer)
            verdict = Verdict(code, message.payload(), max_age_s)
            for one in members:
                self._conclude(one, verdict)
        elif code == NOT_FOUND:
            # Not with the server's own text: it may name one of them to all others.
            self._settle(transfer, code, "Not found")
        elif code == TOO_MANY_REQUESTS:
            self._settle(transfer, code, "Busy", max_age_s)
        else:
            # One whom the server forbids must not starve the rest: each once for itself.
            self.endpoint.count("refused")
            for one in transfer.members:
                self._empty(one)
            self._singles.extend(transfer.members)
            transfer.members = []
            self._end(transfer)
