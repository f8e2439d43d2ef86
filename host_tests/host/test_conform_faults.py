"""The conformance kit names the one thing that is wrong with a server, a relay or a UE."""

import asyncio
import functools

import pytest
from conform_setup import Examples, Kit, perform_role, with_verdict
from peers import PORT, Role, host
from tiny_peers import DENIED, SERVER_URI, TinyRelay, TinyServer, TinyUe, running

from msgin5g_tools.conform import station
from msgin5g_tools.conform.check import FAIL, INCONCLUSIVE, perform
from msgin5g_tools.conform.profile import Profile
from msgin5g_tools.conform.ue_bench import UeBench
from msgin5g_tools.conform.ue_bench import checks as ue_checks
from msgin5g_tools.conform.wire import CON, GET, Message

_UES = ("urn:x:ue:1", "urn:x:ue:2")
_TIMEOUT_S = 0.5

# fault of TinyServer -> the checks that find it
_SERVER_FAULTS = {
    None: [],
    "ping": ["ping"],
    "version": ["other-version"],
    "repeated con": ["repeated-con"],
    "recipient": ["recipient-of-not-found"],
    "problem details": ["problem-details"],
    "config type": ["document-shape"],
    "critical option": ["unknown-critical-option", "unknown-critical-option-in-non"],
    "accept": ["accept-of-another-format"],
    "etag of valid": ["etag-of-valid"],
    "etag of block": ["blocks-have-one-etag"],
    "exponent": ["reserved-exponent"],
    "deregister": ["deregister"],
    "bulk": ["bulk"],
}
# fault of TinyRelay -> the checks that find it
_RELAY_FAULTS = {
    None: [],
    "ping": ["ping-from-server", "ping-from-ue"],
    "uplink recipient": ["get-for-another-recipient"],
    "downlink recipient": ["content-for-another"],
    "recipient of response": ["recipient-of-response"],
    "stranger": ["client-without-link"],
    "repeated con": ["repeated-con"],
    "retransmission": ["request-is-sent-again", "response-is-sent-again"],
    "options": ["options-of-request"],
}
# fault of TinyUe -> the checks that find it
_UE_FAULTS = {
    None: [],
    "foreign content": ["content-for-another"],
    "foreign error": ["not-found-for-another"],
    "no recipient": ["content-without-recipient"],
    "token": ["other-token"],
    "source": ["other-source"],
}
# What TinyUe can do: it takes no blocks and reads no document.
_UE_CHECKS = ["request", "recipient", "content", "forbidden", "not-found", "other-token"]
_UE_CHECKS += ["content-for-another", "forbidden-for-another", "not-found-for-another"]
_UE_CHECKS += ["content-without-recipient", "other-source", "other-version"]
# Settings of ours that are not what the profile says, and the check that finds it.
_SETTINGS = [
    ("gateway", {"bulk": {"count": 2, "window_s": 1, "id": "other"}}, "bulk-flag"),
    ("gateway", {"bulk": {"enabled": False}}, "bulk-request"),
    ("ue", {"next_hop_is": "server"}, "content-without-recipient"),
    ("ue", {"service_id": "other"}, "request"),
    ("ue", {"server": {"recipient": "coap://other.example"}}, "recipient"),
]


async def _server_with(fault):
    address = (host(), 5683)
    facts = {"no_document": "urn:x:ue:none", "denied": DENIED}
    async with running(TinyServer(_UES, fault), address):
        ues = [(uri, None) for uri in _UES]
        return await perform_role("server", address=address, ues=ues, **facts)


async def _relay_with(fault):
    address, server = (host(), PORT), (host(), 5683)
    links = {uri: (host(), PORT) for uri in _UES}
    async with running(TinyRelay(server, links, _TIMEOUT_S, fault), address):
        return await perform_role(
            "relay",
            address=address,
            ues=list(links.items()),
            server_bind=server,
            stranger_bind=(host(), PORT),
            recipient=SERVER_URI,
            ack_timeout_s=_TIMEOUT_S,
        )


async def _ue_with(fault):
    address, next_hop = (host(), PORT), (host(), PORT)
    uri = _UES[0]
    checking = perform_role(
        "ue",
        _UE_CHECKS,
        address=address,
        ues=[(uri, None)],
        bind=next_hop,
        recipient=SERVER_URI,
        wait_s=5,
    )
    task = asyncio.ensure_future(checking)
    await asyncio.sleep(0.1)  # for the socket to which the UE sends once
    async with running(TinyUe(uri, next_hop, fault), address):
        return await task


# role -> (what checks a peer with one fault, {fault: checks that find it})
_PEERS = {
    "server": (_server_with, _SERVER_FAULTS),
    "relay": (_relay_with, _RELAY_FAULTS),
    "ue": (_ue_with, _UE_FAULTS),
}
_FAULTS = [(role, fault) for role, (_, faults) in _PEERS.items() for fault in faults]


@functools.cache
def _rows_of(role):
    """{fault: rows}; the peers of a role are checked at once."""
    check, faults = _PEERS[role]

    async def gathered():
        return await asyncio.gather(*map(check, faults))

    return dict(zip(faults, asyncio.run(gathered()), strict=True))


@pytest.mark.parametrize(("role", "fault"), _FAULTS)
def test_the_one_fault_of_a_peer_is_named(role, fault):
    rows = _rows_of(role)[fault]
    assert with_verdict(rows, FAIL) == _PEERS[role][1][fault]
    assert with_verdict(rows, INCONCLUSIVE) == []


class UeOnTime:
    """The socket of the kit, with a UE behind it. It asks anew when it has a response.

    moments: for each of its requests when it comes and when its copies do.
    """

    def __init__(self, bench, moments, monkeypatch):
        self._bench, self._moments, self._now = bench, list(moments), 0
        monkeypatch.setattr(station, "time", self)
        self.sendto(b"", None)

    def monotonic(self):
        return self._now

    def sendto(self, datagram, remote):
        if self._moments:
            mid = len(self._moments)
            request = Message(CON, GET, mid, bytes([mid]), [(11, b"x")])
            for self._now in self._moments.pop(0):
                self._bench.server.datagram_received(request.encode(), ("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("moments", "verdict", "why"),
    [
        ([(0, 2, 6)], "pass", ""),
        ([(0, 3.9, 6.1), (10, 12, 16)], "pass", ""),  # a copy was late once
        ([(0, 2, 4), (10, 12, 14), (20, 22, 24.5)], "fail", "after 2.00 s and 2.50 s"),
        ([(0, 1, 5), (10, 11, 15), (20, 21, 25)], "fail", "copy 1 after 1.00 s already"),
    ],
)
def test_back_off_fails_when_a_copy_comes_at_the_wrong_time_each_time(
    monkeypatch, moments, verdict, why
):
    async def row():
        bench = UeBench(Profile(address=None, bind=None, ues=[(_UES[0], None)]))
        bench.server, bench.path = station.Station(), ["x"]
        bench.server.connection_made(UeOnTime(bench, moments, monkeypatch))
        (check,) = [check for check in ue_checks.all if check.name == "retransmission"]
        return await perform(check, bench.new_case(), [])

    found = asyncio.run(row())
    assert (found.verdict, found.why) == (verdict, why)


@pytest.mark.parametrize(("role", "settings", "name"), _SETTINGS)
def test_settings_that_are_not_what_the_profile_says_are_named(tmp_path, role, settings, name):
    examples = Examples(tmp_path)
    only = ["--only", name, "--only", "ping"]
    kit = Kit(role, "--profile", str(tmp_path / f"{role}.toml"), *only)
    try:
        with Role(tmp_path, examples.settings(role) | settings, "208K"):
            status, rows = kit.report()
    finally:
        kit.kill()
    assert status == 1
    assert {each: row["verdict"] for each, row in rows.items()} == {name: "fail", "ping": "pass"}
