"""What is measured, and how it becomes the keys of `bench --json`."""

from collections import defaultdict

from msgin5g_tools.bench.errors import BenchError
from msgin5g_tools.bench.heap import idle_heap, loaded_modules, smallest
from msgin5g_tools.bench.loopback import DEFAULT_RECIPIENT, RECIPIENT, Loopback, free_ports
from msgin5g_tools.build.mpy import role_files
from msgin5g_tools.build.romfs import build_romfs

_ROUNDS = 200
_GROWTH_ROUNDS = 30
_N_UES = 32
_CODES = {"2.03": 0x43, "2.05": 0x45}
_LARGEST_HEAP = 196608


def measure(interpreter, progress, only=None):
    """All figures as a dict, or those of one of MEASUREMENTS.

    progress(text) reports what comes next.
    """
    figures = {"interpreter": interpreter.version()}
    for name, (text, measured) in MEASUREMENTS.items():
        if only in (None, name):
            progress(text)
            figures.update(measured(interpreter))
    return figures


# Time and allocation


def _speed(interpreter):
    idle = _Times(interpreter.run("speed", "192K", _ROUNDS))
    busy = _Times(interpreter.run("speed", "384K", _ROUNDS, "busy"))
    figures = {"unit_us": round(idle.us["unit"], 3)}
    for name in ("decode", "encode", "answer_decode", "answer_encode", "request", "idle_poll"):
        figures[f"{name}_us"] = round(idle.with_collections(name), 3)
        figures[f"{name}_units"] = idle.units(name)
        figures[f"{name}_alloc_bytes"] = idle.alloc_bytes[name]
    for name, (fitting, large) in idle.moved_bytes.items():
        figures[f"{name}_moved_bytes"] = fitting
        figures[f"{name}_large_moved_bytes"] = large
    for way in ("uplink", "downlink"):
        figures[f"relay_{way}_units"] = idle.units(way)
        figures[f"relay_{way}_alloc_bytes"] = idle.alloc_bytes[way]
    figures["relay_units"] = max(figures["relay_uplink_units"], figures["relay_downlink_units"])
    figures["relay_busy_units"] = max(busy.units("uplink"), busy.units("downlink"))
    figures["collection_us"] = round(idle.us["collection"], 1)
    return figures


def _oscore(interpreter):
    found = interpreter.run("oscore", "192K", _ROUNDS)
    times = _Times(found)
    figures = {"context_heap_bytes": found["context_heap_bytes"]}
    figures["request_added_bytes"], figures["answer_added_bytes"] = found["added_bytes"]
    figures["number_writes_at_start"], figures["number_writes"] = found["number_writes"]
    for name, us in times.us.items():
        if name in times.alloc_bytes:
            figures[f"{name}_units"] = times.units(name)
            figures[f"{name}_alloc_bytes"] = times.alloc_bytes[name]
    plain, protected = (
        _Times(interpreter.run("speed", "384K", _ROUNDS, *more)) for more in ((), ("protected",))
    )
    for way in ("uplink", "downlink"):
        figures[f"relay_protected_{way}_units"] = protected.units(way)
        figures[f"relay_protected_{way}_times"] = round(protected.units(way) / plain.units(way), 2)
    return figures


def _growth(interpreter):
    found = interpreter.run("growth", "4M", _GROWTH_ROUNDS)
    us = found["us"]
    return {
        "relay_renewal_units": round(us["renewal"][0] / found["unit"], 2),
        "relay_link_down_units": round(us["link_down"][0] / found["unit"], 2),
        **{f"relay_{name}_growth": round(many / few, 2) for name, (few, many) in us.items()},
    }


class _Times:
    """What programs/speed.py prints."""

    def __init__(self, found):
        self.us = found["us"]
        self.alloc_bytes = found["alloc_bytes"]
        self.moved_bytes = found["moved_bytes"]
        self._us_a_byte = self.us["collection"] / found["free_bytes"]

    def with_collections(self, name):
        """Microseconds, and the share of the collections that what is allocated leads to."""
        return self.us[name] + self.alloc_bytes[name] * self._us_a_byte

    def units(self, name):
        return round(self.with_collections(name) / self.us["unit"], 2)


# Heap


def _hop_heap(interpreter):
    relay = interpreter.run("relay_heap", "512K", _N_UES)
    figures = {
        "relay_heap_per_bare_link_bytes": relay["link"],
        "relay_heap_per_request_bytes": relay["request"],
        "relay_heap_per_observation_bytes": relay["observation"],
        "relay_heap_per_resting_observation_bytes": relay["resting"],
        # What a UE that is configured and observes costs for as long as it is linked.
        "relay_heap_per_link_bytes": relay["link"] + relay["observation"],
    }
    gateway = interpreter.run("gateway_heap", "1M", _N_UES)
    figures["gateway_heap_per_bare_link_bytes"] = gateway["link"]
    figures["gateway_heap_per_ue_bytes"] = gateway["link"] + gateway["waiting"]
    return figures


def _throughput(interpreter):
    found = interpreter.run("throughput", "192K", *free_ports(3))
    return {"relay_datagrams_per_s": found["datagrams_per_s"]}


def _modules(interpreter):
    files = role_files("ue")
    loaded = loaded_modules("ue", interpreter.firmware)
    return {
        "ue_mpy_bytes": sum(f.stat().st_size for p, f in files.items() if p != "main.py"),
        "ue_import_heap_bytes": interpreter.run("imports", "512K", *loaded)["heap"],
        "ue_idle_heap_bytes": idle_heap("ue", interpreter.firmware),
        "ue_romfs_idle_heap_bytes": idle_heap("ue", build_romfs("ue")),
    }


def _on_loopback(interpreter):
    with Loopback(interpreter) as loopback:
        figures = _wire(loopback)
        found = smallest(loopback.fetched, 8192, _LARGEST_HEAP)
        if found is None:
            raise BenchError(f"a UE does not get its configuration in {_LARGEST_HEAP} bytes")
        figures["ue_min_heap_bytes"] = found
    with Loopback(interpreter, DEFAULT_RECIPIENT) as loopback:
        refresh = _transactions(loopback.watch(False, 3))[2]
        figures["refresh_default_bytes"] = sum(map(len, refresh))
    return figures


def _wire(loopback):
    """Bytes on the wire of a UE that refreshes and of one that observes."""
    refreshed = _transactions(loopback.watch(False, 3))
    observed = _transactions(loopback.watch(True, 3, push_after=2))
    first, _, refresh = refreshed
    _expect("first fetch", first, 2, "2.05")
    _expect("refresh", refresh, 2, "2.03")
    _, registration, push = observed
    _expect("push", push, 2, "2.05")
    return {
        "first_fetch_bytes": sum(map(len, first)),
        "recipient": RECIPIENT,
        "refresh_bytes": sum(map(len, refresh)),
        "registration_bytes": sum(map(len, registration)),
        "push_bytes": sum(map(len, push)),
    }


def _transactions(items):
    """The datagrams of each outcome; an acknowledgement belongs to what it acknowledges."""
    found = [[]]
    for item in items:
        if "hex" in item:
            datagram = bytes.fromhex(item["hex"])
            known = [t for t in found if any(d[2:4] == datagram[2:4] for d in t)]
            (known[-1] if known else found[-1]).append(datagram)
        elif item.get("event") in ("applied", "unchanged"):
            found.append([])
    return found[:3]


def _expect(what, datagrams, n, code):
    codes = [datagram[1] for datagram in datagrams]
    if len(codes) != n or _CODES[code] not in codes:
        hexes = ", ".join(datagram.hex() for datagram in datagrams)
        raise BenchError(f"{what}: not one message each way with a {code}: {hexes}")


# Size


def _sizes(firmware):
    packages = defaultdict(int)
    for file in sorted(firmware.glob("msgin5g/**/*.mpy")):
        parts = file.relative_to(firmware).parts
        packages[parts[1] if len(parts) > 2 else "msgin5g"] += file.stat().st_size
    return dict(sorted(packages.items()))


# name -> (what it measures, a function of an Interpreter)
MEASUREMENTS = {
    "speed": ("decode, encode and relay: time and allocation", _speed),
    "oscore": ("OSCORE: time and allocation", _oscore),
    "growth": ("a relay with little and with much in its tables", _growth),
    "heap": ("heap of a relay and a gateway", _hop_heap),
    "throughput": ("relay throughput", _throughput),
    "modules": ("the modules of a UE", _modules),
    "loopback": ("a UE on loopback: datagrams, and its smallest heap", _on_loopback),
    "size": ("the .mpy files", lambda interpreter: {"mpy_bytes": _sizes(interpreter.firmware)}),
}
