"""A virtual network with a server, relays and UEs on virtual boards; no time is spent waiting.

    net = Network(loss=0.3, seed=1)
    server = net.server({UE_ID: {"interval-s": 10}})
    ue = net.ue(UE_ID, application="my_app")
    ue.wait("applied")

Each datagram that is sent is checked (see inspector); a fault is an AssertionError of `run`.
"""

from msgin5g.coap.retransmission import Parameters
from msgin5g.relay import Relay
from msgin5g.settings import settings_of
from msgin5g_testkit.checks import xorshift
from msgin5g_testkit.network_sim import NetworkSim, chance
from msgin5g_testkit.scm import ScmServer
from msgin5g_testkit.ue import Stop, Ue

SERVER = ("192.0.2.1", 5683)
SERVER_URI = "coap://scm.example"
_PORT = 65401


class Network:
    """The clock and the air between a server, relays and UEs.

    loss, duplication: the share of datagrams, 0 to 1, that are lost or arrive twice. delay_ms:
    what a datagram takes at most; they may overtake each other. seed: the same one gives the same
    losses and the same random numbers everywhere. link_model: in place of all these, a function of
    (number of the datagram from 0, datagram) that gives a list of delays in ms, [] for a loss.
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
        self._relays: list = []
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
        self._sim.add(SERVER, made)
        return made

    def relay(self, relay_id: str = "urn:x-msgin5g:relay:1", **settings) -> "RelayNode":
        """A relay, the firmware's. settings: further keys of its settings.json."""
        number = len(self._relays) + 1
        made = RelayNode(self, relay_id, ("192.168.%d.1" % (3 + number), _PORT), settings)
        self._relays.append(made)
        self._sim.add(made.address, made)
        return made

    def ue(self, ue_id: str, application=None, relay: "RelayNode | None" = None,
           radio: "str | None" = None, **settings) -> Ue:  # fmt: skip
        """A UE on a virtual board, which starts when time passes for the first time.

        application: the name of a module, a module, or an object with the hooks as attributes;
        see docs/applications.md. relay: its next hop; None: the server. radio: "esp32" or "rp2":
        the board has the modules `network` and `espnow`, which behave as on that port; one UE of a
        Network may have the setting "wifi". settings: further keys of its settings.json; a start
        is without delay unless they say so.
        """
        number = len(self.ues) + 2
        host = "192.168.%s.%d" % (relay.address[0].split(".")[2] if relay else "3", number)
        values = {
            "role": "ue",
            "ue_id": ue_id,
            "bind": [host, _PORT],
            "next_hop": list(relay.address if relay else SERVER),
            "next_hop_is": "relay" if relay else "server",
            "server": {"recipient": SERVER_URI},
            "start_delay_s": 0,
            "apply_interval_s": 0,
        }
        values.update(settings)
        modules = self._radio(radio) if radio else {}
        made = Ue(self, ue_id, (host, _PORT), values, application, modules)
        self.ues.append(made)
        self._sim.add(made.address, made)
        if self.inspector:
            self.inspector.ue_ids[made.address] = [ue_id]
        if relay:
            relay.link_up(made)
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
        return {"network": network, "espnow": espnow}

    def add(self, address: tuple, node) -> None:
        """Add a node of your own: an object with receive, step, transmit and wait_ms."""
        self._sim.add(address, node)

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


class RelayNode:
    """A relay of a Network. is_silent: it neither takes nor sends anything, as if switched off."""

    def __init__(self, network, relay_id: str, address: tuple, settings: dict) -> None:
        self.address = address
        self.is_silent = False
        values = {
            "role": "relay",
            "ue_id": relay_id,
            "bind": list(address),
            "server": {"recipient": SERVER_URI, "address": list(SERVER)},
        }
        values.update(settings)
        made = settings_of(values)
        made.parameters = Parameters(nstart=made.max_flows)
        self._inspector = network.inspector
        self.role = Relay(made, xorshift(network.seed + 5), SERVER, network.now)

    @property
    def counters(self) -> dict:
        """{name: count}: what it has dropped, and why."""
        return self.role.counters

    def link_up(self, ue: Ue) -> None:
        """The one-to-one link to a UE comes up: the relay serves it from now on."""
        self.role.link_up(ue.ue_id.encode(), 0, ue.address)
        if self._inspector:
            self._inspector.ue_ids.setdefault(self.address, []).append(ue.ue_id)

    def link_down(self, ue: Ue) -> None:
        """The link goes down: what was under way for this UE ends."""
        self.role.link_down(ue.ue_id.encode())

    def receive(self, transport, datagram, remote, now):
        if not self.is_silent:
            self.role.receive(transport, datagram, remote, now)

    def step(self, now):
        self.role.step(now)
        while self.role.poll() is not None:
            pass

    def transmit(self, now):
        out = self.role.transmit(now)
        while self.is_silent and out is not None:
            out = self.role.transmit(now)
        return out

    def wait_ms(self, now):
        return self.role.wait_ms(now)
