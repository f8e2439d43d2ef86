"""What all scenarios share: a server with documents, a traced intermediary, the outcomes."""

import asyncio
import json
import time
from binascii import unhexlify

from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.commands.run import HEAP, command_of
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.sequence_diagram import Entry, SequenceDiagram
from msgin5g_tools.decode.sequence_svg import sequence_svg
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.processes import MSGIN5G, DemoError
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.config.store import GOOD, StorageError, Store  # noqa: E402
from msgin5g.port.flash import Flash  # noqa: E402

INTERMEDIARY_HEAP = HEAP
OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")
OUTCOME_S = 15
START_S = 30


class Scenario:
    """One run of the demo with its Processes, and its results.

    ues: list of actors.Ue. role: "relay" or "gateway". progress(text): called while it sets up.
    on_message(Entry): called for each message of the sequence diagram.
    """

    server_options = ()  # of msgin5g scm-server

    def __init__(self, processes, ues, role, progress, on_message):
        self.entries = []
        self.outcomes = {}  # name of a UE -> event
        self.errors = []  # failures, one line each
        self.counters = None
        self.set_up_s = None
        self.capture = None  # a CaptureWriter that gets each datagram of the diagram
        self.ues = ues
        self._role = role
        self._processes = processes
        self._progress = progress
        self._on_message = on_message
        self._registry = Registry()
        self._participants = processes.addresses.participants()
        self._first_at = None

    def diagram(self):
        return SequenceDiagram(self._columns())

    def svg(self, title):
        """The messages up to now as the text of an SVG file."""
        outcomes = ", ".join(f"{ue.name} {ue.event} ({ue.code})" for ue in self.ues)
        about = f"{len(self.entries)} messages between UEs, {self._role} and server: {outcomes}."
        return sequence_svg(title, about, self._columns(), self.entries, self._registry)

    def _columns(self):
        return [[ue.name for ue in self.ues], [self._role], ["server"]]

    async def _build(self):
        """The folder of the compiled firmware."""
        self._progress("compiling the firmware")
        try:
            return await asyncio.to_thread(build_firmware)
        except (BuildError, OSError) as error:
            raise DemoError(f"firmware: {error}") from None

    async def _start_server(self, documents):
        """Start the server with these documents (an object for `msgin5g documents import`)."""
        processes, database = self._processes, self._processes.directory / "scm.db"
        file = processes.directory / "documents.json"
        actors.write(file, documents)
        importing = ("documents", "import", file, "--db", database)
        await (await processes.start("documents import", *MSGIN5G, *importing)).finish(START_S)
        bind = actors.text(processes.addresses.true_server)
        serving = ("scm-server", "--bind", bind, "--db", database, "--json", *self.server_options)
        server = await processes.start("server", *MSGIN5G, *serving)
        await server.event("started", START_S)

    async def _start_intermediary(self, values):
        """Start the relay or gateway with these settings, on MicroPython, tracing its messages."""
        settings = self._processes.directory / f"{self._role}.json"
        actors.write(settings, values)
        command = command_of(
            settings, self._processes.directory, heap=INTERMEDIARY_HEAP, as_json=True, trace=True
        )
        process = await self._processes.start(self._role, *command, on_event=self._trace)
        await process.event("started", START_S)
        return process

    def _trace(self, event):
        """Add a datagram event of the intermediary to the diagram; true for such an event."""
        if event["event"] != "datagram":
            return False
        now = self._processes.seconds()
        self._first_at = now if self._first_at is None else self._first_at
        other = self._participants.get(event["remote"], event["remote"])
        datagram = unhexlify(event["hex"])
        ends = (self._role, other) if event["direction"] == "out" else (other, self._role)
        if self.capture is not None:
            host, _, port = event["remote"].rpartition(":")
            way = ((host, int(port)), self._processes.addresses.intermediary)
            way = way[::-1] if event["direction"] == "out" else way
            self.capture.write(time.time(), *way, datagram)
        entry = Entry(now - self._first_at, *ends, datagram, self.note(*ends, datagram))
        self.entries.append(entry)
        self._on_message(entry)
        return True

    def note(self, source, target, datagram):
        """A few words that the diagram shows beside a message."""
        return ""

    def _unexpected(self, configuration_of):
        """One line for each unexpected outcome; a UE without an outcome is in `errors` already.

        configuration_of(ue): the expected configuration of a UE that applied one.
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
    """The confirmed configuration on a UE's flash, read by the firmware's own store."""
    store = Store(Flash(str(directory), StorageError))
    store.load()
    if store.newest is None or store.newest.state != GOOD:
        raise DemoError(f"{name}: no confirmed configuration on its flash")
    return json.loads(bytes(store.texts(store.newest)[0]))
