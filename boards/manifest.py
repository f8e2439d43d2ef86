# What a board freezes: main.py and the package, for one role or for all of them.
#
#     include("../manifest.py", role="ue", espnow=True)
#
# The lists are what the roles import: `python -m msgin5g_tools.checks.manifests --write` puts them right.
options.defaults(role="all", espnow=False)

_EVERY_ROLE = (
    "__init__.py",
    "app.py",
    "cbor_reader.py",
    "coap/__init__.py",
    "coap/blockwise.py",
    "coap/endpoint.py",
    "coap/errors.py",
    "coap/message.py",
    "coap/numbers.py",
    "coap/ticks.py",
    "coap/transmission.py",
    "coap/transmitter.py",
    "composition.py",
    "composition_hop.py",
    "composition_lifecycle.py",
    "composition_parts.py",
    "composition_radio.py",
    "configuration/__init__.py",
    "configuration/by_hand.py",
    "configuration/lifecycle.py",
    "configuration/migration.py",
    "configuration/public.py",
    "configuration/schema.py",
    "configuration/store.py",
    "configuration/strict_json.py",
    "configuration/trial.py",
    "keeper.py",
    "main.py",
    "port/__init__.py",
    "port/address.py",
    "port/aio.py",
    "port/beside.py",
    "port/boot.py",
    "port/button.py",
    "port/espnow.py",
    "port/flash.py",
    "port/lookup.py",
    "port/loop.py",
    "port/peer.py",
    "port/prompt.py",
    "port/reset.py",
    "port/system.py",
    "port/trace.py",
    "port/udp.py",
    "port/watchdog.py",
    "port/wlan.py",
    "repl/__init__.py",
    "repl/do_change.py",
    "repl/do_config.py",
    "repl/do_help.py",
    "repl/do_net.py",
    "repl/do_status.py",
    "repl/do_story.py",
    "repl/do_text.py",
    "roles/__init__.py",
    "roles/check.py",
    "roles/conclusion.py",
    "roles/node.py",
    "roles/parts.py",
    "roles/ping.py",
    "roles/retry.py",
    "roles/ue.py",
    "seal/__init__.py",
    "seal/answer.py",
    "seal/documents.py",
    "seal/errors.py",
    "seal/problem.py",
    "seal/resources.py",
    "seal/scm_client.py",
    "settings.py",
    "settings_radio.py",
    "unload.py",
)

_UE = ()

_RELAY = (
    "cbor.py",
    "coap/server.py",
    "roles/hop.py",
    "roles/links.py",
    "roles/pace.py",
    "roles/relay.py",
    "seal/problem_writer.py",
    "settings_hop.py",
)

_GATEWAY = (
    "cbor.py",
    "coap/server.py",
    "composition_gateway.py",
    "roles/gateway.py",
    "roles/gateway_answers.py",
    "roles/gateway_bulk.py",
    "roles/gateway_cache.py",
    "roles/gateway_collect.py",
    "roles/gateway_documents.py",
    "roles/gateway_observers.py",
    "roles/hop.py",
    "roles/links.py",
    "roles/seal_c.py",
    "roles/seal_c_apart.py",
    "roles/seal_c_client.py",
    "seal/problem_writer.py",
    "seal/split.py",
    "seal/transfer.py",
    "settings_hop.py",
)

_MORE = {
    "ue": _UE,
    "relay": _RELAY,
    "gateway": _GATEWAY,
    "all": sorted({*_UE, *_RELAY, *_GATEWAY}),
}
_ESPNOW = "port/espnow.py"

for _file in (*_EVERY_ROLE, *_MORE[options.role]):
    if _file != _ESPNOW or options.espnow:
        package("msgin5g", files=(_file,), base_path="../firmware", opt=1)
module("main.py", base_path="../firmware", opt=1)
