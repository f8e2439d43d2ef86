"""The configuration management server: who may ask, in bulk or alone, and what is stored."""

import cbor2
import pytest
from scm_setup import (
    COLLECTION,
    DELETE,
    ECHO,
    ETAG,
    MAX_AGE,
    OBSERVE,
    PUT,
    UE7,
    UE8,
    Scm,
    document,
    ids,
    problem,
)
from scm_setup import recipient as recipient_of

from msgin5g_tools.scm_server import site
from msgin5g_tools.scm_server.problem import ScmError
from msgin5g_tools.scm_server.rate_limiter import RateLimiter
from msgin5g_tools.scm_server.settings import Settings
from msgin5g_tools.scm_server.echo import Verifier

pytestmark = pytest.mark.usefixtures("each_engine")

FLAG = "bulkConfFlag=msgin5g-bulk"
DENIED = "urn:x-msgin5g:ue:denied"
DOC = f"{COLLECTION}/ue-0007"


@pytest.fixture
def scm(tmp_path):
    with Scm(tmp_path) as server, server.client() as client:
        client.put("ue-0007", document(UE7))
        client.put("ue-0008", document(UE8))
        server.call(lambda store: store.deny(DENIED))
        yield server


def test_bulk_takes_repeated_options_and_comma_lists_and_both(scm):
    with scm.client() as client:
        for query in (
            [FLAG, f"ue-uri={UE7}", f"ue-uri={UE8}"],
            [f"ue-uri={UE7}", f"ue-uri={UE8}", FLAG],
            [FLAG, f"ue-uri={UE7},{UE8}"],
            [FLAG, f"ue-uri={UE7},{UE8}", f"ue-uri={UE7}", "ue-uri=urn:x-msgin5g:ue:none"],
        ):
            answer = client.get(*query)
            assert ids(answer) == ["ue-0007", "ue-0008"], query
            assert recipient_of(answer) is None
        assert ids(client.get(FLAG, "ue-uri=urn:a:1", "ue-uri=urn:a:2")) == [], "not a 4.04"
        one = client.get(FLAG, f"ue-uri={UE7}")
        assert ids(one) == ["ue-0007"] and recipient_of(one) == UE7


def test_a_comma_that_no_scheme_follows_is_part_of_the_uri(scm):
    with scm.client() as client:
        uri = "urn:x-msgin5g:ue:a,b"
        client.put("comma", document(uri))
        answer = client.get(f"ue-uri={uri}")
        assert ids(answer) == ["comma"] and recipient_of(answer) == uri
        assert ids(client.get(FLAG, f"ue-uri={UE7},{uri}")) == ["comma", "ue-0007"]


def test_bulk_without_the_flag_or_with_a_wrong_one_is_400(tmp_path):
    with Scm(tmp_path, bulk_id="other") as scm, scm.client() as client:
        two = [f"ue-uri={UE7}", f"ue-uri={UE8}"]
        for query in (two, [f"ue-uri={UE7},{UE8}"], [FLAG, *two], ["bulkConfFlag=", *two]):
            answer = client.get(*query)
            assert answer.code == "4.00" and "bulkConfFlag" in problem(answer)[-2], query
            assert recipient_of(answer) is None
        assert ids(client.get("bulkConfFlag=other", *two)) == []
        put = client.ask(PUT, DOC, [FLAG, f"ue-uri={UE7}"], payload=cbor2.dumps(document()))
        assert put.code == "4.00", "the flag of another bulk"


def test_a_denied_ue_gets_403_alone_and_spoils_a_bulk(scm):
    with scm.client() as client:
        for query in ([f"ue-uri={DENIED}"], [FLAG, f"ue-uri={UE7}", f"ue-uri={DENIED}"]):
            answer = client.get(*query)
            assert answer.code == "4.03" and DENIED in problem(answer)[-2], query
        scm.call(lambda store: store.allow(DENIED))
        assert client.get(f"ue-uri={DENIED}").code == "4.04"


def test_a_denied_ue_that_leaves_out_ue_uri_gets_no_document(scm):
    with scm.client() as client:
        made = document(UE7, ueVendors=["acme"])
        made["valUeIds"]["imeiRanges"] = [{"tac": "12345678"}]
        client.put("ue-0007", made)
        asked = ((), ("ue-vendor=acme",), ("ue-type=12345678",), ("ue-snr=5",))
        for query in asked:
            assert "ue-0007" in ids(client.get(*query)), query
        assert client.get(path=DOC).code == "2.05"
        scm.call(lambda store: store.deny("URN:x-msgin5g:ue:0007"))
        for query in asked:
            assert "ue-0007" not in ids(client.get(*query)), query
        answer = client.get(path=DOC)
        assert answer.code == "4.03" and "ue-uri" in problem(answer)[-2]
        assert ids(client.get()) == ["ue-0008"] and client.get(path=f"{COLLECTION}/ue-0008")
        scm.call(lambda store: store.allow(UE7))
        assert client.get(path=DOC).code == "2.05"


def test_an_observer_without_ue_uri_hears_that_the_ue_of_its_document_is_denied(scm):
    with scm.client() as client:
        assert client.get(path=DOC, options=[(OBSERVE, b"")]).code == "2.05"
        scm.call(lambda store: store.deny(UE7))
        assert client.receive().code == "4.03"


def test_a_host_above_its_rate_gets_429_with_max_age_and_others_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(site, "RateLimiter", lambda rate, now: RateLimiter(rate, lambda: 0.0))
    with (
        Scm(tmp_path, max_rate=5) as scm,
        scm.client() as client,
        scm.client("127.0.0.9") as other,
    ):
        codes = [client.get().code for _ in range(10)]
        assert codes == ["2.05"] * 10, "the requests of two seconds at once"
        answer = client.get(f"ue-uri={UE7}")
        assert answer.code == "4.29"
        assert answer.options[MAX_AGE] == [b"\x01"] and "5 requests" in problem(answer)[-2]
        assert recipient_of(answer) == UE7
        assert other.get().code == "2.05"


def test_the_wait_of_a_host_is_the_time_until_it_has_a_request_again():
    now = [0.0]
    limiter = RateLimiter(10, lambda: now[0])
    assert [limiter.wait_s("a") for _ in range(20)] == [0] * 20
    assert 0 < limiter.wait_s("a") <= 0.11, "and a refused request costs nothing"
    assert 0 < limiter.wait_s("a") <= 0.11
    assert limiter.wait_s("b") == 0
    now[0] = 0.1
    assert limiter.wait_s("a") == 0 and limiter.wait_s("a") > 0
    now[0] = 100.0
    assert [limiter.wait_s("a") for _ in range(20)] == [0] * 20 and limiter.wait_s("a") > 0
    for n in range(10_000):
        limiter.wait_s(f"host-{n}")
    assert limiter.wait_s("a") == 0, "forgotten: the table is limited"


def test_the_rate_is_limited_unless_the_server_is_bound_to_loopback():
    assert Settings(db="x").max_rate == 0
    assert Settings(db="x", bind=("0.0.0.0", 5683)).max_rate == 200
    assert Settings(db="x", bind=("0.0.0.0", 5683), max_rate=0).max_rate == 0


def test_another_spelling_of_the_scheme_or_host_of_a_denied_ue_is_403_on_the_wire(scm):
    scm.call(lambda store: store.deny("MQTT://Broker.Example/ue/B"))
    with scm.client() as client:
        for denied in (
            "URN:x-msgin5g:ue:denied",
            "Urn:x-msgin5g:ue:denied",
            "mqtt://broker.example/ue/B",
            "mqtt://BROKER.example/ue/B",
        ):
            for query, path in (
                ([f"ue-uri={denied}"], COLLECTION),
                ([f"ue-uri={denied}"], DOC),
                ([FLAG, f"ue-uri={UE7}", f"ue-uri={denied}"], COLLECTION),
                ([FLAG, f"ue-uri={UE7},{denied}"], COLLECTION),
            ):
                answer = client.get(*query, path=path)
                assert answer.code == "4.03" and denied in problem(answer)[-2], query
        # The case of all the rest counts: these are other UEs.
        for other in ("urn:x-msgin5g:ue:Denied", "urn:X-msgin5g:ue:denied", "mqtt://x/ue/b"):
            assert client.get(f"ue-uri={other}").code == "4.04", other


def test_only_entitled_gateways_may_ask_in_bulk_once_one_is_named(tmp_path):
    bulk = [FLAG, f"ue-uri={UE7}", f"ue-uri={UE8}"]
    with (
        Scm(tmp_path, gateways=("127.0.0.9",)) as scm,
        scm.client("127.0.0.9") as named,
        scm.client("127.0.0.10") as listed,
        scm.client("127.0.0.11") as stranger,
    ):
        scm.call(lambda store: store.entitle("127.0.0.10"))
        assert (named.get(*bulk).code, listed.get(*bulk).code) == ("2.05", "2.05")
        answer = stranger.get(*bulk)
        assert answer.code == "4.03" and "127.0.0.11" in problem(answer)[-2]
        assert stranger.get(f"ue-uri={UE7}").code == "4.04", "alone anybody may ask"
        scm.call(lambda store: store.withdraw("127.0.0.10"))
        assert listed.get(*bulk).code == "4.03"


def test_a_document_that_names_other_ues_is_not_given_away(scm):
    with scm.client() as client:
        client.put("all", document())
        client.put("imei", document(valUeIds={"imeiRanges": [{"tac": "12345678"}]}))
        for doc_id, uri, code in (
            ("ue-0007", UE7, "2.05"),
            ("ue-0007", UE8, "4.03"),
            ("ue-0007", DENIED, "4.03"),
            ("all", UE8, "2.05"),
            ("imei", UE8, "2.05"),  # a URI cannot tell
        ):
            answer = client.get(f"ue-uri={uri}", path=f"{COLLECTION}/{doc_id}")
            assert answer.code == code and recipient_of(answer) == uri, (doc_id, uri)
        assert client.get(FLAG, f"ue-uri={UE7}", path=DOC).code == "4.00", "bulk of one document"
        assert client.put("ue-0007", document(), FLAG, f"ue-uri={UE7}").code == "4.00"


def test_a_strict_relay_is_spared_the_codes_that_it_would_drop(tmp_path):
    with Scm(tmp_path, strict_relay=True, recipient="coap://scm") as scm, scm.client() as client:
        for query, options in (
            (["ue-type=1"], []),
            ([f"ue-uri={UE7}"], [(65020, b"coap://x")]),
        ):
            assert problem(client.get(*query, options=options))[-4] == 0x83
        assert client.get(options=[(17, b"2")]).code == "4.06", "the others stay"


def test_read_only_refuses_every_change(tmp_path):
    with Scm(tmp_path, read_only=True) as scm, scm.client() as client:
        assert client.put("a", document()).code == "4.03"
        assert client.ask(DELETE, DOC).code == "4.03"
        assert client.ask("0.02", payload=cbor2.dumps(document())).code == "4.03"
        assert client.get().code == "2.05"


def test_a_condition_guards_a_document(scm):
    with scm.client() as client:
        (tag,) = client.get(path=DOC).options[ETAG]
        new = document(UE7, configName="new")
        assert client.put("ue-0007", new, options=[(1, b"12345678")]).code == "4.12"
        assert client.put("ue-0007", new, options=[(5, b"")]).code == "4.12"
        assert client.put("none", new, options=[(1, b"")]).code == "4.12"
        assert client.get(path=DOC).options[ETAG] == [tag]
        assert client.put("ue-0007", new, options=[(1, b"x"), (1, tag)]).code == "2.04"
        assert client.ask(DELETE, DOC, options=[(1, tag)]).code == "4.12"
        assert client.put("new", new, options=[(5, b"")]).code == "2.01"
        assert problem(client.get(options=[(1, tag)]))[-8] == 1, "not on a collection"


def test_a_body_that_is_no_document_is_refused_with_the_place(scm):
    config = {"configType": "COMMON", "configData": "{}"}
    cases = [
        (document(valServiceDomain=None), "4.22", "valServiceDomain"),
        ({"configName": "x"}, "4.22", "valServiceDomain: is missing"),
        (document(valServiceDomain=""), "4.22", "valServiceDomain"),
        (document(valServiceId="other"), "4.22", "valServiceId"),
        (document(ueConfigDocId="other"), "4.22", "ueConfigDocId"),
        (document(UeConfigDocId="other"), "4.22", "ueConfigDocId"),
        (document(configName=1), "4.22", "configName"),
        (document(ueConfigs=[]), "4.22", "ueConfigs"),
        (document(ueConfigs=[config, config]), "4.22", "ueConfigs[1].configType"),
        (document(ueConfigs=[{"configType": "COMMON"}]), "4.22", "ueConfigs[0].configData"),
        (document(ueConfigs=[{**config, "configData": {}}]), "4.22", "configData"),
        (document(valUeIds=[]), "4.22", "valUeIds"),
        (document(valUeIds={"uris": []}), "4.22", "valUeIds.uris"),
        (document(valUeIds={"uris": ["no uri"]}), "4.22", "valUeIds.uris[0]"),
        (document(valUeIds={"imeiRanges": [{}]}), "4.22", "imeiRanges[0].tac"),
        (document(valUeIds={"imeiRanges": [{"tac": 12345678}]}), "4.22", "imeiRanges[0].tac"),
        (_span("2", "1"), "4.22", "snrRange"),
        (_span("1", None), "4.22", "snrRange.high"),
        (document(x=[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]), "4.00", "depth"),
        ({**document(), 1: 2}, "4.22", "1"),
        ([], "4.22", "map"),
        ("text", "4.22", "map"),
    ]
    with scm.client() as client:
        for made, code, named in cases:
            answer = client.put("ue-0007", made)
            assert answer.code == code and named in problem(answer)[-2], (made, answer.payload)
        raw = {
            b"": "empty",
            b"\xa1": "CBOR",
            b"\xa0\xa0": "follow",
            bytes.fromhex("a26161016161f6"): "uplicate",
            bytes.fromhex("a16161d81c81d81d00"): "tags",
            b"\x81" * 60000: "",
        }
        for body, named in raw.items():
            answer = client.ask(PUT, DOC, payload=body[:4000])
            assert answer.code == "4.00" and named in problem(answer)[-2], (body[:9], answer)
        assert cbor2.loads(client.get(path=DOC).payload)["valUeIds"] == {"uris": [UE7]}


def _span(low, high):
    span = {"low": low} if high is None else {"low": low, "high": high}
    return document(valUeIds={"imeiRanges": [{"tac": "12345678", "snrRange": span}]})


def test_an_unverified_source_echoes_before_it_gets_much_or_changes_anything(tmp_path):
    query = f"ue-uri={UE7}"
    with Scm(tmp_path, echo=True) as scm, scm.client() as client, scm.client() as other:
        refused = client.put("big", document(UE7, configName="x" * 400), query)
        (echo,) = refused.options[ECHO]
        assert refused.code == "4.01" and problem(refused) and recipient_of(refused) == UE7
        wrong = other.put("big", document(UE7), options=[(ECHO, echo)])
        assert wrong.code == "4.01", "an Echo is good for one endpoint"
        made = client.put(
            "big", document(UE7, configName="x" * 400), query, options=[(ECHO, echo)]
        )
        assert made.code == "2.01"
        assert len(client.get(query).payload) > 400, "once verified, verified for a while"
        small = other.get("ue-uri=urn:a:none")
        assert small.code == "4.04", "a small answer needs no proof"
        client.put("small", document(UE7))
        path = f"{COLLECTION}/small"
        assert other.get(query, path=path).code == "2.05"
        observed = other.get(query, path=path, options=[(OBSERVE, b"")])
        assert observed.code == "4.01", "more may follow"
        large = other.get(query)
        assert large.code == "4.01" and large.size <= 3 * 110
        assert other.get(query, options=[(ECHO, large.options[ECHO][0])]).code == "2.05"
        forged = other.get(query, options=[(ECHO, b"12345678")])
        assert forged.code == "2.05", "verified already"


def test_an_echo_value_is_good_for_a_minute_and_a_verified_source_for_five():
    now = [1000.0]
    verifier = Verifier(lambda: now[0])
    early = verifier.value("127.0.0.1:5")
    assert not verifier.check("127.0.0.1:5", None)
    now[0] += 61
    assert not verifier.check("127.0.0.1:5", early)
    assert verifier.check("127.0.0.1:5", verifier.value("127.0.0.1:5"))
    now[0] += 299
    assert verifier.check("127.0.0.1:5", None)
    now[0] += 2
    assert not verifier.check("127.0.0.1:5", None)


def test_the_oldest_of_too_many_verified_sources_is_asked_for_echo_again():
    now = [1000.0]
    verifier = Verifier(lambda: now[0], max_verified=4096)

    def verify(n):
        return verifier.check(f"host:{n}", verifier.value(f"host:{n}"))

    def is_verified(n):
        return verifier.check(f"host:{n}", None)

    assert all(verify(n) for n in range(4096))
    assert all(is_verified(n) for n in range(4096))
    assert verify(2) and is_verified(0)  # once more: no other goes, and it is the newest now
    for n, dropped in ((4096, 0), (4097, 1), (4098, 3), (4099, 4)):
        assert is_verified(dropped) and verify(n)
        assert not is_verified(dropped) and is_verified(dropped + 1) and is_verified(2), n
    assert not verifier.check("host:0", b"12345678") and verify(0)


def test_settings_that_are_wrong_are_one_line(tmp_path):
    db = str(tmp_path / "x.db")
    for wrong, named in (
        ({"recipient": "no uri"}, "recipient"),
        ({"recipient_option": 15}, "recipient option"),
        ({"recipient_option": 70000}, "recipient option"),
        ({"recipient_option": 292}, "another option"),
        ({"content_format": -1}, "content format"),
        ({"max_age": 2**32}, "max age"),
        ({"max_body": 0}, "max body"),
        ({"bulk_id": ""}, "bulk id"),
        ({"gateways": ("gateway.example",)}, "gateway"),
        ({"echo": True, "strict_relay": True}, "strict relay"),
    ):
        with pytest.raises(ScmError, match=named) as caught:
            Settings(db=db, **wrong)
        assert "\n" not in str(caught.value)
