"""Measures in an interval that the configuration sets; examples/test_my_app.py is its test.

The configuration has two keys of this application, beside those of TS 24.538:

    {"MSGin5G-Server-address": "...", "MSGin5G-UE-Service-id": "...",
     "interval-s": 60, "sensor-name": "cellar"}
"""

import asyncio

from machine import ADC

_SENSOR_PIN = 26

readings = []  # (name, value): what a program would send


def declare(schema):
    """The keys: a document that breaks a rule is refused, and what runs goes on."""
    schema.declare("interval-s", int, default=60, low=1, high=3600)
    schema.declare("sensor-name", str, default="sensor", low=1, high=16)


async def main(node):
    """Measure for ever; a new configuration counts from the next reading on."""
    sensor = ADC(_SENSOR_PIN)
    while True:
        configuration = node.configuration
        if configuration is None:
            configuration = await node.wait_changed()
            continue
        readings.append((configuration["sensor-name"], sensor.read_u16()))
        del readings[:-10]
        node.confirm()  # it works with this configuration
        await asyncio.sleep(configuration["interval-s"])
