"""`msgin5g run`: a role on this host, in real MicroPython or in CPython.

MicroPython gets the compiled modules that a board gets, in a heap of a board's size. The role has
two descriptors of this command: a lifeline, by which the kernel ends it when this command is gone,
and a pipe, through which SIGUSR1 and /metrics ask for its counters. What it prints comes through
this command, which puts time and level before each line.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import click

from msgin5g_tools.board.errors import BoardError
from msgin5g_tools.board.interpreter import end_with, find_interpreter
from msgin5g_tools.board.virtual import HeapSize
from msgin5g_tools.build.mpy import BuildError, build_firmware
from msgin5g_tools.device.application_file import ApplicationFile
from msgin5g_tools.device.bundle import ROLES
from msgin5g_tools.device.errors import WOULD_RESTART, WRONG_INPUT, DeviceError
from msgin5g_tools.device.role_log import RoleLog
from msgin5g_tools.device.settings_check import read_settings
from msgin5g_tools.log_lines import LEVELS, Log
from msgin5g_tools.paths import FIRMWARE, SHIM, TESTKIT
from msgin5g_tools.text import printable

_GOODBYE_S = 0.3
_GRACE_S = 5  # a role that was asked to end and does not is killed then
_FAILED = 1  # MicroPython's exit code after a traceback; those of main are others

# The exit statuses of every command for those of the firmware's main.
_STATUSES = {2: WRONG_INPUT, 3: WOULD_RESTART}
# Runs on either interpreter, in this order; what is between them depends on the options.
_SET_PATH = """import sys
path, options = {path!a}, {options!a}
sys.path[:] = path + sys.path
"""
_START = """
try:
    from msgin5g.main import main
    status = main(*options, control=control)
except MemoryError as error:
    reason = "MemoryError: " + str(error)
    print("heap: too small for this role: set a larger --heap (" + reason + ")")
    status = 2
sys.exit(status)
"""
# A transport that brings no datagrams: what comes is a request for the counters; "m" for /metrics.
_CONTROL = """
class Control:
    def __init__(self, descriptor):
        self.socket = open(descriptor, "rb", 0)
    def receive(self):
        asked = self.socket.read(1)
        if asked is None:
            return
        if not asked:
            raise KeyboardInterrupt
        from msgin5g import node
        counters = node.current.role.counters
        event = {"event": "counters", "counters": counters}
        if asked == b"m":
            import gc
            event["event"] = "metrics"
            if hasattr(gc, "mem_free"):
                event["free"] = gc.mem_free()
        node.current.print_event(event)
control = Control(%d)
"""
# As JSON the standard output is one object a line; what is printed besides goes elsewhere.
_START_JSON = """
import builtins, sys
print_to = print
def print_apart(*words, **how):
    is_event = words and isinstance(words[0], str) and words[0][:1] in ("", "{")
    how.setdefault("file", sys.stdout if is_event else sys.stderr)
    print_to(*words, **how)
builtins.print = print_apart
"""
# A shell gives what it starts in the background a SIGINT that is ignored, and Python keeps that.
# An exception of the application is printed as MicroPython prints it.
_START_CPYTHON = """
import signal, sys, traceback
signal.signal(signal.SIGINT, signal.default_int_handler)
def print_exception(error, file=None, /):
    traceback.print_exception(type(error), error, error.__traceback__, file=file or sys.stdout)
sys.print_exception = print_exception
"""


def interpreter_command():
    """The MicroPython to use: $MICROPYTHON, else the one beside this Python, else any."""
    beside = Path(sys.executable).with_name("micropython")
    return os.environ.get("MICROPYTHON") or (str(beside) if beside.exists() else "micropython")


# By default, where the modules are .mpy files: what a UE needs to take one 5 KB document after
# another beside an application; for the other roles what a separated gateway with a configuration
# of its own needs on a 64-bit port.
UE_HEAP = "160K"
HEAP = "208K"
SECURED_HEAP = "288K"  # a gateway with the keys of 30 UEs


def default_heap(settings, role=None):
    """The heap that MicroPython gets for a role, in place of the one that the settings name."""
    values = _values_of(settings)
    role = role or values.get("role")
    if role not in ROLES or role == "ue":
        return UE_HEAP
    security = values.get("security")
    is_secured = isinstance(security, dict) and security.get("mode") == "oscore"
    return SECURED_HEAP if is_secured and role != "relay" else HEAP


def command_of(
    settings,
    state,
    interpreter="micropython",
    heap=None,
    *,
    role=None,
    as_json=None,
    once=False,
    trace=False,
    control=None,
    app=None,
    prelude="",
):
    """The command line that runs a role; as_json None: what the settings say.

    heap: as `-X heapsize` takes it; None for the role's default. control: the descriptor of a
    pipe; each byte that comes makes the role print its counters. app: an ApplicationFile, whose
    folder is to be the working directory. prelude: a program that runs before the role.
    """
    if app:
        settings, state = os.path.abspath(settings), os.path.abspath(state)
    is_cpython = interpreter == "cpython"
    of_bytes = str if is_cpython else _as_utf8
    options = of_bytes(settings), of_bytes(state), as_json, once, trace, role, app and app.name
    if is_cpython:
        path = [str(SHIM), str(FIRMWARE), *([str(TESTKIT), str(app.folder)] if app else [])]
        start = [sys.executable, "-u"]
    else:
        path = [_as_utf8(build_firmware()), *([_as_utf8(app.folder)] if app else [])]
        start = _micropython(heap or default_heap(settings, role))
    program = "".join(
        (
            _SET_PATH.format(path=path, options=options),
            _START_CPYTHON if is_cpython else "",
            _START_JSON if as_json else "",
            app.prelude if app else "",
            prelude,
            "control = None" if control is None else _CONTROL % control,
            _START,
        )
    )
    return [*start, "-c", program]


def _micropython(heap):
    start, ctrl_c = find_interpreter()
    if ctrl_c != signal.SIGINT:  # as safe as on a board, when it is asked for
        start = [*start, "--sigint"]
    return [*start, "-X", f"heapsize={heap}"]


def _as_utf8(path):
    """A path as MicroPython has it, which knows no locale: its bytes are UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def _values_of(settings):
    """What decides the heap; the firmware reports what is wrong with the settings."""
    try:
        values = json.loads(Path(settings).read_bytes())
    except (OSError, ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {}


@click.command()
@click.option(
    "--role",
    type=click.Choice(ROLES),
    help="In place of the settings' own.",
)
@click.option("--settings", metavar="FILE", required=True)
@click.option("--app", metavar="FILE", help="An application beside the role.")
@click.option(
    "--interpreter", type=click.Choice(["micropython", "cpython"]), default="micropython"
)
@click.option(
    "--heap",
    type=HeapSize(),
    help=f"Heap of MicroPython; by default {UE_HEAP} for a UE, {SECURED_HEAP} for a gateway with"
    f" keys, and {HEAP} for others.",
)
@click.option("--state", type=click.Path(file_okay=False), help="Where a configuration is stored.")
@click.option(
    "--once",
    is_flag=True,
    help="End with the first outcome: exit status 0 when there is a configuration, else 7.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--trace", is_flag=True, help="Print every datagram as well.")
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    default="info",
    show_default=True,
    help="Print what is at least this important. A datagram of --trace is always printed.",
)
@click.option(
    "--metrics",
    metavar="[HOST:]PORT",
    help="Serve /metrics (Prometheus) and /health over HTTP; on 127.0.0.1 unless HOST is given.",
)
def run(role, settings, app, interpreter, heap, state, once, as_json, trace, log_level, metrics):
    """Run a role on this host.

    Without --state nothing is kept from one run to the next. Ctrl-C ends it. SIGUSR1 makes it
    print its counters. Before each line it prints the time (UTC) and the level. With --app the
    working directory of the role is the application's folder.

    Exit status: 0 ended by a person, or --once applied or unchanged   1 wrong settings or an
    address that cannot be used   7 --once with any other outcome
    8 the board would restart or sleep
    """
    try:
        _, checked = read_settings(settings, role)
        if app is not None:
            app = ApplicationFile(app, interpreter)
            app.require_same(checked.application)
        if once:
            _require_hosts(settings, checked)
    except DeviceError as error:
        click.echo(f"Error: {printable(str(error))}", err=True)
        sys.exit(error.status)
    values = _values_of(settings)
    metrics = _metrics(metrics) if metrics else None
    as_json = as_json or values.get("log") == "json"
    # At a terminal a role with a prompt is what a board is: a console.
    is_console = _is_console(values) and not metrics
    with _state_folder(state) as folder:
        try:
            code = _run(
                settings,
                folder,
                interpreter,
                heap,
                role=role,
                as_json=as_json or None,
                once=once,
                trace=trace,
                app=app,
                log=None if is_console else RoleLog(Log(as_json, log_level), metrics),
                metrics=metrics,
            )
        except (BoardError, BuildError) as error:
            raise click.ClickException(str(error)) from None
    sys.exit(code)


@contextmanager
def _state_folder(state):
    """The folder of this name; for None one that is removed afterwards."""
    folder = tempfile.mkdtemp(prefix="msgin5g-") if state is None else state
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"--state: {folder}: {error.strerror}") from None
    try:
        yield folder
    finally:
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)


def _metrics(text):
    # Here, because a role without figures needs none of the libraries behind them.
    from msgin5g_tools.device.role_metrics import RoleMetrics
    from msgin5g_tools.scm_server.problem import ScmError
    from msgin5g_tools.scm_server.settings import bind_error, metrics_address

    try:
        bind = metrics_address(text)
    except ScmError as error:
        raise click.UsageError(f"--{error}") from None
    try:
        return RoleMetrics(bind)
    except (OSError, OverflowError, UnicodeError) as error:
        raise click.ClickException(str(bind_error(*bind, error))) from None


def _require_hosts(file, settings):
    """DeviceError for a host that nobody knows: a role goes on asking, so --once had no end."""
    server = settings.server_address if settings.role != "ue" else None
    for key, address in (("next_hop", settings.next_hop), ("server.address", server)):
        if address is None:
            continue
        try:
            socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            text = f"{file}: settings: {key}: {address[0]}: no such host"
            raise DeviceError(WRONG_INPUT, text) from None


def _is_console(values):
    return values.get("prompt") is True and sys.stdin.isatty() and sys.stdout.isatty()


class _Child:
    """The role as a child process; signals that come before it has started count as well.

    log: a RoleLog that gets what it prints; None: it has the terminal to itself.
    """

    def __init__(self, log):
        self._process = None
        self._log = log
        self._asked_at = None  # when it was asked to end
        self._lifeline, self._end = socket.socketpair()
        self.control, self._ask = os.pipe()
        os.set_blocking(self.control, False)
        os.set_blocking(self._ask, False)
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            signal.signal(getattr(signal, name), self._stop)
        signal.signal(signal.SIGUSR1, self._count)

    def start(self, command, folder=None):
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} if self._log else {}
        self._process = subprocess.Popen(
            command, cwd=folder, pass_fds=(self._end.fileno(), self.control), **output
        )
        if self._log:
            self._log.read(self._process.stdout, self._process.stderr)
        end_with(self._end, self._process.pid)
        self._end.close()
        os.close(self.control)
        if self._asked_at is not None:
            self._interrupt()

    def wait(self):
        """Its exit status."""
        while True:
            try:
                code = self._process.wait(timeout=1)
                return code if code >= 0 else 128 - code
            except subprocess.TimeoutExpired:
                asked_at = self._asked_at
                if asked_at is not None and time.monotonic() - asked_at > _GRACE_S:
                    self._process.kill()

    def _stop(self, number, frame):
        """End the role, with a goodbye."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        if number == signal.SIGINT:
            # A terminal has sent it to the role as well: twice, it would break off the goodbye.
            time.sleep(_GOODBYE_S)
        if self._process is not None:
            self._interrupt()

    def _interrupt(self):
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def _count(self, number, frame):
        self.ask(b"c")

    def ask(self, how):
        """Have the role print its counters: b"c" for a person, b"m" for /metrics."""
        try:
            os.write(self._ask, how)
        except OSError:
            pass  # it has not read the last requests yet, or has ended


def _run(*arguments, app, log, metrics, **more):
    """Run a role until it ends; its exit status. The rest is as for command_of."""
    child = _Child(log)
    command = command_of(*arguments, app=app, control=child.control, **more)
    child.start(command, app and app.folder)
    if metrics:
        metrics.start(lambda: child.ask(b"m"))
    try:
        status = child.wait()
    finally:
        if metrics:
            metrics.close()
        if log:
            log.close()
    return _STATUSES.get(status, status)
