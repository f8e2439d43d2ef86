"""aiocoap's client through our relay, our UE and relay at servers made with aiocoap."""

import asyncio
from contextlib import asynccontextmanager

import aiocoap
import cbor2
import pytest
from aiocoap import GET, Message
from aiocoap.numbers import ContentFormat, OptionNumber
from aiocoap.resource import Resource, Site
from peers import (
    PORT,
    QUICK,
    SERVER_URI,
    TIMEOUT_S,
    ScmProcess,
    configuration,
    document,
    host,
    relay,
    ue,
)
from scm_setup import ACK, COLLECTION, CON, OBSERVE, RECIPIENT, RST, UE7, UE8
from proxy import Proxy

from msgin5g_tools.scm_server.options import set_recipient

DOC7 = f"{COLLECTION}/ue-0007"
LARGE = "n" * 3000


@pytest.fixture(scope="module")
def scm(tmp_path_factory):
    with ScmProcess(tmp_path_factory.mktemp("scm")) as server:
        server.put("ue-0007", document())
        server.put("ue-0008", document(UE8, configName=LARGE))
        yield server


@pytest.fixture(scope="module")
def our_relay(tmp_path_factory, scm):
    links = {UE7: (host(), PORT), UE8: (host(), PORT)}
    with relay(tmp_path_factory.mktemp("relay"), scm.address, links) as role:
        yield role
        role.counters()


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, TIMEOUT_S))


@asynccontextmanager
async def endpoint(address, site=None):
    """aiocoap at this address, client and server in one."""
    made = await aiocoap.Context.create_server_context(site, bind=address, transports=["udp6"])
    try:
        yield made
    finally:
        await made.shutdown()


def get(address, path, ue_id, **options):
    """A GET for a UE, with the Recipient as an option that aiocoap knows nothing about."""
    uri = f"coap://{address[0]}:{address[1]}/{path}?ue-uri={ue_id}"
    message = Message(code=GET, uri=uri, **options)
    message.opt.uri_host = None
    message.opt.uri_port = None
    set_recipient(message, RECIPIENT, SERVER_URI)
    return message


def recipient(message):
    (option,) = message.opt.get_option(OptionNumber(RECIPIENT))
    return option.value.decode()


def test_a_linked_client_gets_its_document_through_the_relay(our_relay):
    async def talk():
        async with endpoint(our_relay.links[UE7]) as client:
            return await client.request(get(our_relay.address, COLLECTION, UE7)).response

    answer = run(talk())
    assert cbor2.loads(answer.payload) == [document() | {"ueConfigDocId": "ue-0007"}]
    assert recipient(answer) == UE7


def test_a_large_document_comes_block_by_block_through_the_relay(our_relay):
    async def talk():
        async with endpoint(our_relay.links[UE8]) as client:
            for exponent in (6, 2):
                asked = get(our_relay.address, COLLECTION, UE8, block2=(0, False, exponent))
                answer = await client.request(asked).response
                (made,) = cbor2.loads(answer.payload)
                assert made["configName"] == LARGE and recipient(answer) == UE8

    run(talk())


def test_a_known_etag_is_203_through_the_relay(our_relay):
    async def talk():
        async with endpoint(our_relay.links[UE7]) as client:
            first = await client.request(get(our_relay.address, COLLECTION, UE7)).response
            asked = get(our_relay.address, COLLECTION, UE7, etags=[first.opt.etag])
            again = await client.request(asked).response
            assert again.code == aiocoap.VALID and again.payload == b""

    run(talk())


def reset(passed):
    """Whether a Reset has gone up."""
    return any(up and message.type == RST for up, message in passed)


def test_a_change_is_told_through_the_relay_until_cancelled(scm, tmp_path):
    async def talk(our_relay):
        def put(name):
            return asyncio.to_thread(scm.put, "ue-0007", document(name=name))

        async with endpoint((host(), PORT)) as client:
            asked = get(our_relay.address, DOC7, UE7, observe=0, accept=ContentFormat(60))
            request = client.request(asked)
            notified = aiter(request.observation)
            first = await request.response
            assert first.opt.observe is not None and recipient(first) == UE7
            numbers = [first.opt.observe]
            for name in ("one", "two"):
                await put(name)
                message = await anext(notified)
                assert f"{name}@example.com".encode() in message.payload
                assert recipient(message) == UE7
                numbers.append(message.opt.observe)
            assert numbers == sorted(set(numbers))
            request.observation.cancel()
            # aiocoap notices when the next one comes; the one after that gets a Reset, with
            # which an observation ends as well (RFC 7641 section 3.6).
            await put("three")
            await asyncio.to_thread(below.count, True, 4)
            await put("four")
            await asyncio.to_thread(below.wait, reset)

    with (
        Proxy(scm.address) as above,
        relay(tmp_path, above.address, {UE7: (host(), PORT)}) as our_relay,
        Proxy(our_relay.address, our_relay.links[UE7]) as below,
    ):
        run(talk(below))
        scm.put("ue-0007", document(name="five"))
        # The relay has ended the flow: the server, which does not know yet, hears of it now.
        above.wait(reset)
        scm.put("ue-0007", document())
        assert our_relay.counters()["answer_reset"] == 1


def test_a_ue_on_micropython_is_pushed_a_change_through_the_relay(scm, tmp_path):
    scm.put("ue-0007", document())
    at = (host(), PORT)
    with (
        relay(tmp_path, scm.address, {UE7: at}) as our_relay,
        Proxy(our_relay.address, at) as proxy,
    ):
        with ue(tmp_path, proxy.address, observe=True) as role:
            assert role.event("applied")["configuration"] == configuration()
            proxy.wait(lambda passed: any(not up and OBSERVE in m.options for up, m in passed))
            n_requests = len([1 for up, _ in proxy.passed() if up])
            scm.put("ue-0007", document(name="pushed"))
            assert role.event("applied")["configuration"] == configuration("pushed")
            scm.put("ue-0007", document())
            assert role.event("applied")["configuration"] == configuration()
            notified = [m for up, m in proxy.passed() if not up and m.type == CON]
            assert [m.code for m in notified] == ["2.05", "2.05"]
            proxy.wait(lambda passed: len([1 for up, _ in passed if up]) == n_requests + 2)
            sent = [(m.type, m.mid) for up, m in proxy.passed() if up][-2:]
            assert sent == [(ACK, m.mid) for m in notified], "an acknowledgement each, no request"
            assert role.counters() == {}
        assert our_relay.counters() == {}


class Slow(Resource):
    """An answer that takes longer than the server waits with its acknowledgement."""

    def __init__(self, ue_id):
        super().__init__()
        self.ue_id = ue_id
        self.n_asked = 0

    async def render_get(self, request):
        self.n_asked += 1
        await asyncio.sleep(1.3)
        answer = Message(content_format=60, payload=cbor2.dumps([document(self.ue_id)]))
        set_recipient(answer, RECIPIENT, self.ue_id)
        return answer


def test_a_slow_server_is_waited_for_on_both_sides(tmp_path):
    slow = Slow(UE7)
    site = Site()
    site.add_resource(COLLECTION.split("/"), slow)
    server, at = (host(), 5683), (host(), PORT)

    async def serve():
        async with endpoint(server, site):
            await asyncio.to_thread(run_ue)

    def run_ue():
        with (
            relay(tmp_path, server, {UE7: at}, transmission=QUICK) as our_relay,
            Proxy(our_relay.address, at) as proxy,
            ue(tmp_path, proxy.address) as role,
        ):
            assert role.event("applied", "timeout")["event"] == "applied"
            answers = [(m.type, m.code) for up, m in proxy.passed() if not up]
            assert answers == [(ACK, "0.00"), (CON, "2.05")]

    run(serve())
    assert slow.n_asked == 1
