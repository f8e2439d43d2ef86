# What a board freezes: main.py and the package, for one role or for all of them.
#
#     include("../manifest.py", role="ue", espnow=True)
#
# `python -m msgin5g_tools.checks.manifests --write` writes the lists: what each role imports.
options.defaults(role="all", espnow=False)

_EVERY_ROLE = (
    "__init__.py",
    "builder/__init__.py",
    "builder/radio.py",
    "builder/security.py",
    "builder/services.py",
    "cbor/__init__.py",
    "cbor/encoder.py",
    "cbor/reader.py",
    "coap/__init__.py",
    "coap/block2.py",
    "coap/endpoint.py",
    "coap/message.py",
    "coap/numbers.py",
    "coap/retransmission.py",
    "coap/text.py",
    "coap/ticks.py",
    "config/__init__.py",
    "config/json.py",
    "config/manager.py",
    "config/schema.py",
    "config/store.py",
    "main.py",
    "node.py",
    "oscore/__init__.py",
    "oscore/ccm.py",
    "oscore/context.py",
    "oscore/hkdf.py",
    "oscore/protect.py",
    "oscore/security.py",
    "oscore/sequence_store.py",
    "port/__init__.py",
    "port/espnow.py",
    "port/event_loop.py",
    "port/event_loop_asyncio.py",
    "port/flash.py",
    "port/remote.py",
    "port/resolver.py",
    "port/system.py",
    "port/trace.py",
    "port/udp.py",
    "port/wlan.py",
    "repl/__init__.py",
    "repl/commands.py",
    "repl/format.py",
    "repl/prompt.py",
    "scm/__init__.py",
    "scm/client.py",
    "scm/refusal_report.py",
    "scm/request.py",
    "scm/ue_config_doc.py",
    "services/__init__.py",
    "services/application.py",
    "services/button.py",
    "services/name_lookup.py",
    "services/ping.py",
    "services/radios.py",
    "services/trial_check.py",
    "services/watchdog.py",
    "settings/__init__.py",
    "settings/radio.py",
    "settings/rules.py",
    "ue.py",
)

_UE = ()

_RELAY = (
    "builder/intermediary.py",
    "coap/responder.py",
    "intermediary/__init__.py",
    "intermediary/admission.py",
    "intermediary/link_table.py",
    "intermediary/numbers.py",
    "intermediary/rate_limiter.py",
    "relay.py",
    "scm/problem_details.py",
    "settings/intermediary.py",
)

_GATEWAY = (
    "builder/intermediary.py",
    "builder/server_security.py",
    "cbor/decoder.py",
    "coap/responder.py",
    "gateway/__init__.py",
    "gateway/bulk_transfer.py",
    "gateway/cache.py",
    "gateway/gateway.py",
    "gateway/observers.py",
    "gateway/pending_requests.py",
    "gateway/responder.py",
    "gateway/scheduler.py",
    "gateway/scm_client_node.py",
    "gateway/scm_local.py",
    "gateway/scm_remote.py",
    "gateway/shared_documents.py",
    "intermediary/__init__.py",
    "intermediary/admission.py",
    "intermediary/link_table.py",
    "intermediary/numbers.py",
    "oscore/server.py",
    "scm/document_splitter.py",
    "scm/problem_details.py",
    "settings/intermediary.py",
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
