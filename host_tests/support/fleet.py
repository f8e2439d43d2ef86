"""A few UEs behind a relay or a gateway, a server, and what each UE should end with.

A Fleet is a whole network that a test disturbs: it loses and repeats datagrams, restarts nodes,
ends and begins links, and changes what the server has. `expected` says what the server would
answer if a UE asked it alone; `settle` ends all disturbances and gives what is wrong after that.

    fleet = Fleet("gateway", [Kind(), Kind(observe=True)])
    fleet.deny(1)
    assert fleet.settle() == []
"""

from builders import RELAY, SERVER, FakeConfiguration, document, new_relay, ue_settings
from bulk_servers import BulkServer
from checks import xorshift
from gateway_builders import name, new_gateway, separated
from msgin5g.coap.message import uint_bytes
from network_sim import NetworkSim, chance

TAC = "35123456"
VENDOR = "acme"
MAX_AGE_S = 300
RETRY_MAX_S = 60
_MIDDLES = ("relay", "gateway", "separated")
_TELLING = ("applied", "unchanged", "rejected", "refused", "removed", "deconfigured")


class Kind:
    """What a UE is: its queries, and whether it observes."""

    def __init__(self, observe=False, vendor=None, tac=None):
        self.observe = observe
        self.vendor = vendor
        self.tac = tac

    def __repr__(self):
        return "Kind(%r, %r, %r)" % (self.observe, self.vendor, self.tac)


class FleetServer(BulkServer):
    """A server with the rules of tools/scm_server: whom a document is for, and who is denied."""

    number = 0  # the Observe value, one sequence for all

    def _answer(self, order):
        _, incoming, what, individual, observe, block, etag = order
        self.observers = [
            o
            for o in self.observers
            if o[0].token != incoming.token or o[0].remote != incoming.remote
        ]
        sequence = None
        if individual and observe == 0 and not self.refusal(what):
            sequence = self._next_number()
            self.observers.append([incoming, what, sequence])
        code, options, payload = self.representation(what, individual, block, etag, sequence)
        self.endpoint.respond(incoming, code, options, payload)

    def _next_number(self):
        self.number += 1
        return self.number

    def refusal(self, what):
        """The code of the error that answers a request, or None."""
        ids, document_id, _, _ = what
        if any(i in self.denied for i in ids):
            return 0x83
        if self.documents_of(what):
            return None
        known = any(d["ueConfigDocId"] == document_id for d in self.documents)
        return 0x83 if known else 0x84 if len(ids) == 1 else None

    def representation(self, what, individual, block, etag, sequence):
        code = self.refusal(what)
        if code == 0x83 and not any(i in self.denied for i in what[0]):
            options = [(12, uint_bytes(257)), (65020, what[0][0].encode())]
            return code, options, b"\xa1\x20\x69Forbidden"
        return super().representation(what, individual, block, etag, sequence)

    def change(self, document_id, doc):
        """Give a document, None for none, a new content, and notify its observers."""
        self.documents = [d for d in self.documents if d["ueConfigDocId"] != document_id]
        if doc is not None:
            self.documents.append(doc)
        self.notify(lambda what: what[1] == document_id)

    def deny(self, ue_id, denied):
        """Put a UE on the deny list, or take it off."""
        self.denied = [i for i in self.denied if i != ue_id] + ([ue_id] if denied else [])
        self.notify(lambda what: ue_id in what[0])

    def notify(self, chosen):
        for observer in list(self.observers):
            if chosen(observer[1]):
                observer[2] = self._next_number()
                code, options, payload = self.representation(
                    observer[1], True, 6, None, observer[2]
                )
                if code >> 5 != 2:
                    self.observers.remove(observer)
                self.endpoint.notify(observer[0], code, options, payload, observer)


class Fleet:
    """UEs 1 to n of these kinds behind `middle`: "relay", "gateway" or "separated".

    The server begins without a document. one_by_one: it answers for the first UE of a bulk request
    only. harsh: whether something has happened that may end an observation before its UE can know
    of it.
    """

    def __init__(self, middle, kinds, seed=1, one_by_one=False):
        self.sim = NetworkSim()
        self.middle = middle
        self.kinds = kinds
        self.seed = seed
        self.one_by_one = one_by_one
        self.texts = 0
        self.harsh = False
        self.loss = 0
        self.members = {}  # {document ID: members}
        self.links = {}  # {n: address}
        self.moves = [0] * (len(kinds) + 1)
        self.ues = {}
        self.outcomes = {}
        self.checked = 0
        self.configurations = {}
        self.server = FleetServer(
            xorshift(seed + 9), [], one_by_one=one_by_one, max_age_s=MAX_AGE_S
        )
        self.sim.add(SERVER, self.server)
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

    def start_middle(self):
        """Start the relay or the gateway, anew when there is one."""
        self.seed += 7
        links = {name(n): self.links[n] for n in self.links}
        settings = {"max_flows": 8, "max_observations": 8}
        if self.middle == "relay":
            self.node = new_relay(self.sim, links, self.seed, **settings)
            return
        make = new_gateway
        if self.middle == "separated":
            self.node = separated(make, self.sim, (), self.seed, bulk_window_s=1, **settings)
        else:
            self.node = make(self.sim, (), self.seed, bulk_window_s=1, **settings)
        for n in self.links:
            self.node.link_up(name(n).encode(), 0, self.links[n])

    def restart_middle(self):
        self.harsh = True
        self.start_middle()

    def start_ue(self, n):
        """Start a UE, anew when there is one; it keeps what it has stored."""
        from msgin5g.ue import ConstrainedUe

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
        ue = ConstrainedUe(
            settings, xorshift(self.seed), self.configurations[n], RELAY, self.sim.now
        )
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

    # What happens to datagrams

    def disturb(self, loss, duplication, max_delay_ms):
        """Percent of loss and duplication, and the longest delay.

        A datagram is lost twice at most, and its third copy arrives: no exchange times out.
        """
        self.seed += 1
        model = chance(self.seed, loss, duplication, max_delay_ms)
        losses = {}

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

    def deny(self, n, denied=True):
        self.server.deny(name(n), denied)

    # What comes of it

    def run(self, ms, done=None):
        """Let time pass; nothing may go to a UE without a link."""
        fleet = self

        def poll():
            for n in fleet.numbers:
                fleet.poll(n)
            return done is not None and done()

        came = self.sim.run(poll, ms)
        addresses = list(self.links.values())
        for _, source, destination, datagram in self.sim.log:
            if source == RELAY and destination not in addresses:
                assert destination == SERVER, ("sent without a link", destination, datagram)
        self.sim.log = []
        return came

    def poll(self, n):
        ue = self.ues[n]
        while True:
            event = ue.poll()
            if event is None:
                return
            if event["event"] in ("applied", "unchanged"):
                self.outcomes[n] = self.configurations[n].data.decode()
            elif event["event"] == "rejected":
                self.outcomes[n] = event["code"]
            elif event["event"] == "refused":
                self.outcomes[n] = str(event["reasons"])

    def expected(self, n):
        """What the server would answer if UE n asked it alone: a text, "4.03" or "4.04"."""
        if name(n) in self.server.denied:
            return "4.03"
        doc = self.document_of(n)
        return "4.04" if doc is None else doc["ueConfigs"][0]["configData"]

    def document_of(self, n):
        """The document that is most closely for UE n, or None."""
        ue_id = name(n)
        kind = self.kinds[n - 1]
        best = None
        for doc in self.server.documents:
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

    def wrong(self, only_observers=False):
        """[(n, what it has, what it should have)] of the UEs that do not have it."""
        found = []
        for n in self.numbers:
            if only_observers and not self.kinds[n - 1].observe:
                continue
            has = self.outcomes.get(n)
            if has != self.expected(n):
                found.append((n, has, self.expected(n)))
        return found

    def settle(self):
        """End all disturbances, and let every UE ask again: what is wrong then."""
        self.quiet()
        for n in self.numbers:
            self.link_up(n)
        # An exchange under way may time out first; then the longest back-off, and Max-Age.
        limit_ms = (100 + 2 * RETRY_MAX_S + 2 * MAX_AGE_S) * 1000
        self.run(limit_ms)
        self.run(limit_ms, lambda: not self.wrong())
        return self.wrong()

    def push(self, limit_s=90):
        """Change every document on a quiet network: which observers did not get it."""
        self.quiet()
        self.run(limit_s * 1000)
        for document_id in list(self.members):
            self.change(document_id)
        self.run(limit_s * 1000, lambda: not self.wrong(True))
        return [w for w in self.wrong(True) if self.registered(w[0]) and w[2][0] == "{"]

    def registered(self, n):
        """Whether a UE observes the document that is for it."""
        client = self.ues[n].client
        doc = self.document_of(n)
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
        if self.harsh:
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
            left["flows"] = len(node.flows)
            left["observing"] = node.n_observing
            left["held back"] = len(node.held_back)
        else:
            left["waiting"] = node.n_waiting
            left["observers"] = node.observers.n_observers
            left["documents"] = len(node.shared_documents.documents)
            left["transfers"] = len(node.transfers.under_way)
        return {key: left[key] for key in left if left[key]}
