"""The MSGin5G Relay UE-1 (TS 24.538 6.2.2.1): a CoAP intermediary of linked UEs and the server.

Up: a GET from a linked UE, for itself, whose Recipient is the server, or a protected request (see
Admission). Down: a response whose Recipient is the linked UE that asked. Everything else is
discarded without a response and counted. Each side has its own message IDs, tokens and
retransmission; options and payload pass unchanged.

    uplink counters                            downlink counters
    not_linked, not_get,                       missing_recipient, recipient_not_linked,
    missing_recipient, foreign_recipient,      recipient_mismatch, code_not_relayed,
    wrong_ue_uri, and the endpoint's own       and the endpoint's own
"""

from micropython import const

from msgin5g.coap.endpoint import (
    NOTHING,
    REQUEST,
    RESERVE_SIZE,
    RESPONSE,
    UNMATCHED,
    Role,
)
from msgin5g.coap.message import datagram_of, insert, size_of
from msgin5g.coap.retransmission import DONE, OBSERVING, Exchange

# The module for what is used seldom: see coap/message.
from msgin5g.coap import numbers as registry
from msgin5g.coap.numbers import GET, MAX_MESSAGE_SIZE, NON, OBSERVE
from msgin5g.intermediary.numbers import BAD_GATEWAY, BAD_OPTION, HOP_LIMIT, HOP_LIMIT_REACHED
from msgin5g.coap.responder import ServerEndpoint, must_confirm
from msgin5g.coap.ticks import diff, shorter
from msgin5g.intermediary.admission import Admission
from msgin5g.intermediary.link_table import LinkTable
from msgin5g.intermediary.rate_limiter import RateLimiter
from msgin5g.scm.request import uri_equal

_MAX_REQUESTS_OF_A_UE = const(4)  # NSTART is 1: a UE has one under way, unless it began anew
_ACK_DELAY_MS = const(1000)  # well below ACK_TIMEOUT: a slow server gets an empty ACK meanwhile


class Flow:
    """One request of a UE under way, or one observation. It ends with the link of its UE.

    An observation is named by its UE and the token of the UE's request, which is in `incoming`.
    """

    # Attributes of the class until they change: that saves memory.
    code = GET  # of the request; POST or FETCH of a protected one
    request = None  # (tail, token) of the request to the server, while it is held back
    exchange = None  # the request to the server
    notification = None  # the exchange of the last response to a UE that observes
    wants_observe = False
    observing = False

    def __init__(self, ue, incoming, now):
        self.ue = ue
        self.incoming = incoming
        self.confirmed_at = now  # when the UE asked, or got the last confirmable notification


class Relay(Role):
    """A relay; settings and random as for ConstrainedUe.

    server: the remote of the configuration management server, on transport `server_transport`;
    while it is None, its address is not known, and the relay is busy.
    own: a ConstrainedUe on the same endpoint, for the relay's own configuration, or None. At most
    settings.max_flows requests and settings.max_observations observations are under way, and
    the server gets settings.max_rate requests in any second: as many requests are held back, and
    the response to those beyond is 5.03 with Max-Age. Each UE may have four of the requests, and
    an equal share of the observations.
    """

    def __init__(self, settings, random, server, now, server_transport=0):
        n = settings.max_flows + settings.max_observations
        # Room for every flow twice: towards the server and to the UE.
        super().__init__(
            ServerEndpoint(
                random,
                {},
                settings.parameters,
                settings.peer_key,
                2 * n + 4,
                settings.max_flows + 16,
            ),
            RESERVE_SIZE,
        )
        self.links = LinkTable(settings.max_links, settings.peer_key)
        self._admission = Admission(settings, self.endpoint, self.links, True)
        self._settings = settings
        self._recipient_option = settings.recipient_option
        self._server = server
        self._server_transport = server_transport
        self.held_back = []  # flows whose requests the rate limiter holds back, the oldest first
        # Flows whose UEs may need an empty ACK, the oldest first. Those that have ended meanwhile
        # stay until their turn comes, so that nothing has to look for them.
        self._unacknowledged = []
        self.n_requests = 0  # flows that do not observe
        self.n_observing = 0
        self._n_wanted = 0  # observations, with those that were only asked for
        self._rate_limiter = RateLimiter(settings.max_rate)

    # The verbs, see Role

    def handle_message(self, kind, now):
        if kind == REQUEST:
            self._uplink(now)
        elif kind == UNMATCHED:
            self._unmatched()
        else:
            exchange = self.endpoint.exchange
            flow = exchange.owner
            if not isinstance(flow, Flow):
                if self.own is not None:
                    self.own.handle_exchange(kind, exchange, now)
            elif kind == RESPONSE:
                self._downlink(flow, now)
            else:
                self._rejected(flow)

    def handle_timeout(self, exchange, now):
        flow = exchange.owner
        if isinstance(flow, Flow):
            self._timed_out(flow, exchange)
        elif self.own is not None:
            self.own.handle_exchange(NOTHING, exchange, now)

    def run_due(self, now):
        waiting = self._unacknowledged
        while waiting:
            flow = waiting[0]
            if flow.incoming.open:
                if diff(now, flow.confirmed_at) < _ACK_DELAY_MS:
                    break
                self.endpoint.acknowledge(flow.incoming)
            waiting.pop(0)
        while self.held_back and self._rate_limiter.take(now):
            flow = self.held_back.pop(0)
            request = flow.request
            flow.request = None
            self._send_request(flow, *request)

    def drop_half_done(self, now):
        for flow in self.flows():
            exchange = flow.exchange
            if exchange is None:
                lives = flow in self.held_back
                if not lives:
                    flow.request = None
            elif exchange.state == OBSERVING:
                lives = flow.observing
            else:
                lives = exchange.state < OBSERVING
            if not lives:
                self._end(flow)
        flows = self.flows()
        for ue in self.links:
            ue.n_requests = 0
        self.n_requests = self.n_observing = self._n_wanted = 0
        for flow in flows:
            if flow.observing:
                self.n_observing += 1
            else:
                flow.ue.n_requests += 1
                self.n_requests += 1
            self._n_wanted += flow.wants_observe
        self.endpoint.drop_half_done(flows)
        if self.own is not None:
            self.own.drop_half_fetched(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = self.endpoint.wait_ms(now)
        if self.own is not None:
            wait = shorter(wait, self.own.own_wait_ms(now))
        if self._unacknowledged or self.held_back:
            wait = shorter(wait, self._due_ms(now))
        return wait

    def _due_ms(self, now):
        """Milliseconds until run_due has something to do, None: it has not."""
        wait = None
        for flow in self._unacknowledged:
            if flow.incoming.open:
                wait = max(_ACK_DELAY_MS - diff(now, flow.confirmed_at), 0)
                break
        if self.held_back:
            wait = shorter(wait, self._rate_limiter.wait_ms(now))
        return wait

    def flows(self):
        """All flows as a list, by UE; what concerns one UE looks at those of the LinkedUe."""
        return [flow for ue in self.links for flow in ue.flows]

    def poll(self):
        """The oldest event of the relay's own configuration, or None."""
        return None if self.own is None else self.own.poll()

    def set_server(self, remote, now):
        """The server has this address; new requests go there."""
        self._server = remote
        if self.own is not None:
            self.own.set_next_hop(remote, now)

    # Links

    def link_up(self, ue_id, transport, remote):
        """A one-to-one link with a UE (bytes) is established; false when the table is full."""
        if self.links.has_moved(ue_id, transport, remote):
            self.link_down(ue_id)
        return self.links.up(ue_id, transport, remote)

    def link_down(self, ue_id):
        """The link with a UE has ended: forget everything under way for it."""
        ue = self.links.down(ue_id)
        if ue is not None:
            for flow in list(ue.flows):
                self._end(flow)
            self.endpoint.forget_peer(ue.transport, ue.remote)

    # Uplink

    def _uplink(self, now):
        endpoint = self.endpoint
        ue = self._admission.admit(endpoint.transport, endpoint.remote, now)
        if ue is None:
            return
        tail = endpoint.message.tail()
        if self._admission.has_hop_limit:
            tail = self._count_down_hop_limit(tail, ue, now)
        if tail:
            self._forward(ue, tail, now)

    def _count_down_hop_limit(self, tail, ue, now):
        """The tail of a request, its Hop-Limit counted down; None when it is refused."""
        message = self.endpoint.message
        i = message.find(HOP_LIMIT)
        if i < 0:
            return tail
        hops = message.uint(HOP_LIMIT)
        if message.ends[i] - message.starts[i] != 1 or hops == 0:
            self._admission.refuse(registry.BAD_REQUEST, "Malformed Hop-Limit", ue, now)
            return None
        if hops == 1:
            # RFC 8768 section 3: the diagnostic payload names the intermediary.
            text = "Hop limit reached at " + self._settings.ue_id
            self._admission.refuse(HOP_LIMIT_REACHED, text, ue, now)
            return None
        tail = bytearray(tail)
        tail[message.starts[i] - message.token_end] = hops - 1
        return tail

    def _forward(self, ue, tail, now):
        endpoint = self.endpoint
        message = endpoint.message
        settings = self._settings
        token = observe = None
        if self._admission.observes:
            observe = message.uint(OBSERVE)
        if observe is not None:
            known = self._observation_of(ue, message.token())
            if known is not None:
                token = known.exchange and known.exchange.token
                self._replace(known)
        full = (
            self._server is None
            or self.n_requests >= settings.max_flows
            or ue.n_requests >= _MAX_REQUESTS_OF_A_UE  # one UE must not take all the flows
        )
        held = full or self.held_back or not self._rate_limiter.take(now)
        if full or (held and len(self.held_back) >= settings.max_rate):
            self._admission.refuse_busy("Relay is busy", ue, now)
            return
        incoming = endpoint.accept(now)
        if incoming is None:
            endpoint.count("incoming_full")
            return
        if observe == 0 and not self._may_observe(ue):
            # Observe is elective: without it the UE gets a plain response (RFC 7641 section 4.1).
            endpoint.count("observations_full")
            observe = None
            tail = _without_observe(message, tail)
        flow = Flow(ue, incoming, now)
        if message.code != GET:
            flow.code = message.code
        if observe == 0:
            flow.wants_observe = True
            self._n_wanted += 1
        if ue.flows == ():
            ue.flows = []
        ue.flows.append(flow)
        ue.n_requests += 1
        self.n_requests += 1
        if incoming.confirmable:
            if len(self._unacknowledged) >= 2 * settings.max_flows:
                first = self._unacknowledged.pop(0).incoming
                if first.open:
                    endpoint.acknowledge(first)  # early, for room
            self._unacknowledged.append(flow)
        if held:
            flow.request = (bytes(tail), token)
            self.held_back.append(flow)
        else:
            self._send_request(flow, tail, token)

    def _send_request(self, flow, tail, token):
        """Send the request of a flow; token: that of an observation that it renews, or None."""
        if token is None:
            token = self.endpoint.new_token()
        datagram = _forwarded(flow.code, token, tail)
        exchange = Exchange(self._server_transport, self._server, datagram, flow)
        exchange.token = token
        if not flow.incoming.confirmable:
            exchange.confirmable = False
        flow.exchange = self.endpoint.start(exchange)
        if flow.exchange is None:
            self._end(flow)

    def _may_observe(self, ue):
        """Whether a UE may observe once more.

        Those asked for count, too. One beyond its share takes the place of its oldest: it has
        begun anew, and lost its token. One that observes goes only when the new one does: a late
        copy of a former request, which the server refuses, must not end it.
        """
        n = 0
        asked_for = None
        for flow in ue.flows:
            if flow.wants_observe:
                n += 1
                if not flow.observing:
                    asked_for = asked_for or flow
        is_full = self._n_wanted >= self._settings.max_observations
        if n and (is_full or n >= self._admission.max_observations_of_ue):
            if asked_for is not None:
                self._replace(asked_for)
            return True
        return not is_full

    def _make_room(self, ue):
        """End the oldest observation of a UE where one more would be beyond its share."""
        n = 0
        oldest = None
        for flow in ue.flows:
            if flow.observing:
                n += 1
                oldest = oldest or flow
        is_full = self.n_observing >= self._settings.max_observations
        if n and (is_full or n >= self._admission.max_observations_of_ue):
            self._replace(oldest)

    def _replace(self, flow):
        """End the observation of a UE that has begun anew.

        A late copy of a request that was not answered yet is not another request.
        """
        self.endpoint.close(flow.incoming)
        self._end(flow)

    def _observation_of(self, ue, token):
        """The observation of a UE that a request with this token renews or ends, or None."""
        for flow in ue.flows:
            if flow.wants_observe and flow.incoming.token == token:
                return flow
        return None

    # Downlink

    def _downlink(self, flow, now):
        """Forward the response just received, to the request of this flow."""
        endpoint = self.endpoint
        message = endpoint.message
        ue = flow.ue
        recipient_at = message.find(self._recipient_option)
        if recipient_at >= 0:
            recipient = message.value(recipient_at)
            if recipient != ue.ue_id and not uri_equal(recipient, ue.ue_id):
                # It is another UE than the one that asked, linked or not.
                linked = self.links.of_ue(recipient) is not None
                endpoint.count("recipient_mismatch" if linked else "recipient_not_linked")
                return
        elif not self._may_add_recipient(message):
            endpoint.count("missing_recipient")
            return
        if self._settings.strict_codes and not _is_strict(flow, message):
            endpoint.count("code_not_relayed")
            return
        datagram = None
        if self._admission.not_understood(message):
            # RFC 7252 section 5.7.1: an unsafe option that is not understood is 5.02 to the UE.
            endpoint.count("option_not_relayed")
            fault = "Option not relayed"
        else:
            tail = message.tail() if recipient_at >= 0 else self._with_recipient(message, ue)
            if tail is not None:
                token = flow.incoming.token
                datagram = _forwarded(message.code, token, tail)
            if datagram is None:
                # The UE's token is longer than ours: the UE may ask for smaller blocks.
                endpoint.count("too_large")
                fault = "Too large with this token"
        if datagram is None:
            endpoint.accept(now)
            self._admission.respond_error(flow.incoming, BAD_GATEWAY, fault, ue)
            self._end(flow)
        elif flow.wants_observe:
            self._notify(flow, datagram, now)
        else:
            endpoint.accept(now)
            endpoint.send_response(flow.incoming, message.code, datagram, flow, False)
            self._remove(flow)

    def _notify(self, flow, datagram, now):
        """Send a response to a UE that wants to observe."""
        endpoint = self.endpoint
        message = endpoint.message
        number = message.uint(OBSERVE) if message.code >> 5 == 2 else None
        observing = number is not None
        confirmable = message.mtype != NON or must_confirm(flow.confirmed_at, now)
        endpoint.accept(now, observing)
        if observing and not flow.exchange.newer(number, now):
            endpoint.count("old_notification")  # RFC 7641 section 3.4: a newer one was passed on
            return
        if flow.incoming.open:
            flow.notification = endpoint.send_response(
                flow.incoming, message.code, datagram, flow, observing
            )
        else:
            # Only the newest state matters: it replaces one that is not acknowledged yet.
            if confirmable:
                flow.confirmed_at = now
            flow.notification = endpoint.send_notification(
                flow.incoming, datagram, flow, confirmable, flow.notification, observing
            )
        if not observing:
            self._remove(flow)
        elif not flow.observing:
            self._make_room(flow.ue)
            flow.observing = True
            flow.ue.n_requests -= 1
            self.n_requests -= 1
            self.n_observing += 1

    def _may_add_recipient(self, message):
        """Whether a response has none: not one of a wrong length either, and none in hiding."""
        if not self._settings.add_recipient or message.is_full:
            return False
        numbers = message.numbers
        for i in range(message.n_options):
            if numbers[i] == self._recipient_option:
                return False
        return True

    def _with_recipient(self, message, ue):
        """The tail of a response with a Recipient; None when that is too large."""
        options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
        insert(options, self._recipient_option, ue.ue_id)
        return _tail_of(options, message.payload())

    def _unmatched(self):
        """A response to a request that is not known.

        What is for a UE that is not linked is dropped silently.
        """
        endpoint = self.endpoint
        message = endpoint.message
        i = message.find(self._recipient_option)
        is_foreign = i >= 0 and self.links.of_ue(message.value(i)) is None
        endpoint.count("recipient_not_linked" if is_foreign else "unmatched_response")
        endpoint.reject(is_foreign)

    # Ends

    def _rejected(self, flow):
        """A Reset from the UE for a response, or from the server for the request."""
        if self.endpoint.exchange is flow.exchange:
            if flow.incoming.open:
                self._admission.respond_error(
                    flow.incoming, BAD_GATEWAY, "Reset by the server", flow.ue
                )
        else:
            self.endpoint.count("answer_reset")
        self._end(flow)

    def _timed_out(self, flow, exchange):
        if exchange is flow.exchange:
            self.endpoint.count("server_timeout")
            # With No-Response the server may well send nothing.
            if flow.incoming.open and not flow.incoming.unwanted:
                self._admission.respond_error(
                    flow.incoming, registry.GATEWAY_TIMEOUT, "No answer from the server", flow.ue
                )
        else:
            self.endpoint.count("answer_timeout")
        self._end(flow)

    def _end(self, flow):
        """Forget a flow with everything that it waits for."""
        endpoint = self.endpoint
        if flow.exchange is not None:
            endpoint.cancel(flow.exchange)
        if flow.notification is not None and flow.notification.state != DONE:
            endpoint.cancel(flow.notification)
        if flow.incoming.open:
            endpoint.forget(flow.incoming)
        self._remove(flow)

    def _remove(self, flow):
        ue = flow.ue
        if flow not in ue.flows:
            return
        ue.flows.remove(flow)
        if flow.request is not None:
            self.held_back.remove(flow)
            flow.request = None
        if flow.observing:
            self.n_observing -= 1
        else:
            ue.n_requests -= 1
            self.n_requests -= 1
        self._n_wanted -= flow.wants_observe


def _is_strict(flow, message):
    """Whether a response is one of those of 6.2.2.1: 2.05, 4.03, 4.04.

    To a protected request these are 2.04 and 2.05, with the server's code inside, and the errors
    of a server that cannot unprotect it (RFC 8613 section 8.2).
    """
    code = message.code
    if flow.code == GET:
        return code in (registry.CONTENT, registry.FORBIDDEN, registry.NOT_FOUND)
    if message.find(registry.OSCORE) >= 0:
        return code in (registry.CHANGED, registry.CONTENT)
    return code in (registry.BAD_REQUEST, registry.UNAUTHORIZED, BAD_OPTION)


def _without_observe(message, tail):
    """The tail of a request without its Observe. `tail` may differ from that in the message."""
    start = message.token_end
    options = [
        (message.numbers[i], bytes(tail[message.starts[i] - start : message.ends[i] - start]))
        for i in range(message.n_options)
        if message.numbers[i] != OBSERVE
    ]
    return _tail_of(options, tail[message.payload_start - start :])


def _tail_of(options, payload):
    """Options and payload as a view, None when they are too large for a message."""
    datagram = datagram_of(MAX_MESSAGE_SIZE, registry.CONTENT, b"", options, payload)
    return None if datagram is None else memoryview(datagram)[4:]


def _forwarded(code, token, tail):
    """A message that is forwarded, to be sent; None when it is too large.

    tail: options, marker and payload as they were received, see `Message.tail`.
    """
    n = 4 + len(token)
    if n > 16:  # an extended token (RFC 8974)
        n = size_of(token, ())
    size = n + len(tail)
    if size > MAX_MESSAGE_SIZE:
        return None
    buf = bytearray(size)
    if n > 16:
        buf[:n] = datagram_of(n, code, token, ())
    else:
        buf[0] = 0x40 | n - 4
        buf[1] = code
        buf[4:n] = token
    buf[n:] = tail
    return buf
