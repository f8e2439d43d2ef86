"""What an answer to the configuration management client says (TS 24.546 6.2): an Outcome.

In between lie, unseen by the caller, the blocks of a large document (RFC 7959), an Echo that the
server asked for (RFC 9175) and, when observing, the notifications (RFC 7641), each of which gives
an Outcome of its own. All that lasts is in the ScmClient, so that this can be unloaded.
"""

from micropython import const

from msgin5g.coap.block2 import CHANGED, MORE, Block2Body
from msgin5g.coap.errors import BlockError
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    BLOCK2,
    CBOR,
    CONTENT,
    CONTENT_FORMAT,
    ECHO,
    ETAG,
    GATEWAY_TIMEOUT,
    MAX_AGE,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    VALID,
)
from msgin5g.scm.ue_config_doc import DocumentError, find_configuration
from msgin5g.scm.request import uri_equal

# Kinds of Outcome.
CONFIGURATION = const(0)  # data, etag: a configuration for this UE
UNCHANGED = const(1)  # 2.03: what is held is still true
REJECTED = const(2)  # code, title, detail: the server, or a hop, said no
REFUSED = const(3)  # detail: an answer that holds no configuration for this UE
TIMEOUT = const(4)  # no answer within MAX_TRANSMIT_WAIT
PAUSED = const(5)  # busy, in the midst of a transfer: the next fetch goes on with it

_MAX_RESTARTS = const(3)  # of a transfer whose document changed under it
_MAX_RESUMES = const(4)  # of one block that nobody had, before the transfer is given up
_DEFAULT_MAX_AGE_S = const(60)  # RFC 7252 section 5.10.5


class Outcome:
    """How a fetch ended. max_age_s: how long a configuration is fresh, or, for a rejection, when
    the server wants to be asked again; None where a rejection did not say."""

    def __init__(self, kind, code=0, detail=None, title=None, max_age_s=None):
        self.kind = kind
        self.code = code
        self.title = title
        self.detail = detail
        self.data = None
        self.etag = None
        self.max_age_s = max_age_s


def no_response(client, exchange, reset):
    """The Outcome when an exchange has timed out, or the peer has sent a Reset for it; None while
    the fetch goes on."""
    if exchange is not client.exchange:
        return None
    client.exchange = None
    if not reset:
        client.unanswered_size = client.request_size * exchange.n_sent
        if client.assembly is not None and client.n_resumes < _MAX_RESUMES:
            client.n_resumes += 1
            if client.ask():
                return None
    if exchange is client.observation:
        client.observation = None
    client.assembly = None
    return Outcome(REJECTED, 0, None, "Reset by the peer") if reset else Outcome(TIMEOUT)


def forget(client):
    """Forget what is held: the next fetch begins as the first one did."""
    client.drop_exchange()
    if client.observation is not None:
        client.endpoint.cancel(client.observation)
        client.observation = None
    client.observing = False
    client.document_id = client.etag = client.etag_of = None


def response(client, now):
    """The Outcome of the endpoint's message, which answers an exchange of the client's."""
    endpoint = client.endpoint
    message = endpoint.message
    exchange = endpoint.exchange
    i = message.find(client.recipient_option)
    if i < 0:
        if client.require_recipient:
            endpoint.count("missing_recipient")
            return None
    elif not uri_equal(message.value(i), client.ue_id):
        endpoint.count("foreign_recipient")
        return None
    for i in range(message.n_options):
        number = message.numbers[i]
        if number & 1 and number != BLOCK2 and number != client.recipient_option:
            endpoint.count("critical_option")  # RFC 7252 section 5.4.1: rejected
            return None
    sequence = message.uint(OBSERVE)
    mine = exchange is client.observation
    watching = mine and sequence is not None and message.code >> 5 == 2
    if watching:
        if not client.observing:
            client.order.reset()
        if not client.order.newer(sequence, now):
            endpoint.accept(now, True)
            endpoint.count("old_notification")
            return None
    endpoint.accept(now, watching)
    client.unanswered_size = 0
    if mine:
        if exchange is not client.exchange:
            client.drop_exchange()  # blocks of the former state are worth nothing now
            client.observe_asked = True
            client.n_restarts = client.n_resumes = 0
        client.assembly = None
        client.observing = watching
        if not watching:
            client.observation = None
    client.exchange = None
    return _evaluate(client, message)


def _evaluate(client, message):
    code = message.code
    if code == VALID:
        etag = message.option(ETAG)
        if client.etag is None or (etag is not None and etag != client.etag):
            return _restart(client)  # true is a state that is not held any more
        outcome = Outcome(UNCHANGED, code, None, None, message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S))
        outcome.etag = client.etag
        return outcome
    if code == CONTENT:
        return _content(client, message)
    max_age_s = message.uint(MAX_AGE)
    if client.assembly is not None:
        if code == BAD_REQUEST:
            return _restart(client)  # a block past the end: the document has become shorter
        if (
            code in (TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE, GATEWAY_TIMEOUT)
            and client.n_resumes < _MAX_RESUMES
        ):
            client.n_resumes += 1
            return Outcome(PAUSED, code, None, None, max_age_s)
    echo = message.option(ECHO)
    if code == UNAUTHORIZED and echo and len(echo) <= 40 and client.n_restarts < _MAX_RESTARTS:
        # RFC 9175 section 2.3: show that we are reachable at our address.
        client.n_restarts += 1
        if client.ask(client.conditional, client.asked_observe, echo):
            return None
    client.assembly = None
    # Imported here and below: a large document is read when there is nothing else to read.
    from msgin5g.scm.problem_details import parse

    title, detail = parse(message.payload())
    return Outcome(REJECTED, code, detail, title, max_age_s)


def _content(client, message):
    content_format = message.uint(CONTENT_FORMAT, CBOR)
    if content_format not in (CBOR, client.content_format):
        return Outcome(REFUSED, CONTENT, "Content-Format " + str(content_format))
    assembly = client.assembly
    if assembly is None:
        client.assembly = assembly = Block2Body(client.szx, client.max_size)
    try:
        progress = assembly.take(message)
        if progress == CHANGED:
            return _restart(client)
        if progress == MORE:
            client.n_resumes = 0
            if client.ask():
                return None
            raise BlockError("no room for the next request")
        client.assembly = None
        data, document_id = find_configuration(assembly.body, client.ue_id)
    except (BlockError, DocumentError) as error:
        client.assembly = None
        return Outcome(REFUSED, CONTENT, str(error))
    except MemoryError:
        client.assembly = None
        return Outcome(REFUSED, CONTENT, "too large for the memory that is free")
    client.etag = assembly.etag
    client.etag_of = client.document_id if client.observe_asked else None
    if not client.observe_asked and document_id and len(document_id) <= 255:
        client.document_id = document_id
    outcome = Outcome(
        CONFIGURATION, CONTENT, None, None, message.uint(MAX_AGE, _DEFAULT_MAX_AGE_S)
    )
    outcome.data = data
    outcome.etag = assembly.etag
    return outcome


def _restart(client):
    client.assembly = None
    client.n_restarts += 1
    if client.n_restarts <= _MAX_RESTARTS and client.ask():
        return None
    return Outcome(REFUSED, CONTENT, "the document kept changing during its transfer")
