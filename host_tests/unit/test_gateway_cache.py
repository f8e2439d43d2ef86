"""What a gateway keeps: which body goes first, and who may have it until when."""

from builders import DATA, document
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.gateway.cache import Cache, Permission
from msgin5g.intermediary.link_table import LinkedUe

_ONE = "urn:x-msgin5g:ue:0001"
_TWO = "urn:x-msgin5g:ue:0002"
_KEPT_MS = 100000
_ROOM = 256  # bytes that an entry takes besides its body


def ue(ue_id=_ONE):
    return LinkedUe(ue_id.encode(), 0, None)


def kept(document_id=b"d", until=1000, **ids):
    """(Cache, Entry) of a document that names these UEs."""
    cache = Cache(4096)
    return cache, cache.put(document_id, dumps(document("", DATA, "d", **ids)), until)


def test_the_body_that_was_unused_for_the_longest_time_goes_first():
    cache = Cache(2 * (_ROOM + 10))
    cache.put(b"a", bytes(10), 0)
    cache.put(b"b", bytes(10), 0)
    assert cache.find(b"a").key == b"a"
    cache.put(b"c", bytes(10), 0)
    assert cache.find(b"b") is None and cache.find(b"a") and cache.find(b"c") and len(cache) == 2
    # In place of the former one of its key; the room of what has gone is free again.
    cache.put(b"c", bytes(10), 0)
    assert len(cache) == 2 and cache.find(b"a")
    cache.drop(b"c")
    cache.put(b"e", bytes(10), 0)
    assert cache.find(b"a") and cache.find(b"e")
    # To the byte.
    for missing, n_kept in ((0, 2), (1, 1)):
        exact = Cache(2 * (_ROOM + 10) - missing)
        exact.put(b"a", bytes(10), 0)
        exact.put(b"b", bytes(10), 0)
        assert len(exact) == n_kept
    # One that is too large is alone.
    cache.put(b"f", bytes(2000), 0)
    assert len(cache) == 1 and len(cache.find(b"f").body) == 2000


def test_what_is_stale_for_long_is_forgotten_and_so_is_a_permission():
    cache, entry = kept(until=1000)
    one = ue()
    entry.permit(one)
    cache.purge([one], 1000 + _KEPT_MS - 1)
    assert len(cache) == 1 and one.permission is not None
    cache.purge([one], 1000 + _KEPT_MS)
    assert len(cache) == 0 and one.permission is None
    cache.put(b"d", bytes(4096 - _ROOM), 0)  # there is room for as much as at first
    assert len(cache) == 1


def test_a_document_is_for_a_ue_to_whom_the_server_has_given_it_until_a_moment():
    _, entry = kept(until=1000, valUeIds={"imeiRanges": [{"tac": "35123456"}]})
    one = ue()
    assert not entry.is_permitted(one, 0)
    entry.permit(one)
    assert entry.is_permitted(one, 999) and not entry.is_permitted(one, 1000)
    assert entry.is_permitted(one, 1000, True)  # a later block
    one.permission = Permission(b"other", entry.etag, 1000)
    assert not entry.is_permitted(one, 0) and not entry.is_permitted(one, 0, True)


def test_a_body_that_has_changed_since_then_must_name_the_ue_too():
    for ids, is_for in (
        ({"valUeIds": {"uris": [_ONE, _TWO]}}, True),
        ({"valUeIds": {"uris": [_TWO]}}, False),
        ({"valUeIds": {"imeiRanges": [{"tac": "35123456"}]}}, False),
    ):
        _, entry = kept(until=1000, **ids)
        one = ue()
        for etag in (None, b"another"):
            one.permission = Permission(b"d", etag, 1000)
            assert entry.is_permitted(one, 0) == is_for, ids
    everybody = document("", DATA, "d")
    everybody.pop("valUeIds")
    entry = Cache(4096).put(b"d", dumps(everybody), 1000)
    assert entry.is_permitted(one, 0)


def test_a_copy_names_its_ue_alone_and_is_fresh_no_longer_than_its_permission():
    ranges = [{"tac": "35123456"}]
    for ids, expected in (
        ({"uris": [_TWO, _ONE], "imeiRanges": ranges}, {"uris": [_ONE]}),
        ({"uris": [_TWO], "imeiRanges": ranges}, {"imeiRanges": ranges}),
        ({"uris": [_TWO]}, {}),
    ):
        _, entry = kept(until=1000, valUeIds=ids)
        one = ue()
        for permission, until in (
            (None, 1000),
            (Permission(b"d", None, 700), 700),
            (Permission(b"d", None, 2000), 1000),
            (Permission(b"other", None, 700), 1000),
        ):
            one.permission = permission
            copy = entry.copy_for(one)
            assert loads(bytes(copy.body)) == document("", DATA, "d", valUeIds=expected)
            assert copy.fresh_until == until


def test_a_refusal_ends_all_that_is_kept_for_a_ue_and_nothing_else():
    cache, entry = kept(valUeIds={"uris": [_ONE, _TWO]})
    one = ue()
    two = ue(_TWO)
    for ue_ in (one, two):
        entry.permit(ue_)
        for queries in ((), (b"ue-vendor=a",)):
            cache.put((ue_.ue_id, queries), b"\x80", 1000)
    cache.revoke(one)
    assert not entry.is_permitted(one, 0) and entry.is_permitted(two, 0)
    for queries in ((), (b"ue-vendor=a",)):
        assert cache.find((one.ue_id, queries)) is None
        assert cache.find((two.ue_id, queries)) is not None
    assert cache.find(b"d") is entry and len(cache) == 3
