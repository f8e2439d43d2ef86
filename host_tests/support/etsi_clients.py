"""The clients for the steps of the ETSI catalogue: libcoap's and aiocoap's.

Both have one interface. `ask` gives what the client displays, an error with its code in front;
`observe` is an observation until the end of its block.
"""

import asyncio
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import aiocoap
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.numbers.types import CON
from etsi_checks import shows
from peers import TIMEOUT_S, coap_client, program


class Hasty(TransportTuning):
    """A confirmable message is repeated soon, and soon given up."""

    ACK_TIMEOUT = 0.1
    ACK_RANDOM_FACTOR = 1.0
    MAX_RETRANSMIT = 3


class HastyReliable(Hasty):
    reliability = True


class Unreliable(TransportTuning):
    reliability = False


class Loop:
    """`with Loop() as loop:` an event loop in a thread of its own; `call` runs a coroutine."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    def call(self, coroutine, timeout_s=TIMEOUT_S):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)


class Watching:
    """An observation. `shown`: what was displayed, complete when it has ended. `off()`: the
    client is gone, as by a power cut."""

    is_off = False

    def __init__(self, end, shows_at_once):
        self.shown = []
        self._end = end
        self._shows_at_once = shows_at_once

    def off(self):
        self.is_off = True
        self._end()

    def wait_for(self, name):
        """Wait until the configuration of this name is displayed, or has had the time to be."""
        end = time.monotonic() + (TIMEOUT_S if self._shows_at_once else 0.1)
        while time.monotonic() < end and not shows(self, name):
            time.sleep(0.01)


class LibcoapClient:
    """options: (number, value) with value bytes. size: of blocks, proposed from the start."""

    def ask(self, address, path, method="get", options=(), payload=b"", token=None, non=False,
            size=None, hasty=False):  # fmt: skip
        command = ["-m", method, *_arguments(options)]
        command += [] if token is None else ["-T", token.decode()]
        command += ["-N"] * non + (["-b", size] if size else [])
        if payload:
            command += ["-e", percent(payload)]
        return coap_client(address, path, *command).removesuffix(b"\n")

    @contextmanager
    def observe(self, address, path, options=(), token=None, more=()):
        command = [program("coap-client-notls"), "-s", "600", "-B", "600", "-w"]
        command += [*_arguments(options), *([] if token is None else ["-T", token]), *more]
        uri = f"coap://{address[0]}:{address[1]}/{path}"
        child = subprocess.Popen([*command, uri], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        watching = Watching(child.kill, False)
        try:
            yield watching
            child.send_signal(signal.SIGINT)  # what it displays comes with its end
            watching.shown.append(child.communicate(timeout=TIMEOUT_S)[0])
        finally:
            child.kill()
            child.communicate()

    def cancel(self, address, path, options, changed):
        """Observe for a second, and cancel by a GET with the same token."""
        coap_client(address, path, "-s", "1", *_arguments(options))

    def ping(self, address, path, options, answered):
        # It keeps the session of an observation alive by pings, after a second of quiet.
        with self.observe(address, path, options, more=("-K", "1")):
            answered()


def _arguments(options):
    made = []
    for number, value in options:
        made += ["-O", f"{number},0x{value.hex()}" if value else f"{number},"]
    return made


def percent(payload):
    """A payload as libcoap's client takes it."""
    return "".join(f"%{byte:02x}" for byte in payload)


class AiocoapClient:
    def __init__(self, loop):
        self._loop = loop

    def ask(self, *request, **how):
        return self._loop.call(self._ask(*request, **how))

    async def _ask(self, address, path, method="get", options=(), payload=b"", token=None,
                   non=False, size=None, hasty=False):  # fmt: skip
        context = await _client()
        try:
            if token is not None:
                context.request_interfaces[0].next_token = lambda: token
            message = _message(address, path, method, options, payload)
            if non or hasty:
                message.transport_tuning = Unreliable() if non else Hasty()
            if size and method == "get":
                message.opt.block2 = (0, False, size.bit_length() - 5)
            elif size:
                await context.find_remote_and_interface(message)
                message.remote.maximum_block_size_exp = size.bit_length() - 5
            answer = await asyncio.wait_for(context.request(message).response, TIMEOUT_S)
            shown = b"" if answer.code.is_successful() else answer.code.dotted.encode() + b" "
            return shown + answer.payload
        finally:
            await context.shutdown()

    @contextmanager
    def observe(self, address, path, options=(), token=None):
        watching = Watching(lambda: self._loop.call(self._stop(parts)), True)
        parts = self._loop.call(self._start(address, path, options, token, watching))
        try:
            yield watching
        finally:
            self._loop.call(self._stop(parts))

    async def _start(self, address, path, options, token, watching):
        context = await _client()
        if token is not None:
            context.request_interfaces[0].next_token = lambda: token
        message = _message(address, path, "get", options)
        message.opt.observe = 0
        request = context.request(message)

        async def display():
            try:
                watching.shown.append((await request.response).payload)
                async for notified in request.observation:
                    watching.shown.append(notified.payload)
            except aiocoap.error.Error:
                pass  # the observation has ended

        return [context, asyncio.ensure_future(display())]

    async def _stop(self, parts):
        if parts:
            context, task = parts
            parts.clear()
            task.cancel()
            await context.shutdown()

    def cancel(self, address, path, options, changed):
        """Observe, wait for the notification of the change that changed() makes, then cancel."""
        self._loop.call(self._cancel(address, path, options, changed))

    async def _cancel(self, address, path, options, changed):
        context = await _client()
        try:
            context.request_interfaces[0].next_token = lambda: b"t"
            message = _message(address, path, "get", options)
            message.opt.observe = 0
            request = context.request(message)
            await request.response
            await asyncio.to_thread(changed)
            await asyncio.wait_for(anext(aiter(request.observation)), TIMEOUT_S)
            message = _message(address, path, "get", options)
            message.opt.observe = 1
            await context.request(message).response
        finally:
            await context.shutdown()

    def ping(self, address, path, options, answered):
        """Ping until answered() returns."""
        self._loop.call(self._ping(address))
        answered()

    async def _ping(self, address):
        context = await _client()
        try:
            found = _message(address, "", "get", ())
            await context.find_remote_and_interface(found)
            message = aiocoap.Message(code=aiocoap.EMPTY)
            message.mtype, message.remote = CON, found.remote
            reset = asyncio.get_running_loop().create_future()
            layer = context.request_interfaces[0].token_interface
            layer.send_message(message, lambda: reset.set_result(None))
            await asyncio.wait_for(reset, TIMEOUT_S)
        finally:
            await context.shutdown()


async def _client():
    return await aiocoap.Context.create_client_context(transports=["udp6"])


def _message(address, path, method, options, payload=b""):
    uri = f"coap://{address[0]}:{address[1]}/{path}"
    made = aiocoap.Message(code=aiocoap.Code[method.upper()], uri=uri, payload=payload)
    for number, value in options:
        made.opt.add_option(OptionNumber(number).create_option(decode=value))
    return made
