"""CBOR: RFC 8949 Appendix A in part, what is not well-formed, and the bounds."""

import gc

from msgin5g_testkit.checks import raises, unhex
from full_heap import Ballast
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import ARRAY, BYTES, MAP, TEXT, CborError, Reader

# (hex, value) from RFC 8949 Appendix A; the host test reads the whole table.
EXAMPLES = (
    ("00", 0),
    ("17", 23),
    ("1818", 24),
    ("1903e8", 1000),
    ("1b000000e8d4a51000", 1000000000000),
    ("20", -1),
    ("3903e7", -1000),
    ("f4", False),
    ("f5", True),
    ("f6", None),
    ("f7", None),
    ("f93e00", 1.5),
    ("f97bff", 65504.0),
    ("f90001", 5.960464477539063e-8),
    ("f9c400", -4.0),
    ("fa47c35000", 100000.0),
    ("fbc010666666666666", -4.1),
    ("40", b""),
    ("4401020304", b"\x01\x02\x03\x04"),
    ("6449455446", "IETF"),
    ("62c3bc", "\u00fc"),
    ("80", []),
    ("8301820203820405", [1, [2, 3], [4, 5]]),
    ("a201020304", {1: 2, 3: 4}),
    ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
    ("7f657374726561646d696e67ff", "streaming"),
    ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
    ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ("c11a514b67b0", 1363896240),
)

MALFORMED = (
    "", "18", "1901", "1c", "1d", "1e", "1f", "3f", "41", "61", "62c3", "61ff", "81", "8201",
    "9f", "9f01", "a1", "a101", "bf01", "bf01ff", "c0", "df00", "f8", "f800", "f818", "f9",
    "f93c", "fb0000", "fc", "fd", "fe", "ff", "81ff", "5f", "5f41", "5f6161ff", "7f4161ff",
    "5f5f4101ffff", "a20102", "a201020103", "a1f500", "a18000", "0000", "5b7fffffffffffffff00",
    "9b7fffffffffffffff00", "bb7fffffffffffffff0000", "e0", "f3",
)  # fmt: skip


def test_the_examples_of_appendix_a():
    for text, value in EXAMPLES:
        assert loads(unhex(text)) == value, text
        reader = Reader(unhex(text))
        reader.skip()
        assert reader.i == reader.end, text


def test_a_half_float_may_be_infinite_or_no_number():
    infinite = float("inf")
    assert loads(unhex("f97c00")) == infinite and loads(unhex("f9fc00")) == -infinite
    for text in ("f97e00", "f97c01", "f9fe00"):
        assert str(loads(unhex(text))) == "nan", text


def test_what_is_not_well_formed_is_named():
    for text in MALFORMED:
        with raises(CborError):
            loads(unhex(text))


def test_skip_refuses_what_is_cut_off():
    for text, _ in EXAMPLES:
        whole = unhex(text)
        for size in range(len(whole)):
            with raises(CborError):
                Reader(whole[:size]).skip()
            with raises(CborError):
                loads(whole[:size])


def test_depth_is_bounded():
    assert loads(b"\x81" * 8 + b"\x00") == [[[[[[[[0]]]]]]]]
    for head in (b"\x81", b"\x9f", b"\xa1\x00", b"\xbf\x00", b"\xc1"):
        with raises(CborError):
            Reader(head * 300 + b"\x00").skip()
    for head in (b"\x81", b"\x9f", b"\xa1\x00"):
        with raises(CborError):
            loads(head * 300 + b"\x00")


def test_a_map_with_two_equal_keys_is_refused_by_everyone_who_reads_it():
    # RFC 8949 section 5.6.
    equal = (
        "a2616101616102",  # {"a": 1, "a": 2}
        "bf616101616102ff",
        "a3616101616202616103",
        "a26178a2616201616202617901",  # {"x": {"b": 1, "b": 2}, "y": 1}
        "a1617881a1617982a0a2016001f6",  # {"x": [{"y": [{}, {1: "", 1: null}]}]}
        "a16178c1a2414101414102",  # {"x": 1({h'41': 1, h'41': 2})}
    )
    for text in equal:
        data = unhex(text)
        for read in (loads, lambda d: Reader(d).skip(), lambda d: Reader(d).find((b"y",))):
            with raises(CborError, "a key that comes twice"):
                read(data)
    for text in ("a2616101614102", "a20100200 0".replace(" ", ""), "82a1616101a1616101"):
        Reader(unhex(text)).skip()
        loads(unhex(text))


def test_the_keys_of_a_map_are_bounded():
    for n in (64, 65, 3000):
        keys = b"".join(
            [b"\x62" + bytes((97 + i % 26, 48 + i // 26)) + b"\0" for i in range(min(n, 65))]
        )
        data = b"\xb9" + bytes((n >> 8, n & 255)) + keys
        for read in (lambda d: Reader(d).skip(), lambda d: Reader(d).find((b"y",))):
            if n == 64:
                read(data)
            else:
                with raises(CborError, "too many keys"):
                    read(data)


def test_dumps_is_deterministic_and_shortest():
    assert dumps({-4: 132, -1: "Not found", -2: "x"}) == unhex(
        "a320694e6f7420666f756e642161782318 84"
    )
    for text in ("00", "17", "1818", "1903e8", "20", "3903e7", "f4", "f5", "f6", "40",
                 "4401020304", "6449455446", "80", "8301820203820405", "a201020304",
                 "1b000000e8d4a51000", "1a000f4240", "3863"):  # fmt: skip
        assert dumps(loads(unhex(text))) == unhex(text), text
    with raises(CborError):
        dumps(1 << 64)
    with raises(CborError):
        dumps(1.5)


def test_the_reader_walks_in_place():
    reader = Reader(dumps([{"a": "x", "b": [1, {"c": b"y"}]}]))
    assert reader.peek() == ARRAY and reader.begin(ARRAY) == 1
    assert reader.peek() == MAP and reader.begin(MAP) == 2
    assert reader.string(TEXT) == b"a" and reader.string(TEXT) == b"x"
    assert reader.string(TEXT) == b"b"
    reader.skip()
    assert reader.i == reader.end
    with raises(CborError):
        reader.peek()


def test_a_string_in_many_chunks_takes_little_more_heap_than_its_bytes():
    for major, head in ((TEXT, 0x60), (BYTES, 0x40)):
        whole = bytearray(300)
        parts = bytearray((head | 31,))
        for i in range(300):
            whole[i] = 65 + i % 26
            parts.extend(bytes((head | 1, whole[i], head)))  # and an empty chunk each time
        parts.extend(b"\xff")
        reader = Reader(parts)
        if hasattr(gc, "mem_free"):
            ballast = Ballast(1500)
            try:
                found = reader.string(major)
            finally:
                ballast.release()
        else:
            found = reader.string(major)
        assert found == whole and reader.i == len(parts), major
        for end in (0, 1, 2, 3, 450, len(parts) - 1):
            with raises(CborError):
                Reader(parts, 0, end).string(major)
    with raises(CborError):
        Reader(b"\x7f\x61a\x41b\xff").string(TEXT)  # a chunk of another kind
    with raises(CborError):
        Reader(b"\x7f\x7f\x61a\xff\xff").string(TEXT)  # chunks in chunks
