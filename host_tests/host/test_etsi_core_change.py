"""ETSI's interoperability catalogue, CORE: documents are changed at our server.

A test a step, each with libcoap's client and with aiocoap's; the relay passes GET only.
"""

import cbor2
import pytest
from etsi_checks import check_pair, documents, path_of
from etsi_setup import CBOR, EtsiSetup
from peers import document
from scm_setup import COLLECTION, CONTENT_FORMAT, ETAG, LOCATION_PATH

IF_MATCH, IF_NONE_MATCH = 1, 5
AS_CBOR = (CONTENT_FORMAT, CBOR)


@pytest.fixture(scope="module")
def etsi(tmp_path_factory):
    with EtsiSetup(tmp_path_factory.mktemp("core")) as made:
        yield made


def body(name):
    return cbor2.dumps(document(name=name))


def path_for(request):
    """The path of a document that no other test has; libcoap takes 100 characters."""
    return f"{COLLECTION}/{request.function.__name__[len('test_td_coap_') :][:7]}"


def held(direct, path):
    """The document there, without its id."""
    direct.run(path)
    (made,) = documents(direct.shown)
    return {key: made[key] for key in made if key != "ueConfigDocId"}


def check_delete(direct, path, non=False):
    direct.run(path, options=[AS_CBOR], method="put", payload=body("x"))
    asked, _ = check_pair(direct.run(path, method="delete", non=non), "delete", ["2.02"], non)
    assert path_of(asked) == path
    check_pair(direct.run(path), "get", ["4.04"])


def check_put(direct, path, non=False):
    for code, name in (("2.01", "one"), ("2.04", "two")):
        passed = direct.run(path, "", [AS_CBOR], method="put", payload=body(name), non=non)
        asked, _ = check_pair(passed, "put", [code], non)
        assert path_of(asked) == path and asked.options[CONTENT_FORMAT] == [CBOR]
        assert asked.payload == body(name) and held(direct, path) == document(name=name)
    direct.run(path, method="delete")


def check_post(direct, non=False):
    passed = direct.run(options=[AS_CBOR], method="post", payload=body("posted"), non=non)
    asked, answer = check_pair(passed, "post", ["2.01"], non)
    assert path_of(asked) == COLLECTION and asked.payload == body("posted")
    parts = [part.decode() for part in answer.options[LOCATION_PATH]]
    assert held(direct, "/".join(parts)) == document(name="posted")
    direct.run("/".join(parts), method="delete")
    return parts


def test_td_coap_core_02_delete(direct, request):
    check_delete(direct, path_for(request))


def test_td_coap_core_03_put(direct, request):
    check_put(direct, path_for(request))


def test_td_coap_core_04_post(direct):
    check_post(direct)


def test_td_coap_core_06_delete_non(direct, request):
    check_delete(direct, path_for(request), non=True)


def test_td_coap_core_07_put_non(direct, request):
    check_put(direct, path_for(request), non=True)


def test_td_coap_core_08_post_non(direct):
    check_post(direct, non=True)


def test_td_coap_core_18_post_with_several_location_paths(direct):
    parts = check_post(direct)
    assert parts[:-1] == COLLECTION.split("/") and not any("/" in part for part in parts)


def test_td_coap_core_22_put_with_if_match(direct, request):
    path = path_for(request)

    def put(name, *options):
        return direct.run(path, "", [AS_CBOR, *options], method="put", payload=body(name))

    put("one")
    tags = []
    for n, name in enumerate(("two", "three")):
        asked, answer = check_pair(direct.run(path), "get", ["2.05"])
        assert ETAG not in asked.options and answer.payload
        tags.extend(answer.options[ETAG])
        if n == 0:
            asked, _ = check_pair(put(name, (IF_MATCH, tags[0])), "put", ["2.04"])
            assert asked.options[IF_MATCH] == [tags[0]]
    assert len(set(tags)) == 2 and held(direct, path) == document(name="two")
    check_pair(put("three"), "put", ["2.04"])
    check_pair(put("four", (IF_MATCH, tags[1])), "put", ["4.12"])
    assert held(direct, path) == document(name="three")
    direct.run(path, method="delete")


def test_td_coap_core_23_put_with_if_none_match(direct, request):
    path = path_for(request)
    for code, name in (("2.01", "one"), ("4.12", "two")):
        options = [AS_CBOR, (IF_NONE_MATCH, b"")]
        passed = direct.run(path, "", options, method="put", payload=body(name))
        asked, _ = check_pair(passed, "put", [code])
        assert asked.options[IF_NONE_MATCH] == [b""]
        assert held(direct, path) == document(name="one")
    direct.run(path, method="delete")
