"""ETSI's interoperability catalogue, LINK: a test a step, each with libcoap and with aiocoap.

What runs where, and the steps that do not apply: ETSI.md.
"""

import cbor2
import pytest
from etsi_checks import check_pair, path_of
from etsi_setup import DIRECT, CLIENT_PAIRS, EtsiSetup
from peers import document
from scm_setup import COLLECTION, CONTENT_FORMAT, PUT, URI_QUERY

CORE = ".well-known/core"
LINK_FORMAT = b"\x28"
OTHER = COLLECTION.replace("msgin5g", "other")


@pytest.fixture(scope="module")
def etsi(tmp_path_factory):
    with EtsiSetup(tmp_path_factory.mktemp("link")) as made:
        made.scm.writer.ask(PUT, f"{OTHER}/one", payload=cbor2.dumps(document()))
        yield made


def links(pair, query=None):
    """The links that the client displays, sorted; wire and Content-Format are checked."""
    passed = pair.discover(query)
    request, answer = check_pair(passed, "get", ["2.05"])
    assert path_of(request) == CORE
    assert request.options.get(URI_QUERY, []) == ([query.encode()] if query else [])
    assert answer.options[CONTENT_FORMAT] == [LINK_FORMAT] and pair.displays(answer.payload)
    return sorted(link for link in answer.payload.decode().split(",") if link)


@pytest.mark.parametrize("name", [*CLIENT_PAIRS, "libcoap gateway", "aiocoap gateway"])
def test_td_coap_link_01_discovery(etsi, name):
    pair = etsi.pair(name)
    found = links(pair)
    assert found[0].split(";")[0] == "</.well-known/core>"
    assert [link.split(";")[0] for link in found[1:]] == (
        [f"</{COLLECTION}>", f"</{OTHER}>"] if name in DIRECT else []
    )


def test_td_coap_link_02_filter_by_type(direct):
    assert targets(links(direct, "rt=su-uc")) == [COLLECTION, OTHER]
    assert links(direct, "rt=none") == []


def targets(found):
    return [link.split(">")[0][2:] for link in found]


def test_td_coap_link_03_any_type(direct):
    assert targets(links(direct)) == [CORE, COLLECTION, OTHER], "the first one has none"
    assert targets(links(direct, "rt=*")) == [COLLECTION, OTHER]


def test_td_coap_link_07_complete_href(direct):
    assert targets(links(direct, f"href=/{OTHER}")) == [OTHER]


def test_td_coap_link_08_href_prefix(direct):
    assert targets(links(direct, "href=/su-uc/v1/val-services/o*")) == [OTHER]
    assert targets(links(direct, "href=/su-uc/*")) == [COLLECTION, OTHER]
