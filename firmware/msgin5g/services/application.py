"""The application beside the role: a module of the user's, app.py on a board.

It declares its keys, reads the configuration and is told of its changes, without knowing CoAP.
What it defines is used; everything is optional:

    def declare(schema):        its keys: schema.declare("blink-ms", int, default=500, low=50)
    async def main(node):       a program in asyncio, beside the role
    def main(node):             a program with a loop of its own, which calls node.work(ms)
    def changed(node):          called by the loop after each change, and at the start
    def step(node, now):        called by the loop; gives the ms until it wants to be called again

`node` is the Application below. An exception that leaves the application is printed, and the
board restarts: after a second when that counts against the configuration, because it is on trial
or was rolled back, else after a minute, in which a better configuration may come. In safe mode
the module is not even imported.
"""

import sys

from micropython import const
from msgin5g.coap.ticks import add, diff, shorter
from msgin5g.config.store import TRIAL

_SOON_MS = const(1000)
_LATER_MS = const(60000)


class Application:
    """What the application gets as its `node`, and a part of the Node.

    for polling    if node.changed(): use(node.configuration)
    in asyncio     configuration = await node.wait_changed()
    on trial       node.confirm(), when it works
    the server     if await node.reached(): ..., or ping = node.ping() and ping.answered
    """

    def __init__(self, name):
        self.error = None  # the exception that ended it
        self._name = name
        self._module = None
        self._node = None
        self._lifecycle = None
        self._lookup = self._now = None
        self._seen = self._told = None
        self._step_at = None
        self._restart_at = None
        self._event = None

    # For the application

    @property
    def configuration(self):
        """The configuration that is to run, a dict; None while there is none."""
        return self._lifecycle and self._lifecycle.configuration

    @property
    def on_trial(self):
        """Whether the configuration waits for `confirm`."""
        return self._lifecycle is not None and self._lifecycle.state == TRIAL

    def changed(self):
        """Whether `configuration` is another one than at the last call; the first has None."""
        seen = self._seen
        self._seen = self.configuration
        return self._seen is not seen

    async def wait_changed(self):
        """Wait until `changed`, and give the configuration."""
        import asyncio

        while not self.changed():
            if self._event is None:
                self._event = asyncio.Event()
            self._event.clear()
            await self._event.wait()
        return self.configuration

    def confirm(self):
        """The configuration on trial works: keep it."""
        lifecycle = self._lifecycle
        event = lifecycle and lifecycle.confirm(self._now())
        if event:
            self._node.tell(event[0], event[1])

    def roll_back(self):
        """The configuration on trial does not work: back to the last good one."""
        lifecycle = self._lifecycle
        from msgin5g.config.by_hand import roll_back

        event = self.on_trial and roll_back(lifecycle, self._now())
        if event:
            self._node.tell(event[0], event[1])

    def ping(self):
        """Start a CoAP ping of the MSGin5G server in the configuration: a Ping."""
        from msgin5g.services.ping import Ping

        ue = self._node.ue
        return Ping(ue.endpoint, ue.client.transport, self._lookup, self.configuration)

    async def reached(self):
        """Ping the MSGin5G server in the configuration; whether it has answered."""
        import asyncio

        ping = self.ping()
        while ping.answered is None:
            await asyncio.sleep(0.1)
        return ping.answered

    def work(self, ms=0):
        """Let the node do its work for `ms`: for a program that has a loop of its own."""
        if self._node.run(ms):
            raise SystemExit  # the board is to restart; main knows

    # For the composition

    def prepare(self, lifecycle):
        """A lifecycle is about to start: it is ours to read, and its schema to be added to."""
        self._lifecycle = lifecycle
        lifecycle.schema.late = self._declare

    def _declare(self, schema):
        if self._lifecycle is None or not self._lifecycle.safe_mode:
            try:
                self._module = __import__(self._name)
                if schema and hasattr(self._module, "declare"):
                    self._module.declare(schema)
            except Exception as error:
                self.fail(error)

    def begin(self, node, lookup, now):
        """The node is complete; `now` is the clock, a function."""
        self._node = node
        self._lookup = lookup
        self._now = now
        lifecycle = self._lifecycle
        if lifecycle is None:
            self._declare(None)
        elif lifecycle.safe_mode:
            self._module = None
            self._told = lifecycle.configuration
        elif lifecycle.schema.late:  # nothing was stored
            lifecycle.schema.late = None
            self._declare(lifecycle.schema)

    def start(self):
        """Call the application's main: its coroutine, or None when it has ended or has none."""
        program = None if self.error else getattr(self._module, "main", None)
        if program:
            try:
                coroutine = program(self)
                return coroutine if hasattr(coroutine, "send") else None
            except Exception as error:
                self.fail(error)
        return None

    async def guard(self, coroutine):
        """Run the application's coroutine."""
        try:
            await coroutine
        except Exception as error:
            self.fail(error)

    def failed(self, loop, context):
        """asyncio has found an exception in a task that nobody waits for."""
        self.fail(context["exception"])

    def fail(self, error):
        """The application has ended with an exception."""
        if hasattr(sys, "print_exception"):
            sys.print_exception(error)
        self.error = error

    # A part of the node

    def step(self, now):
        """The clock has moved."""
        lifecycle = self._lifecycle
        if self._restart_at is not None:
            if diff(now, self._restart_at) >= 0 and not self._node.ended:
                self._node.tell("restarting", ())
            return
        if self.error is None and self._module:
            try:
                self._call(now)
            except Exception as error:
                self.fail(error)
        if self._event is not None and self._seen is not self.configuration:
            self._event.set()
        if self.error is not None:
            reasons = (type(self.error).__name__ + ": " + str(self.error),)
            self._node.tell("crashed", reasons)
            counts = False
            if lifecycle:
                counts = lifecycle.state == TRIAL or lifecycle.boots
                lifecycle.note(now, "crashed", reasons)
            self._restart_at = add(now, _SOON_MS if counts else _LATER_MS)
        elif lifecycle and lifecycle.safe_mode and self._told is not lifecycle.configuration:
            # Another document leads out of safe mode, at the next start.
            self._restart_at = add(now, _SOON_MS)

    def _call(self, now):
        module = self._module
        if self._told is not self.configuration:
            self._told = self.configuration
            if hasattr(module, "changed"):
                module.changed(self)
        if hasattr(module, "step") and (self._step_at is None or diff(now, self._step_at) >= 0):
            ms = module.step(self, now)
            self._step_at = add(now, _LATER_MS if ms is None else ms)

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do."""
        wait = None
        for at in (self._step_at, self._restart_at):
            if at is not None:
                wait = shorter(wait, max(0, diff(at, now)))
        return wait
