"""The gateway on real MicroPython: with libcoap's client, with its other half, with 200 UEs."""

import select
import signal
import socket

import cbor2
import pytest
from peers import PORT, SERVER_URI, Role, ScmProcess, coap_client, host, ue
from scm_setup import ACK, COLLECTION, CON, GET, RECIPIENT, URI_PATH, URI_QUERY
from scm_setup import decode, document, encode

TO_SERVER = ("-O", f"{RECIPIENT},{SERVER_URI}")
QUICKER = {"bulk": {"count": 2, "window_s": 1}}


def name(n):
    return f"urn:x-msgin5g:ue:{n:04d}"


def made(n, **more):
    data = '{"MSGin5G-Server-address":"coap://m.example","MSGin5G-UE-Service-id":"%d"}' % n
    return document(name(n), ueConfigs=[{"configType": "ON_NETWORK", "configData": data}], **more)


def gateway(folder, server, links, heap=None, **settings):
    """A gateway in the heap that `msgin5g run` gives it; links is {UE ID: (host, port)}.

    server: its (host, port), None when only the configuration client needs it.
    """
    address = {} if server is None else {"address": list(server)}
    return Role(
        folder,
        {
            "role": "gateway",
            "ue_id": "urn:x-msgin5g:gateway:1",
            "bind": [host(), PORT],
            "server": {"recipient": SERVER_URI, **address},
            "links": {ue_id: list(address) for ue_id, address in links.items()},
            **QUICKER,
            **settings,
        },
        heap,
    )


def seal_c(folder, server, settings):
    """The configuration client of a gateway with these `seal_c` settings."""
    return Role(
        folder,
        {
            "role": "seal-c",
            "ue_id": "urn:x-msgin5g:gateway:1",
            "bind": [host(), PORT],
            "server": {"recipient": SERVER_URI, "address": list(server)},
            "seal_c": {"bind": settings["peer"], "peer": settings["bind"]},
        },
    )


@pytest.fixture
def scm(tmp_path):
    with ScmProcess(tmp_path) as server:
        yield server


def test_libcoaps_client_gets_its_document_through_the_gateway(tmp_path, scm):
    links = {name(n): (host(), PORT) for n in (1, 2)}
    scm.put("ue-1", made(1))
    with gateway(tmp_path, scm.address, links) as role:
        for n in (1, 2):
            here, port = links[name(n)]
            path = f"{COLLECTION}?ue-uri={name(n)}"
            got = coap_client(role.address, path, "-a", here, "-p", port, *TO_SERVER)
            if n == 1:
                assert cbor2.loads(got.removesuffix(b"\n")) == [
                    made(1) | {"ueConfigDocId": "ue-1"}
                ]
            else:
                assert got.startswith(b"4.04")
        here, port = links[name(1)]
        path = f"{COLLECTION}/ue-1?ue-uri={name(1)}"
        got = coap_client(role.address, path, "-a", here, "-p", port, *TO_SERVER)
        assert cbor2.loads(got.removesuffix(b"\n")) == made(1) | {"ueConfigDocId": "ue-1"}


def test_a_large_document_reaches_libcoaps_client_in_the_blocks_that_it_wants(tmp_path, scm):
    links = {name(1): (host(), PORT)}
    large = made(1, configName=3000 * "n")
    scm.put("ue-1", large)
    with gateway(tmp_path, scm.address, links) as role:
        here, port = links[name(1)]
        path = f"{COLLECTION}?ue-uri={name(1)}"
        options = ("-a", here, "-p", port, *TO_SERVER)
        # libcoap 4.3.1 takes no separate response in blocks ("large body receive internal
        # issue"): what it gets is what the gateway has by then.
        coap_client(role.address, path, *options, timeout_s=3)
        for size in ((), ("-b", "128")):
            got = coap_client(role.address, path, *options, *size)
            assert cbor2.loads(got.removesuffix(b"\n")) == [large | {"ueConfigDocId": "ue-1"}]


def test_two_ues_are_configured_with_one_bulk_request(tmp_path, scm):
    links = {name(n): (host(), PORT) for n in (1, 2)}
    for n in (1, 2):
        scm.put(f"ue-{n}", made(n))
    for _ in range(2):
        scm.line()
    together = {"count": 2, "window_s": 30}
    with gateway(tmp_path, scm.address, links, bulk=together) as role:
        ues = [
            ue(tmp_path, role.address, name(n), host=links[name(n)][0], next_hop_is="gateway")
            for n in (1, 2)
        ]
        for n, one in zip((1, 2), ues):
            with one:
                event = one.event("applied")
                assert event["configuration"]["MSGin5G-UE-Service-id"] == str(n)
        served = scm.line()
        assert all(name(n) in served for n in (1, 2)) and "bulkConfFlag" in served


def test_the_configuration_client_killed_in_the_middle_is_504_and_comes_back(tmp_path, scm):
    links = {name(n): (host(), PORT) for n in (1, 2)}
    for n in (1, 2):
        scm.put(f"ue-{n}", made(n))
    ends = {"mode": "separated", "bind": [host(), PORT], "peer": [host(), PORT]}
    with gateway(tmp_path, scm.address, links, seal_c=ends, gateway={"max_wait_s": 3}) as role:

        def ask(n):
            here, port = links[name(n)]
            path = f"{COLLECTION}?ue-uri={name(n)}"
            return coap_client(role.address, path, "-a", here, "-p", port, *TO_SERVER)

        with seal_c(tmp_path, scm.address, ends) as client:
            assert cbor2.loads(ask(1).removesuffix(b"\n"))
            client.kill()
            assert ask(2).startswith(b"5.04")
        with seal_c(tmp_path, scm.address, ends):
            assert cbor2.loads(ask(2).removesuffix(b"\n"))


def test_a_separated_gateway_is_configured_without_a_way_to_the_server(tmp_path, scm):
    own = made(0, valUeIds={"uris": ["urn:x-msgin5g:gateway:1"]})
    scm.put("gw-1", own)
    ends = {"mode": "separated", "bind": [host(), PORT], "peer": [host(), PORT]}
    with (
        seal_c(tmp_path, scm.address, ends),
        gateway(tmp_path, None, {}, seal_c=ends, own_configuration=True, start_delay_s=0) as role,
    ):
        assert role.event("applied")["configuration"]["MSGin5G-UE-Service-id"] == "0"


def test_200_ues_wait_at_a_gateway_of_288_kib_and_all_get_theirs(tmp_path, scm):
    numbers = range(1, 201)
    first = host().rsplit(".", 1)[0]
    sockets = {}
    for n in numbers:
        sockets[n] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sockets[n].bind((f"{first}.{n + 20}", PORT))
    with scm.client() as client:  # one, lest two of the same port look like one
        for n in numbers:
            assert client.put(f"ue-{n:04d}", made(n)).code == "2.01"
    links = {name(n): sockets[n].getsockname() for n in numbers}
    with gateway(
        tmp_path, scm.address, links, "288K", relay={"max_links": 200}, bulk={"count": 1000}
    ) as role:
        # The server is there, but it does not answer until all of them wait.
        scm.signal(signal.SIGSTOP)
        try:
            for n in numbers:
                options = [
                    *[(URI_PATH, segment.encode()) for segment in COLLECTION.split("/")],
                    (URI_QUERY, f"ue-uri={name(n)}".encode()),
                    (RECIPIENT, SERVER_URI.encode()),
                ]
                datagram = encode(CON, GET, n, n.to_bytes(4, "big"), options)
                sockets[n].sendto(datagram, role.address)
                answer = decode(sockets[n].recv(2000)) if _ready(sockets[n]) else None
                assert answer and (answer.type, answer.size) == (ACK, 4), n
        finally:
            scm.signal(signal.SIGCONT)
        numbers_of = {one: n for n, one in sockets.items()}
        answered = set()
        while len(answered) < len(sockets):
            readable = select.select(list(numbers_of), [], [], 30)[0]
            assert readable, answered
            for one in readable:
                n = numbers_of[one]
                answer = decode(one.recv(2000))
                one.sendto(bytes((0x60, 0, answer.mid >> 8, answer.mid & 255)), role.address)
                assert answer.code == "2.05" and answer.token == n.to_bytes(4, "big")
                assert answer.options[RECIPIENT] == [name(n).encode()]
                assert cbor2.loads(answer.payload) == [made(n) | {"ueConfigDocId": f"ue-{n:04d}"}]
                answered.add(n)
    for one in sockets.values():
        one.close()


def _ready(one):
    return bool(select.select([one], [], [], 30)[0])
