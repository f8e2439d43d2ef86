"""aiocoap's own client, with OSCORE from a directory, at the configuration server."""

import asyncio
import gc
import json
import stat
import sys
import types

import aiocoap
import cbor2
import pytest
from aiocoap.numbers import codes
from click.testing import CliRunner
from scm_setup import COLLECTION, UE7, UE8, Scm, document, old_database

from msgin5g_tools.cli import msgin5g
from msgin5g_tools.scm_server.contexts import ADMINISTRATOR, UE, Contexts
from msgin5g_tools.scm_server.store import Store

DOC = f"{COLLECTION}/ue-0007"


@pytest.fixture(autouse=True)
def _no_edhoc(monkeypatch):
    """aiocoap's client imports a library for key exchange, which is not used here."""
    monkeypatch.setitem(sys.modules, "lakers", types.ModuleType("lakers"))


def directory_of(folder, context):
    """A security context in the form of aiocoap's programs."""
    folder.mkdir()
    values = {
        "secret": context.secret,
        "sender-id": context.kid,
        "recipient-id": context.server_id,
    }
    (folder / "settings.json").write_text(
        json.dumps({f"{name}_hex": value.hex() for name, value in values.items()})
    )
    return folder


def run(command, *arguments, db):
    result = CliRunner().invoke(msgin5g, [*command.split(), *map(str, arguments), "--db", str(db)])
    return result.exit_code, result.stdout, result.stderr


async def session(scm, directory, work):
    """await work(request), where request(code, path, **options) is a request of aiocoap."""
    base = "coap://%s:%d" % scm.address
    context = await aiocoap.Context.create_client_context(transports=["oscore", "udp6"])
    context.client_credentials.load_from_dict({f"{base}/*": {"oscore": {"basedir": directory}}})

    def request(code=codes.GET, path=COLLECTION, **more):
        return context.request(aiocoap.Message(code=code, uri=f"{base}/{path}", **more))

    try:
        await work(request)
    finally:
        await context.shutdown()


def test_aiocoaps_client_gets_what_is_its_and_is_notified(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        key = Contexts(store).add(UE, UE7)
        store.put("msgin5g", "ue-0007", document(UE7, configName="y" * 20_000))
        store.put("msgin5g", "ue-0008", document(UE8))
    folder = str(directory_of(tmp_path / "ue", key))

    async def work(request):
        found = await request(path=DOC).response
        assert cbor2.loads(found.payload)["configName"] == "y" * 20_000
        again = await request(path=DOC, etags=[found.opt.etag]).response
        assert again.code == codes.VALID
        other = await request(path=f"{COLLECTION}/ue-0008").response
        assert other.code == codes.FORBIDDEN
        assert (await request(path=f"{COLLECTION}/none").response).code == codes.NOT_FOUND
        put = await request(codes.PUT, DOC, payload=cbor2.dumps(document(UE7))).response
        assert put.code == codes.FORBIDDEN
        scm.call(lambda store: store.put("msgin5g", "ue-0007", document(UE7, configName="a")))
        observing = request(path=DOC, observe=0)
        assert cbor2.loads((await observing.response).payload)["configName"] == "a"
        notifications = aiter(observing.observation)
        for name in "bc":
            made = document(UE7, configName=name)
            scm.call(lambda store, made=made: store.put("msgin5g", "ue-0007", made))
            got = await asyncio.wait_for(anext(notifications), 10)
            assert cbor2.loads(got.payload)["configName"] == name

    with Scm(tmp_path, require_security=True) as scm:
        asyncio.run(session(scm, folder, work))


def test_an_administrator_with_a_directory_of_the_command_changes_documents(tmp_path):
    db = tmp_path / "scm.db"
    old_database(db, 2)
    folder = tmp_path / "anna"
    status, out, errors = run("keys administrator", "Anna", folder, db=db)
    assert (status, errors) == (0, "") and out.startswith("Anna: key 01 in ")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for again in ("anna", "other"):
        status, _, errors = run("keys administrator", "Anna", tmp_path / again, db=db)
        assert status != 0 and len(errors.splitlines()) == 1
    assert not (tmp_path / "other").exists()
    large = document(UE7, configName="z" * 5000)

    async def work(request):
        created = await request(codes.PUT, DOC, payload=cbor2.dumps(large)).response
        assert created.code == codes.CREATED
        found = await request(path=DOC).response
        assert cbor2.loads(found.payload)["configName"] == large["configName"]
        assert (await request(codes.DELETE, DOC).response).code == codes.DELETED

    # Two servers, one after the other, and each of them started anew.
    for _ in range(2):
        with Scm(tmp_path, require_security=True) as scm:
            asyncio.run(session(scm, str(folder), work))
            gc.collect()  # which releases the directory


@pytest.mark.parametrize(
    "command", ["documents export", "documents list", "documents list --json", "keys list"]
)
def test_no_command_shows_a_key(tmp_path, command):
    db = tmp_path / "scm.db"
    with Store(db) as store:
        contexts = Contexts(store)
        made = [
            contexts.add(UE, UE7, salt=b"salt of a key"),
            contexts.add(ADMINISTRATOR, "Anna"),
            contexts.rotate(UE, UE7),
        ]
        store.put("msgin5g", "ue-0007", document(UE7))
    status, out, errors = run(command, db=db)
    assert status == 0 and UE7[-4:] in out
    for context in made:
        for secret in (context.secret, context.salt):
            for i in range(len(secret) - 7):
                piece = secret[i : i + 8]
                for shown in (piece.hex(), repr(piece)[2:-1], ", ".join(map(str, piece))):
                    assert shown not in out + errors
