"""The pictures of docs/tour.md: the runs that they are drawn from, and their messages.

`msgin5g demo --diagram` draws relay and gateway, from processes. A UE alone and the separated
SEAL-C are drawn here, from the firmware's own nodes in a virtual network:

    .venv/bin/python host_tests/support/tour.py      writes all pictures anew
"""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from msgin5g_tools.decode.faults import decode
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.sequence_diagram import Entry
from msgin5g_tools.decode.sequence_svg import sentence_of, sequence_svg
from msgin5g_tools.demo.recording import CODE, record
from msgin5g_tools.paths import ROOT
from msgin5g_testkit.network_sim import NetworkSim
from msgin5g.coap.numbers import OBSERVE

IMAGES = ROOT / "docs" / "images"
_SVG = "{http://www.w3.org/2000/svg}"
_NUMBERS = (7, 8, 9)
_SENTENCE = re.compile(r"(.+?) to (.+?): (?:CON|NON|ACK|RST) (.+)")


def ue():
    """(title, participants, entries): a UE asks its server, which then has a change."""
    from builders import DATA, SERVER, UE_ID, document, new_server, new_ue, ue_address

    sim = NetworkSim()
    server = new_server(sim)
    address = ue_address(2)
    new_ue(sim, address, remote=SERVER, require_recipient=False, observe=True)
    sim.run(None, 3000)
    server.change(UE_ID, document(UE_ID, DATA.replace("user-7", "user-70")))
    sim.run(None, 3000)
    names = {address: "UE 0007", SERVER: "server"}
    return (
        "A UE asks its server directly, and observes its document",
        [["UE 0007"], ["server"]],
        _entries(sim, names),
    )


def seal_c():
    """The same: a gateway whose configuration client is a node of its own."""
    from gateway_builders import CLIENT, GATEWAY, SEAL_C, SERVER, address, doc, name
    from gateway_builders import new_bulk_server, new_gateway, new_ues, separated

    sim = NetworkSim()
    separated(new_gateway, sim, _NUMBERS, bulk_count=len(_NUMBERS))
    new_bulk_server(sim, [doc(7), doc(9)], denied=(name(8),))
    new_ues(sim, _NUMBERS)
    sim.run(None, 2000)
    names = {address(n): f"UE {n:04}" for n in _NUMBERS}
    names.update({GATEWAY: "gateway", SEAL_C[0]: "gateway", SERVER: "server"})
    names.update({SEAL_C[1]: "SEAL-C", CLIENT: "SEAL-C"})
    return (
        "A gateway with a separated SEAL-C",
        [[f"UE {n:04}" for n in _NUMBERS], ["gateway"], ["SEAL-C"], ["server"]],
        _entries(sim, names),
    )


VIRTUAL = {"tour-ue.svg": ue, "tour-seal-c.svg": seal_c}


def _entries(sim, names):
    return [
        Entry(ms / 1000, names[source], names[target], bytes(datagram), _note(datagram))
        for ms, source, target, datagram in sim.log
    ]


def _note(datagram):
    message, _ = decode(bytes(datagram))
    observe = message.uint(OBSERVE)
    return "" if observe is None else f"Observe {observe}"


def drawn(made):
    """The text of the SVG of a result of VIRTUAL."""
    title, participants, entries = made
    names = ", ".join(name for column in participants for name in column)
    about = f"{len(entries)} messages between {names}."
    return sequence_svg(title, about, participants, entries, Registry())


def sentences(text):
    """What the messages of an SVG say, in order."""
    groups = ET.fromstring(text).iter(f"{_SVG}g")
    return [group.findtext(f"{_SVG}title") for group in groups]


def heads(text):
    """The names of the participants of an SVG, from left to right."""
    found = ET.fromstring(text).findall(f"{_SVG}text[@class='head']")
    return [each.text for each in sorted(found, key=lambda each: int(each.get("x")))]


def said(ladder):
    """The same of the ladder that `msgin5g demo --json` prints."""
    return [sentence_of(row["from"], row["to"], row, row.get("note", "")) for row in ladder]


def exchanged(said):
    """What happens whatever the timing: sentences without types, and without empty ACKs.

    On a busy machine messages change their order, are repeated, or come after an empty ACK.
    """
    found = (_SENTENCE.fullmatch(sentence).groups() for sentence in said)
    return sorted({(a, b, what) for a, b, what in found if not what.startswith("empty")})


def main():
    for file, make in VIRTUAL.items():
        (IMAGES / file).write_text(drawn(make()), encoding="utf-8")
    record(IMAGES / "tour-demo", ["demo", "--diagram", str(IMAGES / "tour-relay.svg")])
    demo = [sys.executable, "-c", CODE, "demo", "--gateway"]
    subprocess.run([*demo, "--diagram", IMAGES / "tour-gateway.svg"], check=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
