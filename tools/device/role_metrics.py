"""The counters of a role on this host for Prometheus: a scrape asks the role for them."""

import threading

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from msgin5g_tools.metrics_server import MetricsServer

_ANSWER_S = 2.0


class RoleMetrics:
    """`start(ask)`; `answered(event)` gets the event `metrics` that ask() makes the role print.

    OSError when the address, (host, port), cannot be bound.
    """

    def __init__(self, address):
        registry = CollectorRegistry()
        self._scrape = threading.Lock()
        self._changed = threading.Condition()
        self._answer = None
        self._ask_role = None
        self._events = {}
        registry.register(self)
        self._http = MetricsServer(address, registry, self._health)
        self.address = self._http.address

    def start(self, ask):
        self._ask_role = ask
        self._http.start()

    def close(self):
        self._http.close()

    def answered(self, event):
        with self._changed:
            self._answer = event
            self._changed.notify_all()

    def happened(self, name):
        """An event of the role, by its name."""
        self._events[name] = self._events.get(name, 0) + 1

    def collect(self):
        if self._ask_role is None:
            return  # it is being registered
        answer = self._ask()
        yield GaugeMetricFamily(
            "msgin5g_role_up", "1: the role answers.", value=0 if answer is None else 1
        )
        events = CounterMetricFamily("msgin5g_role_events", "Events.", labels=["event"])
        for name, n in sorted(self._events.copy().items()):
            events.add_metric([name], n)
        yield events
        if answer is None:
            return
        counted = CounterMetricFamily("msgin5g_role_counter", "Counters.", labels=["counter"])
        for name, n in sorted(answer["counters"].items()):
            counted.add_metric([name], n)
        yield counted
        if "free" in answer:
            free = int(answer["free"])  # a text in an event that was printed as text
            yield GaugeMetricFamily(
                "msgin5g_role_heap_free_bytes", "Free heap of MicroPython.", value=free
            )

    def _health(self):
        return None if self._ask() else f"the role does not answer within {_ANSWER_S:g} s"

    def _ask(self):
        """The event `metrics` of the role, or None."""
        with self._scrape, self._changed:
            self._answer = None
            self._ask_role()
            self._changed.wait_for(lambda: self._answer is not None, _ANSWER_S)
            return self._answer
