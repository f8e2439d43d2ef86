"""The configuration management server: forged sources and strangers."""

import json

import cbor2
import pytest
from aiocoap import Message
from aiocoap.numbers import codes
from oscore_peer import PeerContext, decoded
from scm_setup import (
    COLLECTION,
    CON,
    DELETE,
    ECHO,
    GET,
    OBSERVE,
    POST,
    PUT,
    UE7,
    URI_PATH,
    Scm,
    document,
    encode,
    problem,
)

from msgin5g_tools.scm_server import access
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.settings import Settings

SECRET = bytes(range(16))
REMOTE = "127.0.0.9"


@pytest.fixture
def far(monkeypatch):
    """Let 127.0.0.9 be another machine."""
    monkeypatch.setattr(access, "is_loopback", lambda host: host != REMOTE)


def test_sources_are_verified_unless_the_server_is_bound_to_loopback():
    for host, echo in (
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),
        ("::", True),
        ("192.0.2.1", True),
        ("scm.example", True),
    ):
        assert Settings(db="x", bind=(host, 5683)).echo is echo, host
        assert Settings(db="x", bind=(host, 5683), echo=not echo).echo is not echo, host
    assert not Settings(db="x", bind=("0.0.0.0", 5683), strict_relay=True).echo


def test_no_source_that_is_not_verified_gets_more_than_three_times_its_bytes(tmp_path):
    core = [(URI_PATH, b".well-known"), (URI_PATH, b"core")]
    path = [(URI_PATH, part.encode()) for part in COLLECTION.split("/")]
    with Scm(tmp_path, echo=True) as scm, scm.client() as client:
        for n in range(20):
            scm.call(lambda store, n=n: store.put(f"service-{n}", "ue-0007", document(UE7)))
            scm.call(lambda store, n=n: store.put("msgin5g", f"d{n}", document(UE7)))
        for code, options, payload in (
            (GET, core, b""),
            (GET, [], b""),
            (GET, path, b""),
            (GET, [*path, (15, f"ue-uri={UE7}".encode())], b""),
            (GET, [*path, (15, b"x")], b""),
            (GET, [*path, (URI_PATH, b"d1"), (OBSERVE, b"")], b""),
            (GET, [(9, b"")], b""),
            (POST, path, cbor2.dumps(document(UE7))),
            (PUT, [*path, (URI_PATH, b"d1")], b"x"),
            (DELETE, [*path, (URI_PATH, b"d1")], b""),
        ):
            with scm.client() as forged:
                sent = encode(CON, code, 1, b"", options, payload)
                forged.send(sent)
                received = forged.receive()
                assert received.size <= 3 * len(sent), (code, options, received)
        assert scm.n_observers() == 0
        refused = client.get(path=".well-known/core")
        assert refused.code == "4.01" and refused.options[ECHO]
        echoed = client.get(path=".well-known/core", options=[(ECHO, refused.options[ECHO][0])])
        assert echoed.code == "2.05"


def test_a_stranger_changes_nothing_and_the_servers_own_machine_does(tmp_path, far):
    with Scm(tmp_path) as scm, scm.client() as near, scm.client(REMOTE) as stranger:
        assert near.put("ue-0007", document(UE7)).code == "2.01"
        answers = [
            stranger.put("ue-0007", document(UE7, configName="x")),
            stranger.ask(DELETE, f"{COLLECTION}/ue-0007"),
            stranger.ask(POST, payload=cbor2.dumps(document(UE7))),
        ]
        for answer in answers:
            assert answer.code == "4.03" and "administrator" in problem(answer)[-2]
        assert stranger.get(f"ue-uri={UE7}").code == "2.05", "reading is for everybody"
        assert len(scm.call(lambda store: store.documents())) == 1


def administrator(folder, secret=SECRET):
    folder.mkdir()
    (folder / "settings.json").write_text(
        json.dumps({"secret_hex": secret.hex(), "sender-id_hex": "01", "recipient-id_hex": "02"})
    )
    return PeerContext(secret, b"\x02", b"\x01", 0, b"", None)


def ask(client, peer, code, mid, path, payload=b"", **options):
    """The response to a protected request, unprotected if it is protected."""
    request = Message(code=code, payload=payload, uri_path=path.split("/"), **options)
    protected, request_id = peer.protect(request)
    protected.token, protected.mid, protected.mtype = b"t", mid, CON
    client.send(protected.encode())
    response = decoded(client.receive_datagram())
    if response.opt.oscore is None:
        return response
    return peer.unprotect(response, request_id)[0]


def test_an_administrator_changes_documents_from_another_machine(tmp_path, far):
    peer = administrator(tmp_path / "admin")
    settings = {"administrator": str(tmp_path / "admin"), "echo": True}
    path = f"{COLLECTION}/ue-0007"
    with Scm(tmp_path, **settings) as scm, scm.client(REMOTE) as client:
        body = cbor2.dumps(document(UE7))
        assert ask(client, peer, codes.PUT, 1, path, body).code == codes.CREATED
        assert ask(client, peer, codes.GET, 2, path).code == codes.CONTENT
        assert ask(client, peer, codes.PUT, 3, path, b"x").code == codes.BAD_REQUEST
        assert ask(client, peer, codes.DELETE, 4, path).code == codes.DELETED
        assert scm.call(lambda store: store.documents()) == []
        other = PeerContext(b"another secret..", b"\x02", b"\x01", 9, b"", None)
        assert ask(client, other, codes.PUT, 5, path, body).code == codes.BAD_REQUEST
        unknown = PeerContext(SECRET, b"\x07", b"\x01", 9, b"", None)
        assert ask(client, unknown, codes.PUT, 6, path, body).code == codes.UNAUTHORIZED
        assert scm.call(lambda store: store.documents()) == []


def test_a_repeated_message_of_an_administrator_is_no_new_request(tmp_path, far):
    peer = administrator(tmp_path / "admin")
    with (
        Scm(tmp_path, administrator=str(tmp_path / "admin")) as scm,
        scm.client(REMOTE) as client,
        scm.client(REMOTE) as attacker,
    ):
        request = Message(
            code=codes.POST, payload=cbor2.dumps(document(UE7)), uri_path=COLLECTION.split("/")
        )
        protected, _ = peer.protect(request)
        protected.token, protected.mid, protected.mtype = b"t", 1, CON
        for sender in (client, attacker):
            sender.send(protected.encode())
            sender.receive()
        assert len(scm.call(lambda store: store.documents())) == 1


def test_without_an_administrator_oscore_is_not_understood(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        assert problem(client.get(options=[(9, b"\x09\x00\x02")]))[-8] == 9


def test_a_directory_without_a_security_context_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "settings.json").write_text('{"secret_hex": "00"}')
    for folder in ("empty", "none", "half"):
        with pytest.raises(ScmError, match=f"administrator: .*{folder}") as caught:
            Scm(tmp_path, administrator=str(tmp_path / folder)).__enter__()
        assert "\n" not in str(caught.value)
