"""Watch the first boot: whether the board gets configured, after how long, or why not."""

import time

from msgin5g_tools.device.errors import FAILED, NOT_CONFIGURED, PORT_BUSY, DeviceError
from msgin5g_tools.device.events import SAFE_MODE, outcome, parse_event, parse_fault, visible
from msgin5g_tools.device.serial_port import LOST, open_serial

REOPEN_S = 10  # a board with USB of its own leaves the bus when it is reset
_LINE_LIMIT = 4096  # bytes that are kept of a line without an end


class Watch:
    """Judges the lines of a boot. `verdict` is None, or (configured, text).

    until_started: the event `started` is enough, as it is for a relay or a gateway. asked: whom a
    UE asks, as text, or None.
    """

    def __init__(self, until_started=False, asked=None):
        self.verdict = None
        self.started = None
        self._until_started = until_started
        self._asked = f" from {asked}" if asked else ""
        self._raised = False
        self._fault = None

    def line(self, line, seconds):
        """A complete line that came `seconds` after the reset."""
        line = visible(line)
        event = parse_event(line)
        if event is not None:
            self._event(event, seconds)
        elif parse_fault(line):
            self._fault = line
        elif line.startswith("Traceback "):
            self._raised = True
        elif line.startswith("MemoryError") or (self._raised and line and line[0] != " "):
            self._raised = False
            self._fault = f"traceback: {line}"
        elif line.startswith("MicroPython "):
            self.prompt()  # the banner of the REPL: main.py is over

    def prompt(self):
        """The REPL is there, so main.py is not running."""
        if self.verdict is None:
            why = self._fault or ("main.py ended" if self.started else "there is no main.py")
            self.verdict = (False, why)

    def _event(self, event, seconds):
        if event["event"] == "started":
            self.started = event
            role = event.get("role", "ue")
            if self._until_started or role != "ue":
                self._judge(True, f"{role} running after {seconds:.1f} s")
            return
        if event["event"] in ("link_down", "crashed", "unresolved"):
            self._fault = _reasons(event)
        elif event["event"] in ("link_up", "resolved"):
            self._fault = None
        result = outcome(event)
        if result is not None:
            good, text = result
            if event["event"] == "timeout":
                text += f"{self._asked} after {seconds:.0f} s"
            self._judge(good, f"{text} after {seconds:.1f} s" if good else text)

    def _judge(self, good, text):
        if str(self.started and self.started.get("safe_mode")) == "True":
            text = f"{SAFE_MODE}; {text}"
        self.verdict = (good, text)

    def late(self, wait_s):
        """The verdict after a time-out."""
        if self._fault:
            return False, self._fault
        if self.started is None:
            return False, f"timed out after {wait_s:.0f} s: the board printed nothing"
        text = f"started, but not configured: timed out after {wait_s:.0f} s"
        return False, text + (f": no answer yet{self._asked}" if self._asked else "")


def _reasons(event):
    reasons = event.get("reasons") or [event["event"]]
    return "; ".join(map(str, reasons)) if isinstance(reasons, list) else str(reasons)


def watch_boot(session, wait_s, until_started=False, asked=None):
    """Reset the board and watch it; (configured, text)."""
    watch = Watch(until_started, asked)
    since = time.monotonic()
    session.reset()
    pending = b""
    port = session.serial
    port.timeout = 0.1
    while watch.verdict is None and time.monotonic() - since < wait_s:
        try:
            pending += port.read(max(1, port.in_waiting))
        except LOST:
            port = session.serial = _reopen(session.serial.port)
            try:
                # The output before the port came back is lost: restart the program to see it all.
                port.write(b"\x03\x03\x02\x04")
            except LOST:
                pass  # gone once more: the next read notices
            continue
        *lines, pending = pending.split(b"\n")
        pending = pending[-_LINE_LIMIT:]
        for line in lines:
            watch.line(line.decode("utf-8", "replace"), time.monotonic() - since)
            if watch.verdict is not None:
                break
    return watch.verdict or watch.late(wait_s)


def require_configured(verdict):
    """The text of a good verdict; DeviceError for another one."""
    good, text = verdict
    if not good:
        raise DeviceError(NOT_CONFIGURED, f"installed; {text}")
    return text


def _reopen(name):
    until = time.monotonic() + REOPEN_S
    while time.monotonic() < until:
        time.sleep(0.2)
        try:
            return open_serial(name, timeout=0.1)
        except DeviceError as error:
            if error.status == PORT_BUSY:
                raise
    raise DeviceError(FAILED, "the port did not come back after the reset")
