"""The serial ports of this computer, and work done on several of them at the same time."""

import threading
import time

from msgin5g_tools.device.errors import device_error
from msgin5g_tools.device.serial_port import usb_ports

_POLL_S = 0.05


def all_ports():
    """The names of the ports where a board may be: those on USB."""
    return [port.device for port in usb_ports()]


def on_each(ports, work):
    """{port: (result, None) or (None, DeviceError)} of work(port), each in a thread of its own.

    The threads do not keep the process alive: Ctrl-C ends all of them with it.
    """
    results = {}

    def run(port):
        try:
            results[port] = (work(port), None)
        except Exception as error:
            results[port] = (None, device_error(error))

    threads = [threading.Thread(target=run, args=(port,), daemon=True) for port in ports]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(_POLL_S)  # where Ctrl-C is heard
    return results
