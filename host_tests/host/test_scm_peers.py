"""The configuration management server and peers that are not our own client."""

import asyncio
import subprocess
import sys

import aiocoap
import cbor2
import pytest
from scm_setup import COLLECTION, UE7, Scm, document

HAS_PYCDDL = sys.version_info < (3, 14)  # no wheel for 3.14
if HAS_PYCDDL:
    import pycddl

QUERY = f"ue-uri={UE7}"
# protocol.md 3.1, TS 24.546 C.3.1.5.2 with the table's spelling of the first key; what the
# server sends always has it. Extensions are any text keys.
CDDL = """
answer = [* UeConfigDoc] / UeConfigDoc
UeConfigDoc = {"ueConfigDocId": tstr, ? "configName": tstr, "valServiceDomain": tstr,
  ? "valServiceId": tstr, ? "valUeIds": ValUeIds, ? "ueConfigs": [+ UeConfig], * tstr => any}
UeConfig = {"configType": tstr, "configData": tstr, * tstr => any}
ValUeIds = {? "uris": [+ tstr], ? "imeiRanges": [+ ImeiRange], * tstr => any}
ImeiRange = {"tac": Tac, ? "snrs": [* Snr], ? "snrRange": {"low": Snr, "high": Snr}, * tstr => any}
Tac = tstr .regexp "[0-9]{8}"
Snr = tstr .regexp "[0-9]{1,6}"
"""


def full_document():
    return document(
        UE7,
        configName="Sensor 7",
        valServiceId="msgin5g",
        valUeIds={
            "uris": [UE7],
            "imeiRanges": [
                {"tac": "12345678", "snrs": ["1", "000002"]},
                {"tac": "87654321", "snrRange": {"low": "0", "high": "999999"}},
            ],
        },
        ueConfigs=[
            {"configType": "ON_NETWORK", "configData": '{"MSGin5G-UE-Service-id":"a@b"}'},
            {"configType": "COMMON", "configData": "<x/>"},
        ],
        extension={"deep": [1, -1, 1.5, None, True, b"\x00"]},
    )


@pytest.mark.skipif(not HAS_PYCDDL, reason="pycddl has no wheel for this Python")
def test_what_is_sent_fits_the_cddl_of_the_specification(tmp_path):
    schema = pycddl.Schema(CDDL)
    with Scm(tmp_path) as scm, scm.client() as client:
        assert client.put("full", full_document()).code == "2.01"
        client.put("small", document())
        for path in (COLLECTION, f"{COLLECTION}/full", f"{COLLECTION}/small"):
            schema.validate_cbor(client.get(path=path).payload)
        got = cbor2.loads(client.get(path=f"{COLLECTION}/full").payload)
        assert got == full_document() | {"ueConfigDocId": "full"}
        with pytest.raises(pycddl.ValidationError):
            schema.validate_cbor(cbor2.dumps({"ueConfigDocId": "x"}))


def test_tcp_and_websockets_answer_what_udp_answers(tmp_path):
    settings = {"tcp": ("127.0.0.1", 0), "ws": ("127.0.0.1", 0), "max_body": 10**6}
    big = full_document() | {"configName": "n" * 200_000}

    async def talk(server):
        hosts = {
            "coap": server.address,
            "coap+tcp": server.tcp_address,
            "coap+ws": server.ws_address,
        }
        context = await aiocoap.Context.create_client_context()
        try:
            for scheme, (host, port) in hosts.items():
                uri = f"{scheme}://{host}:{port}/{COLLECTION}"

                async def ask(code, path="", uri=uri, **options):
                    message = aiocoap.Message(code=code, uri=uri + path, **options)
                    return await context.request(message).response

                put = await ask(aiocoap.PUT, "/full", payload=cbor2.dumps(big))
                assert put.code.is_successful(), scheme
                answer = await ask(aiocoap.GET, f"?{QUERY}")
                assert cbor2.loads(answer.payload) == [big | {"ueConfigDocId": "full"}], scheme
                (option,) = answer.opt.get_option(65020)
                assert option.value == UE7.encode(), scheme
                known = await ask(aiocoap.GET, f"?{QUERY}", etags=[answer.opt.etag])
                assert known.code == aiocoap.VALID, scheme
                error = await ask(aiocoap.GET, "/none", accept=aiocoap.ContentFormat(60))
                assert cbor2.loads(error.payload)[-4] == 0x84, scheme
                await _observe(context, uri + f"/watched?{QUERY}", ask)
        finally:
            await context.shutdown()

    with Scm(tmp_path, **settings) as scm:
        asyncio.run(asyncio.wait_for(talk(scm.server), 20))


async def _observe(context, uri, ask):
    names = ["one", "two"]
    first = cbor2.dumps(document(UE7, configName=names[0]))
    assert (await ask(aiocoap.PUT, "/watched", payload=first)).code.is_successful()
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    notifications = aiter(request.observation)
    got = [cbor2.loads((await request.response).payload)["configName"]]
    second = cbor2.dumps(document(UE7, configName=names[1]))
    # Each is awaited before it can come: aiocoap keeps only the last of what nobody awaits.
    told = asyncio.ensure_future(anext(notifications))
    await ask(aiocoap.PUT, "/watched", payload=second)
    got.append(cbor2.loads((await told).payload)["configName"])
    assert got == names
    told = asyncio.ensure_future(anext(notifications))
    await ask(aiocoap.DELETE, "/watched")
    assert (await told).code == aiocoap.NOT_FOUND


def coap_client(scm, *arguments):
    """libcoap's client; its output."""
    host, port = scm.address
    *options, path = arguments
    command = ["coap-client-notls", "-B", "5", *options, f"coap://{host}:{port}/{path}"]
    done = subprocess.run(command, capture_output=True, timeout=20, check=True)
    return done.stdout + done.stderr


def test_libcoap_s_client_puts_gets_in_blocks_and_deletes(tmp_path):
    made = full_document() | {"configName": "n" * 3000}
    (tmp_path / "body").write_bytes(cbor2.dumps(made))
    with Scm(tmp_path) as scm, scm.client() as client:
        put = ["-m", "put", "-t", "60", "-f", str(tmp_path / "body"), "-b", "128"]
        coap_client(scm, *put, f"{COLLECTION}/full")
        out = tmp_path / "got"
        coap_client(scm, "-o", str(out), "-A", "60", "-b", "64", f"{COLLECTION}?{QUERY}")
        assert cbor2.loads(out.read_bytes()) == [made | {"ueConfigDocId": "full"}]
        coap_client(scm, "-m", "delete", f"{COLLECTION}/full")
        assert client.get(QUERY).code == "4.04"


def test_well_known_core_lists_and_filters_the_collections(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7), options=[])
        other = COLLECTION.replace("msgin5g", "a%20b").replace("%20", " ")
        client.ask("0.03", f"{other}/x", payload=cbor2.dumps(document()))
        text = coap_client(scm, ".well-known/core").decode()
        links = sorted(link.split(";")[0] for link in text.strip().split(","))
        collections = [COLLECTION.replace("msgin5g", "a%20b"), COLLECTION]
        assert links == ["</.well-known/core>", *(f"</{path}>" for path in collections)]
        assert 'ct="65001 60"' in text and 'rt="su-uc"' in text
        for query, n_links in (("rt=su-uc", 2), ("rt=su*", 2), ("rt=none", 0), ("ct=40", 1)):
            answer = client.get(query, path=".well-known/core")
            assert answer.payload.count(b"<") == n_links, query
