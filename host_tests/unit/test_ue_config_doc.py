"""Which UEs a UeConfigDoc is for (TS 24.546 7.2.5): by URI, by IMEI, or everybody."""

from builders import DATA, OTHER_ID, UE_ID, document
from msgin5g_testkit.checks import raises
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import CborError, Reader
from msgin5g.scm.document_splitter import SplitDocument
from msgin5g.scm.document_splitter import DocumentSplitter
from msgin5g.scm.request import ScmRequest, uri_equal
from msgin5g.scm.ue_config_doc import DocumentError, UeConfigDoc, find_configuration, imei_of

_UE = UE_ID.encode()


def is_for(imei, *ranges):
    """Whether a document with these imeiRanges is for a UE with this IMEI, but not by its URI."""
    body = dumps(document("", DATA, valUeIds={"uris": [OTHER_ID], "imeiRanges": list(ranges)}))
    found = UeConfigDoc(Reader(body)).rank(_UE, imei) > 0
    try:
        assert bytes(find_configuration(body, _UE, imei)[0][0]) == DATA.encode() and found
    except DocumentError as error:
        assert str(error) == "no document is for this UE" and not found
    return found


def test_a_tac_without_serial_numbers_is_for_every_ue_of_that_type():
    only_tac = {"tac": "35123456"}
    for snr in (-1, 0, 42, 999999):
        assert is_for((b"35123456", snr), only_tac)
        assert is_for((b"35123456", snr), {"tac": "11111111"}, only_tac)
        assert not is_for((b"35123457", snr), only_tac)
    assert not is_for(None, only_tac)


def test_serial_numbers_are_for_the_ues_that_have_them():
    some = {"tac": "35123456", "snrs": ["7", "000042"]}
    span = {"tac": "35123456", "snrRange": {"low": "000100", "high": "199"}}
    first = {"tac": "35123456", "snrRange": {"low": "0", "high": "000001"}}
    both = {"tac": "35123456", "snrs": ["5"], "snrRange": {"low": "9", "high": "9"}}
    for imei_range, inside, outside in (
        (some, (7, 42), (0, 4, 6, 8, 43, 999999)),
        (span, (100, 150, 199), (0, 99, 200)),
        (first, (0, 1), (2,)),
        (both, (5, 9), (4, 6, 8, 10)),
    ):
        for snr in inside:
            assert is_for((b"35123456", snr), imei_range), snr
            assert not is_for((b"35123457", snr), imei_range), snr
        for snr in outside:
            assert not is_for((b"35123456", snr), imei_range), snr
        # A UE that does not know its serial number is not one of them.
        assert not is_for((b"35123456", -1), imei_range)


def test_the_uri_goes_before_the_imei_and_the_imei_before_everybody():
    everybody = document("", "everybody", "d0")
    everybody.pop("valUeIds")
    imei = document("", "imei", "d1", valUeIds={"imeiRanges": [{"tac": "35123456"}]})
    uri = document(UE_ID, "uri", "d2")
    for documents, data, is_named in (
        ([everybody, imei, uri], b"uri", True),
        ([uri, imei, everybody], b"uri", True),
        ([imei, everybody], b"imei", False),
        ([everybody, imei], b"imei", False),
        ([everybody], b"everybody", False),
    ):
        found = find_configuration(dumps(documents), _UE, (b"35123456", -1))
        assert (bytes(found[0][0]), found[2]) == (data, is_named), data


def test_a_range_that_is_not_whole_names_nobody():
    for imei_range in (
        {},
        {"snrs": ["42"]},
        {"tac": "35123456", "snrs": []},
        {"tac": "35123456", "snrs": ["x", "", "0000042"]},
        {"tac": "35123456", "snrRange": {}},
        {"tac": "35123456", "snrRange": {"low": "1"}},
        {"tac": "35123456", "snrRange": {"high": "50"}},
        {"tac": "35123456", "snrRange": {"low": "x", "high": "50"}},
        {"tac": "35123456", "snrRange": {"low": "1", "high": "x"}},
        {"tac": "35123456", "snrRange": {"low": "50", "high": "1"}},
    ):
        assert not is_for((b"35123456", 42), imei_range), imei_range
    for value in (
        7,
        [7],
        {"tac": "35123456"},
        [{"tac": 35123456}],
        [{"tac": "35123456", "snrs": [42]}],
        [{"tac": "35123456", "snrRange": []}],
    ):
        body = dumps(document("", DATA, valUeIds={"imeiRanges": value}))
        with raises(DocumentError, "body is not CBOR"):
            find_configuration(body, _UE, (b"35123456", 42))


def test_the_queries_of_a_request_tell_the_imei_of_its_ue():
    for queries, imei in (
        ((), None),
        ((b"ue-vendor=acme", b"ue-snr=42"), None),
        ((b"ue-type=35123456",), (b"35123456", -1)),
        ((b"ue-snr=000042", b"ue-type=35123456"), (b"35123456", 42)),
        ((b"ue-type=35123456", b"ue-snr=x"), (b"35123456", -1)),
        ((b"ue-type=35123456", b"ue-snr=1234567"), (b"35123456", -1)),
    ):
        assert imei_of(queries) == imei, queries


def test_what_selects_in_the_collection_is_not_asked_of_an_individual_document():
    queries = (b"ue-vendor=acme", b"ue-type=35123456", b"ue-snr=42", b"x=1")
    request = ScmRequest("msgin5g", [_UE], None, queries=queries)
    for document_id, expected in ((None, queries), (b"d", queries[3:])):
        found = [value for number, value in request.options(document_id) if number == 15]
        assert found == [b"ue-uri=" + _UE] + list(expected)


def test_a_document_with_two_equal_keys_is_refused_wherever_they_are():
    good = dumps(document(_UE.decode(), DATA))
    assert find_configuration(good, _UE)[0]
    head = good[0]
    assert head >> 5 == 5  # a map: one pair more, twice, at its end
    for pairs in (b"\x61z\1\x61z\2", b"\x61z\xa2\1\1\1\2\x61y\1"):
        body = bytes((head + 2,)) + good[1:] + pairs
        for whole in (body, b"\x81" + body):
            with raises(DocumentError, "body is not CBOR: a key that comes twice"):
                find_configuration(whole, _UE)
        with raises(CborError, "a key that comes twice"):
            SplitDocument(Reader(body))


def test_only_scheme_and_host_of_a_uri_ignore_the_case_of_letters():
    for a, b, equal in (
        (b"urn:x:ue:abc", b"URN:x:ue:abc", True),
        (b"urn:x:ue:abc", b"urn:x:ue:ABC", False),
        (b"coap://Host/a", b"COAP://hOST/a", True),
        (b"coap://host/a", b"coap://host/A", False),
        (b"coap://host?a", b"coap://HOST?A", False),
        (b"abc", b"ABC", False),  # no scheme
        (b"urn:x", b"urn:xy", False),
    ):
        assert uri_equal(a, b) == uri_equal(b, a) == equal, a


def test_a_document_that_names_everybody_is_the_same_for_each_ue():
    doc = document("urn:a", {})
    named = dumps(doc)
    del doc["valUeIds"]
    body = dumps(doc)
    assert SplitDocument(Reader(body)).copy(b"urn:a") == body
    assert SplitDocument(Reader(body)).copy_for(b"urn:b") == body
    assert SplitDocument(Reader(named)).copy() == named
    assert SplitDocument(Reader(named)).copy(b"urn:b") == dumps(document("urn:b", {}))


def test_of_an_array_there_is_never_more_in_memory_than_a_document_and_a_piece():
    documents = [document(UE_ID, DATA, "doc-%d" % n) for n in range(20)]
    body = dumps(documents)
    size = len(dumps(documents[-1]))
    splitter = DocumentSplitter(1000)
    n = 0
    for start in range(0, len(body), 64):
        splitter.feed(body[start : start + 64])
        assert len(splitter.view) <= size + 64
        while splitter.next():
            assert splitter.document.document_id == b"doc-%d" % n
            n += 1
    assert n == 20 and splitter.done


def test_a_document_that_is_malformed_is_none_and_the_next_one_is_there():
    good = dumps(document(UE_ID, DATA))
    bad = b"\xa2\x61a\x01\x61a\x02"  # a key twice
    splitter = DocumentSplitter(1000)
    splitter.feed(b"\x83" + good + bad + good)
    found = []
    while splitter.next():
        found.append(splitter.document is not None)
    assert found == [True, False, True] and splitter.done
