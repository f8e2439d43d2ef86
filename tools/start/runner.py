"""Start what is in a folder, and follow it to the outcome of each UE."""

import asyncio
import json
import os
import re
from binascii import hexlify

from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.commands.run import command_of
from msgin5g_tools.demo.processes import MSGIN5G, DemoError, together
from msgin5g_tools.device.events import without_stamp
from msgin5g_tools.paths import ROOT

_OUTCOMES = ("applied", "unchanged", "rejected", "refused")
_START_S = 30
_OUTCOME_S = 90
_PROVISION_S = 300
# Of virtual boards. A UE with Wi-Fi and an application needs more than `run` gives to a UE.
_HEAPS = {"ue": "192K"}
_HEAP = "256K"
_RADIO = ROOT / "tools" / "start" / "radio"
_COPYING = re.compile(r": \d+/\d+ ")  # of provision, for each file
# Before a role: `network` and `espnow` are those of this folder.
_PRELUDE = """
import sys
sys.path.insert(0, {radio!r})
import air
air.name, air.folder, air.mac = {name!r}, {folder!r}, {mac!r}
"""


class Runner:
    """One start of a Folder with its Processes: `run`, and `end` for a good one.

    print_line(name, text): called with each line of a node or server, and with what happens.
    create_database(): the URL of an empty database of PostgreSQL.
    """

    def __init__(self, folder, processes, print_line, create_database):
        self._folder = folder
        self._processes = processes
        self._print = print_line
        self._create_database = create_database
        self._database = processes.directory / "scm.db"
        self._nodes = {}  # ue_id of a UE -> its Process
        self._servers = []

    async def run(self):
        """Until each UE has its outcome; DemoError says which one is not as expected."""
        folder = self._folder
        for place in folder.places:
            place.address = self._processes.addresses.of(place)[0]
        self._introduce()
        try:
            await asyncio.to_thread(build_firmware)
        except (BuildError, OSError) as error:
            raise DemoError(f"firmware: {error}") from None
        self._open_air()
        await self._start_servers()
        boards = [node for node in folder.nodes if node.row]
        others = [node for node in folder.nodes if not node.row]
        for role in ("seal-c", "gateway", "relay"):
            await together(*(self._start(node) for node in others if node.role == role))
        if boards:
            await self._provision(boards)
        ues = [node for node in others if node.role == "ue"]
        await together(*map(self._outcome_of, ues))
        if folder.change is not None:
            await self._change([node for node in ues if _names(folder.change, node.ue_id)])

    async def end(self):
        """End the servers in good order, and show what became of the UEs."""
        for server in self._servers:
            server.interrupt()
        await together(*(server.finish(_START_S) for server in self._servers))
        if self._servers:
            await self._command("fleet", "fleet", "--db", self._database)

    def _introduce(self):
        for place in self._folder.places:
            hosts = self._folder.hosts_of(place)
            also = f" instead of {' and '.join(hosts)}" if hosts else ""
            self._print("start", f"{place.name} has {place.address}{also}")

    # The server

    async def _start_servers(self):
        folder = self._folder
        if any("postgresql" in str((s.options or {}).get("db")) for s in folder.servers):
            self._print("start", "PostgreSQL, with an empty database")
            self._database = self._create_database()
        if not folder.servers:
            return
        if folder.documents is not None:
            await self._import(folder.documents)
        await together(*map(self._start_server, folder.servers))

    async def _start_server(self, server):
        command = ["--bind", f"{server.address}:{server.bind[1]}", "--db", self._database]
        if server.options is not None:
            file = self._processes.directory / server.file.name
            file.write_text(self._folder.here(server.file.read_text("utf-8")), "utf-8")
            command += ["--config", file]
            if "web" in server.options:
                port = str(server.options["web"]).rpartition(":")[2]
                command += ["--web", f"{server.address}:{port}"]
        process = await self._process(server.name, *MSGIN5G, "scm-server", *command)
        await process.line(" listening ", _START_S)
        self._servers.append(process)

    async def _import(self, documents):
        file = self._processes.directory / "documents.json"
        file.write_text(json.dumps(self._folder.here(documents)), "utf-8")
        await self._command("documents", "documents", "import", file, "--db", self._database)

    async def _command(self, name, *words, timeout_s=_START_S):
        """Run a command of ours to its end; DemoError if it fails."""
        process = await self._process(name, *MSGIN5G, *words)
        await process.finish(timeout_s)

    async def _change(self, ues):
        """Import the documents of the change, and wait until they have reached their UEs."""
        self._print("start", "the documents change")
        marks = [self._nodes[ue.ue_id].n_events for ue in ues]
        await self._import(self._folder.change)
        await together(*map(self._applied, ues, marks))

    # The nodes

    def _open_air(self):
        """Make the Wi-Fi that is there before any node."""
        air = self._processes.directory / "air"
        air.mkdir()
        for ssid, key in self._folder.sites().items():
            site = air / hexlify(ssid.encode()).decode()
            site.mkdir()
            (site / "key").write_text(key, "utf-8")

    async def _start(self, node):
        folder, directory = self._folder, self._processes.directory
        state = directory / str(node.host)
        state.mkdir()
        settings = state / "settings.json"
        settings.write_text(json.dumps(folder.settings_here(node)), "utf-8")
        radios = {"wifi", "access_point", "espnow"} & set(node.values)
        prelude = _PRELUDE.format(
            radio=os.fspath(_RADIO),
            name=directory.name,
            folder=f"{directory}/air",
            mac=folder.mac_of(node),
        )
        app = folder.application if node.role == "ue" else None
        heap = _HEAPS.get(node.role, _HEAP)
        prelude = prelude if radios else ""
        command = command_of(settings, state, heap=heap, app=app, prelude=prelude)
        process = await self._process(node.name, *command, folder=app and app.folder)
        await process.event("started", _START_S)
        return process

    async def _outcome_of(self, node):
        process = self._nodes[node.ue_id] = await self._start(node)
        event = await process.event(_OUTCOMES, _OUTCOME_S)
        expected = self._expected(node)
        if (event["event"], event.get("code")) != expected:
            wanted = " ".join(filter(None, expected))
            raise DemoError(f"{node.name}: {wanted} was expected by documents.json")
        if expected[0] == "applied":
            await self._confirmed(node, 0)

    async def _applied(self, node, since):
        """The UE applies a change; what it refuses is in its own line."""
        process = self._nodes[node.ue_id]
        event = await process.event(("applied", "refused"), _OUTCOME_S, since)
        if event["event"] != "applied":
            raise DemoError(f"{node.name}: refuses the document of change.json")
        await self._confirmed(node, since)

    async def _confirmed(self, node, since):
        """Until the application has confirmed it, where that is what the settings want."""
        if node.settings.confirm == "application":
            await self._nodes[node.ue_id].event("confirmed", _OUTCOME_S, since)

    def _expected(self, node):
        documents = self._folder.documents
        if node.ue_id in documents.get("deny", []):
            return "rejected", "4.03"
        return ("applied", None) if _names(documents, node.ue_id) else ("rejected", "4.04")

    async def _provision(self, boards):
        """Give virtual boards what their rows say, as `msgin5g provision` gives it to others."""
        rows = []
        for board in boards:
            self._processes.switch_on(board.name, _HEAPS.get(board.role, _HEAP))
            row = {"port": self._processes.port(board.name), "label": board.row.label}
            row["settings"] = self._folder.settings_here(board)
            if board.row.secrets:
                row["secrets"] = json.loads(board.row.secrets)
            rows.append(row)
        file = self._processes.directory / "boards.json"
        file.write_text(json.dumps(rows), "utf-8")
        command = ["provision", file]
        for row in rows:
            command += ["--port", row["port"]]
        if any(board.settings.security_mode == "oscore" for board in boards):
            command += ["--db", self._database]
        await self._command("provision", *command, timeout_s=_PROVISION_S)

    async def _process(self, name, *command, folder=None):
        def on_line(line):
            if line and not _COPYING.search(line):
                self._print(name, without_stamp(line))

        return await self._processes.start(name, *command, on_line=on_line, folder=folder)


def _names(documents, ue_id):
    """Whether a document is for this UE: it names it, or it names nobody."""
    return any(ue_id in document.get("ues", [ue_id]) for document in documents["documents"])
