"""The user's application, which runs beside the role: a module, app.py on a board.

It declares its keys, reads the configuration and learns of changes, without knowing CoAP.
Everything that it may define is optional:

    def declare(schema):        its keys: schema.declare("blink-ms", int, default=500, low=50)
    async def main(node):       a program in asyncio
    def main(node):             a program with a loop of its own, which calls node.work(ms)
    def changed(node):          called at the start, and after each change of the configuration
    def step(node, now):        called by the node's loop; gives the ms until the next call

`node` is the Application below. An exception that leaves the application is printed, and the
board restarts: after a second when the crash counts against the configuration, which is on trial
or follows a roll-back; else after a minute, so that a better configuration can arrive. In safe
mode the module is not imported.
"""

import sys

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.config.schema import redact
from msgin5g.config.store import TRIAL
from msgin5g.services.ping import Ping

_SOON_MS = const(1000)
_LATER_MS = const(60000)


class Application:
    """What the application gets as its `node`, and a service of the Node.

    polling        if node.changed(): use(node.configuration)
    in asyncio     configuration = await node.wait_changed()
    asleep soon    if node.outcome: deepsleep(ms)
    on trial       node.confirm(), when it works
    the server     if await node.reached(): ..., or ping = node.ping() and ping.answered
    """

    def __init__(self, name):
        self.error = None  # the exception that ended it
        self._in_call = False  # of its import, `changed` or `step`
        self._name = name
        self.module = None  # the imported one; None in safe mode
        self._node = None
        self._manager = None
        self._resolve = self._clock = None
        self._seen = None  # the configuration at the last call of `changed`
        self._passed_on = None  # the one that the module's `changed` was called with
        self._step_at = None
        self._restart_at = None
        self._change = None  # an asyncio.Event

    # What the application calls

    @property
    def configuration(self):
        """The configuration that runs, a dict; None while there is none."""
        return self._manager and self._manager.configuration

    @property
    def on_trial(self):
        """Whether the configuration waits for `confirm`."""
        return self._manager is not None and self._manager.state == TRIAL

    @property
    def outcome(self):
        """How the last fetch since the start has ended; None before the first.

        A str: "applied" or "unchanged" (the server has answered, and what runs is the newest),
        "refused" (what came breaks a rule), "rejected" (4.03 or 4.04) or "timeout".
        """
        return self._node.outcome if self._node else None

    def changed(self):
        """Whether `configuration` has changed since the last call, at first since None."""
        seen = self._seen
        self._seen = self.configuration
        return self._seen is not seen

    async def wait_changed(self):
        """Wait until `changed`; gives the configuration, or None when it was removed."""
        import asyncio

        while not self.changed():
            if self._change is None:
                self._change = asyncio.Event()
            self._change.clear()
            await self._change.wait()
        return self.configuration

    def confirm(self):
        """The configuration on trial works: keep it. Without one on trial it does nothing."""
        event = self._manager and self._manager.confirm(self._clock())
        if event:
            self._node.emit(event[0], event[1])

    def roll_back(self):
        """The configuration on trial does not work: go back to the last good one.

        Without one on trial, or without one to go back to, it does nothing.
        """
        event = self.on_trial and self._manager.roll_back(self._clock())
        if event:
            self._node.emit(event[0], event[1])

    def ping(self):
        """Send a CoAP ping to the MSGin5G server of the configuration: a Ping.

        AttributeError on a relay or gateway that has no configuration of its own.
        """
        ue = self._node.ue
        return Ping(ue.endpoint, ue.client.transport, self._resolve, self.configuration)

    async def reached(self):
        """Ping the MSGin5G server of the configuration; whether it has answered, as a bool.

        False after 93 seconds without an answer (CoAP's MAX_TRANSMIT_WAIT), and at once without a
        configuration. True at once for a server that is not reached over CoAP and UDP.
        """
        import asyncio

        ping = self.ping()
        while ping.answered is None:
            await asyncio.sleep(0.1)
        return ping.answered

    def work(self, ms=0):
        """Let the node work for `ms` milliseconds: for a program that has a loop of its own.

        SystemExit when the board is about to restart: let it pass.
        """
        if self._node.run(ms):
            raise SystemExit  # the board is about to restart: see main

    # What the builder and the loops call

    @property
    def has_failed(self):
        """Whether an exception has ended it, or Ctrl-C a call, which may have hung."""
        return self.error is not None or self._in_call

    def prepare(self, manager):
        """Take the ConfigurationManager, before its start: its check needs the declared keys."""
        self._manager = manager
        manager.schema.before_first_check = self._import

    def begin(self, node, resolve, clock):
        """The node is complete. resolve: see Ping. clock: a function that gives `now`."""
        self._node = node
        self._resolve = resolve
        self._clock = clock
        manager = self._manager
        if manager is None:
            self._import(None)
        elif manager.safe_mode:
            self.module = None
            self._passed_on = manager.configuration
        elif manager.schema.before_first_check:  # nothing was stored: there was no check yet
            manager.schema.before_first_check = None
            self._import(manager.schema)

    def start(self):
        """Call the module's `main`; its coroutine, or None when it has ended or has no `main`."""
        program = None if self.error else getattr(self.module, "main", None)
        if program:
            try:
                coroutine = program(self)
                return coroutine if hasattr(coroutine, "send") else None
            except Exception as error:
                self.fail(error)
        return None

    async def guard(self, coroutine):
        """Run the coroutine of the module."""
        try:
            await coroutine
        except Exception as error:
            self.fail(error)

    def failed(self, loop, context):
        """An exception handler of asyncio, for the tasks that the module creates."""
        self.fail(context["exception"])

    def fail(self, error):
        """The application has ended with an exception."""
        _print(error)
        self.error = error

    # The verbs of a service

    def step(self, now):
        """The clock has moved."""
        node = self._node
        manager = self._manager
        if self._restart_at is not None:
            if diff(now, self._restart_at) >= 0 and not node.ended:
                node.emit("restarting", ())
            return
        if self.error is None and self.module:
            self._in_call = True
            try:
                self._call(now)
            except Exception as error:
                self.fail(error)
            self._in_call = False
        if self._change is not None and self._seen is not self.configuration:
            self._change.set()
        if self.error is not None:
            reasons = (type(self.error).__name__ + ": " + str(self.error),)
            node.emit("crashed", reasons)
            counts = False
            if manager:
                counts = manager.state == TRIAL or manager.boots
                manager.note(now, "crashed", reasons)
            self._restart_at = add(now, _SOON_MS if counts else _LATER_MS)
        elif manager and manager.safe_mode and self._passed_on is not manager.configuration:
            # Another document ends safe mode, at the next start.
            self._restart_at = add(now, _SOON_MS)

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do."""
        wait = None
        for at in (self._step_at, self._restart_at):
            if at is not None:
                wait = shorter(wait, max(0, diff(at, now)))
        return wait

    def _import(self, schema):
        """Import the module and let it declare its keys, but not in safe mode."""
        if self._manager is None or not self._manager.safe_mode:
            self._in_call = True
            try:
                self.module = __import__(self._name)
                if schema and hasattr(self.module, "declare"):
                    _declare(self.module, schema)
            except Exception as error:
                self.fail(error)
            self._in_call = False

    def _call(self, now):
        """Call `changed` and `step` of the module when they are due."""
        module = self.module
        if self._passed_on is not self.configuration:
            self._passed_on = self.configuration
            if hasattr(module, "changed"):
                module.changed(self)
        if hasattr(module, "step") and (self._step_at is None or diff(now, self._step_at) >= 0):
            ms = module.step(self, now)
            self._step_at = add(now, _LATER_MS if ms is None else ms)


def _print(error):
    """Print the traceback, where there is a console that does."""
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)


def _declare(module, schema):
    """Let the module declare its keys. What one of its rules raises must not end the role."""
    rules = schema.rules
    first = len(rules)
    try:
        module.declare(schema)
    finally:  # also after half of it: the role goes on with these keys
        for i in range(first, len(rules)):
            if rules[i][-1]:
                rules[i] = rules[i][:-1] + (_guarded(rules[i][0], rules[i][-1]),)


def _guarded(key, fault):
    """A `fault` for Schema.declare: an exception of `fault` is a reason to refuse the document."""

    def rule(value):
        try:
            return fault(value)
        except MemoryError:  # not for what the value is: the manager refuses with that reason
            raise
        except Exception as error:
            if redact(value, key) == value:  # the text of an exception may show the value
                _print(error)
            reason = type(error).__name__ + " in its rule"
            if type(value) in (int, float) and redact(value, key) is value:
                reason += ": " + str(error)
            return reason

    return rule
