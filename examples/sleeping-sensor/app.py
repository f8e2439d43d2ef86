"""Measures, asks for news, and sleeps as long as the configuration says: see README.md."""

import asyncio
import machine

AWAKE_S = 30  # at most


def declare(schema):
    schema.declare("sleep-s", int, default=600, low=10, high=86400)


async def main(node):
    rtc = machine.RTC()
    n = int(rtc.memory() or b"0") + 1
    rtc.memory(str(n).encode())
    print("app: measurement", n)
    for _ in range(AWAKE_S * 10):
        if node.outcome:  # the server has answered, or could not
            break
        await asyncio.sleep(0.1)
    node.confirm()
    configuration = node.configuration
    machine.deepsleep((configuration["sleep-s"] if configuration else 60) * 1000)
