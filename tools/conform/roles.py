"""The four roles that the kit checks."""

from dataclasses import dataclass

from msgin5g_tools.conform import (
    gateway_bench,
    gateway_checks,
    relay_bench,
    relay_checks,
    relay_messages,
    server_api,
    server_bench,
    server_messages,
    server_transfer,
    ue_bench,
    ue_checks,
    ue_messages,
)

# Importing these registers their checks.
_ = gateway_checks, relay_checks, relay_messages, ue_checks, ue_messages
_ = server_api, server_messages, server_transfer


@dataclass(frozen=True)
class Role:
    """bench: a class; parallel: checks at a time; required: (field, option) without which none
    is possible.
    """

    checks: list
    bench: object
    parallel: int
    required: tuple


_BETWEEN = ("ue", "server_bind", "recipient")
ROLES = {
    "server": Role(server_bench.checks.all, server_bench.ServerBench, server_bench.PARALLEL, ()),
    "relay": Role(relay_bench.checks.all, relay_bench.RelayBench, relay_bench.PARALLEL, _BETWEEN),
    "gateway": Role(
        gateway_bench.checks.all, gateway_bench.GatewayBench, gateway_bench.PARALLEL, _BETWEEN
    ),
    "ue": Role(ue_bench.checks.all, ue_bench.UeBench, ue_bench.PARALLEL, ("ue", "bind")),
}
