"""What every story has: a server with its documents, a hop whose messages are seen, an end."""

import asyncio
import json
from binascii import unhexlify

from msgin5g_tools.build.mpy import BuildError
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.demo import cast
from msgin5g_tools.demo.stage import MSGIN5G, DemoError
from msgin5g_tools.decode.sequence_diagram import Entry, Ladder
from msgin5g_tools.build.mpy import build_firmware
from msgin5g_tools.paths import import_firmware
from msgin5g_tools.commands.run import command_of

import_firmware()
from msgin5g.config.record import GOOD  # noqa: E402
from msgin5g.config.store import StorageError, Store  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

UE_HEAP = "96K"
HOP_HEAP = "192K"
OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")
OUTCOME_S = 15
START_S = 30


class Story:
    """What happens on a Stage, and what is known afterwards.

    ues: list of cast.Ue. hop: "relay" or "gateway". progress(text): called while it sets up.
    on_message(Entry): for each message of the ladder.
    """

    def __init__(self, stage, ues, hop, progress, on_message):
        self.entries = []
        self.outcomes = {}  # name of a UE -> event
        self.errors = []  # what went wrong, one line each
        self.counters = None
        self.set_up_s = None
        self.ues = ues
        self._hop = hop
        self._stage = stage
        self._progress = progress
        self._on_message = on_message
        self._registry = Registry()
        self._stations = stage.addresses.stations()
        self._first_at = None

    def ladder(self):
        return Ladder([[ue.name for ue in self.ues], [self._hop], ["server"]])

    async def _build(self):
        """The folder of the compiled firmware."""
        self._progress("compiling the firmware")
        try:
            return await asyncio.to_thread(build_firmware)
        except (BuildError, OSError) as error:
            raise DemoError(f"firmware: {error}") from None

    async def _start_server(self, documents):
        """The server with these documents (an object for `msgin5g documents import`)."""
        stage, database = self._stage, self._stage.directory / "scm.db"
        file = stage.directory / "documents.json"
        cast.write(file, documents)
        importing = ("documents", "import", file, "--db", database)
        await (await stage.start("documents import", *MSGIN5G, *importing)).finish(START_S)
        bind = cast.text(stage.addresses.true_server)
        serving = ("scm-server", "--bind", bind, "--db", database, "--json")
        server = await stage.start("server", *MSGIN5G, *serving)
        await server.event("started", START_S)

    async def _start_hop(self, values):
        """The relay or gateway with these settings, on MicroPython, tracing its messages."""
        settings = self._stage.directory / f"{self._hop}.json"
        cast.write(settings, values)
        command = command_of(
            settings, self._stage.directory, heap=HOP_HEAP, as_json=True, trace=True
        )
        hop = await self._stage.start(self._hop, *command, on_event=self._trace)
        await hop.event("started", START_S)
        return hop

    def _trace(self, event):
        """The hop tells of each datagram as it comes and goes: true for such an event."""
        if event["event"] != "datagram":
            return False
        now = self._stage.seconds()
        self._first_at = now if self._first_at is None else self._first_at
        other = self._stations.get(event["remote"], event["remote"])
        datagram = unhexlify(event["hex"])
        ends = (self._hop, other) if event["direction"] == "out" else (other, self._hop)
        entry = Entry(now - self._first_at, *ends, datagram, self._note(*ends, datagram))
        self.entries.append(entry)
        self._on_message(entry)
        return True

    def _note(self, source, target, datagram):
        """A few words beside a message in the ladder."""
        return ""

    def _unexpected(self, configuration_of):
        """One line for each outcome that is not as expected; none at all is an error already.

        configuration_of(ue): what it has to be when it was applied.
        """
        for ue in self.ues:
            event = self.outcomes.get(ue.name)
            if event is None:
                continue
            got = json.dumps(event)
            if (event["event"], event.get("code", "2.05")) != (ue.event, ue.code):
                yield f"{ue.name}: expected {ue.event} ({ue.code}), got {got}"
            elif ue.event == "applied" and event["configuration"] != configuration_of(ue):
                yield f"{ue.ue_id}: the configuration applied is {got}"


def stored_in(directory, name):
    """The configuration in the slots of a UE's flash, as the firmware reads it."""
    store = Store(Flash(str(directory), StorageError))
    store.load()
    if store.newest is None or store.newest.state != GOOD:
        raise DemoError(f"{name}: no confirmed configuration on its flash")
    return json.loads(store.text(store.newest))
