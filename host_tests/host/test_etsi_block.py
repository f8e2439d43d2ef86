"""ETSI's interoperability catalogue, BLOCK: a test a step, each with libcoap and with aiocoap.

What runs where, and the steps that do not apply: ETSI.md.
"""

import cbor2
import pytest
from etsi_checks import METHODS, documents, of, path_of
from etsi_pairs import UePair
from etsi_setup import CBOR, EtsiSetup
from peers import document
from scm_setup import BLOCK1, BLOCK2, COLLECTION, CONTENT_FORMAT, LOCATION_PATH

LARGE = "".join(f"{n:04}" for n in range(700))
AS_CBOR = (CONTENT_FORMAT, CBOR)


@pytest.fixture(scope="module")
def etsi(tmp_path_factory):
    with EtsiSetup(tmp_path_factory.mktemp("block")) as made:
        made.scm.writer.put("ue-0007", document(name="first", configName=LARGE[:1000]))
        yield made


def block(message, number):
    """(NUM, M, size) of a block option, None without one."""
    values = message.options.get(number)
    if values is None:
        return None
    (value,) = values
    value = int.from_bytes(value, "big")
    assert value & 7 < 7
    return value >> 4, value >> 3 & 1, 16 << (value & 7)


def get(pair, text, size=None):
    """A transfer of a document with this name: list of (request, answer)."""
    if isinstance(pair, UePair):
        passed = pair.run(more={"configName": text}, **({"block_size": size} if size else {}))
    else:
        passed = pair.run(size=size)
    requests, answers = of(passed, True), of(passed, False)
    assert [way for way, _ in passed] == [True, False] * len(requests), passed
    assert pair.displays(b"".join(m.payload for m in answers))
    return list(zip(requests, answers, strict=True))


def check_blocks(pairs, first, size):
    """The blocks from number `first` on, all of this size: list of their payloads."""
    for n, (request, answer) in enumerate(pairs, first):
        last = n == first + len(pairs) - 1
        assert (request.code, answer.code) == ("0.01", "2.05")
        assert (answer.mid, answer.token) == (request.mid, request.token)
        assert block(request, BLOCK2) == (n, 0, size), "a request has M = 0"
        assert block(answer, BLOCK2) == (n, not last, size)
        assert len(answer.payload) == size or (last and 0 < len(answer.payload) <= size)
        assert path_of(request) == path_of(pairs[0][0])


def check_early(pair, size):
    exchanges = get(pair, LARGE[:1000], size)
    assert len(exchanges) > 1000 // size
    check_blocks(exchanges, 0, size)


def test_td_coap_block_01_get_with_early_negotiation(pair):
    check_early(pair, 64)


def test_td_coap_block_02_get_with_late_negotiation(pair):
    exchanges = get(pair, LARGE[:1000])
    request, answer = exchanges[0]
    assert block(request, BLOCK2) is None and answer.code == "2.05"
    n, more, size = block(answer, BLOCK2)
    assert (n, more, len(answer.payload)) == (0, 1, size)
    check_blocks(exchanges[1:], 1, size)


def send(direct, path, method, size, more=()):
    """A document with a long name is sent in blocks of this size; list of (request, answer)."""
    body = cbor2.dumps(document(configName=LARGE[:1000]))
    passed = direct.run(path, options=[AS_CBOR, *more], method=method, payload=body, size=size)
    requests, answers = of(passed, True), of(passed, False)
    assert b"".join(m.payload for m in requests) == body
    assert len(requests) == -(-len(body) // size)
    return list(zip(requests, answers, strict=True))


def check_sent(exchanges, method, size):
    """All blocks but the last are asked to go on with; gives the last answer."""
    for n, (request, answer) in enumerate(exchanges):
        more = n < len(exchanges) - 1
        assert request.code == METHODS[method]
        assert (answer.mid, answer.token) == (request.mid, request.token)
        assert block(request, BLOCK1) == block(answer, BLOCK1) == (n, more, size)
        assert len(request.payload) == size or not more
        assert (answer.code == "2.31") == bool(more)
    return exchanges[-1][1]


def test_td_coap_block_03_put(direct):
    path = f"{COLLECTION}/large"
    direct.run(path, options=[AS_CBOR], method="put", payload=cbor2.dumps(document()))
    answer = check_sent(send(direct, path, "put", 64), "put", 64)
    assert answer.code == "2.04"
    direct.run(path)
    assert documents(direct.shown)[0]["configName"] == LARGE[:1000]
    direct.run(path, method="delete")


def test_td_coap_block_04_post(direct):
    answer = check_sent(send(direct, COLLECTION, "post", 64), "post", 64)
    assert answer.code == "2.01"
    parts = [part.decode() for part in answer.options[LOCATION_PATH]]
    assert parts[:-1] == COLLECTION.split("/") and not any("/" in part for part in parts)
    direct.run("/".join(parts))
    assert documents(direct.shown)[0]["configName"] == LARGE[:1000]
    direct.run("/".join(parts), method="delete")


def test_td_coap_block_06_get_with_early_negotiation_of_16_bytes(pair):
    check_early(pair, 16)
