"""The story: a server, a relay, and three UEs of which one gets its configuration."""

import json
from binascii import unhexlify

from msgin5g_tools.demo import cast
from msgin5g_tools.demo.cast import FOREIGN, LINKED, UES
from msgin5g_tools.demo.stage import DemoError, together
from msgin5g_tools.demo.story import OUTCOME_S, OUTCOMES, UE_HEAP, Story, stored_in
from msgin5g_tools.demo.tap import Tap
from msgin5g_tools.decode.sequence_diagram import fields_of

PLANTED = "planted"

# Runs on the board, in place of its main.py.
_SHOW_SLOTS = """
import os, binascii
for name in os.listdir("/"):
    if name.startswith("slot-"):
        print("slot", name, binascii.hexlify(open("/" + name, "rb").read()).decode())
"""


class Play(Story):
    """A Story of three UEs behind a relay; one answer for a UE without a link is planted."""

    def __init__(self, stage, progress, on_message):
        super().__init__(stage, UES, "relay", progress, on_message)
        self.configuration = None  # read back from flash
        self._tap = Tap(stage.addresses.server)

    async def perform(self):
        """Everything, in order; what goes wrong ends in `errors`."""
        try:
            relay = await self._set_up()
            self.set_up_s = self._stage.seconds()
            for ue in UES:
                await self._start_ue(ue)
            relay.interrupt()
            self.counters = (await relay.event("stopped", 5))["counters"]
            if self._applied() is not None:
                await self._read_back(UES[0])
            self.errors += self._missing()
        except DemoError as error:
            self.errors.append(str(error))
        finally:
            self._tap.stop()

    # Setting up

    async def _set_up(self):
        stage = self._stage
        firmware = await self._build()
        self._progress("starting server and relay, flashing three boards with mpremote")
        for ue in UES:
            stage.switch_on(ue.name, UE_HEAP)
        _, relay, *_ = await together(
            self._server_and_tap(),
            self._start_hop(cast.relay_settings(stage.addresses)),
            *(self._flash(firmware, ue) for ue in UES),
        )
        return relay

    async def _server_and_tap(self):
        await self._start_server(cast.documents())
        await self._tap.start(self._stage.addresses.true_server)

    async def _flash(self, firmware, ue):
        settings = self._stage.directory / str(ue.host) / "settings.json"
        settings.parent.mkdir()
        cast.write(settings, cast.ue_settings(self._stage.addresses, ue))
        files = (firmware / "msgin5g", firmware / "main.py", settings)
        await self._stage.mpremote(ue.name, "cp", "-r", *files, ":")

    # The messages

    def _note(self, source, target, datagram):
        return PLANTED if target == "relay" and datagram == self._tap.planted else ""

    async def _start_ue(self, ue):
        """Start its main.py, and wait for what becomes of it."""
        try:
            await self._stage.reset(ue.name)
            self.outcomes[ue.name] = await self._stage.outcome(ue.name, OUTCOMES, OUTCOME_S)
        except DemoError as error:
            self.errors.append(str(error))

    # Afterwards

    async def _read_back(self, ue):
        """The configuration that the board has on its flash, as the firmware reads it."""
        flash = self._stage.directory / "flash"
        flash.mkdir()
        for line in await self._stage.mpremote(ue.name, "exec", _SHOW_SLOTS):
            if line.startswith("slot "):
                _, name, data = line.split(" ")
                (flash / name).write_bytes(unhexlify(data))
        self.configuration = stored_in(flash, ue.name)

    def foreign_answer(self):
        """What became of the planted answer."""
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
        """The configuration that the linked UE says it has applied, or None."""
        return self.outcomes.get(UES[0].name, {}).get("configuration")

    def _missing(self):
        """What was expected and did not happen, one line each."""
        missing = list(self._unexpected(lambda ue: cast.CONFIGURATION))
        if self._applied() is not None and self.configuration != cast.CONFIGURATION:
            found = json.dumps(self.configuration)
            missing.append(f"{LINKED}: the configuration on its flash is {found}")
        foreign = self.foreign_answer()
        if not foreign["discarded"]:
            said = ", ".join(f"{key} {value}" for key, value in foreign.items())
            missing.append(f"the foreign answer was not seen to be discarded: {said}")
        return missing
