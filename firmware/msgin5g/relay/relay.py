"""The MSGin5G Relay UE-1 (TS 24.538 6.2.2.1): a CoAP hop between linked UEs and the server.

Up: a GET from a linked UE, for itself, whose Recipient is the server's. Down: an answer whose
Recipient is the linked UE that asked. Everything else is discarded and counted, in silence. Each
side has message IDs, tokens and retransmission of its own; options and payload pass untouched.

    uplink counters                            downlink counters
    not_linked, not_get,                       missing_recipient, recipient_not_linked,
    missing_recipient, foreign_recipient,      recipient_mismatch, code_not_relayed,
    wrong_ue_uri, and the endpoint's own       and the endpoint's own
"""

from micropython import const

from msgin5g.coap.endpoint import NOTHING, REJECTED, REQUEST, RESPONSE, UNMATCHED
from msgin5g.coap.numbers import (
    BAD_GATEWAY,
    BAD_REQUEST,
    CONTENT,
    FORBIDDEN,
    GATEWAY_TIMEOUT,
    GET,
    HOP_LIMIT,
    HOP_LIMIT_REACHED,
    MAX_MESSAGE_SIZE,
    NON,
    NOT_FOUND,
    OBSERVE,
    SERVICE_UNAVAILABLE,
)
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.coap.exchange import DONE
from msgin5g.intermediary.admission import Hop
from msgin5g.intermediary.rate_limiter import Pace
from msgin5g.scm.request import uri_equal

_MAX_REQUESTS_OF_A_UE = const(4)  # NSTART is 1: a UE has one under way, unless it began anew
_ACK_DELAY_MS = const(1000)  # well below ACK_TIMEOUT: the server is slow, so say "I have it"


class Flow:
    """One request of a UE on its way, or one observation; it dies with its link."""

    request = None  # (options, tail, token) of the request to the server, to be sent
    exchange = None  # the request to the server
    notification = None  # the last confirmable answer to the UE, while it is unanswered
    wants_observe = False
    observing = False

    def __init__(self, peer, incoming, acknowledge_at):
        self.peer = peer
        self.incoming = incoming
        self.acknowledge_at = acknowledge_at


class Relay(Hop):
    """A relay; settings and random as for ConstrainedUe.

    server: the remote of the configuration management server, on link `server_link`. At most
    settings.max_flows requests and settings.max_observations observations are under way, and
    the server is asked settings.max_rate times in any second: as many requests are held back
    for their turn, and what is beyond is answered 5.03 with Max-Age.
    """

    def __init__(self, settings, random, server, now, server_link=0):
        n = settings.max_flows + settings.max_observations
        # Room for every flow twice: towards the server and to the UE.
        super().__init__(settings, random, 2 * n + 4, settings.max_flows + 16)
        self._server = server
        self._server_link = server_link
        self._flows = set()  # not a list: it is quick to find one in it
        self._held = []  # flows whose requests wait for their turn, the oldest first
        self._unacknowledged = []  # flows whose UEs may have to be told "I have it", likewise
        self._n_observing = 0
        self._pace = Pace(settings.max_rate, now)

    # The four verbs

    def receive(self, transport, datagram, remote, now):
        """One datagram has arrived."""
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == REQUEST:
            self._uplink(transport, remote, now)
        elif kind == RESPONSE:
            flow = self.endpoint.exchange.owner
            if isinstance(flow, Flow):
                self._downlink(flow, now)
            elif self.own is not None:
                self.own.handle_exchange(kind, self.endpoint.exchange, now)
        elif kind == REJECTED:
            flow = self.endpoint.exchange.owner
            if isinstance(flow, Flow):
                self._reset(flow)
            elif self.own is not None:
                self.own.handle_exchange(kind, self.endpoint.exchange, now)
        elif kind == UNMATCHED:
            message = self.endpoint.message
            i = message.find(self._recipient_option)
            stranger = i >= 0 and self.links.of_ue(message.value(i)) is None
            self.endpoint.count("recipient_not_linked" if stranger else "unmatched_response")

    def step(self, now):
        """The clock has moved."""
        while True:
            exchange = self.endpoint.step(now)
            if exchange is None:
                break
            flow = exchange.owner
            if isinstance(flow, Flow):
                self._timed_out(flow, exchange)
            elif self.own is not None:
                self.own.handle_exchange(NOTHING, exchange, now)
        waiting = self._unacknowledged
        while waiting and diff(now, waiting[0].acknowledge_at) >= 0:
            self.endpoint.acknowledge(waiting.pop(0).incoming)
        self._pace.step(now)
        while self._held and self._pace.take(now):
            flow = self._held.pop(0)
            self._ask(flow, *flow.request)
            flow.request = None
        if self.own is not None:
            self.own.tick(now)

    def wait_ms(self, now):
        """Milliseconds for which nothing will happen by itself; None: for ever."""
        wait = self.endpoint.wait_ms(now)
        if self.own is not None:
            wait = shorter(wait, self.own.own_wait_ms(now))
        if self._unacknowledged:
            acknowledge_at = self._unacknowledged[0].acknowledge_at
            wait = shorter(wait, max(diff(acknowledge_at, now), 0))
        if self._held:
            wait = shorter(wait, self._pace.wait_ms(now))
        return wait

    def unlinked(self, peer):
        """See Hop."""
        for flow in [f for f in self._flows if f.peer is peer]:
            self._end(flow)

    # Uplink

    def _uplink(self, transport, remote, now):
        peer = self.admitted(transport, remote, now)
        if peer is None:
            return
        tail = self.endpoint.message.tail()
        if self.hop_limit_at >= 0:
            tail = self._one_hop_less(tail, peer, now)
        if tail:
            self._forward(peer, tail, now)

    def _one_hop_less(self, tail, peer, now):
        """The tail of a request with its Hop-Limit counted down; None when it is refused."""
        message = self.endpoint.message
        i = self.hop_limit_at
        hops = message.uint(HOP_LIMIT, 0)
        if message.ends[i] - message.starts[i] != 1 or hops == 0:
            self.refuse(BAD_REQUEST, "Malformed Hop-Limit", peer, now)
            return None
        if hops == 1:
            # RFC 8768 section 3: the diagnostic names who gave up.
            text = "Hop limit reached at " + self._settings.ue_id
            self.refuse(HOP_LIMIT_REACHED, text, peer, now)
            return None
        tail = bytearray(tail)
        tail[message.starts[i] - message.token_end] = hops - 1
        return tail

    def _forward(self, peer, tail, now):
        endpoint = self.endpoint
        message = endpoint.message
        settings = self._settings
        token = observe = None
        if message.find(OBSERVE) >= 0:
            observe = message.uint(OBSERVE)
            known = self._flow_of(peer, message)
            if known is not None:
                token = known.exchange.token
                self._end(known)
        full = (
            len(self._flows) - self._n_observing >= settings.max_flows
            or peer.n_requests >= _MAX_REQUESTS_OF_A_UE  # nobody takes the place of others
        )
        held = full or self._held or not self._pace.take(now)
        if full or (held and len(self._held) >= settings.max_rate):
            self._busy(peer, now)
            return
        incoming = endpoint.accept(now)
        if incoming is None:
            endpoint.count("incoming_full")
            return
        options = ()
        if observe == 0 and not self._may_observe(peer):
            # Observe is elective: without it the UE gets a plain answer (RFC 7641 section 4.1).
            endpoint.count("observations_full")
            observe = None
            j = message.token_end
            options = [
                (message.numbers[i], bytes(tail[message.starts[i] - j : message.ends[i] - j]))
                for i in range(message.n_options)
                if message.numbers[i] != OBSERVE
            ]
            tail = None
        flow = Flow(peer, incoming, add(now, _ACK_DELAY_MS))
        if observe == 0:
            flow.wants_observe = True
        self._flows.add(flow)
        peer.n_requests += 1
        if incoming.confirmable:
            self._unacknowledged.append(flow)
        if held:
            flow.request = (options, tail and bytes(tail), token)
            self._held.append(flow)
        else:
            self._ask(flow, options, tail, token)

    def _ask(self, flow, options, tail, token):
        flow.exchange = self.endpoint.request(
            self._server_link,
            self._server,
            GET,
            options,
            flow,
            flow.incoming.confirmable,
            tail,
            token,
        )
        if flow.exchange is None:
            self._end(flow)

    def _may_observe(self, peer):
        """Whether there is room for one more observation, those asked for included."""
        watching = [flow for flow in self._flows if flow.wants_observe]
        if len(watching) < self._settings.max_observations:
            return True
        for flow in watching:
            if flow.peer is peer:  # it has begun anew, and lost its token
                self._end(flow)
                return True
        return False

    def _flow_of(self, peer, message):
        """The observation of a UE that this request renews or ends: the one with its token."""
        token = message.token()
        for flow in self._flows:
            if flow.observing and flow.peer is peer and flow.incoming.token == token:
                return flow
        return None

    def _busy(self, peer, now):
        """Answer 5.03 with the time of a turn, another one for everybody who asks."""
        self.endpoint.count("busy")
        seconds = self._pace.appointment_s(now)
        self.refuse(SERVICE_UNAVAILABLE, "Relay is busy", peer, now, max_age_s=seconds)

    # Downlink

    def _downlink(self, flow, now):
        endpoint = self.endpoint
        message = endpoint.message
        code = message.code
        i = message.find(self._recipient_option)
        if i < 0:
            endpoint.count("missing_recipient")
            return
        recipient = message.value(i)
        if recipient != flow.peer.ue_id and not uri_equal(recipient, flow.peer.ue_id):
            # Well known or not, it is not the one who asked.
            linked = self.links.of_ue(recipient) is not None
            endpoint.count("recipient_mismatch" if linked else "recipient_not_linked")
            return
        if self._settings.strict_codes and code not in (CONTENT, FORBIDDEN, NOT_FOUND):
            endpoint.count("code_not_relayed")
            return
        watching = flow.wants_observe and message.find(OBSERVE) >= 0 and code >> 5 == 2
        tail = message.tail()
        fault = None
        if self.not_understood(message):
            # RFC 7252 section 5.7.1: an unsafe option that is not understood is 5.02 to the UE.
            endpoint.count("option_not_relayed")
            fault = "Option not relayed"
        elif len(flow.incoming.token) + len(tail) + 6 > MAX_MESSAGE_SIZE:
            # The UE's token is longer than ours: it may ask for smaller blocks.
            endpoint.count("too_large")
            fault = "Too large with this token"
        if fault:
            endpoint.accept(now)
            self.say(flow.incoming, BAD_GATEWAY, fault, flow.peer)
            self._end(flow)
            return
        confirmable = message.mtype != NON
        endpoint.accept(now, watching)
        if flow.incoming.open:
            if flow in self._unacknowledged:
                self._unacknowledged.remove(flow)
            flow.notification = endpoint.respond(flow.incoming, code, (), b"", flow, tail)
        else:
            # Only the newest state matters: it takes the place of one not yet acknowledged.
            flow.notification = endpoint.notify(
                flow.incoming, code, (), b"", flow, tail, confirmable, flow.notification
            )
        if watching and not flow.observing:
            flow.observing = True
            flow.peer.n_requests -= 1
            self._n_observing += 1
        if not watching:
            self._remove(flow)

    # Ends

    def _reset(self, flow):
        """A Reset from the UE for an answer, or from the server for the request."""
        if self.endpoint.exchange is flow.exchange:
            if flow.incoming.open:
                self.say(flow.incoming, BAD_GATEWAY, "Reset by the server", flow.peer)
        else:
            self.endpoint.count("answer_reset")
        self._end(flow)

    def _timed_out(self, flow, exchange):
        if exchange is flow.exchange:
            self.endpoint.count("server_timeout")
            # With No-Response the server may well have nothing to say.
            if flow.incoming.open and not flow.incoming.unwanted:
                self.say(flow.incoming, GATEWAY_TIMEOUT, "No answer from the server", flow.peer)
        else:
            self.endpoint.count("answer_timeout")
        self._end(flow)

    def _end(self, flow):
        """Forget a flow with all that it waits for."""
        endpoint = self.endpoint
        if flow.exchange is not None:
            endpoint.cancel(flow.exchange)
        if flow.notification is not None and flow.notification.state != DONE:
            endpoint.cancel(flow.notification)
        if flow.incoming.open:
            endpoint.forget(flow.incoming)
        self._remove(flow)

    def _remove(self, flow):
        if flow in self._held:
            self._held.remove(flow)
        if flow in self._unacknowledged:
            self._unacknowledged.remove(flow)
        if flow in self._flows:
            self._flows.remove(flow)
            flow.peer.n_requests -= not flow.observing
        if flow.observing:
            self._n_observing -= 1
            flow.observing = False
