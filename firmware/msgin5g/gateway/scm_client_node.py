"""The configuration management client as a node of its own, on the far side of SEAL-C.

It takes what the Gateway Client asks (see seal_c_apart), makes the GET to the server (SCM-C,
TS 24.546 6.2.2.1), and hands the answer back as it came. Links: 0 to the server, 1 is SEAL-C.

    counters: those of the endpoint, and not_linked, not_fetch, malformed_body, busy,
    server_timeout, unmatched_response
"""

from micropython import const

from msgin5g.cbor.decoder import loads
from msgin5g.cbor.decoder import CborError
from msgin5g.coap.endpoint import REJECTED, REQUEST, RESPONSE, UNMATCHED
from msgin5g.coap.numbers import (
    BAD_GATEWAY,
    BAD_REQUEST,
    CON,
    CONCISE_PROBLEM_DETAILS,
    CONTENT_FORMAT,
    ECHO,
    GATEWAY_TIMEOUT,
    METHOD_NOT_ALLOWED,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    URI_PATH,
)
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.coap.exchange import DONE, SENT
from msgin5g.gateway.scm_local import Collocated
from msgin5g.gateway.scm_remote import FETCH
from msgin5g.scm.problem_details import compose

_SILENCE = const(10)  # times ACK_TIMEOUT


class Job:
    """One question of the gateway."""

    def __init__(self, incoming, arguments, observe):
        self.incoming = incoming
        self.arguments = arguments
        self.observe = observe
        self.exchange = None  # the request to the server
        self.asked_at = 0
        self.answer = None  # the last answer to the gateway, until it is acknowledged
        self.watching = False
        self.echoed = False


class SealC:
    """The node; server: its remote on link 0, gateway: the Gateway Client's on link 1.

    At most max_transfers + max_observations questions, twice over, are under way.
    """

    def __init__(self, settings, random, server, gateway):
        self.counters = {}
        n = 2 * (settings.max_transfers + settings.max_observations)
        self.endpoint = ServerEndpoint(
            random, self.counters, settings.parameters, settings.peer_key, 2 * n, n
        )
        self.own = None
        self._client = Collocated(settings, self.endpoint, 0, server)
        self._gateway = gateway
        self._jobs = []

    # The four verbs

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        endpoint = self.endpoint
        kind = endpoint.receive(transport, datagram, remote, now)
        if kind == REQUEST:
            if transport == 1 and endpoint.same_peer(remote, self._gateway):
                self._question(now)
            else:
                endpoint.count("not_linked")
        elif kind == RESPONSE:
            self._answered(endpoint.exchange.owner, now)
        elif kind == REJECTED:
            job = endpoint.exchange.owner
            if endpoint.exchange is job.exchange:
                self._fail(job, BAD_GATEWAY, "Reset by the server")
            else:
                self._end(job)  # the gateway wants no more of it
        elif kind == UNMATCHED:
            endpoint.count("unmatched_response")
            if endpoint.message.mtype == CON and transport == 0:
                # RFC 7252 section 4.2: what a former self has asked for need not be repeated.
                endpoint.send_reset()

    def step(self, now):
        """The clock has moved."""
        for job in self._jobs:
            if self._silent_ms(job, now) == 0:
                self.endpoint.cancel(job.exchange)
                self._ask(job, job.exchange.token, None, now)
                break  # the list may be another one now
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                return
            job = exchange.owner
            if exchange is job.exchange:
                self.endpoint.count("server_timeout")
                self._fail(job, GATEWAY_TIMEOUT, "No answer from the server")
            else:
                self._end(job)

    def transmit(self, now):
        """(link, datagram, remote) to send, or None."""
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = self.endpoint.wait_ms(now)
        for job in self._jobs:
            wait = shorter(wait, self._silent_ms(job, now))
        return wait

    def _silent_ms(self, job, now):
        """Milliseconds until the server has been silent for so long that it is asked anew."""
        if job.exchange is None or job.exchange.state != SENT:
            return None
        patience_ms = _SILENCE * self.endpoint.parameters.ack_timeout_ms
        return max(diff(add(job.asked_at, patience_ms), now), 0)

    def poll(self):
        """This node has nothing to tell."""
        return None

    # Questions and answers

    def _question(self, now):
        endpoint = self.endpoint
        message = endpoint.message
        observe = message.uint(OBSERVE)
        arguments = None
        if message.code == FETCH and message.option(URI_PATH) == b"seal-c":
            arguments = _arguments(message.payload())
        else:
            endpoint.count("not_fetch")
        token = None
        for job in self._jobs:
            # RFC 7641 section 3.6: the same token renews or ends an observation.
            if job.watching and observe is not None and job.incoming.token == message.token():
                token = job.exchange.token
                self._end(job)
                break
        incoming = endpoint.accept(now)
        if incoming is None:
            endpoint.count("busy")
            return
        job = Job(incoming, arguments, observe)
        self._jobs.append(job)
        if arguments is None:
            code = BAD_REQUEST if message.code == FETCH else METHOD_NOT_ALLOWED
            self._fail(job, code, "A FETCH of /seal-c is expected")
            return
        endpoint.acknowledge(incoming)
        self._ask(job, token, None, now)

    def _ask(self, job, token, echo, now):
        job.asked_at = now
        document_id, block2, etag, ids, queries = job.arguments
        job.exchange = self._client.ask(
            job, ids, queries, document_id, block2, etag, job.observe, token, echo
        )
        if job.exchange is None:
            self._fail(job, SERVICE_UNAVAILABLE, "No room for a request")

    def _answered(self, job, now):
        endpoint = self.endpoint
        message = endpoint.message
        echo = message.option(ECHO)
        if message.code == UNAUTHORIZED and echo and not job.echoed:
            # RFC 9175 section 2.3: show that we are reachable at our address.
            endpoint.accept(now)
            job.echoed = True
            self._ask(job, None, echo, now)
            return
        code = message.code
        job.watching = job.observe == 0 and message.find(OBSERVE) >= 0 and code >> 5 == 2
        tail = message.tail()
        endpoint.accept(now, job.watching)
        if job.incoming.open:
            job.answer = endpoint.respond(job.incoming, code, (), b"", job, tail)
        else:
            self._cancel_answer(job)
            job.answer = endpoint.notify(job.incoming, code, (), b"", job, tail)
        if not job.watching:
            self._jobs.remove(job)

    def _fail(self, job, code, title):
        options = [(CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
        if job.incoming.open:
            self.endpoint.respond(job.incoming, code, options, compose(code, title), job)
        self._end(job)

    def _cancel_answer(self, job):
        if job.answer is not None and job.answer.state != DONE:
            self.endpoint.cancel(job.answer)

    def _end(self, job):
        if job.exchange is not None:
            self.endpoint.cancel(job.exchange)
        if job in self._jobs:
            self._cancel_answer(job)
            self._jobs.remove(job)
        if job.incoming.open:
            self.endpoint.forget(job.incoming)


def _arguments(body):
    """The arguments of the verb, or None when the body is not what it must be."""
    try:
        arguments = loads(body)
        document_id, block2, etag, ids, queries = arguments
        texts = [t for t in (document_id, etag) if t is not None] + ids + queries
        if not ids or not (block2 is None or (type(block2) is int and 0 <= block2 < 1 << 24)):
            return None
        return arguments if all(isinstance(t, bytes) and len(t) < 249 for t in texts) else None
    except (CborError, ValueError, TypeError):
        return None
