"""A few UEs behind a relay or a gateway, a server, and what each UE should end with.

A Fleet is a whole network that a test disturbs: it loses and repeats datagrams, restarts nodes,
ends and begins links, and changes what the server has. It knows what the server would answer if a
UE asked it alone, now and at each moment before, and looks at all that the UEs get:

    always      a UE gets what the server would have given it lately; nothing goes to an address
                without a link; the server is not asked much more often than the UEs ask
    settle      once the network is quiet, each UE has what the server would give it
    ask_all     so it is with each document that a UE asks for by its ID
    push        each UE that observes gets the newest state, and the next one
    empty       when the UEs have gone, nothing is left of them

    fleet = Fleet("gateway", [Kind(), Kind(observe=True)])
    fleet.deny(1)
    assert fleet.settle() == []
"""

from builders import RELAY, SERVER, FakeConfiguration, document, new_relay, ue_settings
from bulk_servers import BulkServer
from msgin5g_testkit.checks import xorshift
from gateway_builders import CLIENT, SEAL_C, name, new_gateway, new_seal_c, separated
from gateway_builders import gateway_settings
from msgin5g.cbor.decoder import loads
from msgin5g.coap.endpoint import RESPONSE
from msgin5g.coap.message import insert
from msgin5g.coap.text import code_text
from msgin5g.coap.numbers import CONTENT, FORBIDDEN
from msgin5g.coap.retransmission import Parameters
from msgin5g.ue import ConstrainedUe
from msgin5g_testkit.network_sim import NetworkSim, chance

TAC = "35123456"
VENDOR = "acme"
MAX_AGE_S = 300
RETRY_MAX_S = 60
_UNKNOWN_OPTION = 65001  # critical: the number is odd
_METHODS = (1, 5)  # GET, FETCH
_SETTINGS = {"max_flows": 8, "max_observations": 8, "bulk_window_s": 1}
# How long an answer may be under way: it was asked for, or repeated, for 93 s on each of two hops.
_LATE_S = 250
# A document may be a Max-Age old, too.
_STALE_S = MAX_AGE_S + _LATE_S
# Errors that a UE may get at any time, and that say nothing about its configuration.
_BUSY = ("4.29", "5.02", "5.03", "5.04")


class Kind:
    """What a UE is: its queries, and whether it observes."""

    def __init__(self, observe=False, vendor=None, tac=None):
        self.observe = observe
        self.vendor = vendor
        self.tac = tac

    def __repr__(self):
        return "Kind(%r, %r, %r)" % (self.observe, self.vendor, self.tac)


class Reading:
    """A request for a document by its ID, asked_at: in ms since the start.

    answer: the text of its configuration, or the code of an error; None until it has come. uris:
    the UEs that the document names.
    """

    answer = None
    uris = ()

    def __init__(self, document_id, asked_at):
        self.document_id = document_id
        self.asked_at = asked_at

    def take(self, message):
        if message.code == CONTENT:
            doc = loads(message.payload())
            self.answer = doc["ueConfigs"][0]["configData"]
            self.uris = doc.get("valUeIds", {}).get("uris", ())
        else:
            self.answer = code_text(message.code)


class FleetUe(ConstrainedUe):
    """A UE whose application asks for documents by their ID, too.

    answered: the Readings that were answered. is_refused: whether a 4.03 has come since the fleet
    has looked. deaf: nothing arrives at it.
    """

    is_refused = False
    deaf = False

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.answered = []

    def read(self, reading, observe=None):
        """Ask for a document; nothing happens when there is no room for the request."""
        client = self.client
        options = client.request.options(reading.document_id.encode(), None, observe)
        self.endpoint.request(client.transport, client.remote, 1, options, reading)

    def receive(self, transport, datagram, remote, now):
        if not self.deaf:
            super().receive(transport, datagram, remote, now)

    def handle_exchange(self, kind, exchange, now):
        message = self.endpoint.message
        is_response = kind == RESPONSE and self.client.is_recipient(message)
        if is_response and message.code == FORBIDDEN:
            self.is_refused = True
        if not isinstance(exchange.owner, Reading):
            super().handle_exchange(kind, exchange, now)
        elif is_response:
            exchange.owner.take(message)
            self.answered.append(exchange.owner)
            self.endpoint.accept(now)


class FleetServer(BulkServer):
    """A server with the rules of tools/scm_server: whom a document is for, and who is denied.

    A notification does not wait until the one before it is acknowledged, and takes its place then.
    strange: whether its answers have a critical option that nobody knows.
    """

    replaces = True
    strange = False
    _number = 0  # the Observe value, one sequence for all

    def __init__(self, random, documents, denied, **options):
        super().__init__(random, documents, denied, **options)
        self.endpoint.parameters = Parameters(nstart=8)

    def following(self, sequence):
        self._number += 1
        return self._number

    def refusal(self, request):
        refusal = super().refusal(request)
        if (refusal and refusal[0] == FORBIDDEN) or self.documents_of(request):
            return refusal
        if any(d["ueConfigDocId"] == request.document_id for d in self.documents):
            return FORBIDDEN, "Forbidden", "for another UE"
        return refusal

    def representation(self, request, sequence):
        code, options, payload = super().representation(request, sequence)
        if self.strange:
            insert(options, _UNKNOWN_OPTION, b"")
        return code, options, payload

    def deny(self, ue_id, denied):
        """Put a UE on the deny list, or take it off."""
        self.denied = [i for i in self.denied if i != ue_id] + ([ue_id] if denied else [])
        self.notify(lambda request: ue_id in request.ids)


class Fleet:
    """UEs 1 to n of these kinds behind `middle`: "relay", "gateway" or "separated".

    The server begins without a document. one_by_one: it answers for the first UE of a bulk request
    only. harsh: whether something has happened since the last `settle` that may end an observation
    before its UE can know of it. outcomes: what each UE was told last, a text or a code. faults:
    what a UE should not have got, and what should not have been sent.
    """

    def __init__(self, middle, kinds, seed=1, one_by_one=False):
        self.sim = NetworkSim()
        self.middle = middle
        self.kinds = kinds
        self.seed = seed
        self.one_by_one = one_by_one
        self.texts = 0
        self.harsh = self.was_harsh = False
        self.members = {}  # {document ID: members}
        self.links = {}  # {n: address}
        self.moves = [0] * (len(kinds) + 1)
        self.ues = {}
        self.outcomes = {}
        self.faults = []
        self.configurations = {}
        self._states = []  # (since when, documents, denied) of the server, the oldest first
        self._refused_at = {}  # {n: since when the server had refused what it was told last}
        self._strange_at = None
        self._requests = ({}, {})  # by datagram: to the server, and of UEs
        self._n_changes = 0
        self._losses = {}  # {datagram: how often it was lost}
        self.server = None
        self.start_server()
        for n in self.numbers:
            self.links[n] = self.address(n)
            self.configurations[n] = FakeConfiguration()
        self.start_middle()
        for n in self.numbers:
            self.start_ue(n)

    @property
    def numbers(self):
        return range(1, len(self.kinds) + 1)

    def address(self, n):
        return ("192.168.4." + str(10 * n + self.moves[n]), 65401)

    # What happens to nodes

    def _watch(self, role):
        """A response that nobody has acknowledged may have ended an observation.

        So it is when changes follow each other: each new notification may be lost twice, but the
        time for an acknowledgement runs on (RFC 7641 section 4.5.2).
        """
        handle_timeout = role.handle_timeout

        def note(exchange, now):
            if exchange.token is None and not any(ue.deaf for ue in self.ues.values()):
                self.harsh = True
            handle_timeout(exchange, now)

        role.handle_timeout = note

    def start_server(self):
        """Start the server, anew when there is one; it keeps its documents."""
        self.seed += 7
        old = self.server
        self.server = FleetServer(
            xorshift(self.seed),
            [] if old is None else old.documents,
            () if old is None else old.denied,
            one_by_one=self.one_by_one,
            max_age_s=MAX_AGE_S,
        )
        self.sim.add(SERVER, self.server)
        if old is None:
            self._changed()

    def restart_server(self):
        self.harsh = True
        self.start_server()

    def start_middle(self):
        """Start the relay or the gateway, anew when there is one."""
        self.seed += 7
        links = {name(n): self.links[n] for n in self.links}
        if self.middle == "relay":
            self.node = new_relay(self.sim, links, self.seed, **_SETTINGS)
            self._watch(self.node)
            return
        if self.middle == "separated":
            client = self.sim.nodes.get(CLIENT)
            self.node = separated(new_gateway, self.sim, (), self.seed, **_SETTINGS)
            if client is None:
                self._watch(self.sim.nodes[CLIENT])
            else:
                self._connect(client)
        else:
            self.node = new_gateway(self.sim, (), self.seed, **_SETTINGS)
        self._watch(self.node)
        for n in self.links:
            self.node.link_up(name(n).encode(), 0, self.links[n])

    def restart_middle(self):
        self.harsh = True
        self.start_middle()

    def restart_client(self):
        """Start the gateway's client anew, where it is a node of its own."""
        if self.middle == "separated":
            self.harsh = True
            self.seed += 7
            self._watch(new_seal_c(self.sim, gateway_settings(**_SETTINGS), self.seed))

    def _connect(self, client):
        self.sim.add(SEAL_C[1], client, 1)
        self.sim.add(CLIENT, client)

    def start_ue(self, n):
        """Start a UE, anew when there is one; it keeps what it has stored."""
        self.seed += 7
        kind = self.kinds[n - 1]
        settings = ue_settings(
            ue_id=name(n),
            observe=kind.observe,
            ue_vendor=kind.vendor,
            ue_type=kind.tac,
            retry_max_s=RETRY_MAX_S,
            refresh_max_s=MAX_AGE_S,
        )
        ue = FleetUe(settings, xorshift(self.seed), self.configurations[n], RELAY, self.sim.now)
        self.ues[n] = ue
        self.outcomes.pop(n, None)
        self.sim.add(self.address(n), ue)

    def link_down(self, n):
        self.harsh = True
        if self.links.pop(n, None) is not None:
            self.node.link_down(name(n).encode())

    def link_up(self, n):
        if n not in self.links:
            self.links[n] = self.address(n)
            self.node.link_up(name(n).encode(), 0, self.address(n))

    def move(self, n):
        """The UE gets another address; its link comes up there."""
        self.harsh = True
        ue = self.ues[n]
        self.sim.remove(self.address(n))
        self.moves[n] = (self.moves[n] + 1) % 10
        self.sim.add(self.address(n), ue)
        self.links[n] = self.address(n)
        self.node.link_up(name(n).encode(), 0, self.address(n))

    def fetch(self, n):
        self.ues[n].fetch(self.sim.now)

    def read(self, n, document_id, observe=None):
        """Have a UE ask for a document by its ID: a Reading."""
        reading = Reading(document_id, self.sim.elapsed_ms)
        self.ues[n].read(reading, observe)
        return reading

    def read_deaf(self, n, document_id):
        """A UE asks for a document, and hears nothing until the answer has timed out."""
        self.quiet()
        self.run(200000, self.is_idle)
        self.read(n, document_id)
        ue = self.ues[n]
        ue.deaf = True
        self.run(100000)
        ue.deaf = False

    # What happens to datagrams

    def disturb(self, loss, duplication, max_delay_ms):
        """Percent of loss and duplication, and the longest delay.

        A datagram is lost twice at most, and its third copy arrives: no exchange times out.
        """
        self.seed += 1
        # A small seed has small numbers first.
        model = chance(self.seed * 0x9E3779B1 & 0x3FFFFFFF, loss, duplication, max_delay_ms)
        losses = self._losses  # of former disturbances, too: an exchange may last for all of them

        def link_model(number, datagram):
            delays = model(number, datagram)
            if not delays:
                losses[datagram] = losses.get(datagram, 0) + 1
                if losses[datagram] > 2:
                    delays = [10]
            return delays

        self.sim.link_model = link_model

    def black_out(self):
        """Nothing arrives any more."""
        self.harsh = True
        self.sim.link_model = lambda number, datagram: []

    def quiet(self):
        self.sim.link_model = lambda number, datagram: [10]

    # What happens at the server

    def publish(self, document_id, members):
        """Give a document to UEs: numbers, or {"tac": text}, {"vendor": text}, {} for everybody.

        A UE is named by one document: it is taken out of the others.
        """
        if isinstance(members, list):
            for other in list(self.members):
                mine = self.members[other]
                if other != document_id and isinstance(mine, list):
                    left = [n for n in mine if n not in members]
                    if left != mine:
                        self._put(other, left)
        self._put(document_id, members)

    def change(self, document_id):
        if document_id in self.members:
            self._put(document_id, self.members[document_id])

    def delete(self, document_id):
        if self.members.pop(document_id, None) is not None:
            self.server.change(document_id, None)
            self._changed()

    def _put(self, document_id, members):
        if members == []:
            self.delete(document_id)
            return
        self.members[document_id] = members
        self.texts += 1
        doc = document("", '{"text":"' + str(self.texts) + '"}', document_id)
        if isinstance(members, list):
            doc["valUeIds"] = {"uris": [name(n) for n in members]}
        elif "tac" in members:
            doc["valUeIds"] = {"imeiRanges": [{"tac": members["tac"]}]}
        else:
            doc.pop("valUeIds")
            if "vendor" in members:
                doc["ueVendors"] = [members["vendor"]]
        self.server.change(document_id, doc)
        self._changed()

    def deny(self, n, denied=True):
        self.server.deny(name(n), denied)
        self._changed()

    def _changed(self):
        """The server has something else from now on."""
        self._n_changes += 1
        server = self.server
        if not self.sim.elapsed_ms:
            self._states = []  # nobody has asked yet
        self._states.append((self.sim.elapsed_ms, list(server.documents), list(server.denied)))

    def answer_strangely(self, seconds):
        """For so long the server's answers have a critical option that nobody knows."""
        self.harsh = True
        self.run(0)
        before = self._n_requests
        self.server.strange = True
        for n in self.numbers:
            self.fetch(n)
        n = self.server.n_requests + 100
        self.run(seconds * 1000, lambda: self.server.n_requests > n)
        self.server.strange = False
        self._strange_at = self.sim.elapsed_ms
        self._check_load(before, 0)

    # What comes of it

    def run(self, ms, done=None):
        """Let time pass."""
        fleet = self

        def poll():
            for n in fleet.numbers:
                fleet.poll(n)
            return done is not None and done()

        came = self.sim.run(poll, ms)
        addresses = list(self.links.values())
        to_server, of_ues = self._requests
        for _, source, destination, datagram in self.sim.log:
            if source == RELAY and destination not in addresses and destination != SERVER:
                self.faults.append(("sent without a link", destination, datagram))
            if datagram[1] in _METHODS:
                if destination == SERVER:
                    to_server[datagram] = source
                elif destination == RELAY:
                    of_ues[datagram] = source
        self.sim.log = []
        return came

    def is_idle(self):
        """Whether nothing is under way."""
        sim = self.sim
        if sim.n_in_air or (self.middle != "relay" and self.node.n_waiting):
            return False
        for node in sim.nodes.values():
            if node.endpoint.exchanges or node.endpoint.outbox:
                return False
        return True

    def poll(self, n):
        ue = self.ues[n]
        while True:
            event = ue.poll()
            if event is None:
                break
            kind = event["event"]
            if kind in ("applied", "unchanged"):
                self._told(n, self.configurations[n].data.decode())
            elif kind == "rejected":
                self._told(n, event["code"])
            elif kind == "refused":
                self._told(n, str(event["reasons"]))
        while ue.answered:
            self._answered(n, ue.answered.pop(0))
        if ue.is_refused:
            ue.is_refused = False
            self._note_refusal(n)

    def _told(self, n, outcome):
        self.outcomes[n] = outcome
        client = self.ues[n].client
        may_be = self._answers(n, None, outcome)
        if self.kinds[n - 1].observe and client.document_id is not None:
            # Another document may have become its own; it will see that in the collection.
            may_be |= self._answers(n, client.document_id.decode(), outcome)
        if not self._may_be(outcome, may_be):
            self.faults.append(("told", n, outcome, may_be))

    def _answered(self, n, reading):
        has = reading.answer
        since = None
        if n in self._refused_at and self._refused_at[n][0] < reading.asked_at:
            since = self._refused_at[n][1]
        may_be = self._answers(n, reading.document_id, has, since)
        if not self._may_be(has, may_be):
            self.faults.append(("answered", n, reading.document_id, has, may_be))
        if self.middle != "relay" and any(uri != name(n) for uri in reading.uris):
            self.faults.append(("names others", n, reading.document_id, reading.uris))

    def _note_refusal(self, n):
        """A UE on the deny list was told so: nothing older is for it from now on."""
        now = self.sim.elapsed_ms
        start = now - 1000 * _LATE_S
        for i in range(len(self._states) - 1, -1, -1):
            since, _, denied = self._states[i]
            if name(n) in denied:
                self._refused_at[n] = (now, max(since, start))
            if since <= start:
                break

    def _may_be(self, has, answers):
        if has in answers or has in _BUSY:
            return True
        strange_at = self._strange_at
        return (
            has[0] == "[" and "option" in has and (self.server.strange or strange_at is not None)
        )

    def _answers(self, n, document_id, has, since=None):
        """What a UE that gets this answer now may have been answered, as a set.

        The server's answers to it of late; and each new state of a document that the server has
        lately given it: a gateway asks the server again for one that is a Max-Age old.
        """
        late_s = _STALE_S if has[0] == "{" else _LATE_S
        start = self.sim.elapsed_ms - 1000 * late_s
        if since is not None:
            start = max(start, since)
        states = []
        for i in range(len(self._states) - 1, -1, -1):
            states.append(self._states[i])
            if self._states[i][0] <= start:
                break
        found = set()
        given = set()
        for state in states:
            answer, doc = self._answer(n, document_id, state)
            found.add(answer)
            if answer[0] == "{":
                given.add(doc["ueConfigDocId"])
        if self.middle != "relay":
            for state in states:
                for doc in state[1]:
                    if doc["ueConfigDocId"] in given:
                        found.add(doc["ueConfigs"][0]["configData"])
        return found

    def answer(self, n, document_id=None):
        """What the server would answer if UE n asked it alone: a text, "4.03" or "4.04".

        document_id: None for the collection.
        """
        return self._answer(n, document_id, self._states[-1])[0]

    def _answer(self, n, document_id, state):
        """(answer, document) of a server in this state."""
        _, documents, denied = state
        if name(n) in denied:
            return "4.03", None
        doc = None
        if document_id is None:
            doc = self._best(n, documents)
        for one in documents:
            if one["ueConfigDocId"] == document_id:
                doc = one
                uris = doc.get("valUeIds", {}).get("uris")
                if uris is not None and name(n) not in uris:
                    return "4.03", doc
        return ("4.04" if doc is None else doc["ueConfigs"][0]["configData"]), doc

    def _best(self, n, documents):
        """The document that is most closely for UE n, or None."""
        ue_id = name(n)
        kind = self.kinds[n - 1]
        best = None
        for doc in documents:
            named = doc.get("valUeIds")
            if named is None:
                vendors = doc.get("ueVendors")
                rank = 1 if vendors is None or kind.vendor in vendors else 0
            elif ue_id in named.get("uris", ()):
                rank = 3
            else:
                tacs = [r["tac"] for r in named.get("imeiRanges", ())]
                rank = 2 if kind.tac in tacs else 0
            if rank and (best is None or rank > best[0]):
                best = (rank, doc)
        return None if best is None else best[1]

    def wrong(self):
        """[(n, what it has, what it should have)] of the UEs that do not have it."""
        found = []
        for n in self.numbers:
            has = self.outcomes.get(n)
            if has != self.answer(n):
                found.append((n, has, self.answer(n)))
        return found

    def settle(self):
        """End all disturbances, and let every UE ask again: what is wrong then."""
        self.quiet()
        for n in self.numbers:
            self.link_up(n)
        # An exchange under way may time out first; then the longest back-off, and Max-Age.
        limit_ms = (100 + 2 * RETRY_MAX_S + 2 * MAX_AGE_S) * 1000
        self.run(limit_ms)
        self.run(limit_ms, lambda: not self.wrong() and not self.unregistered())
        self.was_harsh |= self.harsh
        self.harsh = False
        self._check_load((0, 0), self._n_changes)
        return self.wrong() + self.unregistered() + self.faults

    def unregistered(self):
        """Those that should observe their document, and do not."""
        found = []
        for n in self.numbers:
            if self.kinds[n - 1].observe and self.answer(n)[0] == "{" and not self.registered(n):
                found.append(("does not observe", n))
        return found

    @property
    def _n_requests(self):
        """(to the server, of UEs): how many requests there were, without repeats."""
        return [len(requests) for requests in self._requests]

    def _check_load(self, before, n_changes):
        """Whether the server was asked much more often than the UEs have asked since then."""
        to_server, of_ues = [now - n for now, n in zip(self._n_requests, before)]
        if to_server > 20 + 4 * (of_ues + len(self.kinds) * n_changes):
            self.faults.append(("asked too often", to_server, of_ues))

    def ask_all(self):
        """Let each UE ask for each document by its ID, twice: what is wrong with the answers.

        The second time as one that does not want to observe, which ends no other observation.
        Only after `settle`: nothing may change meanwhile.
        """
        found = []
        for observe in (None, 1):
            for document_id in list(self.members) + ["no-such"]:
                for n in self.numbers:
                    has = self._ask(n, document_id, observe)
                    if has != self.answer(n, document_id):
                        found.append((n, document_id, has, self.answer(n, document_id)))
        return found + self.faults

    def ask_around(self, n):
        """A UE asks for its configuration, and then for each document by its ID."""
        self.fetch(n)
        self.run(2000)
        for document_id in list(self.members):
            self.read(n, document_id)
            self.run(2000)

    def _ask(self, n, document_id, observe):
        # A request of the configuration client may take the place of it.
        for _ in range(3):
            self.run(100000, lambda: not self.ues[n].client.busy)
            reading = self.read(n, document_id, observe)
            if self.run(10000, lambda: reading.answer is not None):
                return reading.answer
        return None

    def push(self, limit_s=90):
        """Change every document on a quiet network: which observers did not get it.

        First, they have to have what there was before; that an observation ends meanwhile is told
        by `harsh`.
        """
        self.quiet()
        self.run(limit_s * 1000, self.is_idle)
        if self.harsh:
            return self.faults
        old = [w for w in self.unnotified() if w[1] is not None and w[1][0] == "{"]
        for document_id in list(self.members):
            self.change(document_id)
        self.run(limit_s * 1000, lambda: not self.unnotified())
        return old + self.unnotified() + self.faults

    def unnotified(self):
        """What is wrong with those that observe the document that is for them."""
        return [w for w in self.wrong() if w[2][0] == "{" and self.registered(w[0])]

    def registered(self, n):
        """Whether a UE observes the document that is for it."""
        client = self.ues[n].client
        doc = self._best(n, self.server.documents)
        return (
            client.observing
            and doc is not None
            and client.document_id == doc["ueConfigDocId"].encode()
        )

    def empty(self):
        """Stop every UE, and change every document: what is left in tables then.

        A Reset ends an observation that nobody waits for, one hop at a time: two changes do it.
        """
        for n in self.numbers:
            self.ues[n].stop()
        for _ in range(2):
            self.run(30000)
            for document_id in list(self.members):
                self.change(document_id)
        if self.was_harsh:
            # The server may have given an observation up that the relay still has.
            for n in self.numbers:
                self.link_down(n)
        self.run(600000)
        node = self.node
        left = {
            "exchanges": len(node.endpoint.exchanges),
            "outbox": len(node.endpoint.outbox),
            "incoming": node.endpoint.n_incoming,
            "server observers": len(self.server.observers),
        }
        if self.middle == "relay":
            left["flows"] = len(node.flows())
            left["observing"] = node.n_observing
            left["held back"] = len(node.held_back)
        else:
            left["waiting"] = node.n_waiting
            left["observers"] = node.observers.n_observers
            left["documents"] = len(node.shared_documents.documents)
            left["transfers"] = len(node.transfers.under_way)
        if self.middle == "separated" and not self.was_harsh:
            left["requests of SEAL-C"] = len(self.sim.nodes[CLIENT].pending_requests)
        return {key: left[key] for key in left if left[key]}
