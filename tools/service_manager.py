"""What systemd is told about a service (sd_notify(3)); nothing where systemd did not start it."""

import asyncio
import os
import socket
from contextlib import suppress


def notify(state):
    """Send a state such as READY=1; a manager that does not listen is no fault."""
    path = os.environ.get("NOTIFY_SOCKET")
    if path:
        address = "\0" + path[1:] if path.startswith("@") else path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(state.encode("utf-8", "backslashreplace"), address)


async def keep_alive():
    """Send WATCHDOG=1 for ever, twice in the time after which systemd restarts the service."""
    period_us = os.environ.get("WATCHDOG_USEC", "")
    is_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not (period_us.isdecimal() and int(period_us) and is_for_us):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(period_us) / 2e6)
