"""The configuration management server: limits at their last allowed and first refused value."""

import logging
import os
from types import SimpleNamespace

import pytest
from aiocoap.message import Message
from aiocoap.numbers.codes import CONTENT
from aiocoap.optiontypes import BlockOption
from scm_setup import ACK, CON, GET, POST, UE7, database_in, encode

from msgin5g_tools.scm_server import blocks
from msgin5g_tools.scm_server.aiocoap_internals import MessageManagerByRemote
from msgin5g_tools.scm_server.coap_message import MessageFormatError, decode
from msgin5g_tools.scm_server.connections import Connections
from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.duplicates import Duplicates
from msgin5g_tools.scm_server.faults import Faults
from msgin5g_tools.line_writer import LineWriter
from msgin5g_tools.scm_server.oscore_context import ServerContext
from msgin5g_tools.scm_server.problem import Problem, ScmError
from msgin5g_tools.scm_server.store import Store

HEAD = encode(CON, GET, 1)


def options_of(datagram):
    return [(int(o.number), o.encode()) for o in decode(datagram, None).opt.option_list()]


def test_an_empty_message_is_four_bytes_and_not_one_more():
    assert decode(encode(ACK, "0.00", 7), None).mid == 7
    for more in (b"t", b"tt"):
        with pytest.raises(MessageFormatError):
            decode(encode(ACK, "0.00", 7, more), None)


def test_an_option_number_has_two_bytes():
    last = bytes([0xE0]) + (65534 - 269).to_bytes(2, "big")
    assert options_of(HEAD + last) == [(65534, b"")]
    assert options_of(HEAD + last + b"\x10") == [(65534, b""), (65535, b"")]
    with pytest.raises(MessageFormatError):
        decode(HEAD + last + b"\x20", None)


def test_the_nibble_15_is_no_length_however_many_bytes_follow():
    for head in (0xF0, 0x0F, 0xFE):
        with pytest.raises(MessageFormatError):
            decode(HEAD + bytes([head]) + bytes(600), None)
    with pytest.raises(MessageFormatError):
        decode(bytes([HEAD[0] | 15]) + HEAD[1:] + bytes(600), None)


class Connection:
    def drop(self):
        pass

    def poke(self):
        pass


def test_a_host_has_as_many_connections_as_it_may_have():
    for limit in (1, 2):
        connections = Connections(9, limit, 60, 60, lambda: 0.0)
        opened = [Connection() for _ in range(limit + 1)]
        admitted = [connections.admit(each, "host") for each in opened]
        assert admitted == [True] * limit + [False]
        connections.remove(opened[0])
        assert connections.admit(Connection(), "host"), "the one that was closed made room"


def test_a_host_has_4096_of_the_remembered_requests_and_all_have_32768():
    seen = Duplicates(247, lambda: 0.0)
    for n in range(4097):
        seen.add(("one", 5683, n), b"t")
    assert len(seen) == 4096 and not seen.is_remembered(("one", 5683, 0), b"t")
    for n in range(32768 - 4096 + 1):
        seen.add((f"host-{n}", 5683, 1), b"t")
    assert len(seen) == 32768 and not seen.is_remembered(("one", 5683, 1), b"t")


class Upload:
    """The first block of a body of its own."""

    def __init__(self, n, host, size=16, number=0):
        exponent = size.bit_length() - 5
        self.opt = SimpleNamespace(block1=BlockOption.BlockwiseTuple(number, True, exponent))
        self.opt.size1 = None
        self.remote = SimpleNamespace(
            blockwise_key=(host, n), scheme="coap", hostinfo=f"{host}:{1024 + n}"
        )
        self.payload = bytes(size)

    def get_cache_key(self, ignored):
        return b""


def kept(receiver, uploads):
    """How many of the bodies, whose first block has come, take their second one."""
    n = 0
    for upload in uploads:
        key = upload.remote.blockwise_key
        second = Upload(key[1], key[0], len(upload.payload), 1)
        try:
            receiver.feed(second)
        except Problem:
            continue
        n += 1
    return n


def test_1024_bodies_are_under_way_at_once_64_of_a_host():
    receiver = blocks.Block1Receiver(1 << 16, lambda: 0.0)
    uploads = [Upload(n % 40, f"10.0.0.{n // 40}") for n in range(1025)]
    for upload in uploads:
        receiver.feed(upload)
    assert kept(receiver, uploads[:1]) == 0, "the oldest of those with one block"
    assert kept(receiver, uploads[1:9]) == 8
    receiver = blocks.Block1Receiver(1 << 16, lambda: 0.0)
    uploads = [Upload(n, "10.0.0.1") for n in range(65)]
    for upload in uploads:
        receiver.feed(upload)
    assert kept(receiver, uploads[1:]) == 64 and kept(receiver, uploads[:1]) == 0


def test_all_bodies_together_have_64_times_the_bytes_of_the_longest_one():
    receiver = blocks.Block1Receiver(64, lambda: 0.0)
    uploads = [Upload(n % 40, f"10.0.0.{n // 40}", 64) for n in range(65)]
    for upload in uploads:
        receiver.feed(upload)
    left = Upload(0, "10.0.0.0", 64, 1)
    with pytest.raises(Problem, match="does not follow"):
        receiver.feed(left)
    for n, upload in enumerate(uploads[1:], 1):
        with pytest.raises(Problem, match="longer than 64 bytes"):
            receiver.feed(Upload(n % 40, upload.remote.blockwise_key[0], 64, 1))


def cut(n_bytes, token=b"", block2=None, scheme="coap", options=()):
    """The response with a payload of so many bytes, cut."""
    remote = SimpleNamespace(
        scheme=scheme, maximum_block_size_exp=blocks.BERT, maximum_payload_size=4096
    )
    asked = None if block2 is None else BlockOption.BlockwiseTuple(*block2)
    request = SimpleNamespace(
        opt=SimpleNamespace(block2=asked, size2=None), remote=remote, token=token
    )
    message = Message(code=CONTENT, payload=bytes(n_bytes))
    for name, value in options:
        setattr(message.opt, name, value)
    blocks.cut(message, request)
    return message


def test_twelve_bytes_are_kept_for_block2_and_size2():
    for n, exponent in ((111, 6), (112, 5)):  # 1152 - 5 - 12 - 1024 = 111
        message = cut(5000, bytes(n))
        assert message.opt.block2.size_exponent == exponent, n
        assert len(message.payload) == 1 << exponent + 4


def test_a_body_with_exactly_the_room_of_a_datagram_or_of_a_block_is_whole():
    for n_token, whole in ((123, 1024), (124, 1023)):  # 1152 - 5 - 1024 = 123
        assert len(cut(whole, bytes(n_token)).payload) == whole
        assert cut(whole, bytes(n_token)).opt.block2 is None
        assert cut(whole + 1, bytes(n_token)).opt.block2.more


def test_several_blocks_in_one_message_are_for_connections_alone():
    message = cut(6000, block2=(0, False, blocks.BERT), scheme="coap+tcp")
    assert len(message.payload) == 3072 and tuple(message.opt.block2) == (0, True, blocks.BERT)
    message = cut(6000, block2=(3, False, blocks.BERT), scheme="coap+tcp")
    assert len(message.payload) == 6000 - 3072 and not message.opt.block2.more
    with pytest.raises(Problem, match="size exponent 7"):
        cut(6000, block2=(0, False, blocks.BERT))


class Loop:
    """The timers of an event loop, which a test lets run out one by one."""

    def __init__(self):
        self.timers = []

    def call_later(self, delay_s, function, *arguments):
        timer = SimpleNamespace(run=lambda: function(*arguments))
        timer.cancel = lambda: self.timers.remove(timer) if timer in self.timers else None
        self.timers.append(timer)
        return timer

    def run_next(self):
        self.timers.pop(0).run()


class Remote(str):
    is_multicast = is_multicast_locally = False
    scheme = "coap"

    def as_response_address(self):
        return self


def messages():
    """(manager, loop, what it sent, whom its observers are told to be gone)."""
    loop, sent, gone = Loop(), [], []
    tokens = SimpleNamespace(log=logging.getLogger("test"), loop=loop)
    tokens.dispatch_error = lambda error, remote: gone.append(remote)
    manager = MessageManagerByRemote(tokens, lambda remote: (str(remote), 5683))
    manager.message_interface = SimpleNamespace(send=sent.append)
    return manager, loop, sent, gone


def notify(manager, remote):
    message = Message(code=CONTENT, payload=b"x")
    message.remote = remote
    manager.send_message(message, lambda: None)


def test_an_error_of_a_peer_ends_its_exchange_also_after_a_retransmission():
    for n_sent in (1, 2, 4):
        manager, loop, sent, gone = messages()
        peer = Remote("gone")
        notify(manager, peer)
        for _ in range(n_sent - 1):
            loop.run_next()
        assert len(sent) == n_sent and len(loop.timers) == 1
        manager.dispatch_error(ConnectionRefusedError(), peer)
        assert gone == [peer] and loop.timers == [], "nothing is sent to it again"
        notify(manager, peer)
        assert len(sent) == n_sent + 1, "nothing is in the way of a new one"


def test_a_notification_that_nobody_acknowledges_is_given_up_after_four_retransmissions():
    manager, loop, sent, gone = messages()
    peer = Remote("silent")
    for _ in range(2):
        notify(manager, peer)
        while loop.timers:
            loop.run_next()
    assert len(sent) == 10 and gone == [peer, peer]


def test_who_cannot_own_a_key_is_told_why_also_when_it_is_rotated(tmp_path):
    with Store(database_in(tmp_path)) as store:
        contexts = Contexts(store)
        for work in (contexts.add, contexts.rotate):
            with pytest.raises(ScmError, match=r"^ue: 'no uri' "):
                work(UE, "no uri")
        with pytest.raises(ScmError, match="has no key to rotate"):
            contexts.rotate(UE, UE7)


def test_an_error_that_goes_on_is_told_again_after_exactly_a_minute():
    for passed_s, n_told in ((59.9, 1), (60.0, 2)):
        now, lines = [1000.0], []
        faults = Faults(lines.append, lambda now=now: now[0])
        for _ in range(3):
            faults("the disk is full")
        now[0] += passed_s
        faults("the disk is full")
        assert len(lines) == n_told, passed_s


def test_a_request_that_is_not_authentic_is_none_of_ours(tmp_path):
    with Store(database_in(tmp_path)) as store:
        row = Contexts(store).add(UE, UE7)
    option = (9, b"\x09\x00" + row.kid)
    for ciphertext in (bytes(9), bytes(20), b"\xff" * 200):
        request = decode(encode(CON, POST, 1, b"t", [option], ciphertext), None)
        context = ServerContext(row, lambda count, skipped: 0)
        assert context.open(request) is None, len(ciphertext)


def test_lines_beyond_the_queue_are_dropped_and_counted_while_the_reader_hangs():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    full = os.write(writer, b"x" * 10**6)
    os.set_blocking(writer, True)
    lines = LineWriter(writer, "{} dropped".format, max_lines=1)
    n_written = 0
    while lines.n_dropped < 3 and n_written < 100:  # one is being written, one waits
        lines.write("line")
        n_written += 1
    assert lines.n_dropped == 3 and n_written <= 5
    os.read(reader, full)
    lines.close(timeout_s=5)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        found = pipe.read().splitlines()
    assert found.count("line") == n_written - 3 and found.count("3 dropped") == 1
