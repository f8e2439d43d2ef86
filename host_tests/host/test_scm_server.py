"""The configuration management server: what each request is answered (TS 24.546 C.3)."""

import cbor2
import pytest
from scm_setup import (
    ACCEPT,
    BLOCK1,
    BLOCK2,
    COLLECTION,
    CONTENT_FORMAT,
    DELETE,
    ETAG,
    GET,
    LOCATION_PATH,
    POST,
    PUT,
    RECIPIENT,
    UE7,
    UE8,
    Scm,
    block,
    document,
    ids,
    problem,
    recipient,
    uint,
)
from msgin5g_tools.scm_server.problem import ScmError

pytestmark = pytest.mark.usefixtures("each_engine")

DOC = f"{COLLECTION}/ue-0007"


def test_the_bytes_of_a_request_and_its_response(tmp_path):
    request = bytes.fromhex(
        "44011234a1b2c3d4b573752d7563027631"
        "0c76616c2d7365727669636573076d7367696e35670d0475652d636f6e66696775726174696f6e73"
        "4d0775652d7572693d75726e3a783a75653a3030303722fe38"
        "edfcde05636f61703a2f2f636d732e6578616d706c65"
    )
    answer = bytes.fromhex(
        "64841234a1b2c3d4c20101edfce300"
        "75726e3a783a75653a30303037"
        "ffa320694e6f7420666f756e6421776e6f20646f63756d656e7420666f722074686973205545231884"
    )
    assert (len(request), len(answer)) == (104, 69)
    settings = {"content_format": 65080, "recipient": "coap://cms.example"}
    with Scm(tmp_path, **settings) as scm, scm.client() as client:
        client.send(request)
        assert client.receive_datagram() == answer


def test_a_document_lives_from_put_to_delete(client):
    made = client.put("ue-0007", document(UE7, configName="first"), f"ue-uri={UE7}")
    assert made.code == "2.01" and not made.payload and recipient(made) == UE7
    changed = client.put("ue-0007", document(UE7, configName="second"))
    assert changed.code == "2.04" and changed.options[ETAG] != made.options[ETAG]
    got = client.get(path=DOC)
    assert got.code == "2.05" and got.options[CONTENT_FORMAT] == [uint(65001)]
    assert got.options[ETAG] == changed.options[ETAG] and len(got.options[ETAG][0]) == 8
    assert cbor2.loads(got.payload) == {
        "ueConfigDocId": "ue-0007",
        "configName": "second",
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [UE7]},
    }
    assert client.ask(DELETE, DOC).code == "2.02"
    assert problem(client.ask(DELETE, DOC))[-4] == 0x84
    assert problem(client.get(path=DOC))[-4] == 0x84


def test_post_gives_the_document_an_identifier_and_says_where_it_is(client):
    body = cbor2.dumps(document(UE7, ueConfigDocId="mine", vendorKey=[1, {"a": b"\x01"}]))
    locations = []
    for _ in range(2):
        answer = client.ask(POST, payload=body, options=[(CONTENT_FORMAT, uint(60))])
        assert answer.code == "2.01"
        locations.append(b"/".join(answer.options[LOCATION_PATH]).decode())
    assert locations[0] != locations[1]
    got = cbor2.loads(client.get(path=locations[0]).payload)
    assert got["ueConfigDocId"] == locations[0].rsplit("/", 1)[1]
    assert got["vendorKey"] == [1, {"a": b"\x01"}], "an unknown key is kept"


def test_both_spellings_of_the_identifier_are_understood_and_the_table_s_is_sent(client):
    assert client.put("a", document(UE7, UeConfigDocId="a")).code == "2.01"
    assert set(cbor2.loads(client.get(path=f"{COLLECTION}/a").payload)) == {
        "ueConfigDocId",
        "valServiceDomain",
        "valUeIds",
    }


def test_the_collection_matches_any_parameter(client):
    client.put("u7", document(UE7))
    client.put("u78", document(UE7, UE8))
    client.put("vendor", document(ueVendors=["acme", "b corp"]))
    imeis = {
        "tac": [{"tac": "12345678"}],
        "snrs": [{"tac": "87654321", "snrs": ["000042", "7"]}],
        "span": [{"tac": "87654321", "snrRange": {"low": "100", "high": "200"}}],
    }
    for name, ranges in imeis.items():
        client.put(name, document(valUeIds={"imeiRanges": ranges}))
    cases = [
        ([], ["snrs", "span", "tac", "u7", "u78", "vendor"]),
        ([f"ue-uri={UE7}"], ["u7", "u78"]),
        ([f"ue-uri={UE8}"], ["u78"]),
        (["ue-uri=URN:x-msgin5g:ue:0008"], ["u78"]),  # the case of a scheme means nothing
        (["ue-vendor=acme"], ["vendor"]),
        ([f"ue-uri={UE8}", "ue-vendor=acme"], ["u78", "vendor"]),
        (["ue-type=12345678"], ["tac"]),
        (["ue-type=87654321"], ["snrs", "span"]),
        (["ue-snr=42"], ["snrs", "tac"]),
        (["ue-type=87654321", "ue-snr=42"], ["snrs"]),
        (["ue-type=87654321", "ue-snr=007"], ["snrs"]),
        (["ue-type=87654321", "ue-snr=100"], ["span"]),
        (["ue-type=87654321", "ue-snr=201"], []),
        (["ue-type=12345678", "ue-snr=999999", f"ue-uri={UE8}"], ["tac", "u78"]),
        (["ue-vendor=Acme"], []),
    ]
    for query, expected in cases:
        assert ids(client.get(*query)) == expected, query
    client.put("all", document())
    assert ids(client.get("ue-vendor=nobody")) == ["all"]
    assert ids(client.get("ue-uri=urn:x-msgin5g:ue:none")) == ["all"]
    other = COLLECTION.replace("msgin5g", "other")
    assert ids(client.get(path=other)) == [], "another service has its own documents"


def test_nothing_found_is_an_empty_array_but_404_for_a_single_ue(client):
    assert client.get().payload == b"\x80"
    assert client.get("ue-type=12345678").payload == b"\x80"
    answer = client.get(f"ue-uri={UE7}")
    assert problem(answer) == {-1: "Not found", -2: "no document for this UE", -4: 132}
    assert recipient(answer) == UE7


def test_a_bad_parameter_is_400_and_named(client):
    cases = [
        (["ue-type=1234567"], "ue-type"),
        (["ue-type=1234567a"], "ue-type"),
        (["ue-type=123456789"], "ue-type"),
        (["ue-type=١٢٣٤٥٦٧٨"], "ue-type"),
        (["ue-snr="], "ue-snr"),
        (["ue-snr=1234567"], "ue-snr"),
        (["ue-snr=-1"], "ue-snr"),
        (["ue-vendor="], "ue-vendor"),
        (["ue-vendor=a", "ue-vendor=a"], "ue-vendor"),
        (["ue-type=12345678", "ue-type=12345678"], "ue-type"),
        (["ue-uri="], "ue-uri"),
        (["ue-uri=0007"], "ue-uri"),
        (["ue-uri=urn:x y"], "ue-uri"),
        (["ue-uri=urn:ü"], "ue-uri"),
        (["ue-uri=urn:%4"], "ue-uri"),
        (["ue-uri=urn:" + "x" * 245], "ue-uri"),
        ([f"ue-uri={UE7}", f"ue-uri={UE7}"], "ue-uri"),
        ([f"ue-uri={UE7}", f"ue-uri={UE8}"], "bulkConfFlag"),
        ([f"ue-uri={UE7},{UE8}"], "bulkConfFlag"),
        (["ue-typ=12345678"], "ue-typ"),
        (["ue-type"], "ue-type"),
        (["bulkConfFlag=msgin5g-bulk"], "bulkConfFlag"),
    ]
    for query, named in cases:
        answer = client.get(*query)
        assert answer.code == "4.00" and named in problem(answer)[-2], (query, answer.payload)
    assert client.get("ue-uri=urn:" + "x" * 244).code == "4.04", "248 bytes are allowed"
    assert client.get("ue-uri=tel:+491701234567").code == "4.04"
    assert client.get("ue-uri=sip:a@[2001:db8::1]").code == "4.00", "not where a host may be"
    assert client.get("ue-uri=coap://[2001:db8::1]/ue?x=a,b").code == "4.04"


def test_every_kind_of_answer_has_the_recipient_and_errors_have_problem_details(tmp_path):
    query = [f"ue-uri={UE7}"]
    good, bad = cbor2.dumps(document(UE7)), cbor2.dumps({"configName": "no domain"})
    denied = ["ue-uri=urn:x-msgin5g:ue:denied"]
    cases = [
        ("2.01", PUT, DOC, query, [], good),
        ("2.04", PUT, DOC, query, [], good),
        ("2.01", POST, COLLECTION, query, [], good),
        ("2.05", GET, COLLECTION, query, [], b""),
        ("2.05", GET, DOC, query, [], b""),
        ("2.05", GET, COLLECTION, query, [(BLOCK2, block(1, 0, 0))], b""),
        ("2.05", GET, ".well-known/core", query, [], b""),
        ("2.31", PUT, DOC, query, [(BLOCK1, block(0, 1, 0))], b"x" * 16),
        ("4.00", GET, COLLECTION, [*query, "x=y"], [], b""),
        ("4.00", PUT, DOC, query, [], b"\xff"),
        ("4.00", PUT, DOC, query, [], b""),
        ("4.00", GET, COLLECTION, query, [(BLOCK2, block(99, 0, 6))], b""),
        ("4.02", GET, COLLECTION, query, [(9999, b"x")], b""),
        ("4.03", GET, COLLECTION, denied, [], b""),
        ("4.03", PUT, DOC, denied, [], good),
        ("4.04", GET, COLLECTION, ["ue-uri=urn:x-msgin5g:ue:unknown"], [], b""),
        ("4.04", GET, "no/such/path", query, [], b""),
        ("4.04", GET, COLLECTION + "/", query, [], b""),
        ("4.04", GET, COLLECTION + "/none", query, [], b""),
        ("4.05", PUT, COLLECTION, query, [], good),
        ("4.05", POST, DOC, query, [], good),
        ("4.05", "0.05", COLLECTION, query, [], b""),
        ("4.05", "0.30", COLLECTION, query, [], b""),
        ("4.06", GET, COLLECTION, query, [(ACCEPT, uint(50))], b""),
        ("4.06", GET, ".well-known/core", query, [(ACCEPT, uint(50))], b""),
        ("4.08", PUT, DOC, query, [(BLOCK1, block(3, 0, 0))], b"x"),
        ("4.12", PUT, DOC, query, [(5, b"")], good),
        ("4.13", PUT, DOC, query, [], b"x" * 1001),
        ("4.15", PUT, DOC, query, [(CONTENT_FORMAT, uint(50))], good),
        ("4.22", PUT, DOC, query, [], bad),
        ("5.05", GET, COLLECTION, query, [(35, b"coap://elsewhere/")], b""),
        ("2.02", DELETE, DOC, query, [], b""),
    ]
    with Scm(tmp_path, max_body=1000) as scm, scm.client() as client:
        scm.call(lambda store: store.deny("urn:x-msgin5g:ue:denied"))
        for code, method, path, asked, options, payload in cases:
            answer = client.ask(method, path, asked, options, payload)
            assert answer.code == code, (method, path, asked, answer)
            assert recipient(answer) == asked[0].removeprefix("ue-uri="), (code, path)
            if code[0] in "45":
                problem(answer)
            event = scm.events.get()
            while event["event"] != "served":
                event = scm.events.get()
            assert (event["code"], event["recipient"]) == (code, recipient(answer))
            assert event["ue_uri"] == [recipient(answer)] and event["size"] == len(answer.payload)
            assert event["remote"] == f"127.0.0.1:{client.port}"
            detail = problem(answer)[-2] if code[0] in "45" else None
            assert event.get("detail") == detail, code


def test_without_ue_uri_or_with_several_there_is_no_recipient(client):
    client.put("ue-0007", document(UE7))
    for query in ([], ["bulkConfFlag=msgin5g-bulk", f"ue-uri={UE7}", f"ue-uri={UE8}"]):
        answer = client.get(*query)
        assert answer.code == "2.05" and recipient(answer) is None, query


def test_a_recipient_that_names_another_server_is_400_and_a_missing_one_is_served(tmp_path):
    with Scm(tmp_path, recipient="coap://scm.example") as scm, scm.client() as client:
        cases = [
            (b"coap://scm.example", "2.05"),
            (b"COAP://SCM.Example", "2.05"),  # scheme and host have no case
            (b"coap://other.example", "4.00"),
            (b"coap://scm.example/x", "4.00"),
            (b"", "2.05"),  # elective, and not of 1 to 255 bytes: as if it were not there
            (b"x" * 256, "2.05"),
            (b"\xff", "2.05"),
        ]
        for value, code in cases:
            answer = client.get(options=[(RECIPIENT, value)])
            assert answer.code == code, value
        assert "Recipient" in problem(client.get(options=[(RECIPIENT, b"coap://x")]))[-2]
        assert client.get().code == "2.05"


def test_the_recipient_s_option_number_is_a_setting_even_a_critical_one(tmp_path):
    with Scm(tmp_path, recipient_option=65003) as scm, scm.client() as client:
        answer = client.get(f"ue-uri={UE7}", options=[(65003, b"coap://scm.example")])
        assert answer.code == "4.04" and answer.options[65003] == [UE7.encode()]
        assert RECIPIENT not in answer.options


def test_below_a_path_prefix_are_the_documents_their_locations_and_links(tmp_path):
    root = f"root/scm/{COLLECTION}"
    with Scm(tmp_path, path_prefix="root/scm") as server, server.client() as client:
        body = cbor2.dumps(document(UE7))
        answer = client.ask(POST, root, options=[(CONTENT_FORMAT, uint(60))], payload=body)
        location = b"/".join(answer.options[LOCATION_PATH]).decode()
        assert answer.code == "2.01" and location.startswith(root + "/")
        assert client.get(path=location).code == "2.05"
        assert client.get(f"ue-uri={UE7}", path=root).code == "2.05"
        for path in (COLLECTION, f"root/{COLLECTION}", f"root/scm2/{COLLECTION}"):
            assert client.get(f"ue-uri={UE7}", path=path).code == "4.04", path
        core = client.get(path=".well-known/core").payload
        assert f"</{root}>".encode() in core and f"</{COLLECTION}>".encode() not in core


def test_a_path_prefix_that_is_no_path_is_refused(tmp_path):
    for path in ("/root", "root/", "a//b", "a/../b", ".", 256 * "x"):
        with pytest.raises(ScmError, match="path prefix"):
            Scm(tmp_path, path_prefix=path)
