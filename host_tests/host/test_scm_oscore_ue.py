"""Our UE on real MicroPython, a relay without a key, and the configuration server with OSCORE."""

import json
import random
import signal

import peers
from addresses import host
from board_tools import wait_until
from proxy import Proxy
from scm_setup import UE7, decode

from msgin5g.config.store import StorageError
from msgin5g.oscore.context import SecurityContext
from msgin5g.oscore.sequence_store import SequenceStore
from msgin5g.port.flash import Flash
from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.security import read_option
from msgin5g_tools.scm_server.store import Store

OSCORE = 9
PUSH_S = 60  # a notification is repeated after 2 to 3 s, then after twice as long
QUICK = {"ack_timeout_ms": 100, "max_retransmit": 8}


def provide(folder, address, key):
    """Give the UE that will run at this address its key, and numbers for it."""
    place = folder / address
    place.mkdir()
    keys = {"master_secret": key.secret, "sender_id": key.kid, "recipient_id": key.server_id}
    secrets = {"security": {name: value.hex() for name, value in keys.items()}}
    (place / "secrets.json").write_text(json.dumps(secrets))
    sender_key = SecurityContext(key.secret, key.kid, key.server_id, None).sender_key
    assert SequenceStore(Flash(str(place), StorageError), sender_key, b"").create()


def check_numbers(log):
    """Each (sender, Partial IV) has protected one text, and nothing was readable; how many."""
    texts = {}
    for passed in log:
        message = decode(passed.datagram)
        assert b"ue-uri" not in passed.datagram and b"MSGin5G-" not in passed.datagram
        if OSCORE not in message.options:
            continue
        partial_iv, _, _ = read_option(message.options[OSCORE][0])
        assert partial_iv is not None, "a response with the nonce of its request"
        number = int.from_bytes(partial_iv, "big")
        assert texts.setdefault((passed.up, number), message.payload) == message.payload, number
    return len(texts)


def test_each_answer_of_the_server_reaches_its_ue_through_losses_kills_and_restarts(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        key = Contexts(store).add(UE, UE7)
    chance = random.Random(12)
    ue_host, server_address = host(), (host(), 5683)
    provide(tmp_path, ue_host, key)
    printed = []

    def change(function):
        with Store(tmp_path / "scm.db") as store:
            function(store)

    def put(name, **more):
        change(lambda store: store.put("msgin5g", "ue-0007", peers.document(UE7, name, **more)))

    def start_server():
        options = ("--require-security", "--max-age", "4")
        made = peers.ScmProcess(tmp_path, *options, bind=server_address)
        printed.append(made.output)
        return made

    def start_ue(relay):
        made = peers.ue(
            tmp_path,
            relay.address,
            heap="384K",
            host=ue_host,
            observe=True,
            security={"mode": "oscore"},
            max_document_size=30000,
            transmission=QUICK,
            retry={"first_s": 1, "max_s": 2},
            refresh={"min_s": 1},
        )
        printed.append(made.output)
        return made

    def is_push(line):
        return '"notified"' in line and '"2.05"' in line

    def is_lost(passed):
        return chance.randrange(5) == 0

    put("first", configName="y" * 20_000)
    with Proxy(server_address, lose=is_lost) as proxy:
        links = {UE7: (ue_host, peers.PORT)}
        with peers.relay(tmp_path, proxy.address, links, transmission=QUICK) as relay:
            server, ue = start_server(), start_ue(relay)
            try:
                name = "MSGin5G-UE-Service-id"
                applied = ue.event("applied", timeout_s=PUSH_S)
                assert applied["configuration"][name] == "first@example.com"
                ue.event("unchanged", timeout_s=PUSH_S)  # it observes now
                put("pushed")
                applied = ue.event("applied", timeout_s=PUSH_S)
                assert applied["configuration"][name] == "pushed@example.com"
                # Its line may come after the datagram, and a kill would take it.
                wait_until(lambda: any(map(is_push, server.output)))

                ue.signal(signal.SIGKILL)
                server.signal(signal.SIGKILL)
                server, ue = start_server(), start_ue(relay)
                for _ in range(3):  # after the start, when it observes, and after Max-Age
                    ue.event("unchanged", timeout_s=PUSH_S)

                change(lambda store: store.deny(UE7))
                assert ue.event("rejected", timeout_s=PUSH_S)["code"] == "4.03"
                server.signal(signal.SIGKILL)
                server = start_server()
                change(lambda store: store.delete("msgin5g", "ue-0007"))
                change(lambda store: store.allow(UE7))
                while ue.event("rejected", timeout_s=PUSH_S)["code"] != "4.04":
                    pass
                put("again")
                applied = ue.event("applied", timeout_s=PUSH_S)
                assert applied["configuration"][name] == "again@example.com"
            finally:
                counters = ue.counters()
                server.stop()
    assert "oscore_not_authentic" not in counters and "oscore_no_number" not in counters
    codes = {json.loads(line)["code"] for out in printed for line in out if '"code": "' in line}
    assert {"2.05", "2.03", "4.03", "4.04", "4.01"} <= codes
    assert proxy.lost and check_numbers(proxy.log) > 60
    shown = "".join(line for out in printed for line in out)
    for i in range(9):
        piece = key.secret[i : i + 8]
        assert piece.hex() not in shown and repr(piece)[2:-1] not in shown
