"""The story: a server, a relay, and three UEs of which one gets its configuration."""

import asyncio
import json
from binascii import unhexlify

from tools.build_mpy import BuildError, build_firmware
from tools.decode.names import Registry
from tools.demo import cast
from tools.demo.cast import FOREIGN, LINKED, UES
from tools.demo.stage import MSGIN5G, DemoError, together
from tools.demo.tap import Tap
from tools.ladder import Entry, Ladder, fields_of
from tools.paths import import_firmware
from tools.run import command_of

import_firmware()
from msgin5g.configuration.store import GOOD, Store  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

UE_HEAP = "96K"
RELAY_HEAP = "192K"
PLANTED = "planted"

_OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")
_OUTCOME_S = 15
_START_S = 30
# Runs on the board, in place of its main.py.
_SHOW_SLOTS = """
import os, binascii
for name in os.listdir("/"):
    if name.startswith("slot-"):
        print("slot", name, binascii.hexlify(open("/" + name, "rb").read()).decode())
"""


class Play:
    """What happens on a Stage, and what is known afterwards.

    progress(text): called while it sets up. on_message(Entry): for each message of the ladder.
    """

    def __init__(self, stage, progress, on_message):
        self.entries = []
        self.outcomes = {}  # name of a UE -> event
        self.errors = []  # what went wrong, one line each
        self.counters = None
        self.configuration = None  # read back from flash
        self.set_up_s = None
        self._stage = stage
        self._progress = progress
        self._on_message = on_message
        self._registry = Registry()
        self._stations = stage.addresses.stations()
        self._first_at = None
        self._tap = Tap(stage.addresses.server)

    def ladder(self):
        return Ladder([[ue.name for ue in UES], ["relay"], ["server"]])

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
        self._progress("compiling the firmware")
        try:
            firmware = await asyncio.to_thread(build_firmware)
        except (BuildError, OSError) as error:
            raise DemoError(f"firmware: {error}") from None
        self._progress("starting server and relay, flashing three boards with mpremote")
        for ue in UES:
            stage.switch_on(ue.name, UE_HEAP)
        _, relay, *_ = await together(
            self._start_server(), self._start_relay(), *(self._flash(firmware, ue) for ue in UES)
        )
        return relay

    async def _start_server(self):
        stage, database = self._stage, self._stage.directory / "scm.db"
        documents = stage.directory / "documents.json"
        cast.write_documents(documents)
        importing = ("documents", "import", documents, "--db", database)
        await (await stage.start("documents import", *MSGIN5G, *importing)).finish(_START_S)
        bind = cast.text(stage.addresses.true_server)
        serving = ("scm-server", "--bind", bind, "--db", database, "--json")
        server = await stage.start("server", *MSGIN5G, *serving)
        await server.event("started", _START_S)
        await self._tap.start(stage.addresses.true_server)

    async def _start_relay(self):
        settings = self._stage.directory / "relay.json"
        cast.write_relay_settings(settings, self._stage.addresses)
        command = command_of(
            settings, self._stage.directory, heap=RELAY_HEAP, as_json=True, trace=True
        )
        relay = await self._stage.start("relay", *command, on_event=self._trace)
        await relay.event("started", _START_S)
        return relay

    async def _flash(self, firmware, ue):
        settings = self._stage.directory / str(ue.host) / "settings.json"
        settings.parent.mkdir()
        cast.write_ue_settings(settings, self._stage.addresses, ue)
        files = (firmware / "msgin5g", firmware / "main.py", settings)
        await self._stage.mpremote(ue.name, "cp", "-r", *files, ":")

    # The messages

    def _trace(self, event):
        """The relay tells of each datagram as it comes and goes: true for such an event."""
        if event["event"] != "datagram":
            return False
        now = self._stage.seconds()
        self._first_at = now if self._first_at is None else self._first_at
        other = self._stations.get(event["remote"], event["remote"])
        datagram = unhexlify(event["hex"])
        source, target = ("relay", other) if event["direction"] == "out" else (other, "relay")
        note = PLANTED if target == "relay" and datagram == self._tap.planted else ""
        entry = Entry(now - self._first_at, source, target, datagram, note)
        self.entries.append(entry)
        self._on_message(entry)
        return True

    async def _start_ue(self, ue):
        """Start its main.py, and wait for what becomes of it."""
        try:
            await self._stage.reset(ue.name)
            self.outcomes[ue.name] = await self._stage.outcome(ue.name, _OUTCOMES, _OUTCOME_S)
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
        store = Store(Flash(str(flash)))
        store.load()
        if store.newest is None or store.newest.state != GOOD:
            raise DemoError(f"{ue.name}: no confirmed configuration on its flash")
        self.configuration = json.loads(store.text(store.newest))

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
        """What was expected and did not happen, one line each; no outcome is an error already."""
        missing = []
        for ue in UES:
            event = self.outcomes.get(ue.name)
            if event and (event["event"], event.get("code", "2.05")) != (ue.event, ue.code):
                got = json.dumps(event)
                missing.append(f"{ue.name}: expected {ue.event} ({ue.code}), got {got}")
        applied = self._applied()
        if applied is not None:
            for where, found in (("applied", applied), ("on its flash", self.configuration)):
                if found != cast.CONFIGURATION:
                    missing.append(f"{LINKED}: the configuration {where} is {json.dumps(found)}")
        foreign = self.foreign_answer()
        if not foreign["discarded"]:
            said = ", ".join(f"{key} {value}" for key, value in foreign.items())
            missing.append(f"the foreign answer was not seen to be discarded: {said}")
        return missing
