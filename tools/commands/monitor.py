"""`msgin5g monitor`: the events, messages and REPL of a board."""

import select
import sys
import time

import click
from msgin5g_tools.device.errors import PORT_BUSY, DeviceError
from msgin5g_tools.device.keyboard import Keyboard
from msgin5g_tools.device.screen import Screen
from msgin5g_tools.device.serial_port import LOST, failed, open_serial, other_reader, real_port
from msgin5g_tools.number import SECONDS

_LEAVE = b"\x1d"  # Ctrl-]
_IDLE_S = 0.03
_RETRY_S = 0.3
_HELP = "Ctrl-C stops the program: the REPL. Ctrl-D starts it again. Ctrl-] leaves."


class _Left(Exception):
    """The person left, or the time is over."""


@click.command()
@click.option("--port", required=True)
@click.option("--reset", is_flag=True, help="Start the program anew first (Ctrl-C, Ctrl-D).")
@click.option("--for", "seconds", type=SECONDS, help="End after so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Only events, one JSON object a line.")
def monitor(port, reset, seconds, as_json):
    """Watch a board: events, counters, and each datagram as a line of a ladder.

    Every key goes to the board: Ctrl-C stops its program and shows the REPL, Ctrl-D there starts
    it again. Ctrl-] leaves the monitor. A board that is unplugged is waited for. Datagrams are
    shown when the board's settings have "trace": true; events are understood with "log": "text"
    and with "json".

    Exit status: 0 left with Ctrl-], Ctrl-C without a terminal, or --for   3, 4 as msgin5g flash
    """
    name, port = port, real_port(port)
    screen = Screen(sys.stdout, as_json)
    try:
        board = open_serial(port, timeout=0)
        other = other_reader(port)
        if other:
            raise other
    except DeviceError as error:
        click.echo(f"{name}: Error: {error}", err=True)
        sys.exit(error.status)
    began = time.monotonic()
    with Keyboard() as keys:
        try:
            if keys.descriptor is not None:
                screen.note(_HELP)
            to_send = b"\x03\x03\x02\x04" if reset else b""
            while True:
                try:
                    _write(board, to_send)
                    to_send = b""
                    _attend(board, keys, screen, began, seconds)
                except LOST as error:
                    reason = failed(port, error)
                    if reason.status == PORT_BUSY:
                        raise reason from None
                    screen.note("\nthe board is gone; waiting for it (Ctrl-] leaves)")
                    _close(board)
                    board = _wait_for(port, keys, began, seconds)
                    screen.note("the board is back")
        except (_Left, KeyboardInterrupt):
            pass
        except DeviceError as error:
            click.echo(f"{name}: Error: {error}", err=True)
            sys.exit(error.status)
        finally:
            screen.idle()
            _close(board)
    if screen.seen:
        counted = ", ".join(f"{name} {n}" for name, n in sorted(screen.seen.items()))
        screen.note(f"\n{counted}")


def _attend(board, keys, screen, began, seconds):
    """Carry bytes both ways until the person leaves; OSError when the board is gone."""
    watched = [board.fileno()]
    if keys.descriptor is not None:
        watched.append(keys.descriptor)
    while True:
        _check_time(began, seconds)
        ready, _, _ = select.select(watched, [], [], _IDLE_S)
        if not ready:
            screen.idle()
        if keys.descriptor in ready:
            _send_keys(board, keys)
        if watched[0] in ready:
            data = board.read(max(1, board.in_waiting))
            if not data:
                raise OSError("hung up")
            screen.feed(data, time.monotonic() - began)


def _send_keys(board, keys):
    typed = keys.read()
    if not typed or _LEAVE in typed:
        _write(board, typed.split(_LEAVE)[0])
        raise _Left
    _write(board, typed)


def _write(board, data):
    if data:
        board.write(data)
        board.flush()


def _close(board):
    try:
        board.close()
    except LOST:
        pass


def _wait_for(port, keys, began, seconds):
    while True:
        _check_time(began, seconds)
        watched = [] if keys.descriptor is None else [keys.descriptor]
        if select.select(watched, [], [], _RETRY_S)[0]:
            typed = keys.read()
            if not typed or _LEAVE in typed:
                raise _Left
        try:
            return open_serial(port, timeout=0)
        except DeviceError:
            pass


def _check_time(began, seconds):
    if seconds is not None and time.monotonic() - began > seconds:
        raise _Left
