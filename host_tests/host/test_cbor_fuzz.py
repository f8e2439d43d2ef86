"""cbor against cbor2, and against the examples of RFC 8949 Appendix A.

Where the two differ, the module's docstrings decide: tags are dropped, keys are numbers or
strings and come once, depth is at most 8, a simple value without a meaning is refused.
"""

import io
import json
import math
import os

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import MAX_DEPTH, CborError, Reader
from peers import ROOT

VECTORS = ROOT / "host_tests" / "support" / "vectors" / "cbor-appendix-a.json"
TIMES = 2 if os.environ.get("CI") == "true" else 1
# What loads refuses and cbor2 takes, by our text.
STRICTER = {
    "too deep": "more than eight levels",
    "simple": "a simple value that is not false, true, null or undefined",
    "a key that is not a number or a string": "cbor2 takes what can be hashed",
    "a key that comes twice": "RFC 8949 5.6: the map is not valid",
}
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | TEXTS | st.binary(max_size=30)
)
PIECES = (
    "9f bf 5f 7f ff 00 20 4161 6161 c1 d9d9f7 f4 f6 f7 f97e00 a1 82 f820 e0 60 40 1c 1805 a0 80"
).split()
KEYS = st.integers(-(2**64), 2**64 - 1) | TEXTS | st.binary(max_size=10)


def nested(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
        max_leaves=20,
    ).filter(lambda value: depth(value) <= MAX_DEPTH)


def depth(value):
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def same(a, b):
    """Equal, and of one kind; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return len(a) == len(b) and all(k in b and same(v, b[k]) for k, v in a.items())
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    return a == b


class _Dropped(dict):
    """Decoders for cbor2, one for every tag: its content in its place, as ours does."""

    def __contains__(self, tag):
        return True

    def __getitem__(self, tag):
        return lambda content, immutable: content

    def get(self, tag, default=None):
        return self[tag]


def theirs_of(data):
    """cbor2's object, or its error; CBORDecodeError when bytes follow."""
    stream = io.BytesIO(data)
    try:
        item = cbor2.CBORDecoder(stream, max_depth=100, semantic_decoders=_Dropped()).decode()
    except (cbor2.CBORDecodeError, ValueError, OverflowError, TypeError) as error:
        return error
    if stream.tell() != len(data):
        return cbor2.CBORDecodeError("bytes after the item")
    return undefined_is_none(item)


def undefined_is_none(item):
    if isinstance(item, dict):
        return {key: undefined_is_none(value) for key, value in item.items()}
    if isinstance(item, list):
        return [undefined_is_none(value) for value in item]
    return None if item is cbor2.undefined else item


def skipped(data):
    """Where `skip` ends, or the text of its error."""
    reader = Reader(data)
    try:
        reader.skip()
    except CborError as error:
        return str(error)
    return reader.i


def agree(data):
    try:
        ours = loads(data)
    except CborError as error:
        theirs = theirs_of(data)
        if str(error) not in STRICTER:
            assert isinstance(theirs, Exception), (data.hex(), str(error), theirs)
        return
    end = skipped(data)
    # A tag is a level to `skip`, which so refuses some of what `loads` takes.
    assert end == len(data) or end == "too deep", (data.hex(), end)
    theirs = theirs_of(data)
    assert same(ours, theirs), (data.hex(), ours, theirs)


@settings(max_examples=100 * TIMES, deadline=None)
@given(nested(SCALARS))
def test_what_we_write_cbor2_reads_and_the_other_way_round(value):
    ours = dumps(value)
    assert same(cbor2.loads(ours), value)
    assert same(loads(ours), value) and skipped(ours) == len(ours)
    for theirs in (cbor2.dumps(value), cbor2.dumps(value, canonical=True)):
        assert same(loads(theirs), value) and skipped(theirs) == len(theirs)
        assert len(theirs) == len(ours), "not the shortest form"


@settings(max_examples=100 * TIMES, deadline=None)
@given(nested(SCALARS | st.floats()), st.booleans())
def test_floats_of_every_size_are_read(value, canonical):
    data = cbor2.dumps(value, canonical=canonical)
    assert same(loads(data), value) and skipped(data) == len(data)


@settings(max_examples=1000 * TIMES, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_cbor2_reads_them_or_refused_by_name(data):
    agree(data)


@settings(max_examples=500 * TIMES, deadline=None)
@given(nested(SCALARS | st.floats()), st.data())
def test_items_with_a_few_bytes_changed_are(value, data):
    spoilt = bytearray(cbor2.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    agree(bytes(spoilt))


@settings(max_examples=500 * TIMES, deadline=None)
@given(
    st.lists(
        st.sampled_from(PIECES),
        max_size=14,
    )
    .map("".join)
    .map(bytes.fromhex)
)
def test_pieces_of_every_kind_in_any_order_are(data):
    agree(data)


def test_the_examples_of_appendix_a():
    vectors = json.loads(VECTORS.read_text())
    assert len(vectors) == 82
    n_refused = n_written = 0
    for vector in vectors:
        data = bytes.fromhex(vector["hex"])
        theirs = theirs_of(data)
        if vector.get("diagnostic", "").startswith("simple("):
            with pytest.raises(CborError, match="simple"):
                loads(data)
            n_refused += 1
            continue
        assert skipped(data) == len(data), vector
        ours = loads(data)
        assert same(ours, theirs), vector
        if "decoded" in vector and data[0] >> 5 != 6:  # without a tag that would be dropped
            assert same(loads(data), vector["decoded"]) or ours == vector["decoded"], vector
        if vector["roundtrip"] and not has_float(ours) and data[0] >> 5 != 6 and data != b"\xf7":
            assert dumps(ours) == data, vector
            n_written += 1
    assert n_refused == 3 and n_written == 37


def has_float(item):
    if isinstance(item, dict):
        item = list(item.values())
    return any(map(has_float, item)) if isinstance(item, list) else isinstance(item, float)
