"""A relay forwards for three UEs; one of them gets its configuration."""

import json
from binascii import unhexlify

from msgin5g_tools.decode.sequence_diagram import fields_of
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.actors import FOREIGN, LINKED, UES
from msgin5g_tools.demo.processes import DemoError, together
from msgin5g_tools.demo.proxy import Proxy
from msgin5g_tools.commands.run import UE_HEAP
from msgin5g_tools.demo.scenario import OUTCOME_S, OUTCOMES, Scenario, stored_in

PLANTED = "planted"

# Runs on the board, in place of its main.py.
_SHOW_SLOTS = """
import os, binascii
for name in os.listdir("/"):
    if name.startswith("slot-"):
        print("slot", name, binascii.hexlify(open("/" + name, "rb").read()).decode())
"""


class RelayScenario(Scenario):
    """Three UEs behind a relay; the proxy plants one response for a UE that has no link."""

    def __init__(self, processes, progress, on_message):
        super().__init__(processes, UES, "relay", progress, on_message)
        self.configuration = None  # read back from flash
        self._proxy = Proxy(processes.addresses.server)

    async def run(self):
        """Run all steps in order; failures are collected in `errors`."""
        try:
            relay = await self._set_up()
            self.set_up_s = self._processes.seconds()
            for ue in UES:
                await self._start_ue(ue)
            relay.interrupt()
            self.counters = (await relay.event("stopped", 5))["counters"]
            if self._applied() is not None:
                await self._read_back(UES[0])
            self.errors += self.missing()
        except DemoError as error:
            self.errors.append(str(error))
        finally:
            self._proxy.stop()

    # Setting up

    async def _set_up(self):
        processes = self._processes
        firmware = await self._build()
        self._progress("starting server and relay, flashing three boards with mpremote")
        for ue in UES:
            processes.switch_on(ue.name, UE_HEAP)
        _, relay, *_ = await together(
            self._server_and_proxy(),
            self._start_intermediary(actors.relay_settings(processes.addresses)),
            *(self._flash(firmware, ue) for ue in UES),
        )
        return relay

    async def _server_and_proxy(self):
        await self._start_server(actors.documents())
        await self._proxy.start(self._processes.addresses.true_server)

    async def _flash(self, firmware, ue):
        settings = self._processes.directory / str(ue.host) / "settings.json"
        settings.parent.mkdir()
        actors.write(settings, actors.ue_settings(self._processes.addresses, ue))
        files = (firmware / "msgin5g", firmware / "main.py", settings)
        await self._processes.mpremote(ue.name, "cp", "-r", *files, ":")

    # The messages

    def note(self, source, target, datagram):
        return PLANTED if target == "relay" and datagram == self._proxy.planted else ""

    async def _start_ue(self, ue):
        """Start a board's main.py and wait for its outcome."""
        try:
            await self._processes.reset(ue.name)
            self.outcomes[ue.name] = await self._processes.outcome(ue.name, OUTCOMES, OUTCOME_S)
        except DemoError as error:
            self.errors.append(str(error))

    # Afterwards

    async def _read_back(self, ue):
        """Read the configuration back from the board's flash."""
        flash = self._processes.directory / "flash"
        flash.mkdir()
        for line in await self._processes.mpremote(ue.name, "exec", _SHOW_SLOTS):
            if line.startswith("slot "):
                _, name, data = line.split(" ")
                (flash / name).write_bytes(unhexlify(data))
        self.configuration = stored_in(flash, ue.name)

    def foreign_answer(self):
        """Whether the planted response reached the relay, was counted and was discarded."""
        arrived = any(entry.note == PLANTED for entry in self.entries)
        relayed = any(
            entry.source == "relay"
            and fields_of(entry.datagram, self._registry)["recipient"] == FOREIGN
            for entry in self.entries
        )
        counted = (self.counters or {}).get("recipient_not_linked", 0)
        return {
            "recipient": FOREIGN,
            "arrived": arrived,
            "counted": counted,
            "discarded": arrived and not relayed and counted == 1,
        }

    def _applied(self):
        """The configuration in the linked UE's `applied` event, or None."""
        return self.outcomes.get(UES[0].name, {}).get("configuration")

    def missing(self):
        """What was expected and did not happen, one line each."""
        missing = list(self._unexpected(lambda ue: actors.CONFIGURATION))
        if self._applied() is not None and self.configuration != actors.CONFIGURATION:
            found = json.dumps(self.configuration)
            missing.append(f"{LINKED}: the configuration on its flash is {found}")
        foreign = self.foreign_answer()
        if not foreign["discarded"]:
            text = ", ".join(f"{key} {value}" for key, value in foreign.items())
            missing.append(f"the relay did not discard the foreign response: {text}")
        return missing
