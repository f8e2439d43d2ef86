"""Blinks at the rate that the configuration sets, and registers with the server that it names.

    mpremote cp examples/blinking-light/app.py :app.py

The board's main.py runs app.py beside the UE. The configuration has one key of this application:

    {"MSGin5G-Server-address": "...", "MSGin5G-UE-Service-id": "...", "blink-ms": 250}
"""

import asyncio

from machine import Pin

_LED = "LED"  # the name on a Pico W; a number on other boards, 2 on many an ESP32
_KEY = "blink-ms"
_DEFAULT_MS = 500


def declare(schema):
    """Declare the key: a document with a value out of range is refused, and nothing changes."""
    schema.declare(_KEY, int, default=_DEFAULT_MS, low=50, high=10_000)


async def main(node):
    """Blink for ever; `node.configuration` is the configuration that runs."""
    registration = asyncio.create_task(_register(node))
    led = Pin(_LED, Pin.OUT)
    while not registration.done():  # the task runs for ever; it ends only by an exception
        led.toggle()
        configuration = node.configuration
        await asyncio.sleep((configuration[_KEY] if configuration else _DEFAULT_MS) / 1000)


async def _register(node):
    while True:
        configuration = await node.wait_changed()
        if configuration is None:
            continue
        server = configuration["MSGin5G-Server-address"]
        print("blink: every", configuration[_KEY], "ms; registering with", server)
        if await node.reached():
            print("blink: registered with", server)
            node.confirm()  # has an effect only with the setting "confirm": "application"
        else:
            print("blink: no answer from", server)
