"""Unit tests of firmware and applications, on CPython, on MicroPython and on a board.

    from msgin5g_testkit import Network

    def test_it_gets_its_configuration():
        net = Network(loss=0.3, seed=1)
        server = net.server({"urn:x:1": {"interval-s": 10}})
        ue = net.ue("urn:x:1", application="my_app")
        ue.wait("applied")

Importing it on CPython makes MicroPython's modules importable there: see `shim`. Names are
imported when they are used, so that a small heap has only what a test needs. docs/testkit.md shows
how.
"""

import sys

# Each public name and the module that has it.
HOMES = {
    "Board": "board",
    "Datagram": "datagram",
    "GatewayNode": "gateway",
    "Inspector": "inspector",
    "Intermediary": "intermediary",
    "MemoryFlash": "memory_flash",
    "Network": "network",
    "NetworkSim": "network_sim",
    "PowerCut": "memory_flash",
    "RelayNode": "intermediary",
    "ScmServer": "scm",
    "Switch": "intermediary",
    "Ue": "ue",
    "all_but": "network_sim",
    "chance": "network_sim",
    "document": "documents",
    "explain": "datagram",
    "raises": "checks",
    "xorshift": "checks",
}
__all__ = [
    "Board",
    "Datagram",
    "GatewayNode",
    "Inspector",
    "Intermediary",
    "MemoryFlash",
    "Network",
    "NetworkSim",
    "PowerCut",
    "RelayNode",
    "ScmServer",
    "Switch",
    "Ue",
    "all_but",
    "chance",
    "document",
    "explain",
    "raises",
    "xorshift",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from msgin5g_testkit.board import Board
    from msgin5g_testkit.checks import raises, xorshift
    from msgin5g_testkit.datagram import Datagram, explain
    from msgin5g_testkit.documents import document
    from msgin5g_testkit.gateway import GatewayNode
    from msgin5g_testkit.inspector import Inspector
    from msgin5g_testkit.intermediary import Intermediary, RelayNode, Switch
    from msgin5g_testkit.memory_flash import MemoryFlash, PowerCut
    from msgin5g_testkit.network import Network
    from msgin5g_testkit.network_sim import NetworkSim, all_but, chance
    from msgin5g_testkit.scm import ScmServer
    from msgin5g_testkit.ue import Ue


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError("msgin5g_testkit has no " + name)
    home = __name__ + "." + HOMES[name]
    __import__(home)
    return getattr(sys.modules[home], name)


if sys.implementation.name != "micropython":
    from msgin5g_testkit import cpython

    cpython.add_shims()
