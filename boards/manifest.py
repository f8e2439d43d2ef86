# What a board freezes: main.py and the package, for one role or for all of them.
#
#     include("../manifest.py", role="ue", espnow=True)
#
# tools/check_manifests.py holds these names against what the roles import.
options.defaults(role="all", espnow=False)

_EVERY_ROLE = (
    "__init__.py",
    "cbor_reader.py",
    "composition.py",
    "main.py",
    "settings.py",
    "unload.py",
    "coap/__init__.py",
    "coap/blockwise.py",
    "coap/endpoint.py",
    "coap/errors.py",
    "coap/message.py",
    "coap/numbers.py",
    "coap/ticks.py",
    "coap/transmission.py",
    "coap/transmitter.py",
    "configuration/__init__.py",
    "configuration/lifecycle.py",
    "configuration/schema.py",
    "configuration/store.py",
    "configuration/strict_json.py",
    "port/__init__.py",
    "port/aio.py",
    "port/flash.py",
    "port/loop.py",
    "port/system.py",
    "port/udp.py",
    "roles/__init__.py",
    "roles/retry.py",
    "roles/ue.py",
    "seal/__init__.py",
    "seal/documents.py",
    "seal/errors.py",
    "seal/problem.py",
    "seal/resources.py",
    "seal/scm_client.py",
)

# Whoever stands between UEs and the server.
_HOP = (
    "cbor.py",
    "coap/server.py",
    "roles/hop.py",
    "roles/links.py",
    "roles/pace.py",
    "seal/problem_writer.py",
)
_RELAY = ("roles/relay.py",)

_FILES = {
    "ue": _EVERY_ROLE,
    "relay": _EVERY_ROLE + _HOP + _RELAY,
    "gateway": _EVERY_ROLE + _HOP + _RELAY,
    "all": _EVERY_ROLE + _HOP + _RELAY,
}

package("msgin5g", files=_FILES[options.role], base_path="../firmware", opt=1)
module("main.py", base_path="../firmware", opt=1)
