"""The configuration management server: the options of requests and answers."""

import cbor2
from scm_setup import (
    ACCEPT,
    BLOCK1,
    COLLECTION,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    GET,
    MAX_AGE,
    NON,
    POST,
    PUT,
    RECIPIENT,
    UE7,
    Scm,
    block,
    document,
    encode,
    problem,
    uint,
)

DOC = f"{COLLECTION}/ue-0007"


def test_accept_is_ours_or_cbor_or_missing_and_the_answer_has_what_was_accepted(client):
    client.put("ue-0007", document(UE7))
    for accept, given in ((None, 65001), (65001, 65001), (60, 60)):
        options = [] if accept is None else [(ACCEPT, uint(accept))]
        for path in (COLLECTION, DOC):
            answer = client.get(path=path, options=options)
            assert answer.options[CONTENT_FORMAT] == [uint(given)], accept
    assert client.get(options=[(ACCEPT, uint(65080))]).code == "4.06"
    assert client.get(options=[(ACCEPT, b"")]).code == "4.06", "0 is text/plain"


def test_an_etag_depends_on_content_only_and_a_known_one_saves_the_body(tmp_path):
    folders = tmp_path / "one", tmp_path / "two"
    seen = []
    for folder, names in zip(folders, (("a", "b"), ("b", "a")), strict=True):
        folder.mkdir()
        with Scm(folder) as scm, scm.client() as client:
            for name in names:
                client.put(name, document(UE7, configName=name))
    for folder in folders:  # both started again
        with Scm(folder) as scm, scm.client() as client:
            for path in (COLLECTION, f"{COLLECTION}/a"):
                query = f"ue-uri={UE7}"
                (tag,) = client.get(query, path=path).options[ETAG]
                seen.append(tag)
                known = client.get(query, path=path, options=[(ETAG, b"x"), (ETAG, tag)])
                assert known.code == "2.03" and known.payload == b""
                assert known.options == {ETAG: [tag], RECIPIENT: [UE7.encode()]}
                client.put("a", document(UE7, configName="new"))
                assert client.get(query, path=path, options=[(ETAG, tag)]).code == "2.05"
                client.put("a", document(UE7, configName="a"))
    assert len(set(seen)) == 2 and seen[:2] == seen[2:]


def test_max_age_is_on_the_wire_only_when_it_is_not_60(tmp_path):
    for max_age, option in ((60, None), (0, [b""]), (3600, [uint(3600)])):
        with Scm(tmp_path, max_age=max_age) as scm, scm.client() as client:
            answer = client.get()
            assert answer.options.get(MAX_AGE) == option
            known = client.get(options=[(ETAG, answer.options[ETAG][0])])
            assert known.code == "2.03" and known.options.get(MAX_AGE) == option


def test_an_unknown_critical_option_is_402_with_its_number(client):
    assert problem(client.get(options=[(9999, b"x")]))[-8] == 9999
    assert problem(client.get(options=[(2049, b""), (9, b"")]))[-8] == [9, 2049]
    assert problem(client.get(options=[(ACCEPT, b"\x00\x00\x3c")]))[-8] == ACCEPT, "3 bytes"
    twice = [(ACCEPT, uint(60)), (ACCEPT, uint(60))]
    assert problem(client.get(options=twice))[-8] == ACCEPT
    assert problem(client.get(options=[(BLOCK1, block(0, 0, 2))]))[-8] == BLOCK1, "in a GET"
    assert problem(client.get(options=[(19, b"")]))[-8] == 19, "Q-Block1"
    assert problem(client.get(options=[(15, b"\xff")]))[-8] == 15, "not UTF-8"
    assert client.get(options=[(9998, b"x"), (4, b""), (6, b"1234")]).code == "2.05", "elective"


def test_a_path_has_no_dots(client):
    for segment in (".", ".."):
        for code in (GET, POST, PUT, DELETE):
            answer = client.ask(
                code, f"{COLLECTION}/{segment}", payload=cbor2.dumps(document(UE7))
            )
            assert answer.code == "4.02" and problem(answer)[-8] == 11, (segment, code)
        made = client.ask(POST, COLLECTION, payload=cbor2.dumps(document(ueConfigDocId=segment)))
        assert made.code == "4.22" and "no Uri-Path" in problem(made)[-2]
    assert client.put("...", document(UE7)).code == "2.01"


def test_an_unknown_critical_option_in_a_non_confirmable_request_is_silence(client):
    path = [(11, part.encode()) for part in COLLECTION.split("/")]
    client.send(encode(NON, GET, 1, b"a", [*path, (9999, b"x")]))
    client.send(encode(NON, GET, 2, b"b", path))
    answer = client.receive()
    assert (answer.type, answer.token, answer.code) == (NON, b"b", "2.05")


def test_no_response_is_honoured(client):
    path = [(11, part.encode()) for part in COLLECTION.split("/")]
    client.send(encode(NON, GET, 1, b"a", [*path, (258, uint(2))]))
    client.send(encode(NON, GET, 2, b"b", [*path, (258, uint(8))]))
    assert client.receive().token == b"b"
