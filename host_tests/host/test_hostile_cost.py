"""What one hostile datagram may cost: work that grows with its length and no faster.

The measure is the number of source lines that CPython executes in the firmware: the same on
every machine and at every load. Each shape is what makes one loop run as often as bytes allow.
"""

import itertools
import sys

import pytest
from msgin5g_testkit.checks import xorshift
from gateway_builders import address, new_gateway
from gateway_builders import name as name_of
from msgin5g.cbor.decoder import loads
from msgin5g.cbor.encoder import dumps
from msgin5g.cbor.reader import CborError, Reader
from msgin5g.coap.message import encode, insert
from msgin5g.config.json import JsonError
from msgin5g.config.json import loads as loads_json
from msgin5g.relay import Relay
from msgin5g.ue import ConstrainedUe
from msgin5g.scm.ue_config_doc import find_configuration
from msgin5g.scm.ue_config_doc import DocumentError
from msgin5g.scm.client import problem_of
from msgin5g.scm.request import ScmRequest
from msgin5g_tools.paths import FIRMWARE
from builders import (
    RELAY,
    SERVER,
    UE_ID,
    FakeConfiguration,
    relay_settings,
    ue_address,
    ue_settings,
)

# Lines: for the way of a small message through a role, and for each byte more.
_START = 600
_PER_BYTE = 60
_PER_BYTE_SPLIT = 100  # a gateway reads a body twice: to cut it, and to find whose each piece is
_UE = ue_address(2)


def lines_in(function):
    """How many lines of the firmware run while `function` does."""
    n = 0

    def local(frame, event, _):
        nonlocal n
        n += event == "line"
        return local

    def trace(frame, event, _):
        return local if frame.f_code.co_filename.startswith(str(FIRMWARE)) else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return n


def refused(function, *kinds):
    def call(data):
        try:
            function(data)
        except kinds:
            pass

    return call


def in_document(item):
    """A document with an extension that a UE passes over."""
    return b"\x81\xa2\x63abc" + item + b"\x70valServiceDomain\x61x"


# name -> (reader, bytes of that shape, about `size` long)
READERS = {
    "nested arrays": ("cbor", lambda size: b"\x81" * size),
    "open arrays": ("cbor", lambda size: b"\x9f" * size),
    "nested in an extension": ("document", lambda size: in_document(b"\x81" * size)),
    "a long array": ("cbor", lambda size: b"\x9f" + bytes(size) + b"\xff"),
    "tags": ("cbor", lambda size: b"\xc1" * size + b"\x00"),
    "tagged document": ("document", lambda size: b"\xc1" * size + b"\x80"),
    "a map": ("cbor", lambda size: dumps({i: i for i in range(size // 4)})),
    "a map of one key": ("cbor", lambda size: b"\xbf" + b"\x01\x01" * (size // 2) + b"\xff"),
    "empty chunks": ("cbor", lambda size: b"\x7f" + b"\x60" * size + b"\xff"),
    "empty chunks of a title": (
        "problem",
        lambda size: b"\xa1\x20\x7f" + b"\x60" * size + b"\xff",
    ),
    "problems in a problem": (
        "problem",
        lambda size: b"\xbf" + b"\x20\xa0" * (size // 2) + b"\xff",
    ),
    "titles": ("problem", lambda size: b"\xbf" + b"\x20\x60" * (size // 2) + b"\xff"),
    "documents": ("document", lambda size: b"\x9f" + b"\xa0" * size + b"\xff"),
    "configurations": (
        "document",
        lambda size: b"\xa1\x69ueConfigs\x9f" + b"\xa0" * size + b"\xff",
    ),
    "configurations again": (
        "document",
        lambda size: b"\xbf" + b"\x69ueConfigs\x81\xa0" * (size // 12) + b"\xff",
    ),
    "UEs": (
        "document",
        lambda size: b"\xa1\x68valUeIds\xa1\x64uris\x9f" + b"\x61x" * (size // 2) + b"\xff",
    ),
    "[[[[": ("json", lambda size: b"[" * size),
    "[1,1,1": ("json", lambda size: b"[" + b"1," * (size // 2) + b"1]"),
    "digits": ("json", lambda size: b"1" * size),
    "blanks": ("json", lambda size: b" " * size + b"1"),
    "escapes": ("json", lambda size: b'"' + b"\\u0041" * (size // 6) + b'"'),
    "keys": (
        "json",
        lambda size: b"{" + b",".join(b'"%d":1' % i for i in range(size // 8)) + b"}",
    ),
    "backslashes": ("json", lambda size: b'"' + b"\\\\" * (size // 2) + b'"'),
}
CALLS = {
    "cbor": refused(lambda data: (Reader(data).skip(), loads(data)), CborError),
    "document": refused(lambda data: find_configuration(data, UE_ID.encode()), DocumentError),
    "problem": problem_of,
    "json": refused(loads_json, JsonError),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_works_no_more_than_linearly(name):
    reader, shape = READERS[name]
    call = CALLS[reader]
    costs = []
    for size in (500, 1000, 2000, 4000, 8000):
        data = shape(size)
        costs.append(lines_in(lambda data=data: call(data)))
        assert costs[-1] <= _START + _PER_BYTE * len(data), (size, costs)
    for cost, double in itertools.pairwise(costs):
        assert double <= 2.2 * cost + _START, costs


def packet(mtype, code, mid, token, options, payload=b""):
    buf = bytearray(70000)
    return bytes(buf[: encode(buf, mtype, code, mid, token, options, payload)])


def asking_ue():
    """A UE that waits for an answer, and what it has asked."""
    ue = ConstrainedUe(ue_settings(), xorshift(3), FakeConfiguration(), RELAY, 0)
    ue.step(0)
    return ue, ue.transmit(0)[1]


def answer(request, code, more, payload=b""):
    options = sorted([*more, (65020, UE_ID.encode())], key=lambda option: option[0])
    mid = request[2] << 8 | request[3]
    return packet(2, code, mid, bytes(request[4:8]), options, payload)


def test_a_datagram_of_any_shape_costs_a_ue_no_more_than_its_length_allows():
    cases = [
        ("empty options", 0x45, [(0, b"")] * 20, b""),
        ("all options", 0x45, [(0, b"")] * 31, b""),
        ("too many options", 0x45, [(0, b"")] * 1000, b""),
        ("ETags", 0x45, [(4, bytes(8))] * 31, b""),
        ("long option", 0x45, [(2048, bytes(1000))], b""),
        *[
            (name, code, [], shape(1000))
            for name, (_, shape) in READERS.items()
            for code in (0x45, 0x84)
        ],
    ]
    for name, code, options, payload in cases:
        ue, request = asking_ue()
        datagram = answer(request, code, options, payload)[:1152]

        def work(ue=ue, datagram=datagram):
            ue.receive(0, datagram, RELAY, 10)
            ue.step(10)
            while ue.transmit(10):
                pass

        cost = lines_in(work)
        assert cost <= _START + _PER_BYTE * len(datagram), (name, hex(code), cost)


def full_relay():
    """A relay whose tables are full: every link and every flow is taken."""
    relay = Relay(relay_settings(max_rate=1000), xorshift(5), SERVER, 0)
    assert relay.link_up(UE_ID.encode(), 0, _UE)
    for n in range(31):
        assert relay.link_up(b"urn:x:%d" % n, 0, ue_address(20 + n))
    for n in range(16):
        resource = ScmRequest("msgin5g", [b"urn:x:%d" % n], b"coap://scm.example")
        relay.receive(0, packet(0, 1, n, b"t", resource.options()), ue_address(20 + n), 0)
        while relay.transmit(0):
            pass
    return relay


def test_a_datagram_of_any_shape_costs_a_relay_no_more_than_its_length_allows():
    plain = ScmRequest("msgin5g", [UE_ID.encode()], b"coap://scm.example").options()
    cases = {"plain": plain, "nothing": []}
    for name, number, value, times in (
        ("queries", 15, b"ue-uri=" + UE_ID.encode(), 30),
        ("empty queries", 15, b"", 55),
        ("paths", 11, b"", 50),
        ("recipients", 65020, b"coap://scm.example", 40),
        ("unsafe options", 2050, b"", 50),
        ("hop limits", 16, b"\x05", 50),
        ("beyond the table", 0, b"", 1000),
        ("long option", 65000, bytes(900), 1),
    ):
        options = list(plain)
        for _ in range(times):
            insert(options, number, value)
        cases[name] = options
    for name, options in cases.items():
        relay = full_relay()
        datagram = packet(0, 1, 4711, bytes(8), options)[:1152]

        def work(relay=relay, datagram=datagram):
            relay.receive(0, datagram, _UE, 10)
            relay.step(10)
            while relay.transmit(10):
                pass
            relay.wait_ms(10)

        cost = lines_in(work)
        assert cost <= 2 * _START + _PER_BYTE * len(datagram), (name, cost)


def asking_gateway():
    """A gateway that waits for an answer for two UEs, and what it has asked."""
    gateway = new_gateway(ues=(1, 2), bulk_count=2)
    for n in (1, 2):
        resource = ScmRequest("msgin5g", [name_of(n).encode()], b"coap://scm.example")
        gateway.receive(0, packet(0, 1, n, b"t", resource.options()), address(n), 0)
    gateway.step(0)
    while True:
        _, datagram, remote = gateway.transmit(0)
        if remote == SERVER:
            return gateway, datagram


def test_an_answer_of_any_shape_costs_a_gateway_no_more_than_its_length_allows():
    for shape_name, (_, shape) in READERS.items():
        for code in (0x45, 0x84):
            gateway, request = asking_gateway()
            mid = request[2] << 8 | request[3]
            datagram = packet(2, code, mid, bytes(request[4:8]), [], shape(1000))[:1152]

            def work(gateway=gateway, datagram=datagram):
                gateway.receive(0, datagram, SERVER, 10)
                gateway.step(10)
                while gateway.transmit(10):
                    pass
                gateway.wait_ms(10)

            cost = lines_in(work)
            limit = 4 * _START + _PER_BYTE_SPLIT * len(datagram)
            assert cost <= limit, (shape_name, code, cost)
