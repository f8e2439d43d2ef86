"""The running server: sockets, site and database, started and stopped together."""

import asyncio
import gc
import os
import signal
import time
from collections import Counter
from contextlib import contextmanager, suppress

from aiocoap import error

from msgin5g_tools import service_manager
from msgin5g_tools.scm_server import (
    aiocoap_internals,
    ue_config_check,  # noqa: F401  Loaded at start, so that no request waits for pydantic.
)
from msgin5g_tools.scm_server.change_follower import ChangeFollower
from msgin5g_tools.scm_server.connections import Connections, within_descriptor_limit
from msgin5g_tools.scm_server.contexts import Contexts
from msgin5g_tools.scm_server.faults import Faults
from msgin5g_tools.scm_server.fleet_recorder import FleetRecorder
from msgin5g_tools.scm_server.integrity import Integrity
from msgin5g_tools.scm_server.problem import DatabaseError
from msgin5g_tools.scm_server.settings import address_text, bind_error
from msgin5g_tools.scm_server.site import Site
from msgin5g_tools.scm_server.store import Store

_LOCK_S = 0.25  # how long a request waits for another process's import; then 5.03
_ANSWER_S = 0.75  # for an answer of PostgreSQL; then 5.03, until it has come back
_STOP_S = 2.0  # how long stopping waits for the sockets to close


class ScmServer:
    """`async with ScmServer(Settings(db=..., bind=("127.0.0.1", 0))) as server: server.address`.

    `on_event` is called with one dict for each event: "started", "served", "notified" and
    "stopped". `address`, `tcp_address` and `ws_address` are the bound (host, port), `store` is
    the open Store; after changing it from outside call `documents_changed()`. `fleet` is the
    FleetRecorder. metrics: a metrics.Metrics that times the responses.
    """

    def __init__(self, settings, on_event=None, metrics=None):
        self.settings = settings
        self._metrics = metrics
        self._drops = Counter()
        self._counted = None, None  # the state of the database, and what there was then
        self.address = self.tcp_address = self.ws_address = None
        self.store = self.fleet = None
        self._on_event = on_event or (lambda event: None)
        self._context = self._site = self._follower = self._integrity = None
        self._tasks = []
        self._connections = None

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self):
        """ScmError, one line, when the database or an address cannot be used."""
        settings = self.settings
        self.store = Store(settings.db, timeout_s=_LOCK_S, answer_s=_ANSWER_S)
        self.fleet = FleetRecorder(self.store, settings, self._drops)
        self._site = self._new_site()
        self._integrity = Integrity(self.store, settings.integrity_s, _report_damage)
        self._site.on_damage = self._integrity.met
        self._follower = ChangeFollower(
            self.store, self._site.observers, settings.poll_s or self.store.poll_s
        )
        try:
            await self._open_sockets()
        except BaseException:
            await self.stop()
            raise
        self._tasks = [
            asyncio.create_task(run())
            for run in (
                self._follower.run,
                self._integrity.run,
                self._site.observers.run,
                self.fleet.run,
                self.fleet.run_counting,
                self._check_connections,
            )
        ]
        for task in self._tasks:
            task.add_done_callback(_report_failure)
        self._on_event(self._started())

    def _new_site(self):
        site = Site(
            self.store, self.settings, self.fleet, self._on_event, self.documents_changed
        )  # fmt: skip
        if self.settings.administrator:
            # Only here: the cryptography takes 10 MB.
            from msgin5g_tools.scm_server.administrator import Administrator

            site.security.administrator = Administrator(self.settings.administrator)
        return site

    async def _open_sockets(self):
        settings = self.settings
        self._connections = Connections(
            within_descriptor_limit(settings.max_connections),
            settings.max_connections_of_host,
            settings.connection_idle_s,
            settings.connection_reply_s,
            time.monotonic,
            self._drops,
        )
        site = self._metrics.timed(self._site) if self._metrics else self._site
        self._context = aiocoap_internals.Context(
            self._drops, serversite=site, loggername="coap-server"
        )
        with _exclusive_ports():
            self.address = await self._open(settings.bind, aiocoap_internals.udp_server())
            if settings.tcp:
                self.tcp_address = await self._open(settings.tcp, aiocoap_internals.TcpServer)
            if settings.ws:
                self.ws_address = await self._open(settings.ws, aiocoap_internals.WebSocketServer)

    async def stop(self):
        """Safe to call twice, and on a server that did not start."""
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            self._on_event({"event": "stopped"})
        if self._context and self._context.request_interfaces:
            with suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._context.shutdown(), _STOP_S)
        self._context = self._site = None
        if self.store:
            await self.fleet.finish()
            self.store.close()
            self.store = None

    @property
    def n_observers(self):
        return len(self._site.observers)

    @property
    def n_connections(self):
        return len(self._connections)

    @property
    def drops(self):
        """{cause: how many were dropped}."""
        return dict(self._drops)

    def counts(self):
        """(documents, [(kind, state, keys)], {state: UEs} or None).

        DatabaseError when the database does not answer.
        """
        self.check()
        state = self.store.state()
        if self._counted[0] != state:
            self._counted = state, (self.store.count(), Contexts(self.store).counts())
        return (*self._counted[1], self.fleet.counts)

    def check(self):
        """DatabaseError when the database does not answer, or is damaged."""
        if self._integrity.fault:
            raise DatabaseError(self._integrity.fault)
        self.store.check()

    def documents_changed(self):
        """Look for changes now, and notify the observers of what has changed."""
        self._follower.wake()

    async def _check_connections(self):
        while True:
            await asyncio.sleep(self._connections.check_s)
            self._connections.check()

    async def _open(self, bind, transport):
        """The bound (host, port) of a new transport."""
        try:
            return await aiocoap_internals.open_transport(
                self._context, transport, bind, self._connections
            )
        except (OSError, OverflowError, ValueError, error.Error) as reason:
            raise bind_error(*bind, reason) from None

    def _started(self):
        event = {"event": "started", "bind": address_text(*self.address)}
        if self.tcp_address:
            event["tcp"] = address_text(*self.tcp_address)
        if self.ws_address:
            event["ws"] = address_text(*self.ws_address)
        # In a locale of ASCII the name of a file has other letters for what is not.
        event["db"] = os.fsencode(self.store.name).decode("utf-8", "backslashreplace")
        event["recipient"] = self.settings.recipient
        return event


async def run(settings, on_event, on_fault, metrics=None, web=None):
    """Serve until SIGTERM or SIGINT. `on_fault` gets one line for each error of ours.

    metrics: a metrics.Metrics. web: a web.app.WebServer.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def stop(number):
        loop.remove_signal_handler(number)  # a second one ends the process at once
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    faults = Faults(on_fault, time.monotonic)
    loop.set_exception_handler(
        lambda _, context: faults(f"{context['message']}: {context.get('exception')!r}")
    )
    async with ScmServer(settings, on_event, metrics) as server:
        if metrics:
            metrics.start(server)
        if web:
            await web.start(server)
            on_event({"event": "web", "url": web.url})
        # What there is now stays: the garbage collector need not look at it again.
        gc.collect()
        gc.freeze()
        service_manager.notify("READY=1")
        alive = asyncio.create_task(service_manager.keep_alive())
        await stopped.wait()
        service_manager.notify("STOPPING=1")
        alive.cancel()
        if web:
            await web.stop()
        if metrics:
            await metrics.stop()


def _report_damage(error):
    context = {"message": "the database is damaged", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


def _report_failure(task):
    """A task that runs for ever has ended."""
    if not task.cancelled() and task.exception():
        context = {"message": "a task of the server ended", "exception": task.exception()}
        task.get_loop().call_exception_handler(context)


@contextmanager
def _exclusive_ports():
    """Without it aiocoap sets SO_REUSEPORT, and a second server could share the port unnoticed."""
    name = "AIOCOAP_REUSE_PORT"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
