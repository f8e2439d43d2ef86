"""`msgin5g decode`: explains datagrams, as the firmware's own decoder reads them."""

import json
import re
import sys
from contextlib import nullcontext
from pathlib import Path

import click

from msgin5g_tools.decode.explain import explain
from msgin5g_tools.decode.names import Registry
from msgin5g_tools.decode.oneline import one_line
from msgin5g_tools.decode.sequence_diagram import fields_of
from msgin5g_tools.device.events import is_log_line, parse_event, visible
from msgin5g_tools.number import UINT16
from msgin5g_tools.picture_file import check_picture
from msgin5g_tools.text import printable

__all__ = ["decode"]

_PORTS = (5683, 65401)
_NOISE = re.compile(r"0x|[\s:,-]")
_HEADER_SIZE = 4
_SHOWN = 24
_COLOURS = {"2": "green", "4": "yellow", "5": "red"}


class _Reader:
    """Explains datagrams one after the other; `sound`: none of them was malformed."""

    def __init__(self, registry, as_json, as_line):
        self.registry = registry
        self._as_json = as_json
        self._as_line = as_line
        self._n = 0
        self.sound = True

    def show(self, datagram, where=None):
        if self._as_json:
            self._show_json(datagram, where)
            return
        if self._as_line:
            self._show_line(datagram, where)
            return
        if self._n:
            click.echo()
        self._n += 1
        explanation = explain(datagram, self.registry)
        if where:
            click.secho(where, dim=True)
        click.secho(explanation.heading, bold=True)
        for line in explanation.lines:
            click.echo(line)
        if explanation.fault:
            self.wrong("  " + explanation.fault)
        sys.stdout.flush()

    def _show_line(self, datagram, where):
        line, code, fault = one_line(datagram, self.registry)
        if where:
            click.secho(where + "  ", dim=True, nl=False)
        if fault:
            self.wrong(f"{line}: {fault}")
        else:
            click.secho(line, fg=_COLOURS.get(code[0]))
        sys.stdout.flush()

    def _show_json(self, datagram, where):
        explanation = explain(datagram, self.registry)
        self.sound = self.sound and not explanation.fault
        row = {
            "where": where,
            **fields_of(datagram, self.registry),
            "lines": [explanation.heading, *explanation.lines],
            "fault": explanation.fault,
            "hex": datagram.hex(),
        }
        click.echo(json.dumps(row))
        sys.stdout.flush()

    def other(self, line):
        """A line that is no datagram."""
        if not self._as_json:
            click.echo(printable(line))

    def wrong(self, line):
        self.sound = False
        click.secho(line, fg="red", err=self._as_json)


@click.command()
@click.argument("datagrams", metavar="[HEX]...", nargs=-1)
@click.option(
    "--pcap",
    "capture",
    metavar="FILE",
    help="Explain every CoAP datagram of a capture, pcap or pcapng; - is stdin.",
)
@click.option(
    "--live",
    "interface",
    metavar="INTERFACE",
    help="Explain every CoAP datagram of a network interface as it comes, until Ctrl-C.",
)
@click.option(
    "--port",
    "ports",
    type=UINT16,
    multiple=True,
    help="UDP port of CoAP in a capture or on an interface; repeatable.  [default: 5683, 65401]",
)
@click.option(
    "--recipient-option",
    type=UINT16,
    default=65020,
    show_default=True,
    help="Number of the Recipient option.",
)
@click.option(
    "--content-format",
    type=UINT16,
    default=65001,
    show_default=True,
    help="Content-Format of UeConfigDoc.",
)
@click.option(
    "--svg",
    "picture",
    metavar="FILE.svg",
    help="With --pcap: also draw the messages as a sequence diagram, the first 1000 of them.",
)
@click.option("--oneline", "as_line", is_flag=True, help="One line for each datagram.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each datagram.")
def decode(
    datagrams,
    capture,
    interface,
    ports,
    recipient_option,
    content_format,
    picture,
    as_line,
    as_json,
):
    """Explain CoAP datagrams: given in hex, read from a capture, or with - one a line from stdin.

    Spaces, colons and 0x in the hex are ignored. Several HEX are several datagrams, unless one
    is shorter than a header (4 bytes): then all are parts of one datagram, as in a hex dump. Lines
    of `msgin5g run --trace` and of a board with the setting `trace` are accepted on stdin, too.

    --live captures with dumpcap (Debian: tshark), which root and the group wireshark may use.

    \b
    Examples:
      msgin5g decode 40011234b573752d7563
      msgin5g decode --pcap trace.pcapng
      msgin5g decode --pcap trace.pcapng --oneline --svg trace.svg
      msgin5g decode --live lo --oneline
      msgin5g run --role relay --settings relay.json --trace | msgin5g decode --oneline -

    Exit status: 1 when a datagram is malformed; the text says at which byte, counted from 0.
    """
    if as_line and as_json:
        raise click.UsageError("--oneline and --json exclude each other")
    reader = _Reader(Registry(recipient_option, content_format), as_json, as_line)
    if sum((capture is not None, interface is not None, bool(datagrams))) > 1:
        raise click.UsageError("HEX, --pcap and --live exclude each other")
    if picture is not None and capture is None:
        raise click.UsageError("--svg draws a capture: --pcap FILE is missing")
    if picture is not None:
        check_picture("--svg", picture, (".svg",))
    if capture is not None:
        _read_capture(reader, capture, ports or _PORTS, picture)
    elif interface is not None:
        _read_live(reader, interface, ports or _PORTS)
    elif datagrams == ("-",):
        _read_lines(reader)
    elif datagrams:
        for datagram in _split([_bytes_of(text) for text in datagrams]):
            reader.show(datagram)
    else:
        raise click.UsageError("HEX, -, --pcap FILE or --live INTERFACE is missing")
    sys.exit(0 if reader.sound else 1)


def _split(pieces):
    return pieces if all(len(piece) >= _HEADER_SIZE for piece in pieces) else [b"".join(pieces)]


def _bytes_of(argument):
    try:
        return _bytes(argument)
    except click.ClickException as error:
        shown = argument if len(argument) < _SHOWN else argument[:_SHOWN] + "..."
        raise click.ClickException(f"{shown}: {error.message}") from None


def _bytes(text):
    """The bytes of a text in hex; ClickException when it is something else."""
    digits = _NOISE.sub("", text)
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise click.ClickException(f"not hex: {_why(digits)}") from None


def _why(digits):
    for i, char in enumerate(digits):
        if char not in "0123456789abcdefABCDEF":
            return f"{char!r} at digit {i + 1}"
    return f"{len(digits)} digits, which is odd"


def _read_lines(reader):
    for number, line in enumerate(sys.stdin.buffer, 1):
        line = visible(line.decode("utf-8", "replace")).strip()
        event = parse_event(line)
        if event is not None or line.startswith("{") or is_log_line(line):
            _show_event(reader, line, event or {})
        elif line:
            try:
                reader.show(_bytes(line))
            except click.ClickException as error:
                reader.wrong(f"line {number}: {error.message}")


def _show_event(reader, line, event):
    """A line of `msgin5g run`: a datagram is explained, another event is printed."""
    try:
        datagram = bytes.fromhex(event["hex"])
    except (ValueError, KeyError, TypeError):
        reader.other(line)
        return
    direction = "to" if event.get("direction") == "out" else "from"
    reader.show(datagram, printable(f"{direction} {event.get('remote', '?')}"))


def _read_capture(reader, name, ports, picture):
    from msgin5g_tools.decode.capture_diagram import CaptureDiagram

    diagram = CaptureDiagram(reader.registry) if picture is not None else None
    try:
        with nullcontext(sys.stdin.buffer) if name == "-" else open(name, "rb") as file:
            _read_datagrams(reader, name, file, ports, diagram)
        if diagram is not None:
            _draw(diagram, "a capture from stdin" if name == "-" else Path(name).name, picture)
    except OSError as error:
        # One of the output has no name, or another: it is for main.
        if error.filename not in (name, picture):
            raise
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _draw(diagram, title, picture):
    text = diagram.svg(title)
    if text is None:
        raise click.ClickException(f"{picture}: not written, there is nothing to draw")
    # What cannot be encoded is of a file name that is no text.
    Path(picture).write_text(text, encoding="utf-8", errors="replace")
    click.echo(f"{picture}: {diagram.counted}", err=True)


def _read_live(reader, interface, ports):
    from msgin5g_tools.decode.live import LiveError, live_capture

    try:
        with live_capture(interface, ports) as file:
            click.echo(
                f"{interface}: captures UDP port {_listed(ports)}; Ctrl-C ends it", err=True
            )
            _read_datagrams(reader, interface, file, ports)
    except LiveError as error:
        raise click.ClickException(f"--live: {error}") from None


def _read_datagrams(reader, name, file, ports, diagram=None):
    # Only a capture needs dpkt, which takes a tenth of a second to import.
    from msgin5g_tools.decode.capture import Capture, CaptureError

    capture = Capture(file)
    n_found = 0
    try:
        for datagram in capture.datagrams():
            if datagram.source[1] in ports or datagram.target[1] in ports:
                n_found += 1
                if diagram is not None:
                    diagram.add(datagram)
                way = f"{_address(datagram.source)} -> {_address(datagram.target)}"
                reader.show(
                    datagram.payload, f"#{datagram.number}  {datagram.seconds:.6f} s  {way}"
                )
    except CaptureError as error:
        reader.sound = False
        click.echo(printable(f"Error: {name}: {error}"), err=True)
        if not capture.n_frames:
            return
    counted = f"{n_found} of {capture.n_frames} frames have a datagram of UDP port "
    counted += _listed(ports)
    if capture.n_fragments:
        counted += f"; fragments not reassembled: {capture.n_fragments}"
    click.echo(counted, err=True)


def _listed(ports):
    return ", ".join(map(str, ports))


def _address(address):
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
