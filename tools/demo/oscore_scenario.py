"""The relay's scenario with OSCORE from each UE to the server: the relay has no key.

`msgin5g provision` makes a key for each board, and gives it to the board and to the server.
"""

from msgin5g_tools.decode.faults import decode
from msgin5g_tools.demo import actors
from msgin5g_tools.demo.actors import CONFIGURATION, UES
from msgin5g_tools.demo.processes import MSGIN5G, DemoError
from msgin5g_tools.demo.relay_scenario import RelayScenario
from msgin5g_tools.demo.scenario import OUTCOME_S, OUTCOMES
from msgin5g_tools.paths import import_firmware

import_firmware()
from msgin5g.coap.numbers import OSCORE  # noqa: E402
from msgin5g.oscore.context import ProtectionError  # noqa: E402
from msgin5g.oscore.protect import read_option  # noqa: E402

_PROVISION_S = 60

# What a request asks for and what an answer brings, as it is in messages without OSCORE.
_PLAIN = {
    "path": b"ue-configurations",
    "query": b"ue-uri",
    "document": b"valServiceDomain",
    **{key: str(value).encode() for key, value in CONFIGURATION.items() if value != 1024},
}


class OscoreScenario(RelayScenario):
    """Three UEs with keys behind a relay without one."""

    server_options = ("--require-security",)

    async def _flash(self, firmware, ue):
        files = (firmware / "msgin5g", firmware / "main.py")
        await self._processes.mpremote(ue.name, "cp", "-r", *files, ":")

    async def _start_ue(self, ue):
        """Provision a board, which starts it, and wait for its outcome."""
        processes = self._processes
        table = processes.directory / f"{ue.host}.json"
        settings = actors.ue_settings(processes.addresses, ue)
        settings["security"] = {"mode": "oscore"}
        actors.write(table, [{"port": processes.port(ue.name), "settings": settings}])
        try:
            processes.mark(ue.name)
            database = processes.directory / "scm.db"
            command = ("provision", table, "--db", database, "--no-watch")
            process = await processes.start(f"{ue.name}: provision", *MSGIN5G, *command)
            await process.finish(_PROVISION_S)
            self.outcomes[ue.name] = await processes.outcome(ue.name, OUTCOMES, OUTCOME_S)
        except DemoError as error:
            self.errors.append(str(error))

    def note(self, source, target, datagram):
        return super().note(source, target, datagram) or _key_note(datagram)

    def readable(self):
        """What the relay could read of requests and configurations, one text for each message."""
        found = []
        for number, entry in enumerate(self.entries, 1):
            shown = [what for what, data in _PLAIN.items() if data in entry.datagram]
            if shown:
                found.append(f"message {number}: {', '.join(shown)}")
        return found

    def missing(self):
        missing = super().missing() + [f"the relay could read {text}" for text in self.readable()]
        kids = {entry.note for entry in self.entries if entry.note.startswith("key ")}
        if len(kids) < len(UES):
            missing.append(f"{len(UES)} UEs have {len(kids)} keys")
        return missing


def _key_note(datagram):
    """`key 01` for a protected request, `protected` for a response; "" for any other message."""
    message, _ = decode(datagram)
    value = message and message.option(OSCORE)
    if value is None:
        return ""
    try:
        kid = read_option(value)[1]
    except ProtectionError:
        return ""
    return "protected" if kid is None else f"key {kid.hex()}"
