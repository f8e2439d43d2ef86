"""What a UE refuses it reports to the server: one query more in a GET, which is ours."""

from msgin5g.coap.numbers import (
    BAD_REQUEST,
    CONTENT,
    ETAG,
    FORBIDDEN,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    URI_QUERY,
    VALID,
)
from msgin5g.gateway.scm_remote import RemoteScmRequest
from msgin5g.scm.refusal_report import RefusalReport
from msgin5g_testkit.checks import load
from builders import RELAY, UE_ID, document, drain, new_sim
from ue_alone import alone, answer, asked, body

load("msgin5g.relay", "msgin5g.ue", "msgin5g.scm.ue_config_doc", "msgin5g_testkit.servers")

OURS = b"ue-uri=" + UE_ID.encode()
REPORT = b"refused=3132333435363738:Segment-size: 0, less than 64"
END = b"refused=:"


class Fetches:
    """A UE whose documents have this ETag; `next` answers what it asks next."""

    def __init__(self, reasons=("Segment-size: 0, less than 64",), **settings):
        every = {"report_refused": True, "start_delay_s": 0, "observe": False}
        every.update(settings)
        self.ue = alone(**every)
        self.ue.configuration.reasons = list(reasons)
        self.now = 0

    def next(self, code=CONTENT, silent=False):
        """(queries of the request, names of the events that follow)."""
        ue = self.ue
        request = asked(ue, self.now)
        queries = [
            bytes(request.value(i))
            for i in range(request.n_options)
            if request.numbers[i] == URI_QUERY
        ]
        if silent:
            while ue.client.busy:
                self.now += ue.wait_ms(self.now)
                ue.step(self.now)
                ue.transmit(self.now)
        else:
            options = ((ETAG, b"12345678"),) if code in (CONTENT, VALID) else ()
            payload = body() if code == CONTENT else b""
            ue.receive(0, answer(request, code, options, payload), RELAY, self.now)
        names = [event["event"] for event in drain(ue)]
        self.now += ue.wait_ms(self.now)
        return queries, names


def test_the_next_get_reports_what_was_refused_and_only_that_one():
    fetches = Fetches()
    assert fetches.next() == ([OURS], ["refused"])
    assert fetches.next() == ([REPORT, OURS], ["refused"])
    assert fetches.next() == ([OURS], ["refused"])
    fetches.ue.configuration.reasons = ["Service-id: missing"]
    assert fetches.next()[0] == [OURS]
    assert fetches.next()[0] == [b"refused=3132333435363738:Service-id: missing", OURS]


def test_the_end_of_a_refusal_is_reported_and_so_is_what_was_applied_since_the_start():
    fetches = Fetches()
    fetches.next()
    fetches.next()
    fetches.ue.configuration.reasons = []
    assert fetches.next() == ([OURS], ["applied"])
    assert fetches.next(VALID) == ([END, OURS], ["unchanged"])
    assert fetches.next(VALID) == ([OURS], ["unchanged"])
    fetches = Fetches(())
    assert [fetches.next(code)[0] for code in (CONTENT, VALID, VALID)] == [
        [OURS],
        [END, OURS],
        [OURS],
    ]


def test_what_runs_already_needs_no_report():
    fetches = Fetches(())
    fetches.ue.configuration.data = bytes(b"")
    fetches.ue.configuration.offer = lambda texts, etag, now: ("unchanged", ())
    assert [fetches.next()[0] for _ in range(3)] == [[OURS]] * 3


def test_a_server_that_rejects_the_report_is_asked_without_it_at_once():
    fetches = Fetches()
    fetches.next()
    at = fetches.now
    for code in (BAD_REQUEST, FORBIDDEN):
        assert fetches.next(code)[0][0] == REPORT
        # Asked at once: no event, no back-off, and a 4.04 would have deleted nothing.
        at = fetches.now
        assert fetches.next() == ([OURS], ["refused"])
        assert fetches.next()[0] == [OURS], "held back"
        assert fetches.next(FORBIDDEN) == ([OURS], ["rejected", "backing_off"])
        assert fetches.now > at
    assert fetches.next()[0][0] == REPORT, "a GET without it had failed, too"


def test_after_a_timeout_the_next_get_has_no_report():
    fetches = Fetches()
    fetches.next()
    queries, names = fetches.next(silent=True)
    assert queries[0] == REPORT and names == ["timeout", "backing_off"]
    assert fetches.next() == ([OURS], ["refused"])


def test_a_busy_server_gets_the_report_later():
    fetches = Fetches()
    fetches.next()
    for code in (SERVICE_UNAVAILABLE, TOO_MANY_REQUESTS):
        queries, names = fetches.next(code)
        assert queries[0] == REPORT and names == ["rejected", "backing_off"]
    assert fetches.next()[0][0] == REPORT
    assert fetches.next()[0] == [OURS]


def test_without_the_setting_nothing_is_reported():
    fetches = Fetches(report_refused=False)
    assert [fetches.next()[0] for _ in range(3)] == [[OURS]] * 3


def test_hostile_reasons_are_escaped_and_cut_between_characters():
    report = RefusalReport(alone().client)
    report.refused((), b"", ["\x1b[2J" + "\u00fc" * 60])
    assert report.query == b"refused=:\\u001b[2J" + "\u00fc".encode() * 27
    report.refused((), b"", ["x" * 63 + "\u00fc"])
    assert report.query == b"refused=:" + b"x" * 63
    report.refused((), None, ["a", "b"])
    assert report.query == b"refused=:a; b"


def test_the_longest_get_with_a_report_fits_into_a_message():
    longest = {
        "service_id": "s" * 240,
        "ue_vendor": "v" * 200,
        "ue_type": "12345678",
        "ue_snr": "123456",
    }
    reported = {}
    for size in (8, 300, 330, 340, 350, 500):
        path = "/".join(["p" * (size // 2 - 1)] * 2)
        fetches = Fetches(["#" * 100], server_path_prefix=path, **longest)
        fetches.next()
        ue = fetches.ue
        ue.step(fetches.now)
        datagram = bytes(ue.transmit(fetches.now)[1])
        found = datagram.find(b"refused=")
        assert found < 0 or len(datagram) + 43 + 4 + 60 <= 1152  # with Echo, Block2 and OSCORE
        reported[size] = datagram[found:].count(b"#") if found >= 0 else 0
    # A byte more of the path is a byte less of the reason.
    assert reported == {8: 64, 300: 64, 330: 62, 340: 52, 350: 42, 500: 0}


def test_a_gateway_reports_what_it_refuses_itself_over_seal_c():
    class Scm:
        def ask(self, owner, ue_ids, queries, *more):
            self.queries = queries

    scm, client = Scm(), alone().client
    client.request = RemoteScmRequest(scm, client)
    for report, document_id, expected in (
        (None, None, []),
        (REPORT, None, [REPORT]),
        (REPORT, b"doc-1", []),
        (None, None, []),
    ):
        client.request.report = report
        client.request.start(client, document_id, None, None, None, None, None)
        assert scm.queries == expected


def test_a_report_passes_a_relay_and_a_ue_that_observes_goes_on():
    documents = {UE_ID: document(UE_ID, '{"a": 1}')}
    settings = {"report_refused": True, "observe": True, "refresh_max_s": 100}
    sim, ue, _, server = new_sim(None, documents, settings)
    ue.configuration.reasons = ["a: 1"]
    reports = []
    serve = server.receive

    def receive(transport, datagram, remote, now):
        if b"refused=" in bytes(datagram):
            reports.append(bytes(datagram))
        return serve(transport, datagram, remote, now)

    server.receive = receive
    assert sim.run(lambda: reports and ue.client.observing, 300000)
    assert len(reports) == 1 and b":a: 1" in reports[0]
    ue.configuration.reasons = []
    server.change(UE_ID, document(UE_ID, '{"a": 2}'))
    assert sim.run(lambda: len(reports) == 2, 300000)
    assert b"refused=:" in reports[1] and ue.client.observing
