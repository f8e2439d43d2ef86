"""The story of the gateway: one request to the server for many UEs, an answer for each of them.

First scene: three UEs ask together, and the gateway's count is reached. Of them one has no
document. Second scene: two more ask, and the window is over; one of them is on the deny list, so
that the server refuses to answer for both, and the gateway asks once more for each.
"""

import asyncio
import re

from msgin5g_tools.decode.names import code_name
from msgin5g_tools.decode.values import import_firmware
from msgin5g_tools.demo import cast
from msgin5g_tools.demo.cast import Ue, document
from msgin5g_tools.demo.report import JsonReport, Report
from msgin5g_tools.demo.stage import DemoError, together
from msgin5g_tools.demo.story import HOP_HEAP, OUTCOME_S, OUTCOMES, UE_HEAP, Story, stored_in
from msgin5g_tools.commands.run import command_of

import_firmware()
from msgin5g.coap.errors import MessageFormatError  # noqa: E402
from msgin5g.coap.message import Message, code_text  # noqa: E402
from msgin5g.coap.numbers import GET, URI_QUERY  # noqa: E402

_COUNT, _WINDOW_S = 3, 3
_LOOKS, _LOOK_S = 200, 0.01
_EMPTY_SIZE = 4  # bytes of an acknowledgement without an answer
_UE_ID = re.compile(rb"urn:x-msgin5g:ue:(\d{4})")


def _ue(number, event, code):
    return Ue(f"UE {number:04d}", f"urn:x-msgin5g:ue:{number:04d}", number, event, code)


SCENES = (
    (_ue(7, "applied", "2.05"), _ue(9, "rejected", "4.04"), _ue(11, "applied", "2.05")),
    (_ue(8, "rejected", "4.03"), _ue(12, "applied", "2.05")),
)
UES = [ue for scene in SCENES for ue in scene]


def configuration(ue):
    """What the server has for a UE: another one for each."""
    return {
        "MSGin5G-Server-address": "coap://msgin5g.example.com",
        "MSGin5G-UE-Service-id": f"sensor-{ue.host}@example.com",
    }


def documents():
    """What `msgin5g documents import` is given."""
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
        "bind": addresses.hop,
        "server": {"address": addresses.true_server},
        "links": {ue.ue_id: addresses.of(ue) for ue in UES},
        "bulk": {"count": _COUNT, "window_s": _WINDOW_S},
    }


class BulkPlay(Story):
    """A Story of five UEs behind a gateway.

    requests: [UE IDs, code of the answer or None] of each GET to the server, in order.
    leaks: what a UE was sent that names another one, a line each. configurations: {UE ID: what
    is on its flash}.
    """

    def __init__(self, stage, progress, on_message):
        super().__init__(stage, UES, "gateway", progress, on_message)
        self.requests = []
        self.leaks = []
        self.configurations = {}
        self._by_token = {}  # of a GET to the server -> its row in `requests`

    async def perform(self):
        """Everything, in order; what goes wrong ends in `errors`."""
        try:
            await self._build()
            self._progress("starting server and gateway")
            settings = gateway_settings(self._stage.addresses)
            _, gateway = await together(self._start_server(documents()), self._start_hop(settings))
            self.set_up_s = self._stage.seconds()
            for scene in SCENES:
                await together(*(self._play(ue) for ue in scene))
                await self._acknowledged(scene)
            gateway.interrupt()
            self.counters = (await gateway.event("stopped", 5))["counters"]
            for ue in UES:
                if self.outcomes.get(ue.name, {}).get("event") == "applied":
                    self.configurations[ue.ue_id] = stored_in(self._flash_of(ue), ue.name)
            self.errors += self._missing()
        except DemoError as error:
            self.errors.append(str(error))

    def _flash_of(self, ue):
        return self._stage.directory / str(ue.host)

    async def _play(self, ue):
        """Start a UE, and wait for what becomes of it."""
        flash = self._flash_of(ue)
        flash.mkdir()
        settings = flash / "settings.json"
        cast.write(settings, cast.ue_settings(self._stage.addresses, ue))
        command = command_of(settings, flash, heap=UE_HEAP, as_json=True, once=True)
        process = await self._stage.start(ue.name, *command)
        try:
            self.outcomes[ue.name] = await process.event(OUTCOMES, OUTCOME_S)
        except DemoError as error:
            self.errors.append(str(error))

    async def _acknowledged(self, scene):
        """Wait until the gateway has heard that its answers have come, but not for ever."""
        names = {ue.name for ue in scene}
        for _ in range(_LOOKS):
            heard = {entry.source for entry in self.entries if len(entry.datagram) == _EMPTY_SIZE}
            if names <= heard:
                return
            await asyncio.sleep(_LOOK_S)

    # The messages

    def _note(self, source, target, datagram):
        named = sorted({number.decode() for number in _UE_ID.findall(datagram)})
        try:
            message = Message(64).decode(datagram)
        except MessageFormatError:
            return "malformed"
        if target == "server" and message.code == GET:
            self._asked(message)
        elif source == "server" and message.token() in self._by_token:
            self._by_token[message.token()][1] = code_text(message.code)
        elif source == "gateway" and any(f"UE {number}" != target for number in named):
            self.leaks.append(f"{target} was sent something about {', '.join(named)}")
        return "" if len(named) < 2 else "for " + " ".join(named)

    def _asked(self, message):
        if message.token() not in self._by_token:  # not sent again
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

    def _missing(self):
        """What was expected and did not happen, one line each."""
        yield from self._unexpected(configuration)
        yield from self.leaks
        for ue in UES:
            stored = self.configurations.get(ue.ue_id)
            if ue.event == "applied" and stored not in (None, configuration(ue)):
                yield f"{ue.ue_id}: the configuration on its flash is {stored}"
        first, second = (sorted(ue.ue_id for ue in scene) for scene in SCENES)
        expected = [[first, "2.05"], [second, "4.03"], [second[:1], "4.03"], [second[1:], "2.05"]]
        if sorted(self.requests) != sorted(expected):
            yield f"the server was expected to get {expected}, but got {self.requests}"


class BulkReport(Report):
    title = "MSGin5G bulk configuration through a gateway, on real MicroPython"
    cast = (
        "server   msgin5g scm-server: four documents, none for UE 0009, UE 0008 on the deny list",
        f"gateway  MicroPython, {HOP_HEAP[:-1]} KiB of heap; asks for {_COUNT} UEs together, or"
        f" after {_WINDOW_S} s for those there are",
        f"UE       MicroPython, {UE_HEAP[:-1]} KiB of heap each: three ask first, then two",
    )

    def _found(self, story):
        for ue_ids, code in story.bulk_requests:
            numbers = ", ".join(ue_id[-4:] for ue_id in ue_ids)
            answer = "no answer" if code is None else code_name(code)
            self._line("server", "asked", "", f"once for {numbers}: {answer}")
        single = [ue_ids[0][-4:] for ue_ids, _ in story.requests if len(ue_ids) == 1]
        if single:
            self._line("server", "asked", "", f"alone for {', '.join(single)}")
        if not story.leaks:
            text = "no UE was sent a message that names another one"
            self._line("gateway", "split", "green", text)
        self._counted("gateway", story.counters)
        if story.configurations:
            self._print("\nThe configurations, read back from the flash of each UE:")
            for ue_id, stored in story.configurations.items():
                self._print(f"  {ue_id}: {stored['MSGin5G-UE-Service-id']}")


class BulkJsonReport(JsonReport):
    def _found(self, story):
        return {
            "bulk_requests": [
                {"ue_ids": ue_ids, "code": code} for ue_ids, code in story.bulk_requests
            ],
            "single_requests": [
                {"ue_ids": ue_ids, "code": code}
                for ue_ids, code in story.requests
                if len(ue_ids) == 1
            ],
            "leaks": story.leaks,
            "configurations": story.configurations,
        }
