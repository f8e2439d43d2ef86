"""`msgin5g demo`: constrained UEs get their configurations through a relay or a gateway."""

import asyncio
import signal
import sys

import click

from msgin5g_tools.decode.capture_writer import CaptureWriter
from msgin5g_tools.demo import actors, gateway_scenario
from msgin5g_tools.demo.gateway_scenario import GatewayScenario
from msgin5g_tools.demo.oscore_scenario import OscoreScenario
from msgin5g_tools.demo.processes import DemoError, Processes
from msgin5g_tools.demo.relay_scenario import RelayScenario
from msgin5g_tools.demo.report import (
    GatewayJsonReport,
    GatewayReport,
    JsonReport,
    OscoreJsonReport,
    OscoreReport,
    Report,
)

__all__ = ["demo"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--gateway", is_flag=True, help="A gateway with five UEs instead of a relay.")
@click.option("--oscore", is_flag=True, help="UEs with keys, and a relay that can read nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
@click.option(
    "--pcap",
    "capture",
    metavar="FILE",
    type=click.File("wb", lazy=False),
    help="Write the messages as a capture, for Wireshark and for `msgin5g decode --pcap`.",
)
@click.option(
    "--diagram",
    metavar="FILE",
    type=click.File("w", encoding="utf-8", lazy=False),
    help="Draw the messages as a sequence diagram: an SVG, for a light or dark page.",
)
def demo(gateway, oscore, as_json, capture, diagram):
    """Run a complete scenario on loopback with real MicroPython, and check its result.

    A configuration management server, a relay, and three UEs on virtual boards with 128 KiB of
    heap, flashed with mpremote. The first UE gets its configuration (2.05), the second is on the
    deny list (4.03), the third has no document (4.04). A proxy between relay and server forwards
    all messages and plants one response for a UE that has no link: the relay must discard it.

    With --gateway: a gateway and five UEs. Three send their requests together, and the gateway
    sends one bulk request to the server; each UE gets its own response, one of them 4.04. Then
    two more, one of them on the deny list: the server rejects the bulk request (4.03), and the
    gateway asks again for each UE alone.

    With --oscore: the relay's scenario again, with OSCORE. Each board is provisioned with a key of
    its own, which the server gets, too. The relay has none, and what it sees is searched for
    parts of requests and configurations.

    \b
    Exit status: 0 when everything was as expected; 1 when not, and the output says what.
    Keys of the JSON object:
      ok             true for exit status 0
      errors         what was not as expected, one text each
      seconds        the whole run; set_up_seconds: the part before the first message
      ladder         the messages in order: ms, from, to, type, code, mid, token, recipient,
                     size, hex, and note for some of them
      outcomes       by UE ID: the event that the board printed, and the code
      foreign_answer recipient, arrived, counted, discarded
      counters       of the relay or gateway: the reason and number of discarded messages
      configuration  read back from the UE's flash
      bulk_requests, single_requests   with --gateway: ue_ids and response code of each request
      leaks          with --gateway: messages to a UE that name another UE
      configurations with --gateway: read back from the flash of each UE
      protected      with --oscore: messages, number of all; readable, what the relay could read
      logs           only when not ok: the last lines of each process and board
    """
    if gateway and oscore:
        raise click.UsageError("--gateway and --oscore do not go together")
    if oscore:
        report = OscoreJsonReport() if as_json else OscoreReport()
        ues, scenario_class = actors.UES, OscoreScenario
    elif gateway:
        report = GatewayJsonReport() if as_json else GatewayReport()
        ues, scenario_class = gateway_scenario.UES, GatewayScenario
    else:
        report = JsonReport() if as_json else Report()
        ues, scenario_class = actors.UES, RelayScenario
    try:
        sys.exit(asyncio.run(_run(report, ues, scenario_class, capture, diagram)))
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(report, ues, scenario_class, capture, diagram):
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    signals = []

    def cancel(number):
        if not signals:  # the first signal cancels the run; a second one must not cut the clean-up
            task.cancel()
        signals.append(number)

    for number in _ENDING:
        loop.add_signal_handler(number, cancel, number)
    try:
        async with Processes(ues) as processes:
            scenario = scenario_class(processes, report.progress, report.message)
            if capture is not None:
                scenario.capture = CaptureWriter(capture)
            report.begin(scenario)
            await scenario.run()
            if diagram is not None:
                diagram.write(scenario.svg(report.title))
                diagram.close()
            logs = processes.logs() if scenario.errors else {}
            report.end(scenario, processes.seconds(), logs)
            return 1 if scenario.errors else 0
    except (DemoError, OSError) as error:
        report.fail(str(error))
        return 1
    except asyncio.CancelledError:
        if not signals:
            raise
        report.fail("interrupted")
        return 128 + signals[0]
    finally:
        report.close()
