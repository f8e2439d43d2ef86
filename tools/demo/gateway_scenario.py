"""A gateway sends one bulk request to the server for several UEs, and a response to each UE.

First group: three UEs send their requests together, which reaches the gateway's count. One of them
has no document; the gateway asks for it once more before it gets 4.04. Second group: two more UEs,
and the time window ends. One of them is on the deny list, so the server rejects the bulk request
(4.03), and the gateway asks again for each UE alone.
"""

import asyncio
import re

from msgin5g_tools.commands.run import UE_HEAP, command_of
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.actors import Ue, document
from msgin5g_tools.demo.processes import DemoError, together
from msgin5g_tools.demo.scenario import OUTCOME_S, OUTCOMES, Scenario, stored_in
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.message import Message, MessageFormatError  # noqa: E402
from msgin5g.coap.text import code_text  # noqa: E402
from msgin5g.coap.numbers import GET, URI_QUERY  # noqa: E402

COUNT, WINDOW_S = 3, 3
_POLLS, _POLL_S = 200, 0.01
_EMPTY_SIZE = 4  # bytes of an empty acknowledgement
_UE_ID = re.compile(rb"urn:x-msgin5g:ue:(\d{4})")


def _ue(number, event, code):
    return Ue(f"UE {number:04d}", f"urn:x-msgin5g:ue:{number:04d}", number, event, code)


GROUPS = (
    (_ue(7, "applied", "2.05"), _ue(9, "rejected", "4.04"), _ue(11, "applied", "2.05")),
    (_ue(8, "rejected", "4.03"), _ue(12, "applied", "2.05")),
)
UES = [ue for group in GROUPS for ue in group]


def configuration(ue):
    """The configuration that the server has for a UE; each UE has its own."""
    return {
        "MSGin5G-Server-address": "coap://msgin5g.example.com",
        "MSGin5G-UE-Service-id": f"sensor-{ue.host}@example.com",
    }


def documents():
    """The input of `msgin5g documents import`."""
    return {
        "deny": [ue.ue_id for ue in UES if ue.code == "4.03"],
        "documents": [
            document(f"ue-{ue.host:04d}", ue.ue_id, configuration(ue))
            for ue in UES
            if ue.code != "4.04"
        ],
    }


def gateway_settings(addresses):
    return {
        "role": "gateway",
        "ue_id": "urn:x-msgin5g:gateway:1",
        "bind": addresses.intermediary,
        "server": {"address": addresses.true_server},
        "links": {ue.ue_id: addresses.of(ue) for ue in UES},
        "bulk": {"count": COUNT, "window_s": WINDOW_S},
    }


class GatewayScenario(Scenario):
    """Five UEs behind a gateway.

    requests: [UE IDs, code of the response or None] of each GET to the server, in order.
    leaks: messages to a UE that name another UE, one line each. configurations: {UE ID: the
    configuration on its flash}.
    """

    def __init__(self, processes, progress, on_message):
        super().__init__(processes, UES, "gateway", progress, on_message)
        self.requests = []
        self.leaks = []
        self.configurations = {}
        self._by_token = {}  # of a GET to the server -> its row in `requests`

    async def run(self):
        """Run all steps in order; failures are collected in `errors`."""
        try:
            await self._build()
            self._progress("starting server and gateway")
            _, gateway = await together(
                self._start_server(documents()),
                self._start_intermediary(gateway_settings(self._processes.addresses)),
            )
            self.set_up_s = self._processes.seconds()
            for group in GROUPS:
                await together(*(self._start_ue(ue) for ue in group))
                await self._acknowledged(group)
            gateway.interrupt()
            self.counters = (await gateway.event("stopped", 5))["counters"]
            for ue in UES:
                if self.outcomes.get(ue.name, {}).get("event") == "applied":
                    self.configurations[ue.ue_id] = stored_in(self._flash_of(ue), ue.name)
            self.errors += self.missing()
        except DemoError as error:
            self.errors.append(str(error))

    def _flash_of(self, ue):
        return self._processes.directory / str(ue.host)

    async def _start_ue(self, ue):
        """Start a UE and wait for its outcome."""
        flash = self._flash_of(ue)
        flash.mkdir()
        settings = flash / "settings.json"
        actors.write(settings, actors.ue_settings(self._processes.addresses, ue))
        command = command_of(settings, flash, heap=UE_HEAP, as_json=True, once=True)
        process = await self._processes.start(ue.name, *command)
        try:
            self.outcomes[ue.name] = await process.event(OUTCOMES, OUTCOME_S)
        except DemoError as error:
            self.errors.append(str(error))

    async def _acknowledged(self, group):
        """Wait until the UEs of a group have acknowledged their responses, at most two seconds."""
        names = {ue.name for ue in group}
        for _ in range(_POLLS):
            empty = [entry for entry in self.entries if len(entry.datagram) == _EMPTY_SIZE]
            if names <= {entry.source for entry in empty}:
                return
            await asyncio.sleep(_POLL_S)

    # The messages

    def note(self, source, target, datagram):
        named = sorted({number.decode() for number in _UE_ID.findall(datagram)})
        try:
            message = Message(64).decode(datagram)
        except MessageFormatError:
            return "malformed"
        if target == "server" and message.code == GET:
            self._record_request(message)
        elif source == "server" and message.token() in self._by_token:
            self._by_token[message.token()][1] = code_text(message.code)
        elif source == "gateway" and any(f"UE {number}" != target for number in named):
            self.leaks.append(f"{target} received a message that names {', '.join(named)}")
        return "" if len(named) < 2 else "for " + " ".join(named)

    def _record_request(self, message):
        if message.token() not in self._by_token:  # not a retransmission
            queries = [
                message.value(i)
                for i in range(message.n_options)
                if message.numbers[i] == URI_QUERY
            ]
            ue_ids = sorted(q[7:].decode() for q in queries if q.startswith(b"ue-uri="))
            self._by_token[message.token()] = [ue_ids, None]
            self.requests.append(self._by_token[message.token()])

    # Afterwards

    @property
    def bulk_requests(self):
        return [request for request in self.requests if len(request[0]) > 1]

    def missing(self):
        """What was expected and did not happen, one line each."""
        yield from self._unexpected(configuration)
        yield from self.leaks
        for ue in UES:
            stored = self.configurations.get(ue.ue_id)
            if ue.event == "applied" and stored not in (None, configuration(ue)):
                yield f"{ue.ue_id}: the configuration on its flash is {stored}"
        first, second = (sorted(ue.ue_id for ue in group) for group in GROUPS)
        expected = [
            [first, "2.05"],
            [first[1:2], "4.04"],  # a bulk response without its document is not the last word
            [second, "4.03"],
            [second[:1], "4.03"],
            [second[1:], "2.05"],
        ]
        if sorted(self.requests) != sorted(expected):
            yield f"the server was expected to get {expected}, but got {self.requests}"
