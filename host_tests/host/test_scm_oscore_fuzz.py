"""The configuration server under OSCORE: messages of any kind, and No-Response."""

import logging

from aiocoap.numbers import codes
from msgin5g_testkit.checks import xorshift
from oscore_client import KeyHolder
from scm_setup import COLLECTION, UE7, Scm, document

from msgin5g_tools.scm_server.contexts import UE, Contexts
from msgin5g_tools.scm_server.store import Store

N = 1500


def test_a_damaged_message_changes_nothing_is_no_error_of_the_server_and_disturbs_nobody(
    tmp_path, caplog
):
    with Store(tmp_path / "scm.db") as store:
        key = Contexts(store).add(UE, UE7)
        store.put("msgin5g", "ue-0007", document(UE7))
    random = xorshift(8613)
    with Scm(tmp_path) as scm, scm.client() as client, scm.client() as other:
        ue = KeyHolder(client, key)
        assert ue.ask(path=f"{COLLECTION}/ue-0007").code == codes.CONTENT
        for _ in range(N):
            datagram = bytearray(ue.protect(path=f"{COLLECTION}/ue-0007", observe=0)[0])
            for _ in range(1 + random() % 3):
                at = random() % len(datagram)
                kind = random() % 3
                if kind == 0 and at > 3:
                    del datagram[at:]
                elif kind == 1:
                    datagram[at] ^= 1 << random() % 8
                else:
                    datagram[at:at] = bytes((random() & 0xFF,))
                if len(datagram) < 9:
                    break
            client.send(bytes(datagram))
            while client.receive(0.002) is not None:
                pass
        ue.client = other
        assert ue.ask(token=b"end").code == codes.CONTENT
        assert scm.call(lambda store: store.names()) == [("msgin5g", "ue-0007")]
    assert [r for r in caplog.records if r.levelno >= logging.ERROR] == []


def test_no_response_inside_counts(tmp_path):
    with Store(tmp_path / "scm.db") as store:
        key = Contexts(store).add(UE, UE7)
        store.put("msgin5g", "ue-0007", document(UE7))
    with Scm(tmp_path) as scm, scm.client() as client:
        ue = KeyHolder(client, key)
        ue.ask()
        for path, no_response, expected in (
            (COLLECTION, 2, None),
            (COLLECTION, 8, codes.CONTENT),
            ("nowhere", 8, None),
            ("nowhere", 2, codes.NOT_FOUND),
        ):
            datagram, identifiers = ue.protect(path=path, no_response=no_response, token=b"n")
            client.send(datagram)
            if expected is None:
                assert client.receive().code == "0.00", (path, no_response)
            else:
                assert ue.receive(identifiers).code == expected, (path, no_response)
