"""Which modules are in memory while a role runs: those it uses, and none of start-up."""

from msgin5g_tools.bench.heap import loaded_modules
from msgin5g_tools.build.mpy import build_firmware

# A plain UE has no application, no radio, no prompt and no watchdog.
_NOT_IN_A_UE = ("gateway", "intermediary", "oscore", "relay", "repl", "services")
_START_UP = ("builder", "settings")


def rooms(role):
    """The first part of the name of each module of the package that is loaded."""
    names = loaded_modules(role, build_firmware())
    assert "msgin5g.port.event_loop" in names
    return {name.split(".")[1] for name in names if "." in name}, names


def test_a_ue_loads_what_it_uses_and_drops_what_started_it():
    found, names = rooms("ue")
    assert not found & {*_NOT_IN_A_UE, *_START_UP}
    assert not {"msgin5g.port.event_loop_asyncio", "msgin5g.port.wlan"} & set(names)


def test_relay_and_gateway_do_not_load_each_other():
    for role, other in (("relay", "gateway"), ("gateway", "relay")):
        found, _ = rooms(role)
        assert role in found and not found & {other, "oscore", *_START_UP}
