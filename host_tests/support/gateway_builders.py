"""A gateway in a network, with UEs or with clients that a test drives; SEAL-C local or remote."""

from msgin5g_testkit.checks import xorshift
from msgin5g.cbor.decoder import loads
from msgin5g.coap.message import Message, encode
from builders import RELAY, SERVER, document, new_ue
from default_settings import DefaultSettings

GATEWAY = RELAY
GATEWAY_ID = "urn:x-msgin5g:gateway:1"

# The addresses of SEAL-C, gateway and configuration client, when the client is a node of its own,
# and the client's address towards the server.
SEAL_C = (("127.0.0.1", 65400), ("127.0.0.1", 65402))
CLIENT = ("192.0.2.7", 65401)
_separated = [False, None]


def separated(function, *arguments, **named):
    """Call a function; the gateways that it makes have a separated configuration client."""
    return protected_seal_c(None, function, *arguments, **named)


def protected_seal_c(of_client, function, *arguments, **named):
    """The same; of_client: the security of that configuration client."""
    _separated[0] = True
    _separated[1] = of_client
    try:
        return function(*arguments, **named)
    finally:
        _separated[0] = False


def name(n):
    return "urn:x-msgin5g:ue:%04d" % n


def address(n):
    return ("192.168." + str(5 + n // 250) + "." + str(n % 250), 65401)


def data(n):
    return '{"who":"' + str(n) + '"}'


def doc(n, **more):
    """The document of UE n."""
    return document(name(n), data(n), "doc-" + str(n), **more)


def shared(names, document_id="shared", text="{}"):
    """A document for several UEs, None for all of them."""
    made = document("", text, document_id)
    if names is None:
        made.pop("valUeIds")
    else:
        made["valUeIds"] = {"uris": list(names), "imeiRanges": [{"tac": "35123456"}]}
    return made


def gateway_settings(**more):
    from msgin5g.coap.retransmission import Parameters

    settings = DefaultSettings({"role": "gateway", "ue_id": GATEWAY_ID, "max_links": 2000})
    settings.update(more)
    settings.parameters = Parameters(nstart=settings.max_flows)
    return settings


def new_gateway(sim=None, ues=(), seed=5, now=0, security=None, **settings):
    """A gateway that is linked with these UEs (their numbers)."""
    from msgin5g.gateway.gateway import Gateway
    from msgin5g.gateway.scm_local import LocalScmClient

    settings = gateway_settings(**settings)
    gateway = Gateway(settings, xorshift(seed), now if sim is None else sim.now, security)
    gateway.connect(LocalScmClient(settings, gateway.endpoint, 0, SERVER))
    for n in ues:
        assert gateway.link_up(name(n).encode(), 0, address(n))
    if sim is not None:
        if _separated[0]:
            from msgin5g.gateway.scm_remote import RemoteScmClient

            gateway.connect(RemoteScmClient(gateway.endpoint, 1, SEAL_C[1]))
            sim.add(SEAL_C[0], gateway, 1)
            new_seal_c(sim, settings, 77, _separated[1])
        sim.add(GATEWAY, gateway)
    return gateway


def new_seal_c(sim, settings, seed=77, security=None):
    """A configuration client that is a node of its own."""
    from msgin5g.gateway.scm_client_node import ScmClientNode

    client = ScmClientNode(settings, xorshift(seed), SERVER, SEAL_C[0], security)
    sim.add(SEAL_C[1], client, 1)
    sim.add(CLIENT, client)
    return client


def new_bulk_server(sim, documents, seed=9, **options):
    from bulk_servers import BulkServer

    server = BulkServer(xorshift(seed), documents, **options)
    sim.add(SERVER, server)
    return server


def new_ues(sim, numbers, **settings):
    return [new_ue(sim, address(n), n + 100, GATEWAY, ue_id=name(n), **settings) for n in numbers]


class ManualClient:
    """A UE that a test drives: it sends requests, acknowledges what it receives, and keeps it.

    answers: the Messages received. deaf: whether it ignores what arrives.
    """

    def __init__(self, sim, n, at=None):
        from msgin5g.coap.endpoint import Endpoint
        from msgin5g.coap.retransmission import Parameters

        self.sim = sim
        self.n = n
        self.counters = {}
        parameters = Parameters(nstart=8)
        self.endpoint = Endpoint(xorshift(n + 50), self.counters, parameters, None, 8, 8)
        self.answers = []
        self.deaf = False
        sim.add(at or address(n), self)

    def get(self, document_id=None, more=(), queries=(), etag=None, observe=None, block2=None,
            confirmable=True, ue_ids=None, token=None):  # fmt: skip
        from msgin5g.scm.request import ScmRequest

        ids = [name(self.n).encode()] if ue_ids is None else ue_ids
        resource = ScmRequest("msgin5g", ids, b"coap://scm.example", queries=queries)
        options = resource.options(document_id, etag, observe, block2)
        for number, value in more:
            i = 0
            while i < len(options) and options[i][0] <= number:
                i += 1
            options.insert(i, (number, value))
        return self.endpoint.request(0, GATEWAY, 1, options, self, confirmable, token)

    def deregister(self, document_id):
        """End its only observation, with the token that it began with (RFC 7641 3.6)."""
        (token,) = list(self.endpoint.by_token)
        self.endpoint.cancel(self.endpoint.by_token[token])
        return self.get(document_id, observe=1, token=token)

    def receive(self, transport, datagram, remote, now):
        if self.deaf:
            return
        kind = self.endpoint.receive(transport, datagram, remote, now)
        if kind == 2:
            message = self.endpoint.message
            observing = message.find(6) >= 0
            if message.view is not datagram:
                datagram = _inside(message)
            self.answers.append(Message(32).decode(bytes(datagram)))
            self.endpoint.accept(now, observing)
        elif kind == 4:
            self.endpoint.reject()  # it has cancelled the request

    def step(self, now):
        while self.endpoint.step(now):
            pass

    def transmit(self, now):
        return self.endpoint.transmit(now)

    def wait_ms(self, now):
        return self.endpoint.wait_ms(now)

    def documents(self, i=-1):
        return loads(self.answers[i].payload())


def new(numbers, documents, server=None, clients=None, link_model=None, **settings):
    """(sim, gateway, server, clients): the UEs of `numbers` are linked; a test drives clients."""
    from msgin5g_testkit.network_sim import NetworkSim

    sim = NetworkSim(link_model)
    gateway = new_gateway(sim, numbers, **settings)
    a_server = new_bulk_server(sim, documents, **(server or {}))
    return sim, gateway, a_server, [ManualClient(sim, n) for n in (clients or numbers)]


def _inside(message):
    """What a protected message holds, as a datagram."""
    options = [(message.numbers[i], message.value(i)) for i in range(message.n_options)]
    return packet(message.mtype, message.code, message.mid, message.token(), options,
                  message.payload())  # fmt: skip


def answered(sim, clients, limit_ms=200000):
    return sim.run(lambda: all(client.answers for client in clients), limit_ms)


def packet(mtype, code, mid, token, options, payload=b""):
    buf = bytearray(1152)
    return bytes(buf[: encode(buf, mtype, code, mid, token, options, payload)])
