"""The figures of the server for Prometheus: what happened is counted, what is is asked for."""

import asyncio
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from msgin5g_tools.metrics_server import MetricsServer
from msgin5g_tools.scm_server.problem import DatabaseError

_ANSWER_S = 2.0  # how long a scrape waits for the loop of the server
_BUCKETS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class Metrics:
    """Counts events, times responses, and serves both with the state of a ScmServer.

    n_lines_dropped(): how many lines of the log nobody read in time.
    """

    def __init__(self, address, n_lines_dropped):
        """OSError when the address cannot be bound."""
        registry = CollectorRegistry()
        self._loop = self._server = None
        # First: it asks the loop, so that all that the loop did before is in what follows.
        registry.register(self)
        self._requests = Counter(
            "msgin5g_scm_requests", "Requests.", ["method", "code"], registry=registry
        )
        self._notifications = Counter(
            "msgin5g_scm_notifications", "Notifications.", ["code"], registry=registry
        )
        self._refusals = Counter(
            "msgin5g_scm_refusals", "Responses with 4.xx.", ["code"], registry=registry
        )
        self._seconds = Histogram(
            "msgin5g_scm_response_seconds",
            "Time from a request to its response, in seconds.",
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._n_lines_dropped = n_lines_dropped
        self._n_replayed = 0
        self._http = MetricsServer(address, registry, self._health)
        self.address = self._http.address

    def start(self, server):
        """Serve the figures of a running ScmServer; in its loop."""
        self._loop = asyncio.get_running_loop()
        self._server = server
        self._http.start()

    async def stop(self):
        """Its loop goes on meanwhile: a scrape may be waiting for it."""
        await asyncio.to_thread(self._http.close)

    def on_event(self, event):
        name = event["event"]
        if name == "served":
            self._requests.labels(event["method"], event["code"]).inc()
            if event["code"].startswith("4"):
                self._refusals.labels(event["code"]).inc()
        elif name == "notified":
            self._notifications.labels(event["code"]).inc()
        elif name == "replayed":
            self._n_replayed += 1

    def timed(self, site):
        """The same site, its responses timed."""
        return _TimedSite(site, self._seconds.observe)

    # prometheus_client calls it in a thread of a scrape

    def collect(self):
        if self._server is None:
            return  # it is being registered
        counts, fault = self._ask(self._server.counts)
        up = GaugeMetricFamily("msgin5g_scm_database_up", "1: the database answers.")
        up.add_metric([], 0 if fault else 1)
        yield up
        yield from self._of_the_process()
        if fault:
            return
        n_documents, n_keys, n_ues = counts
        yield GaugeMetricFamily("msgin5g_scm_documents", "Documents.", value=n_documents)
        keys = GaugeMetricFamily("msgin5g_scm_keys", "OSCORE keys.", labels=["kind", "state"])
        for kind, state, n in n_keys:
            keys.add_metric([kind, state], n)
        yield keys
        ues = GaugeMetricFamily(
            "msgin5g_scm_ues", "UEs at the last scrape, by what became of them.", labels=["state"]
        )
        for state, n in (n_ues or {}).items():
            ues.add_metric([state], n)
        yield ues

    def _of_the_process(self):
        server = self._server
        yield GaugeMetricFamily("msgin5g_scm_observers", "Observers.", value=server.n_observers)
        yield GaugeMetricFamily(
            "msgin5g_scm_connections",
            "Connections of TCP and WebSockets.",
            value=server.n_connections,
        )
        drops = {**server.drops, "replayed": self._n_replayed, "log_line": self._n_lines_dropped()}
        dropped = CounterMetricFamily("msgin5g_scm_drops", "What was dropped.", labels=["cause"])
        for cause, n in sorted(drops.items()):
            dropped.add_metric([cause], n)
        yield dropped

    def _health(self):
        return self._ask(self._server.check)[1]

    def _ask(self, function):
        """(what it returns, None), or (None, what is wrong); it runs in the server's loop."""
        asked = Future()
        self._loop.call_soon_threadsafe(_run, function, asked)
        try:
            return asked.result(_ANSWER_S), None
        except DatabaseError as error:
            return None, f"the database does not answer: {error}"
        except FutureTimeoutError:
            asked.cancel()
            return None, f"the server does not answer within {_ANSWER_S:g} s"


def _run(function, asked):
    if asked.set_running_or_notify_cancel():  # else the scrape has ended
        try:
            asked.set_result(function())
        except Exception as error:
            asked.set_exception(error)


class _TimedSite:
    """All of a site that aiocoap_internals.Context calls."""

    def __init__(self, site, observe):
        self._site = site
        self._observe = observe

    def respond(self, pipe):
        began = time.perf_counter()
        self._site.respond(pipe)
        self._observe(time.perf_counter() - began)
