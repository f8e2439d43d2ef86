"""A virtual network with a server, relays, gateways and UEs on virtual boards, without waiting.

    net = Network(loss=0.3, seed=1)
    server = net.server({UE_ID: {"interval-s": 10}})
    ue = net.ue(UE_ID, application="my_app")
    ue.wait("applied")

Each datagram that is sent is checked (see inspector); a fault is an AssertionError of `run`.
"""

from binascii import hexlify

from msgin5g_testkit.network_sim import NetworkSim, chance
from msgin5g_testkit.scm import ScmServer
from msgin5g_testkit.ue import Stop, Ue

SERVER = ("192.0.2.1", 5683)
SERVER_URI = "coap://scm.example"
_PORT = 65401
TYPE_CHECKING = False
if TYPE_CHECKING:
    from msgin5g_testkit.gateway import GatewayNode
    from msgin5g_testkit.intermediary import RelayNode


class Network:
    """The clock and the air between a server, relays, gateways and UEs.

    loss, duplication: the share of datagrams, 0 to 1, that are lost or arrive twice. delay_ms:
    what a datagram takes at most; they may overtake each other. seed: the same one gives the same
    losses and the same random numbers everywhere. link_model: in place of all these, a function of
    (number of the datagram from 0, datagram) that gives a list of delays in ms, [] for a loss.
    Frames of ESP-NOW are lost in the same way, but not delayed or duplicated.
    check: whether each datagram is checked.

    elapsed_ms: virtual time since the start. log: list of (ms, source, destination, datagram) of
    all that was sent. names: {host name: address}, the network's DNS.
    """

    def __init__(self, loss: float = 0, duplication: float = 0, delay_ms: int = 50, seed: int = 1,
                 link_model=None, check: bool = True) -> None:  # fmt: skip
        if link_model is None:
            link_model = chance(seed, int(loss * 100), int(duplication * 100), delay_ms)
        self.seed = seed
        self.names: dict = {}
        self.ues: list = []
        self.inspector = None
        if check:
            from msgin5g_testkit.inspector import Inspector

            self.inspector = Inspector(SERVER, SERVER_URI)
        self._sim = NetworkSim(link_model, on_send=self._inspect if check else None)
        self.planned: list = []  # (elapsed_ms, number, function)
        self._n_planned = 0
        self._server: "ScmServer | None" = None
        self._keys: list = []  # UE IDs whose key the server has, or is to get
        self._n_intermediaries = 0
        self._until = self._radio_port = None
        self._end = 0
        self._sim.add("plan", self._Plan(self))

    @property
    def elapsed_ms(self) -> int:
        """Virtual milliseconds since the start."""
        return self._sim.elapsed_ms

    @property
    def now(self) -> int:
        """The clock of the boards: milliseconds that wrap at 2**30, soon after the start."""
        return self._sim.now

    @property
    def log(self) -> list:
        """All that was sent: (ms, source, destination, datagram)."""
        return self._sim.log

    def server(self, configurations: dict, **options) -> ScmServer:
        """The configuration management server. configurations: {UE ID: keys of its configData}.

        options: slow_ms, max_age_s, denied (a list of UE IDs).
        """
        made = ScmServer(SERVER, self.seed + 9, configurations, **options)
        made.inspector = self.inspector
        self._server = made
        for ue_id in self._keys:
            made.add_key(ue_id)
        self._sim.add(SERVER, made)
        return made

    def relay(self, relay_id: str = "urn:x-msgin5g:relay:1", **settings) -> "RelayNode":
        """A relay, the firmware's. settings: further keys of its settings.json."""
        from msgin5g_testkit.intermediary import RelayNode

        made = RelayNode(self, relay_id, self._new_address(), SERVER, settings)
        self._sim.add(made.address, made)
        return made

    def gateway(self, gateway_id: str = "urn:x-msgin5g:gateway:1", separated: bool = False,
                oscore: bool = False, **settings) -> "GatewayNode":  # fmt: skip
        """A gateway, the firmware's. settings: further keys of its settings.json.

        separated: its configuration client is a node of its own, on the other side of SEAL-C; one
        gateway of a Network may be so. oscore: it has a key with the server, and UEs may have one
        with it; SEAL-C is protected, too.
        """
        from msgin5g_testkit.gateway import CLIENT, SEAL_C, GatewayNode

        made = GatewayNode(
            self, gateway_id, self._new_address(), SERVER, separated, oscore, settings
        )
        if oscore:
            self._share_key(gateway_id)
        if self.inspector:
            askers = [made.address, CLIENT] if separated else [made.address]
            self.inspector.add_gateway(gateway_id, askers, oscore)
            if separated:
                self.inspector.seal_c = SEAL_C
                if oscore:
                    self.inspector.protected.append(SEAL_C[0])
        self._sim.add(made.address, made)
        return made

    def _new_address(self):
        self._n_intermediaries += 1
        return "192.168.%d.1" % (3 + self._n_intermediaries), _PORT

    def _share_key(self, ue_id):
        """The server knows the key of this node, now or as soon as there is a server."""
        self._keys.append(ue_id)
        if self._server:
            self._server.add_key(ue_id)

    def ue(self, ue_id: str, application=None, relay: "RelayNode | None" = None,
           radio: "str | None" = None, gateway: "GatewayNode | None" = None,
           oscore: bool = False, link: "str | None" = None, **settings) -> Ue:  # fmt: skip
        """A UE on a virtual board, which starts when time passes for the first time.

        application: the name of a module, a module, or an object with the hooks as attributes;
        see docs/applications.md. relay, gateway: its next hop; None: the server. radio: "esp32"
        or "rp2": the board has the modules `network` and `espnow`, which behave as on that port;
        one UE of a Network may have the setting "wifi". oscore: it has a key, with the gateway or
        with the server. link: "espnow": relay or gateway are reached over ESP-NOW, without IP.
        settings: further keys of its settings.json; a start is without delay unless they say so.
        """
        number = len(self.ues) + 2
        hop = relay or gateway
        host = "192.168.%s.%d" % (hop.address[0].split(".")[2] if hop else "3", number)
        values = {
            "role": "ue",
            "ue_id": ue_id,
            "bind": [host, _PORT],
            "next_hop": list(hop.address if hop else SERVER),
            "next_hop_is": "relay" if relay else "gateway" if gateway else "server",
            "server": {"recipient": SERVER_URI},
            "start_delay_s": 0,
            "apply_interval_s": 0,
        }
        values.update(settings)
        if link is not None:
            assert link == "espnow" and hop, 'link must be "espnow", to a relay or a gateway'
            radio = "esp32"
            values["espnow"] = dict(values.get("espnow", {}))
            values["espnow"]["peers"] = {hop.ue_id: [hexlify(hop.mac).decode()]}
        modules = self._radio(radio) if radio else {}
        if oscore and gateway:
            gateway.add_key(ue_id)
        elif oscore:
            self._share_key(ue_id)
        made = Ue(self, ue_id, (host, _PORT), values, application, modules, oscore)
        self.ues.append(made)
        self._sim.add(made.address, made)
        if self.inspector:
            self.inspector.add_ue(ue_id, made.address, oscore)
        if hop:
            hop.link_up(made)
        return made

    @property
    def access_points(self) -> dict:
        """{SSID: key} of what is in reach; delete one, and it vanishes."""
        return self._radio(None)["network"].air

    def _radio(self, port):
        """The modules of a board with radios; the air is empty at first."""
        from msgin5g_testkit.shim import espnow, network

        if self._radio_port is None or port not in (None, self._radio_port):
            self._radio_port = port or "esp32"
            network.reset(self._radio_port, lambda: self.elapsed_ms)
            espnow.reset()
            espnow.air.loses = self._loses
        return {"network": network, "espnow": espnow}

    def _loses(self, frame):
        self._sim.n_sent += 1
        return not self._sim.link_model(self._sim.n_sent - 1, frame)

    def add(self, address: tuple, node, transport: int = 0) -> None:
        """Add a node of your own: an object with receive, step, transmit and wait_ms.

        transport: the number of that one of its transports that has this address.
        """
        self._sim.add(address, node, transport)

    def at(self, ms: int, function) -> None:
        """Call a function, without arguments, when `ms` have passed from now on."""
        self._n_planned += 1
        self.planned.append((self.elapsed_ms + ms, self._n_planned, function))
        self.planned.sort(key=lambda planned: planned[:2])

    def run(self, until=None, limit_s: float = 3600) -> bool:
        """Let time pass until `until()` is true, or for limit_s seconds; whether it came true.

        AssertionError for a datagram that breaks a rule: what, and the datagram decoded.
        """
        sim = self._sim
        self._until = until
        self._end = sim.elapsed_ms + int(limit_s * 1000)
        try:
            while True:
                sim.settle()
                if self._is_over():
                    break
                sim.advance(self._end)
        except Stop:
            pass
        fault = self.inspector and self.inspector.fault
        assert not fault, fault
        return bool(until and until())

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run(None, seconds)

    # What its nodes call

    def espnow(self):
        """The module `espnow` of its boards."""
        return self._radio(None)["espnow"]

    def note(self, source, destination, datagram) -> None:
        """A datagram has gone over ESP-NOW."""
        self._sim.log.append((self.elapsed_ms, source, destination, datagram))
        if self.inspector:
            self._inspect(source, destination, datagram)

    def pass_time(self, ue, ms, until) -> None:
        """Time passes while the application of a UE waits; Stop when the run is over."""
        sim = self._sim
        end = sim.elapsed_ms + ms
        while True:
            sim.settle()
            if self._is_over():
                raise Stop()
            if sim.elapsed_ms >= end or (until and until()) or ue.board.off_ms is not None:
                return
            sim.advance(min(end, self._end))

    def _is_over(self):
        if self.inspector and self.inspector.fault:
            return True
        return self.elapsed_ms >= self._end or bool(self._until and self._until())

    def _inspect(self, source, destination, datagram):
        self.inspector.sent(self.elapsed_ms, source, destination, datagram)

    class _Plan:
        """What is to happen at a time, as a node of the NetworkSim."""

        def __init__(self, network):
            self._network = network

        def step(self, now):
            planned = self._network.planned
            while planned and planned[0][0] <= self._network.elapsed_ms:
                planned.pop(0)[2]()

        def transmit(self, now):
            return None

        def wait_ms(self, now):
            planned = self._network.planned
            return max(planned[0][0] - self._network.elapsed_ms, 0) if planned else None
