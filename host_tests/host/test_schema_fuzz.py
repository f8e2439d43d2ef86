"""The strict JSON reader against Python's own: the same values, and no more leniency."""

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from msgin5g.config.schema import Schema
from msgin5g.config.json import JsonError, loads

_NUMBERS = st.integers(-(2**53), 2**53 - 1) | st.floats(
    -(2.0**127), 2.0**127, allow_nan=False, allow_infinity=False
)
# all but surrogates, which are half characters
_TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)
_FRAGMENTS = (
    *'{}[]:,"\\ \n\t-+.eE0123456789aun/',
    *("true", "false", "null", "NaN", "Infinity", "\\u0041", "\\ud83d\\ude00", "\\ud800", '"a":'),
    *('"b"', "1e5", "01", "é", "\x00", "\x1f", "'"),
)


def _pairs_once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("key twice")
    return dict(pairs)


def _no_constant(name):
    raise ValueError(name)


def _python(text):
    """What json makes of `text` under the rules that are stricter here; ValueError otherwise."""
    value = json.loads(text.decode(), object_pairs_hook=_pairs_once, parse_constant=_no_constant)
    _within_limits(value, 0)
    return value


def _within_limits(value, depth):
    if isinstance(value, str):
        value.encode()  # no half of a surrogate pair
    elif isinstance(value, float):
        if not -3.4e38 < value < 3.4e38:
            raise ValueError("too large")
    elif isinstance(value, int):
        if value >> 53 not in (0, -1):
            raise ValueError("too large")
    elif isinstance(value, (list, dict)):
        if depth == 8:
            raise ValueError("too deep")
        for key in value:
            _within_limits(key, depth + 1)
            if isinstance(value, dict):
                _within_limits(value[key], depth + 1)


def _same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return math.isclose(a, b) if isinstance(a, float) else a == b


def _agree(text):
    try:
        expected = _python(text)
    except ValueError:
        expected = ValueError
    try:
        value = loads(text)
    except JsonError as fault:
        if expected is not ValueError:
            assert "32 characters" in str(fault), (text, fault)  # a limit that json does not have
        return
    assert expected is not ValueError, (text, value)
    assert _same(value, expected), (text, value, expected)


@settings(max_examples=500, deadline=None)
@given(_VALUES, st.booleans(), st.sampled_from((None, 1, "\t")))
def test_what_python_writes_is_read_back(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    _agree(text)


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.sampled_from(_FRAGMENTS), max_size=12).map("".join))
def test_python_and_we_agree_on_what_is_json(text):
    _agree(text.encode())


@settings(max_examples=1000, deadline=None)
@given(_VALUES, st.data())
def test_python_and_we_agree_on_documents_with_one_byte_changed(value, data):
    text = bytearray(json.dumps(value, ensure_ascii=False).encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    _agree(bytes(text))


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_verdict(text):
    _agree(text)
    configuration, reasons = Schema().check(text)
    assert (configuration is None) == bool(reasons)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_verdict(text):
    configuration, reasons = Schema().check(text)
    assert (configuration is None) == bool(reasons)
