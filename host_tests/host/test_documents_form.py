"""The JSON form of a UeConfigDoc: whatever a document holds comes back byte for byte."""

import cbor2
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scm_setup import UE7, UE8

from msgin5g_tools.scm_server import (
    config_data,
    json_form,
    json_write,
    ue_config,
    ue_config_check,
)

TEXT = st.text(max_size=8).filter(lambda text: text.isprintable())
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.just(cbor2.undefined),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.just("$cbor"), inner, max_size=3)
        | st.dictionaries(st.integers(0, 9), inner, max_size=2)
    ),
    max_leaves=6,
)
EXTRA = st.dictionaries(st.text(min_size=1, max_size=4) | st.just("$cbor"), VALUES, max_size=2)
URIS = st.lists(st.sampled_from([UE7, UE8, "tel:+4917", "urn:a:b,c"]), min_size=1, max_size=3)
IMEIS = st.lists(
    st.builds(
        lambda tac, rest, extra: {"tac": tac, **rest, **extra},
        st.sampled_from(["12345678", "00000000"]),
        st.sampled_from([{}, {"snrs": ["1", "02"]}, {"snrRange": {"low": "1", "high": "2"}}]),
        EXTRA,
    ),
    min_size=1,
    max_size=2,
)
DATA = (
    st.sampled_from(["", "{}", "[1]", "<a/>", '{"a": 1}', '{"a":1,"a":2}', '{"a":1e5}', "null"])
    | st.text(max_size=9)
    | VALUES.filter(json_write.is_plain).map(config_data.compact)
)
CONFIGS = st.lists(
    st.builds(
        lambda kind, data, extra: {"configType": kind, "configData": data, **extra},
        st.sampled_from(["COMMON", "ON_NETWORK", "x"]),
        DATA,
        EXTRA,
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda config: config["configType"],
)
IDS = st.builds(
    lambda ids, extra: {**ids, **extra},
    st.fixed_dictionaries({}, optional={"uris": URIS, "imeiRanges": IMEIS}),
    EXTRA,
)
DOCUMENTS = st.builds(
    lambda made, extra: {**made, **extra},
    st.fixed_dictionaries(
        {"valServiceDomain": TEXT.filter(bool)},
        optional={
            "configName": TEXT,
            "valServiceId": st.just("svc"),
            "valUeIds": IDS,
            "ueConfigs": CONFIGS,
            "ueVendors": st.lists(TEXT.filter(bool), min_size=1, max_size=2),
        },
    ),
    EXTRA,
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS)
@example({"valServiceDomain": "x", "valUeIds": {"$cbor": "00"}, "$cbor": {"$cbor": 1}})
@example({"valServiceDomain": "x", "valUeIds": {}})
@example({"valServiceDomain": "x", "ues": 1, "configData": 2, "extensions": 3})
def test_every_document_comes_back_byte_for_byte(made):
    # What a PUT does first: its CBOR is decoded and checked.
    made = ue_config.decode(cbor2.dumps(made))
    if ue_config_check.check(made):
        return
    before = ue_config.encode(made, "doc")
    text = json_write.write(["urn:a:b"], [], [("svc", "doc", cbor2.loads(before))])
    contents, mistakes, _ = json_form.read(text, "not this one")
    assert not mistakes, (mistakes, text)
    ((service, doc_id, after),) = contents.documents
    assert (service, doc_id, contents.deny) == ("svc", "doc", ["urn:a:b"])
    assert ue_config.encode(after, doc_id) == before, text


def test_the_text_of_one_document_is_printable_and_reads_back_to_the_same_document():
    document = {
        "ueConfigDocId": "d\u202e\x1b",
        "configName": "Größe \x85\u2028\U0001f600",
        "valServiceDomain": "e",
        "valUeIds": {"uris": ["urn:a:1"]},
        "x": [b"\x00", 1.5, None],
    }
    text = json_write.entry_text("s\u200f", document)
    assert all(c.isprintable() or c == "\n" for c in text) and "Größe" in text
    service, doc_id, found, mistakes, _ = json_form.read_one(text, "other")
    assert (service, doc_id, mistakes) == ("s\u200f", "d\u202e\x1b", [])
    assert ue_config.encode(found, doc_id) == ue_config.encode(document, doc_id)


def test_a_mistake_in_one_document_has_its_place():
    for text, mistake in (
        ("{\n 1}", "line 2, column 2: Expecting property name enclosed in double quotes"),
        ("[]", "is not an object: it begins with { and ends with }"),
        ('{"ueConfigDocId": "d"}', "valServiceDomain: is missing"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": 1, "a": 2}', 'the key "a" is there twice in one object'),
    ):
        *nothing, mistakes, warnings = json_form.read_one(text, "s")
        assert (nothing, mistakes, warnings) == ([None] * 3, [mistake], []), text[:20]
