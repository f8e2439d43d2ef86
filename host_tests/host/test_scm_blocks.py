"""The configuration management server: bodies in blocks (RFC 7959), both directions."""

from types import SimpleNamespace

import cbor2
from scm_setup import (
    BLOCK1,
    BLOCK2,
    COLLECTION,
    ETAG,
    PUT,
    SIZE1,
    SIZE2,
    UE7,
    Scm,
    block,
    document,
    problem,
    recipient,
    uint,
)
from msgin5g_tools.scm_server import site

DOC = f"{COLLECTION}/ue-0007"
QUERY = f"ue-uri={UE7}"


def fetch(client, path, query, exponent, n_limit=2000):
    """A whole body, block after block; every answer."""
    answers, body, number = [], b"", 0
    while len(answers) < n_limit:
        options = (
            [] if exponent is None and not answers else [(BLOCK2, block(number, 0, exponent))]
        )
        answer = client.get(query, path=path, options=options)
        assert answer.code == "2.05", answer
        answers.append(answer)
        body += answer.payload
        if BLOCK2 not in answer.options:
            return body, answers
        value = int.from_bytes(answer.options[BLOCK2][0], "big")
        assert value >> 4 == number, "the block that was asked for"
        exponent = value & 7
        assert len(answer.payload) == 1 << (exponent + 4) or not value & 8
        number += 1
        if not value & 8:
            return body, answers
    raise AssertionError("no end")


def send(client, body, exponent, *query, **more):
    """PUT in blocks; every answer."""
    size = 1 << (exponent + 4)
    answers = []
    for start in range(0, len(body), size):
        last = start + size >= len(body)
        options = [(BLOCK1, block(start // size, not last, exponent)), *more.get("options", ())]
        answers.append(client.ask(PUT, DOC, query, options, body[start : start + size]))
        if answers[-1].code not in ("2.31", "2.01", "2.04"):
            break
    return answers


def test_a_large_document_comes_in_every_size_whole_and_for_its_recipient(tmp_path):
    made = document(UE7, configName="n" * 5000)
    with Scm(tmp_path) as scm, scm.client() as client:
        assert send(client, cbor2.dumps(made), 6)[-1].code == "2.01"
        bodies = {}
        for path in (DOC, COLLECTION):
            for exponent in (None, 6, 5, 4, 3, 2, 1, 0):
                body, answers = fetch(client, path, QUERY, exponent)
                bodies.setdefault(path, body)
                assert body == bodies[path], exponent
                assert {recipient(answer) for answer in answers} == {UE7}
                assert len({tuple(answer.options[ETAG]) for answer in answers}) == 1
                assert answers[0].options[SIZE2] == [uint(len(body))]
                assert all(SIZE2 not in answer.options for answer in answers[1:])
                size = 1024 if exponent is None else 1 << (exponent + 4)
                assert len(answers) == -(-len(body) // size), "no smaller than proposed"
        assert cbor2.loads(bodies[DOC])["configName"] == "n" * 5000
        assert cbor2.loads(bodies[COLLECTION]) == [cbor2.loads(bodies[DOC])]


def test_no_datagram_is_longer_than_1152_bytes_even_with_the_longest_recipient(tmp_path):
    uri = "urn:x:" + "u" * 242
    with Scm(tmp_path) as scm, scm.client() as client:
        for n in (0, 500, 800, 1500, 3900):
            client.put("ue-0007", document(configName="n" * n))
            for exponent in (None, 6):
                body, answers = fetch(client, DOC, f"ue-uri={uri}", exponent)
                assert cbor2.loads(body)["configName"] == "n" * n
                assert max(answer.size for answer in answers) <= 1152, n
                assert {recipient(answer) for answer in answers} == {uri}


def test_a_later_block_that_does_not_fit_is_halved_at_the_same_place(tmp_path):
    uri = "urn:x:" + "u" * 242
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(configName="".join(f"{n:04}" for n in range(700))))
        whole, _ = fetch(client, DOC, QUERY, 6)
        answer = client.get(f"ue-uri={uri}", path=DOC, options=[(BLOCK2, block(1, 0, 6))])
        assert answer.options[BLOCK2] == [block(2, 1, 5)]
        assert answer.payload == whole[1024:1536] and answer.size <= 1152


def test_a_body_that_fits_has_no_block_option_and_its_size_for_the_asking(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7))
        answer = client.get(path=DOC, options=[(BLOCK2, block(0, 0, 6)), (SIZE2, b"")])
        assert BLOCK2 not in answer.options
        assert answer.options[SIZE2] == [uint(len(answer.payload))]


def test_a_block_past_the_end_or_of_the_reserved_size_is_400(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7))
        for value in (block(2000, 0, 0), block(0, 0, 7), b"\xff\xff\xf6"):
            answer = client.get(QUERY, path=DOC, options=[(BLOCK2, value)])
            assert answer.code == "4.00" and "Block2" in problem(answer)[-2], value
            assert recipient(answer) == UE7


def test_a_document_that_changes_between_blocks_has_another_etag(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        tags = []
        for n, letter in enumerate("ab"):
            client.put("ue-0007", document(UE7, configName=letter * 500))
            answer = client.get(QUERY, options=[(BLOCK2, block(n, 0, 3))])
            tags.append(answer.options[ETAG])
        assert tags[0] != tags[1]


def test_a_request_for_block_3_with_an_etag_gets_block_3(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7, configName="n" * 900))
        for path in (DOC, COLLECTION):
            body, answers = fetch(client, path, QUERY, 4)
            (etag,) = answers[0].options[ETAG]
            options = [(ETAG, etag), (BLOCK2, block(3, 0, 4))]
            answer = client.get(QUERY, path=path, options=options)
            assert (answer.code, answer.payload) == ("2.05", body[768:1024])
            assert answer.options[ETAG] == [etag]
            # For the first one the ETag is worth a 2.03 without a body.
            for more in ([], [(BLOCK2, block(0, 0, 4))]):
                answer = client.get(QUERY, path=path, options=[(ETAG, etag), *more])
                assert (answer.code, answer.payload) == ("2.03", b"")


def test_blocks_are_cut_without_memory_of_the_first_one(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        client.put("ue-0007", document(UE7, configName="n" * 500))
        whole = client.get(path=DOC).payload
    with Scm(tmp_path) as scm, scm.client() as stranger:
        answer = stranger.get(path=DOC, options=[(BLOCK2, block(2, 0, 3))])
        assert answer.payload == whole[256:384]


def test_the_blocks_of_eight_collections_at_once_cost_one_read_each_until_a_document_changes(
    tmp_path,
):
    with Scm(tmp_path) as scm, scm.client() as client:
        statements = []

        def n_reads(query, number):
            """How often the server reads documents for this block."""
            before = len(statements)
            body = client.get(query, options=[(BLOCK2, block(number, 0, 6))]).payload
            assert whole[number * 1024 : (number + 1) * 1024] == body
            return sum("SELECT body" in each for each in statements[before:])

        for letter in "abc":
            client.put(letter, document(configName=letter * 600))
        queries = [f"ue-uri=urn:a:{n}" for n in range(9)]
        whole = fetch(client, COLLECTION, queries[0], 6)[0]
        scm.call(lambda store: store.connection.set_trace_callback(statements.append))
        assert n_reads(queries[0], 1) == 0
        assert [n_reads(query, 0) for query in queries[1:]] == [1] * 8
        assert [n_reads(query, 1) for query in queries[1:]] == [0] * 8
        assert n_reads(queries[0], 1) == 1, "it made room for the ninth one"
        whole = whole.replace(b"ccc", b"ddd")
        client.put("c", document(configName="d" * 600))
        assert [n_reads(queries[8], number) for number in (0, 1)] == [1, 0]


def test_a_body_in_blocks_is_put_together_and_each_block_is_acknowledged(tmp_path):
    body = cbor2.dumps(document(UE7, configName="n" * 300))
    with Scm(tmp_path) as scm, scm.client() as client:
        answers = send(client, body, 2, QUERY)
        codes = [answer.code for answer in answers]
        assert codes == ["2.31"] * (len(answers) - 1) + ["2.01"]
        for i, answer in enumerate(answers):
            assert answer.options[BLOCK1] == [block(i, i < len(answers) - 1, 2)]
            assert recipient(answer) == UE7
        assert cbor2.loads(client.get(path=DOC).payload)["configName"] == "n" * 300


def test_a_refusal_of_a_body_in_blocks_acknowledges_its_last_block(tmp_path):
    body = cbor2.dumps({"configName": "no domain"})
    with Scm(tmp_path) as scm, scm.client() as client:
        answer = send(client, body, 0, QUERY)[-1]
        n_blocks = (len(body) + 15) // 16
        assert answer.code == "4.22" and answer.options[BLOCK1] == [block(n_blocks - 1, 0, 0)]


def test_two_clients_send_blocks_at_once_without_mixing(tmp_path):
    bodies = [cbor2.dumps(document(UE7, configName=c * 100)) for c in "ab"]
    with Scm(tmp_path) as scm, scm.client() as one, scm.client() as two:
        for start in range(0, len(bodies[0]), 64):
            for client, body in zip((one, two), bodies, strict=True):
                more = start + 64 < len(body)
                options = [(BLOCK1, block(start // 64, more, 2))]
                part = body[start : start + 64]
                last = client.ask(PUT, DOC, options=options, payload=part)
            assert last.code in ("2.31", "2.04")
        assert cbor2.loads(one.get(path=DOC).payload)["configName"] == "b" * 100


def test_a_gap_is_408_and_starting_again_works(tmp_path):
    body = cbor2.dumps(document(UE7, configName="n" * 300))
    with Scm(tmp_path) as scm, scm.client() as client:
        client.ask(PUT, DOC, options=[(BLOCK1, block(0, 1, 2))], payload=body[:64])
        gap = client.ask(PUT, DOC, options=[(BLOCK1, block(2, 1, 2))], payload=body[128:192])
        assert gap.code == "4.08" and problem(gap)
        after = client.ask(PUT, DOC, options=[(BLOCK1, block(1, 1, 2))], payload=body[64:128])
        assert after.code == "4.08", "what had arrived is forgotten"
        short = client.ask(PUT, DOC, options=[(BLOCK1, block(0, 1, 2))], payload=body[:63])
        assert short.code == "4.00", "a block that is not full and not the last"
        assert send(client, body, 2)[-1].code == "2.01"


def test_a_body_that_is_too_long_is_413_with_the_limit_as_early_as_possible(tmp_path):
    with Scm(tmp_path, max_body=200) as scm, scm.client() as client:
        whole = client.put("ue-0007", document(UE7, configName="n" * 300))
        in_blocks = send(client, b"x" * 300, 2)
        announced = send(client, b"x" * 300, 2, options=[(SIZE1, uint(300))])
        assert (len(in_blocks), len(announced)) == (4, 1)
        for answer in (whole, in_blocks[-1], announced[-1]):
            assert answer.code == "4.13" and answer.options[SIZE1] == [uint(200)]
            assert "200" in problem(answer)[-2]
        assert client.get(path=DOC).code == "4.04"


def test_a_datagram_longer_than_the_server_reads_is_413_with_a_block_size(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        answer = client.put("ue-0007", document(UE7, configName="n" * 5000), QUERY)
        assert answer.code == "4.13" and answer.options[BLOCK1] == [block(0, 0, 6)]
        assert problem(answer) and recipient(answer) == UE7


def test_half_sent_bodies_are_forgotten_when_there_are_too_many(tmp_path):
    with Scm(tmp_path) as scm, scm.client() as client:
        first = [(BLOCK1, block(0, 1, 0))]
        for i in range(65):
            answer = client.ask(PUT, f"{COLLECTION}/d{i}", options=first, payload=b"x" * 16)
            assert answer.code == "2.31"
        second = [(BLOCK1, block(1, 1, 0))]
        for i, code in ((0, "4.08"), (64, "2.31")):
            answer = client.ask(PUT, f"{COLLECTION}/d{i}", options=second, payload=b"x" * 16)
            assert answer.code == code


def test_half_sent_bodies_expire_after_max_transmit_wait(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(site, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with Scm(tmp_path) as scm, scm.client() as client, scm.client() as other:

        def send_block(n, more=1):
            options = [(BLOCK1, block(n, more, 0))]
            return client.ask(PUT, DOC, options=options, payload=b"x" * 16).code

        assert send_block(0) == "2.31"
        now[0] += 92.9
        assert send_block(1) == "2.31"  # each block begins the time anew
        now[0] += 92.9
        assert send_block(2) == "2.31"
        now[0] += 93.1
        assert other.get(f"ue-uri={UE7}").code == "4.04"
        answer = client.ask(PUT, DOC, options=[(BLOCK1, block(3, 0, 0))], payload=b"x" * 16)
        assert answer.code == "4.08" and problem(answer)
        # From the beginning it works.
        body = cbor2.dumps(document(UE7, configName="n" * 50))
        assert [a.code for a in send(client, body, 1)][-1] == "2.01"


def first_blocks(scm, n, hosts):
    """The first block of n uploads, each from a port of its own; all of them are accepted."""
    for i in range(n):
        with scm.client(hosts[i % len(hosts)]) as forged:
            assert forged.ask(PUT, DOC, [QUERY], [(BLOCK1, block(0, 1, 0))], b"x" * 16).code == (
                "2.31"
            )


def test_first_blocks_of_strangers_end_no_upload_that_is_under_way(tmp_path):
    body = cbor2.dumps(document(UE7, configName="n" * 100))
    hosts = [f"127.0.0.{n}" for n in range(10, 40)]
    for n_before in (1, 2):  # blocks of the upload before the others come
        with Scm(tmp_path) as scm, scm.client() as client:
            for i in range(-(-len(body) // 64)):
                if i == n_before:
                    first_blocks(scm, 1100 if n_before > 1 else 70, hosts)
                part = body[64 * i : 64 * i + 64]
                more = 64 * i + 64 < len(body)
                answer = client.ask(PUT, DOC, [QUERY], [(BLOCK1, block(i, more, 2))], part)
                assert answer.code == ("2.31" if more else "2.01"), (n_before, i)
            scm.call(lambda store: store.clear())


def test_the_uploads_of_one_host_displace_only_its_own(tmp_path):
    with Scm(tmp_path) as scm, scm.client("127.0.0.9") as honest:
        send = [(BLOCK1, block(0, 1, 2))]
        assert honest.ask(PUT, DOC, [QUERY], send, b"x" * 64).code == "2.31"
        first_blocks(scm, 200, ["127.0.0.10"])
        send = [(BLOCK1, block(1, 1, 2))]
        assert honest.ask(PUT, DOC, [QUERY], send, b"x" * 64).code == "2.31"
