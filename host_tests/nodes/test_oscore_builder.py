"""What the builder makes of a key in the settings: a node that protects, or none at all."""

import os
from binascii import hexlify

from msgin5g_testkit.checks import raises
from msgin5g.builder import Builder
from msgin5g.coap.message import Message, size_of
from msgin5g.coap.numbers import GET
from msgin5g.coap.ticks import add
from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.sequence_store import FILES, SequenceStore, board_mark
from msgin5g.port.flash import Flash
from msgin5g.port.system import board_id
from msgin5g.settings import settings_of

SECRET = bytes(range(16))
ANY = ["127.0.0.1", 0]
SERVER = ["127.0.0.1", 40001]
SECURITY = {
    "mode": "oscore",
    "master_secret": hexlify(SECRET).decode(),
    "sender_id": "07",
    "recipient_id": "01",
}
UE = {"ue_id": "urn:x:1", "bind": ANY, "next_hop": SERVER, "start_delay_s": 0}


def numbers_for(secret, folder, board=None):
    """What a tool that makes a key puts on a board."""
    key = SecurityContext(secret, b"\x07", b"\x01", None).sender_key
    flash = Flash(folder, StorageError)
    assert SequenceStore(flash, key, board_id() if board is None else board).create()


def built(test, values, security=None, prepare=numbers_for, secret=SECRET, runs=True):
    """Call test(node, builder) with the node of these settings."""
    folder = "/tmp/msgin5g-" + hexlify(os.urandom(8)).decode()
    os.mkdir(folder)
    if prepare:
        prepare(secret, folder)
    values = dict(values)
    values["security"] = dict(SECURITY if security is None else security)
    builder = Builder(settings_of(values), folder, None, runs)
    try:
        return test(builder.build(), builder)
    finally:
        builder.close()
        for name in os.listdir(folder):
            os.remove(folder + "/" + name)
        os.rmdir(folder)


def first_sent(node, now):
    """The first datagram that a node sends, as a Message."""
    for _ in range(50):
        node.step(now)
        out = node.transmit(now)
        if out:
            return Message(32).decode(bytes(out[1]))
        now = add(now, 100)
    return None


def test_a_ue_with_a_key_protects_what_it_asks_for():
    def test(node, builder):
        asked = first_sent(node, builder.now)
        assert asked.code == 0x02 and asked.option(9)[-1:] == b"\x07"
        assert builder.settings.ue_id not in str(bytes(asked.view))

    built(test, UE)


def test_a_node_without_a_usable_key_does_not_start():
    def never(node, builder):
        assert False, "it started"

    def copied(secret, folder):
        numbers_for(secret, folder, b"another board")

    def damaged(secret, folder):
        numbers_for(secret, folder)
        for name in FILES:
            with open(folder + "/" + name, "wb") as file:
                file.write(b"MG5N")

    for prepare, secret in (
        (None, SECRET), (copied, SECRET), (damaged, SECRET), (numbers_for, bytes(16))
    ):  # fmt: skip
        with raises(StorageError, "have no numbers for this key on this board") as caught:
            built(never, UE, None, prepare, secret)
        assert SECURITY["master_secret"] not in str(caught.error)
    for missing in ("master_secret", "sender_id", "recipient_id"):
        security = dict(SECURITY)
        del security[missing]
        with raises(StorageError, "no key"):
            built(never, UE, security)
    same = dict(SECURITY)
    same["recipient_id"] = same["sender_id"]
    with raises(StorageError, "that differ"):
        built(never, UE, same)


def test_blocks_are_smaller_where_a_long_ue_id_needs_the_room():
    for size, block_size in ((24, 1024), (64, 1024), (65, 512), (248, 512)):
        values = dict(UE)
        values["ue_id"] = "urn:" + "x" * (size - 4)

        def test(node, builder, block_size=block_size):
            assert node.ue.client.block_size == block_size
            asked = first_sent(node, builder.now)
            assert asked is not None and asked.size <= 1152

        built(test, values)
    small = dict(UE)
    small["block_size"] = 64
    built(lambda node, builder: node.ue.client.block_size == 64 or 1 / 0, small)


def test_the_longest_request_that_the_settings_allow_fits_when_it_is_protected():
    values = dict(UE)
    values["ue_id"] = "urn:" + "u" * 244
    host = "h" * 255
    values["server"] = {"recipient": "coap://scm.example", "host": host, "path_prefix": "p" * 200}
    values["service_id"] = "s" * (512 - 18 - 255 - 200)
    security = dict(SECURITY)
    security["id_context"] = "00" * 16
    security["sender_id"] = "00" * 7

    def test(node, builder):
        client = node.ue.client
        options = client.request.options(b"d" * 255, b"12345678", 0, 6, None)
        security = node.role.endpoint.security
        security.context.sequence = LastNumber()
        _, outer, sealed, _ = security.protect_request(node.role.endpoint, GET, options)
        plain = size_of(b"1234", options)
        assert size_of(b"1234", outer, sealed) <= 1152, plain

    built(test, values, security, None, SECRET, False)


class LastNumber:
    def next(self):
        return (1 << 40) - 1


def test_looking_at_a_node_takes_no_numbers_and_needs_none():
    def test(node, builder):
        assert node.role.endpoint.security is not None

    built(test, UE, None, None, SECRET, False)


def test_a_relay_protects_its_own_request_and_needs_no_key_without_one():
    relay = {
        "role": "relay", "ue_id": "urn:x:1", "bind": ANY, "start_delay_s": 0,
        "server": {"address": SERVER}, "own_configuration": True,
    }  # fmt: skip

    def own(node, builder):
        assert first_sent(node, builder.now).code == 0x02
        security = node.role.endpoint.security
        assert security.protects(node.ue.client) and not security.protects(None)

    built(own, relay)
    relay["own_configuration"] = False

    def plain(node, builder):
        assert node.role.endpoint.security is None

    built(plain, relay, {"mode": "oscore"}, None)


UES = ("urn:x-msgin5g:ue:0007", "urn:x-msgin5g:ue:0008")
ROLES = ("gateway", "seal-c")


def gateway_values(role, **more):
    values = {
        "role": role, "ue_id": "urn:x:1", "bind": ANY, "server": {"address": SERVER},
        "links": {UES[0]: SERVER},
        "seal_c": {"bind": ANY, "peer": SERVER},
    }  # fmt: skip
    values.update(more)
    return values


def gateway_keys(board=None, own_secret=SECRET):
    """`security` with keys of two UEs, as a tool that makes keys puts it on a board."""
    security = dict(SECURITY)
    own = SecurityContext(own_secret, b"\x07", b"\x01", None).sender_key
    ues = {}
    for n, ue_id in enumerate(UES):
        secret = bytes((n,)) * 16
        key = SecurityContext(secret, b"\x07", bytes((n,)), None).sender_key
        mark = board_mark(key, own, board_id() if board is None else board)
        ues[ue_id] = {
            "master_secret": hexlify(secret).decode(),
            "sender_id": "%02x" % n,
            "board": hexlify(mark).decode(),
        }
    security["ues"] = ues
    return security


def test_a_gateway_without_usable_keys_does_not_start():
    for role in ROLES:
        values = gateway_values(role)
        with raises(StorageError, "no key"):
            built(lambda node, builder: None, values, {"mode": "oscore"})
        with raises(StorageError, "have no numbers for this key on this board"):
            built(lambda node, builder: None, values, gateway_keys(), None)
        # The key of a UE is for this board and for this key of the gateway.
        for keys in (gateway_keys(b"another board"), gateway_keys(None, bytes(16))):
            with raises(StorageError, "security.ues " + UES[0] + ": the key is not for") as caught:
                built(lambda node, builder: None, values, keys)
            assert keys["ues"][UES[0]]["master_secret"] not in str(caught.error)
        keys = gateway_keys()
        del keys["ues"][UES[1]]["board"]
        with raises(StorageError, "security.ues " + UES[1]):
            built(lambda node, builder: None, values, keys)


def test_a_gateway_has_a_context_with_each_ue_and_one_with_the_server():
    for role in ROLES:

        def test(node, builder):
            security = node.role.endpoint.security
            assert security.required and security.peers is node.role
            assert sorted([c.peer.decode() for c in security.contexts.values()]) == list(UES)
            assert sorted(security.contexts) == [b"\x00", b"\x01"]
            echoes = [context.echo for context in security.contexts.values()]
            assert len(echoes[0]) == 8 and echoes[0] == echoes[1]
            own = security.client.context
            numbers = [own.sequence.next()]
            for context in security.contexts.values():
                numbers += [context.sequence.next(), context.sequence.next()]
            assert len(set(numbers)) == 5  # one store for all keys
            assert builder.settings.security_ues is None

        built(test, gateway_values(role), gateway_keys())


def test_the_numbers_of_all_keys_of_a_gateway_go_on_after_a_restart():
    used = []
    folder = []

    def keep(secret, to):
        if not folder:
            numbers_for(secret, to)
        else:
            for name in FILES:
                with open(to + "/" + name, "wb") as file:
                    file.write(folder[0][name])

    for _ in range(5):

        def test(node, builder):
            contexts = list(node.role.endpoint.security.contexts.values())
            for i in range(70):
                used.append(contexts[i & 1].sequence.next())
            files = {}
            for name in FILES:
                with open(builder.directory + "/" + name, "rb") as file:
                    files[name] = file.read()
            folder[:] = [files]

        built(test, gateway_values("gateway"), gateway_keys(), keep)
    assert used == sorted(set(used)) and len(used) == 350


def test_a_gateway_may_serve_ues_without_a_key():
    keys = gateway_keys()
    keys["required"] = False
    del keys["ues"]

    def test(node, builder):
        security = node.role.endpoint.security
        assert not security.required and not security.contexts

    built(test, gateway_values("gateway"), keys)


def test_a_gateway_asks_the_server_protected_for_itself_too():
    def test(node, builder):
        asked = first_sent(node, builder.now)
        assert asked.code == 0x02 and asked.option(9)[-1:] == b"\x07"

    values = gateway_values("gateway", own_configuration=True, start_delay_s=0)
    built(test, values, gateway_keys())
    values["seal_c"]["mode"] = "separated"
    built(test, values, gateway_keys())


def test_the_blocks_of_a_gateway_are_smaller_where_a_linked_ue_has_a_long_id():
    long_id = "urn:" + "x" * 244
    values = gateway_values("gateway", links={long_id: SERVER})

    def test(node, builder):
        assert builder.settings.block_size == 512

    built(test, values, gateway_keys())


def test_inspecting_a_gateway_takes_no_numbers_and_needs_none():
    def test(node, builder):
        assert len(node.role.endpoint.security.contexts) == 2

    built(test, gateway_values("gateway"), gateway_keys(b"another board"), None, SECRET, False)
