"""Addresses: literal ones, names that the platform knows or not, and sockets that stay closed."""

from errno import EACCES, EADDRINUSE

from msgin5g_testkit.checks import raises
from msgin5g.port import resolver
from msgin5g.port.remote import host_of, text_of


class Socket:
    """In place of the module `socket`: what getaddrinfo gives or raises, what sockets do."""

    AF_INET = SOCK_DGRAM = 2

    def __init__(self, found=(), error=None):
        self.found = found
        self.error = error
        self.log = []

    def getaddrinfo(self, host, port, family, kind):
        if not isinstance(self.found, (list, tuple)):
            raise self.found
        return [(2, 2, 0, "", address) for address in self.found]

    def socket(self, family, kind):
        if self.error == "none":
            raise OSError(23)
        return self

    def bind(self, address):
        if self.error:
            raise OSError(self.error, "")

    def setblocking(self, blocking):
        self.log.append(blocking)

    def close(self):
        self.log.append("closed")


def with_socket(fake, function, *arguments):
    real = resolver.socket
    resolver.socket = fake
    try:
        return function(*arguments)
    finally:
        resolver.socket = real


def test_what_is_an_address_and_what_is_a_name():
    for host in ("0.0.0.0", "192.168.4.1", "255.255.255.255"):
        assert resolver.is_ipv4(host), host
    for host in (
        "",
        "relay",
        "relay.example",
        "1.2.3",
        "1.2.3.256",
        "1.2.3.4.5",
        "1.2.3.x",
        "::1",
    ):
        assert not resolver.is_ipv4(host), host


def test_a_name_that_the_machine_knows_and_one_that_nobody_knows():
    assert text_of(resolver.look_up("localhost", 65401)) == "127.0.0.1:65401"
    assert resolver.look_up("localhost", 65401) == resolver.resolve("127.0.0.1", 65401)
    assert resolver.look_up("relay.invalid", 65401) is None
    with raises(resolver.TransportError, "address: relay.invalid: not known"):
        resolver.resolve("relay.invalid", 65401)


def test_a_name_with_several_addresses_keeps_the_one_that_is_used():
    a, b = ("192.0.2.1", 1), ("192.0.2.2", 1)
    for found in ((a, b), (b, a)):
        assert with_socket(Socket(found), resolver.look_up, "x", 1, a) == a
        assert with_socket(Socket(found), resolver.look_up, "x", 1) == found[0]
    assert with_socket(Socket((b,)), resolver.look_up, "x", 1, a) == b


def test_an_address_of_bytes_is_a_key_as_well():
    raw = bytearray(b"\2\0\xff\x79\xc0\0\2\1")
    found = with_socket(Socket((raw,)), resolver.look_up, "x", 1)
    assert found == bytes(raw) and {found: 1}[bytes(raw)] == 1
    assert text_of(found) == "192.0.2.1:65401" and host_of(found) == b"\xc0\0\2\1"
    assert text_of(b"\0\x10\xab\xcd\xef\xff") == "00:10:ab:cd:ef:ff"


def test_an_answer_without_an_address_and_an_error_are_not_known():
    for found in ((), OSError(), OSError(-2), ValueError()):
        assert with_socket(Socket(found), resolver.look_up, "x", 1) is None


def test_a_socket_that_cannot_be_bound_is_closed():
    fake = Socket((("192.0.2.1", 1),), 98)
    with raises(resolver.TransportError, "bind: 192.0.2.1:1: "):
        with_socket(fake, resolver.bind, "192.0.2.1", 1)
    assert fake.log == ["closed"]


def test_why_a_socket_cannot_be_bound_is_said_in_words_on_each_platform():
    elsewhere = "cannot assign address: use one of this machine, or 0.0.0.0"
    for error, words in (
        (EADDRINUSE, "in use"),
        (EACCES, "not permitted: use a port above 1023"),
        (99, elsewhere),
        (125, elsewhere),
    ):
        fake = Socket((("192.0.2.1", 1),), error)
        with raises(resolver.TransportError, "bind: 192.0.2.1:1: " + words):
            with_socket(fake, resolver.bind, "192.0.2.1", 1)


def test_a_machine_without_a_socket_left_is_one_line():
    fake = Socket((("192.0.2.1", 1),), "none")
    with raises(resolver.TransportError, "bind: 192.0.2.1:1: "):
        with_socket(fake, resolver.bind, "192.0.2.1", 1)
    assert fake.log == []
