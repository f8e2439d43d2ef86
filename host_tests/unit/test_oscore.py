"""OSCORE: the security context and protected messages (RFC 8613)."""

from binascii import unhexlify

from msgin5g_testkit.checks import load, raises, xorshift
from msgin5g.coap.message import Message, size_of
from msgin5g.coap.numbers import CON, CONTENT, GET, OBSERVE, OSCORE, URI_PATH
from msgin5g.oscore.context import ReplayWindow
from msgin5g.oscore.protect import (
    Binding,
    Protection,
    ProtectionError,
    option_value,
    read_option,
    shortest,
)
from msgin5g.oscore.security import Security, largest_block
from oscore_contexts import RECIPIENT, SALT, Sequence, context, message, pair

load("msgin5g.oscore.protect")

ID_CONTEXT = unhexlify("37cbf3210017a2d3")  # of appendix C.3


def test_keys_and_nonces_are_those_of_rfc_8613_appendix_c():
    rows = (
        (b"", b"\x01", SALT, None, "f0910ed7295e6ad4b54fc793154302ff",
         "ffb14e093c94c9cac9471648b4f98710", "4622d4dd6d944168eefb54987c",
         "4722d4dd6d944169eefb54987c"),
        (b"\x01", b"", SALT, None, "ffb14e093c94c9cac9471648b4f98710",
         "f0910ed7295e6ad4b54fc793154302ff", "4722d4dd6d944169eefb54987c",
         "4622d4dd6d944168eefb54987c"),
        (b"\x00", b"\x01", b"", None, "321b26943253c7ffb6003b0b64d74041",
         "e57b5635815177cd679ab4bcec9d7dda", "bf35ae297d2dace910c52e99f9",
         "bf35ae297d2dace810c52e99f9"),
        (b"\x01", b"\x00", b"", None, "e57b5635815177cd679ab4bcec9d7dda",
         "321b26943253c7ffb6003b0b64d74041", "bf35ae297d2dace810c52e99f9",
         "bf35ae297d2dace910c52e99f9"),
        (b"", b"\x01", SALT, ID_CONTEXT, "af2a1300a5e95788b356336eeecd2b92",
         "e39a0c7c77b43f03b4b39ab9a268699f", "2ca58fb85ff1b81c0b7181b85e",
         "2da58fb85ff1b81d0b7181b85e"),
        (b"\x01", b"", SALT, ID_CONTEXT, "e39a0c7c77b43f03b4b39ab9a268699f",
         "af2a1300a5e95788b356336eeecd2b92", "2da58fb85ff1b81d0b7181b85e",
         "2ca58fb85ff1b81c0b7181b85e"),
    )  # fmt: skip
    for sender, recipient, salt, id_context, key, other_key, nonce, other_nonce in rows:
        it = context(sender, recipient, 0, salt, id_context)
        assert it.sender_key == unhexlify(key) and it.recipient_key == unhexlify(other_key)
        assert it.nonce(True, b"\x00") == unhexlify(nonce)
        assert it.nonce(False, b"\x00") == unhexlify(other_nonce)


def test_a_request_is_protected_as_in_rfc_8613_appendix_c_4_to_c_6():
    rows = (
        (b"", SALT, None, "44015d1f00003974396c6f63616c686f737483747631",
         "44025d1f00003974396c6f63616c686f7374620914ff612f1092f1776f1c1668b3825e"),
        (b"\x00", b"", None, "440171c30000b932396c6f63616c686f737483747631",
         "440271c30000b932396c6f63616c686f737463091400ff4ed339a5a379b0b8bc731fffb0"),
        (b"", SALT, ID_CONTEXT, "44012f8eef9bbf7a396c6f63616c686f737483747631",
         "44022f8eef9bbf7a396c6f63616c686f73746b19140837cbf3210017a2d3ff72cd7273fd331ac45cffbe55c3"),
    )  # fmt: skip
    for kid, salt, id_context, unprotected, want in rows:
        client = context(kid, b"\x01", 20, salt, id_context)
        server = context(b"\x01", kid, 0, salt, id_context)
        plain = Message(8).decode(unhexlify(unprotected))
        protection = Protection(RECIPIENT)
        options = [(3, b"localhost"), (URI_PATH, b"tv1")]
        code, outer, payload, binding = protection.protect_request(client, GET, options, b"")
        got = message(code, CON, plain.mid, plain.token(), outer, payload)
        assert got.view == unhexlify(want), want
        at_server, number = protection.unprotect_request(server, got)
        assert (got.code, got.mid, got.token()) == (GET, plain.mid, plain.token())
        assert [got.numbers[i] for i in range(got.n_options)] == [3, URI_PATH]
        assert got.option(3) == b"localhost" and got.option(URI_PATH) == b"tv1"
        assert (number, at_server.observes) == (20, False)
        assert at_server.blocks == binding.blocks and at_server.nonce == binding.nonce


def test_a_response_is_protected_as_in_rfc_8613_appendix_c_7_and_c_8():
    protection = Protection(RECIPIENT)
    rows = (
        (False, "64445d1f0000397490ffdbaad1e9a7e7b2a813d3c31524378303cdafae119106", None),
        (True, "64445d1f00003974920100ff4d4c13669384b67354b2b6175ff4b8658c666a6cf88e", 0),
    )
    for fresh, want, number in rows:
        client, server = pair()
        binding = Binding(server, b"", b"\x14", False)
        code, outer, payload = protection.protect_response(
            binding, CONTENT, [], b"Hello World!", fresh
        )
        got = message(code, 2, 0x5D1F, unhexlify("00003974"), outer, payload)
        assert got.view == unhexlify(want), fresh
        binding = Binding(client, b"", b"\x14", False)
        partial_iv = protection.unprotect_response(binding, got)
        assert (got.code, got.payload(), partial_iv) == (CONTENT, b"Hello World!", number)


def test_the_recipient_and_observe_stay_outside_and_nothing_else():
    client, server = pair()
    protection = Protection(RECIPIENT)
    options = [(OBSERVE, b""), (URI_PATH, b"su-uc"), (15, b"ue-uri=urn:x:1"), (17, b"\x3c"),
               (RECIPIENT, b"coap://scm.example")]  # fmt: skip
    code, outer, payload, binding = protection.protect_request(client, GET, options, b"x")
    assert code == 0x05 and [number for number, _ in outer] == [OBSERVE, OSCORE, RECIPIENT]
    assert b"urn:x:1" not in bytes(payload) and binding.observes
    got = message(code, CON, 1, b"", outer, payload)
    at_server, _ = protection.unprotect_request(server, got)
    numbers = [got.numbers[i] for i in range(got.n_options)]
    assert numbers == [OBSERVE, URI_PATH, 15, 17, RECIPIENT] and got.payload() == b"x"
    assert got.option(RECIPIENT) == b"coap://scm.example"
    code, outer, payload = protection.protect_response(
        at_server, CONTENT, [(OBSERVE, b"\x01"), (RECIPIENT, b"urn:x:1")], b"d", True
    )
    assert code == CONTENT and [number for number, _ in outer] == [OBSERVE, OSCORE, RECIPIENT]
    got = message(code, CON, 2, b"", outer, payload)
    assert protection.unprotect_response(binding, got) == 0
    assert got.payload() == b"d" and got.option(RECIPIENT) == b"urn:x:1"
    assert got.option(OBSERVE) == b"\0\0\0"  # the number, not what an intermediary may change


def test_a_request_is_taken_once_and_in_any_order_within_32():
    client, server = pair()
    protection = Protection(RECIPIENT)

    def request(number):
        client.sequence = Sequence(number)
        code, outer, payload, _ = protection.protect_request(client, GET, [], b"")
        return message(code, CON, 1, b"tk", outer, payload)

    def taken(number):
        try:
            _, number = protection.unprotect_request(server, request(number))
            server.window.came(number)
        except ProtectionError as error:
            assert str(error) == "oscore_replay"
            return False
        return True

    for number, expected in ((10, 1), (7, 1), (10, 0), (7, 0), (5, 1), (3, 1), (4, 1), (4, 0),
                             (100, 1), (69, 1), (68, 0), (67, 0), (69, 0), (101, 1)):  # fmt: skip
        assert taken(number) == bool(expected), number


def test_a_forged_number_does_not_move_the_window():
    client, server = pair()
    protection = Protection(RECIPIENT)
    client.sequence = Sequence(5000)
    code, outer, payload, _ = protection.protect_request(client, GET, [], b"")
    payload[0] ^= 1
    forged = message(code, CON, 1, b"", outer, payload)
    with raises(ProtectionError, "oscore_not_authentic"):
        protection.unprotect_request(server, forged)
    assert server.window.highest == -1


def test_any_flipped_bit_of_a_protected_response_makes_it_worthless():
    client, server = pair()
    protection = Protection(RECIPIENT)
    _, _, _, binding = protection.protect_request(client, GET, [], b"")
    code, outer, payload = protection.protect_response(
        Binding(server, b"", b"\x00", False), CONTENT, [], b"data"
    )
    start = len(payload)
    whole = message(code, 2, 1, b"tk", outer, payload).view
    for bit in range(8 * (len(whole) - start), 8 * len(whole)):
        changed = bytearray(whole)
        changed[bit >> 3] ^= 1 << (bit & 7)
        it = Message(8).decode(bytes(changed))
        with raises(ProtectionError, "oscore_not_authentic"):
            protection.unprotect_response(binding, it)


def test_the_answer_to_one_request_does_not_answer_another():
    client, server = pair()
    protection = Protection(RECIPIENT)
    _, _, _, first = protection.protect_request(client, GET, [], b"")
    _, _, _, second = protection.protect_request(client, GET, [], b"")
    code, outer, payload = protection.protect_response(
        Binding(server, b"", b"\x00", False), CONTENT, [], b"data"
    )
    it = message(code, 2, 1, b"tk", outer, payload)
    with raises(ProtectionError, "oscore_not_authentic"):
        protection.unprotect_response(second, it)
    protection.unprotect_response(first, it)


def test_the_option_is_as_short_as_section_6_1_has_it():
    rows = (
        (b"\x05", b"", None, b"\x09\x05"),
        (b"\x14", b"\x00", b"\x37\xcb", b"\x19\x14\x02\x37\xcb\x00"),
        (b"", None, None, b"\x00"),
    )
    for partial_iv, kid, kid_context, value in rows:
        assert option_value(partial_iv, kid, kid_context) == value
    assert read_option(b"") == (None, None, None)
    assert read_option(b"\x09\x05") == (b"\x05", b"", None)
    assert read_option(b"\x19\x14\x02\x37\xcb\x00") == (b"\x14", b"\x00", b"\x37\xcb")
    for bad in (b"\x00", b"\x06\1\2\3\4\5\6", b"\x21\x05", b"\x01", b"\x11\x05\x03\x01",
                b"\x01\x05\x07", b"\x09\x0512345678", b"\x11\x05"):  # fmt: skip
        with raises(ProtectionError, "oscore_malformed"):
            read_option(bad)
    for number, partial_iv in ((0, b"\0"), (255, b"\xff"), (256, b"\x01\0"), (65536, b"\1\0\0")):
        assert shortest(number) == partial_iv


def test_random_arrivals_are_judged_as_a_set_of_all_numbers_would():
    window = ReplayWindow()
    random = xorshift(9)
    came = set()
    highest = -1
    for _ in range(2000):
        number = max(0, highest + (random() & 63) - 40)
        may = number > highest or (highest - number < 32 and number not in came)
        assert window.may_come(number) == may, (number, highest)
        if may and random() & 1:
            window.came(number)
            came.add(number)
            highest = max(highest, number)
            came = {n for n in came if highest - n < 64}


def test_after_a_long_gap_the_number_that_came_is_not_taken_again():
    for gap in (31, 32, 33, 1000):
        window = ReplayWindow()
        window.came(5)
        window.came(5 + gap)
        assert not window.may_come(5 + gap) and not window.may_come(5), gap
        assert window.may_come(4 + gap) and window.may_come(6 + gap), gap


def test_the_largest_block_fits_a_message_with_all_that_a_response_may_have():
    server = context(b"1234567", b"\x07", 2**40 - 300)
    protection = Protection(RECIPIENT)
    binding = Binding(server, b"\x07", b"12345", True)
    for n in range(1, 256):
        recipient = b"r" * n
        options = [(4, bytes(8)), (OBSERVE, b"123"), (12, b"\xfd\xe9"), (14, b"1234"),
                   (23, b"123"), (28, b"1234"), (RECIPIENT, recipient)]  # fmt: skip
        block = largest_block(recipient)
        _, outer, sealed = protection.protect_response(
            binding, CONTENT, options, bytes(block), True
        )
        size = size_of(b"1234", outer, sealed)
        assert size <= 1152 and (block == 1024 or size + block > 1152), (n, size)
        assert block == (1024 if n <= 64 else 512), n


def test_protection_adds_14_bytes_to_a_request_and_11_to_a_response():
    client = context(b"\x07", b"\x01")
    protection = Protection(RECIPIENT)
    options = [(URI_PATH, b"su-uc"), (15, b"ue-uri=urn:x:1"), (RECIPIENT, b"coap://scm.example")]
    code, outer, sealed, binding = protection.protect_request(client, GET, options, b"")
    plain = len(message(GET, CON, 1, b"1234", options, b"").view)
    assert len(message(code, CON, 1, b"1234", outer, sealed).view) == plain + 14
    options = [(12, b"\xfd\xe9"), (RECIPIENT, b"urn:x:1")]
    code, outer, sealed = protection.protect_response(binding, CONTENT, options, b"data")
    plain = len(message(CONTENT, 2, 1, b"1234", options, b"data").view)
    assert len(message(code, 2, 1, b"1234", outer, sealed).view) == plain + 11


def test_the_overhead_is_what_protection_adds_to_a_request_at_most():
    longest = [(OBSERVE, b"123"), (URI_PATH, b"su-uc"), (RECIPIENT, b"coap://scm.example")]
    ids = (b"1234567", b"c" * 16, 0), (b"", b"c" * 16, 0), (b"", None, 2)
    for kid, id_context, spare in ids:
        client = context(kid, b"\x01", 2**40 - 2, SALT, id_context)
        security = Security(RECIPIENT, client)
        for options, less in ((longest, 0), (longest[1:], 4)):
            plain = size_of(b"1234", options)
            _, outer, sealed, _ = security.protect_request(None, GET, options)
            added = size_of(b"1234", outer, sealed) - plain
            assert added == security.overhead - spare - less, (kid, id_context, options)


def answered(options=(), code=CONTENT, observes=False, at_server=None, **more):
    """(protection, Binding of the client, a response as it comes)."""
    client, server = pair()
    protection = Protection(RECIPIENT)
    request = [(OBSERVE, b"")] if observes else []
    _, _, _, binding = protection.protect_request(client, GET, request, b"")
    theirs = Binding(server, b"", b"\x00", observes)
    outer_code, outer, payload = (at_server or protection).protect_response(
        theirs, code, list(options), b"data", **more
    )
    return protection, binding, message(outer_code, 2, 1, b"tk", outer, payload)


def rebuilt(got, code=None, more=(), without=()):
    """A message with another outer code, and with other outer options."""
    options = [(got.numbers[i], got.value(i)) for i in range(got.n_options)]
    options = sorted([o for o in options if o[0] not in without] + list(more))
    return message(code or got.code, 2, 1, b"tk", options, got.payload())


def test_a_protected_response_has_outer_code_2_04_or_2_05():
    for code, taken in ((0x44, 1), (0x45, 1), (0x41, 0), (0x43, 0), (0x84, 0), (0xA3, 0)):
        protection, binding, got = answered()
        got = rebuilt(got, code)
        if taken:
            protection.unprotect_response(binding, got)
            assert (got.code, got.payload()) == (CONTENT, b"data"), code
        else:
            with raises(ProtectionError, "oscore_malformed"):
                protection.unprotect_response(binding, got)


def test_a_response_with_the_kid_of_somebody_else_is_not_one():
    for kid, taken in ((b"\x01", True), (b"\x02", False), (b"", False)):
        protection, binding, got = answered(fresh=True)
        got = rebuilt(got, None, [(OSCORE, option_value(b"\x00", kid))], (OSCORE,))
        if taken:
            assert protection.unprotect_response(binding, got) == 0
        else:
            with raises(ProtectionError, "oscore_malformed"):
                protection.unprotect_response(binding, got)


def test_only_the_first_response_may_have_no_number_of_its_own():
    protection, binding, got = answered([(OBSERVE, b"")], CONTENT, True)
    again = rebuilt(got)
    assert protection.unprotect_response(binding, got) is None
    assert got.uint(OBSERVE) == 0
    for newest in (-1, 0, 7):
        binding.newest = newest
        with raises(ProtectionError, "oscore_no_partial_iv"):
            protection.unprotect_response(binding, again)


def test_of_a_response_only_the_recipient_counts_outside():
    more = [(3, b"evil.example"), (7, b"\x01"), (12, b"\x01"), (17, b""), (39, b"coap")]
    protection, binding, got = answered([(12, b"\x3c"), (RECIPIENT, b"urn:x:1")])
    got = rebuilt(got, None, more)
    protection.unprotect_response(binding, got)
    assert [got.numbers[i] for i in range(got.n_options)] == [12, RECIPIENT]
    assert (got.value(0), got.value(1)) == (b"\x3c", b"urn:x:1")


def test_an_inner_recipient_and_an_inner_oscore_option_are_ignored():
    inside = Protection(65100)  # to it the Recipient is an option as any other
    options = [(9, b""), (12, b"\x3c"), (RECIPIENT, b"urn:x:evil")]
    protection, binding, got = answered(options, at_server=inside)
    got = rebuilt(got, None, [(RECIPIENT, b"urn:x:1")])
    protection.unprotect_response(binding, got)
    assert [got.numbers[i] for i in range(got.n_options)] == [12, RECIPIENT]
    assert got.option(RECIPIENT) == b"urn:x:1"


def test_a_response_inside_is_a_response_and_a_request_a_request():
    for code in (GET, 2, 31, 0):
        protection, binding, got = answered((), code)
        with raises(ProtectionError, "oscore_malformed"):
            protection.unprotect_response(binding, got)
    client, server = pair()
    protection = Protection(RECIPIENT)
    for code, is_request in ((CONTENT, False), (32, False), (31, True), (GET, True)):
        _, outer, payload, _ = protection.protect_request(client, code, [], b"")
        got = message(2, CON, 1, b"tk", outer, payload)
        if is_request:
            protection.unprotect_request(server, got)
            assert got.code == code
        else:
            with raises(ProtectionError, "oscore_malformed"):
                protection.unprotect_request(server, got)


def test_a_message_that_was_unprotected_takes_no_more_memory_than_the_protected_one():
    protection, binding, got = answered([(12, b"\x3c"), (RECIPIENT, b"u" * 248)], fresh=True)
    size = len(got.view)
    protection.unprotect_response(binding, got)
    assert len(got.view) < size and got.option(RECIPIENT) == b"u" * 248


def test_a_response_to_a_request_without_observe_is_no_notification():
    protection, binding, got = answered([(OBSERVE, b"\x05")], fresh=True)
    protection.unprotect_response(binding, got)
    assert got.find(OBSERVE) < 0 and got.payload() == b"data"
