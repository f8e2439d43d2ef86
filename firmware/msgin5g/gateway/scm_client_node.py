"""The configuration management client as a node of its own, on the other side of SEAL-C.

It takes the requests of the gateway (see scm_remote), makes each GET to the server (SCM-C,
TS 24.546 6.2.2.1), and hands the answer back unchanged. Transport 0 goes to the server, transport
1 is SEAL-C.

    counters: those of the endpoint, and not_linked, not_fetch, malformed_body, busy,
    server_timeout, unmatched_response, old_notification
"""

from micropython import const

from msgin5g.coap.endpoint import REJECTED, REQUEST, RESERVE_SIZE, RESPONSE, UNMATCHED, Role
from msgin5g.coap.retransmission import DONE, OBSERVING, SENT
from msgin5g.coap.message import uint_bytes
from msgin5g.coap.numbers import (
    BAD_REQUEST,
    CONTENT_FORMAT,
    ECHO,
    GATEWAY_TIMEOUT,
    OBSERVE,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
    URI_PATH,
)
from msgin5g.intermediary.numbers import (
    BAD_GATEWAY,
    BAD_OPTION,
    CONCISE_PROBLEM_DETAILS,
    FETCH,
    METHOD_NOT_ALLOWED,
)
from msgin5g.coap.responder import ServerEndpoint
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.gateway.scm_local import LocalScmClient
from msgin5g.gateway.scm_remote import PATH, decode_arguments
from msgin5g.scm.problem_details import compose

_SILENCE = const(10)  # times ACK_TIMEOUT


class PendingRequest:
    """One request of the gateway."""

    def __init__(self, incoming, arguments, observe, expires_at):
        self.incoming = incoming
        self.expires_at = expires_at  # of a request that the server has not acknowledged
        self.arguments = arguments
        self.observe = observe
        self.exchange = None  # the request to the server
        self.asked_at = 0
        self.response = None  # the exchange of the last response to the gateway
        self.is_observing = False
        self.has_echoed = False


class ScmClientNode(Role):
    """The node; server: its remote on transport 0, gateway: the gateway's on transport 1.

    security: a ServerSecurity, or None.

    At most 2 * (max_transfers + max_observations) requests are under way. Beyond 2 *
    max_observations of them that observe the oldest ends: a gateway that has begun anew has lost
    its token, and a server that has, too, will never notify, so that no Reset would end it.
    """

    def __init__(self, settings, random, server, gateway, security=None):
        n = 2 * (settings.max_transfers + settings.max_observations)
        super().__init__(
            ServerEndpoint(random, {}, settings.parameters, settings.peer_key, 2 * n, n),
            RESERVE_SIZE,
        )
        self.endpoint.security = security
        if security is not None:
            security.peers = self
        self._ue_id = settings.ue_id.encode()
        self._client = LocalScmClient(settings, self.endpoint, 0, server)
        self._gateway = gateway  # None while its address is not known
        self._max_observing = 2 * settings.max_observations
        self.pending_requests = []

    # The verbs, see Role

    def handle_message(self, kind, now):
        endpoint = self.endpoint
        if kind == REQUEST:
            if self.sender(now) is not None:
                self._request(now)
        elif kind == RESPONSE:
            self._response(endpoint.exchange.owner, now)
        elif kind == REJECTED:
            request = endpoint.exchange.owner
            if endpoint.exchange is request.exchange:
                self._fail(request, BAD_GATEWAY, "Reset by the server")
            else:
                self._end(request)  # the gateway does not want it any more
        elif kind == UNMATCHED:
            endpoint.count("unmatched_response")
            endpoint.reject()

    def handle_timeout(self, exchange, now):
        request = exchange.owner
        if exchange is request.exchange:
            self._time_out(request)
        else:
            self._end(request)

    def run_due(self, now):
        for request in self.pending_requests:
            if self._due_ms(request, now) == 0:
                if diff(now, request.expires_at) >= 0:
                    self._time_out(request)
                else:
                    self.endpoint.cancel(request.exchange)
                    self._ask(request, request.exchange.token, None, now)
                break  # it may have changed the list

    def drop_half_done(self, now):
        for request in list(self.pending_requests):
            exchange = request.exchange
            if (
                exchange is None
                or exchange.state > OBSERVING
                or (exchange.state == OBSERVING and not request.is_observing)
            ):
                self._end(request)
        self.endpoint.drop_half_done(self.pending_requests)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = self.endpoint.wait_ms(now)
        for request in self.pending_requests:
            wait = shorter(wait, self._due_ms(request, now))
        return wait

    def _due_ms(self, request, now):
        """Milliseconds until the server is asked anew or no more; None: its exchange has a timer.

        Each time that it is asked anew begins another exchange, which never times out. A gateway
        that has gone sends no Reset, so the request itself has a limit, that of one exchange.
        """
        exchange = request.exchange
        if exchange is None or exchange.state > SENT:
            return None
        ms = diff(request.expires_at, now)
        if exchange.state == SENT:
            patience_ms = _SILENCE * self.endpoint.parameters.ack_timeout_ms
            ms = min(ms, diff(add(request.asked_at, patience_ms), now))
        return max(ms, 0)

    def poll(self):
        """This node has no events."""
        return None

    def set_server(self, remote, now):
        """The server has this address; new requests go there."""
        self._client.remote = remote

    def set_gateway(self, remote, now):
        """The gateway has this address: requests are taken from there."""
        self._gateway = remote

    # Requests and responses

    def sender(self, now):
        """The UE ID of the gateway if the request just received comes from it; else None."""
        endpoint = self.endpoint
        gateway = self._gateway
        if (
            endpoint.transport == 1
            and gateway is not None
            and endpoint.same_peer(endpoint.remote, gateway)
        ):
            return self._ue_id
        endpoint.count("not_linked")
        # It may be the gateway, which repeats it, while its address is not known.
        endpoint.reject(gateway is None)
        return None

    def _request(self, now):
        endpoint = self.endpoint
        message = endpoint.message
        observe = message.uint(OBSERVE)
        critical = message.critical(1 << URI_PATH)
        arguments = None
        if critical:
            endpoint.count("critical_option")
        elif message.code == FETCH and message.option(URI_PATH) == PATH:
            arguments = decode_arguments(message.payload())
        else:
            endpoint.count("not_fetch")
        token = None
        for request in self.pending_requests:
            # RFC 7641 section 3.6: the same token renews or ends an observation.
            if (
                request.observe == 0
                and observe is not None
                and request.incoming.token == message.token()
            ):
                token = request.exchange and request.exchange.token
                self._end(request)
                break
        incoming = endpoint.accept(now)
        if incoming is None:
            endpoint.count("busy")
            return
        expires_at = add(now, endpoint.parameters.max_transmit_wait_ms)
        request = PendingRequest(incoming, arguments, observe, expires_at)
        self.pending_requests.append(request)
        if arguments is None:
            code = BAD_REQUEST if message.code == FETCH else METHOD_NOT_ALLOWED
            if critical:
                code = BAD_OPTION
            self._fail(request, code, "A FETCH of /seal-c is expected")
            return
        endpoint.acknowledge(incoming)
        self._ask(request, token, None, now)

    def _ask(self, request, token, echo, now):
        request.asked_at = now
        document_id, block2, etag, ids, queries = request.arguments
        request.exchange = self._client.ask(
            request, ids, queries, document_id, block2, etag, request.observe, token, echo
        )
        if request.exchange is None:
            self._fail(request, SERVICE_UNAVAILABLE, "Cannot ask the server now")

    def _response(self, request, now):
        endpoint = self.endpoint
        message = endpoint.message
        echo = message.option(ECHO)
        if message.code == UNAUTHORIZED and echo and not request.has_echoed:
            # RFC 9175 section 2.3: show that we are reachable at our address.
            endpoint.accept(now)
            request.has_echoed = True
            self._ask(request, None, echo, now)
            return
        code = message.code
        number = message.uint(OBSERVE) if request.observe == 0 and code >> 5 == 2 else None
        if number is not None and not request.is_observing:
            self._make_room()
        request.is_observing = number is not None
        # An Echo is between the server and this node: the gateway's is another one.
        options = [
            (message.numbers[i], message.value(i))
            for i in range(message.n_options)
            if message.numbers[i] != ECHO
        ]
        payload = message.payload()
        endpoint.accept(now, request.is_observing)
        if request.is_observing and not request.exchange.newer(number, now):
            endpoint.count("old_notification")  # RFC 7641 section 3.4
            return
        if request.incoming.open:
            request.response = endpoint.respond(
                request.incoming, code, options, payload, request, request.is_observing
            )
        else:
            request.response = endpoint.notify(
                request.incoming, code, options, payload, request, True, request.response
            )
        if not request.is_observing:
            self.pending_requests.remove(request)

    def _make_room(self):
        """End the oldest observation where there are as many as there may be."""
        oldest = None
        n = 0
        for request in self.pending_requests:
            if request.is_observing:
                n += 1
                oldest = oldest or request
        if n >= self._max_observing:
            self._end(oldest)

    def _fail(self, request, code, title):
        options = [(CONTENT_FORMAT, uint_bytes(CONCISE_PROBLEM_DETAILS))]
        if request.incoming.open:
            self.endpoint.respond(request.incoming, code, options, compose(code, title), request)
        self._end(request)

    def _time_out(self, request):
        self.endpoint.count("server_timeout")
        self._fail(request, GATEWAY_TIMEOUT, "No answer from the server")

    def _cancel_response(self, request):
        if request.response is not None and request.response.state != DONE:
            self.endpoint.cancel(request.response)

    def _end(self, request):
        if request.exchange is not None:
            self.endpoint.cancel(request.exchange)
        if request in self.pending_requests:
            self._cancel_response(request)
            self.pending_requests.remove(request)
        if request.incoming.open:
            self.endpoint.forget(request.incoming)
