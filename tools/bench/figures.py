"""The figures in the order in which a person reads them, with the targets that they have."""

from collections import namedtuple

from msgin5g_tools.bench.loopback import RECIPIENT

# target: the largest value that is wanted; None: there is none.
Figure = namedtuple("Figure", "key text unit target", defaults=(None,))

FIGURES = (
    Figure("unit_us", "the unit: for i in range(100): buf[i & 63]", "µs"),
    Figure("decode_units", "decode the request of 104 bytes", "units", 0.8),
    Figure("decode_alloc_bytes", "- allocated", "bytes", 200),
    Figure("encode_units", "encode it into a buffer of its size", "units", 0.9),
    Figure("encode_alloc_bytes", "- allocated", "bytes", 400),
    Figure("encode_moved_bytes", "- moved by its stores", "bytes", 1000),
    Figure("encode_large_moved_bytes", "- moved if the buffer has 1,152 bytes", "bytes"),
    Figure("answer_decode_units", "decode an answer of 293 bytes", "units"),
    Figure("answer_encode_units", "encode it", "units"),
    Figure("request_units", "start and end a request, encoding included", "units"),
    Figure("protect_units", "OSCORE: protect an answer of 100 bytes", "units", 3),
    Figure("protect_alloc_bytes", "- allocated", "bytes", 2290),
    Figure("unprotect_units", "OSCORE: unprotect it", "units", 3),
    Figure("unprotect_alloc_bytes", "- allocated", "bytes", 2290),
    Figure("decode_and_unprotect_units", "- decoding included", "units"),
    Figure("protect_1k_units", "OSCORE: protect an answer of 1 KiB", "units", 30),
    Figure("protect_1k_alloc_bytes", "- allocated", "bytes", 4100),
    Figure("unprotect_1k_units", "OSCORE: unprotect it", "units", 30),
    Figure("unprotect_1k_alloc_bytes", "- allocated", "bytes", 4100),
    Figure("context_units", "OSCORE: derive the keys of a context", "units", 40),
    Figure("context_heap_bytes", "- its heap", "bytes", 1024),
    Figure("request_added_bytes", "OSCORE: bytes added to a request", "bytes", 14),
    Figure("answer_added_bytes", "- and to an answer", "bytes", 11),
    Figure("number_writes_at_start", "OSCORE: flash writes, start and 64 messages", "writes", 1),
    Figure("number_writes", "- and the next 64 messages", "writes", 1),
    Figure("relay_units", "relay a datagram, receive to transmit", "units", 9),
    Figure("relay_busy_units", "- with 32 observations and 15 requests", "units"),
    Figure(
        "relay_protected_uplink_times",
        "- a protected request, in times of a plain one",
        "times",
        1.2,
    ),
    Figure("relay_protected_downlink_times", "- and its answer", "times", 1.2),
    Figure("relay_renewal_units", "relay: renew an observation, one of 10", "units"),
    Figure("relay_renewal_growth", "- one of 300, in times of that", "times", 2),
    Figure("relay_uplink_growth", "relay a request while 60 wait, in times of none", "times", 1.5),
    Figure("relay_link_down_units", "relay: the end of a link that observes, one of 10", "units"),
    Figure("relay_link_down_growth", "- one of 300, in times of that", "times", 3),
    Figure("relay_uplink_alloc_bytes", "- allocated by a request", "bytes"),
    Figure("relay_downlink_alloc_bytes", "- allocated by an answer", "bytes"),
    Figure("relay_datagrams_per_s", "relay throughput, sockets included", "a second"),
    Figure("idle_poll_units", "poll an idle relay", "units", 0.6),
    Figure("idle_poll_alloc_bytes", "- allocated", "bytes", 0),
    Figure("collection_us", "a garbage collection in 192 KiB", "µs"),
    Figure("relay_heap_per_link_bytes", "relay: heap a linked UE that observes", "bytes"),
    Figure("relay_heap_per_bare_link_bytes", "- of that for the link", "bytes"),
    Figure("relay_heap_per_request_bytes", "relay: heap a request under way", "bytes"),
    Figure("gateway_heap_per_ue_bytes", "gateway: heap a linked UE that waits", "bytes"),
    Figure("ue_mpy_bytes", "UE: its .mpy files", "bytes"),
    Figure("ue_import_heap_bytes", "UE: heap of the modules that stay loaded", "bytes"),
    Figure("ue_idle_heap_bytes", "UE: heap, configured, observing, idle", "bytes", 112640),
    Figure("ue_romfs_idle_heap_bytes", "- with its modules in ROMFS", "bytes", 69632),
    Figure("ue_min_heap_bytes", "UE: smallest heap to fetch and apply", "bytes", 126976),
    Figure("first_fetch_bytes", "on the wire: first fetch", "bytes"),
    Figure("refresh_bytes", "on the wire: refresh (2.03), Recipient of 10", "bytes", 160),
    Figure("refresh_default_bytes", "- with the default Recipient of 18", "bytes"),
    Figure("registration_bytes", "on the wire: registration to observe", "bytes"),
    Figure("push_bytes", "on the wire: a change pushed, and its ACK", "bytes"),
)

NOTES = (
    "Times include their share of the garbage collections in a heap of 192 KiB (384 KiB for the"
    " relay at its limits).",
    "Heap and allocation are those of the 64-bit Unix port with .mpy files, unless ROMFS is named."
    " A 32-bit board takes about 0.7 of it. The .mpy files of a UE are all that a board gets for"
    " that role; those at the end are all modules of the package.",
    "On the wire: UDP payload, both ways, on the hop between UE and relay; UE ID of 24 characters,"
    f" default settings but for the Recipient {RECIPIENT}, which is in every request,"
    " ETag of 8 bytes, a document with about 100 characters of configuration.",
)


def rows(figures):
    """(text, value, target, whether it holds or None) of each figure that was measured."""
    for figure in FIGURES:
        if figure.key in figures:
            value = figures[figure.key]
            target = figure.target
            yield (
                figure.text,
                f"{shown(value)} {figure.unit}",
                "" if target is None else f"{shown(target)}",
                None if target is None else value <= target,
            )
    for package, size in figures.get("mpy_bytes", {}).items():
        yield f".mpy files: {package}", f"{shown(size)} bytes", "", None


def shown(value):
    """A number as a person reads it."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
