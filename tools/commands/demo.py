"""`msgin5g demo`: a constrained UE gets its configuration through a relay, or a gateway."""

import asyncio
import signal
import sys

import click

from msgin5g_tools.demo import bulk
from msgin5g_tools.demo.bulk import BulkJsonReport, BulkPlay, BulkReport
from msgin5g_tools.demo.cast import UES
from msgin5g_tools.demo.play import Play
from msgin5g_tools.demo.report import JsonReport, Report
from msgin5g_tools.demo.stage import DemoError, Stage

__all__ = ["demo"]

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--gateway", is_flag=True, help="One bulk request for several UEs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")
def demo(gateway, as_json):
    """Play the whole story on loopback with real MicroPython.

    A configuration management server, a relay, and three UEs with 96 KiB of heap on virtual
    boards, flashed with mpremote. One UE is configured (2.05), one is on the deny list (4.03),
    one is unknown (4.04). The demo itself stands between relay and server, passes everything on,
    and plants one answer for a UE that has no link: the relay must discard it.

    With --gateway: a gateway, and five UEs with 96 KiB of heap. Three ask together, and the
    server sees one request; each UE gets an answer of its own, one of them 4.04. Then two more,
    one of them on the deny list: the server refuses (4.03), and the gateway asks for each alone.

    \b
    Exit status 0: all of this was seen. 1: something was missing, and it says what.
    The keys of the JSON object:
      ok             true for exit status 0
      errors         what was missing, one text each
      seconds        from start to end; set_up_seconds: of these before the first message
      ladder         messages in order: ms, from, to, type, code, mid, token, recipient, size,
                     hex, and note for some
      outcomes       by UE ID: the event as the board printed it, and the code
      foreign_answer recipient, arrived, counted, discarded
      counters       why the relay discarded what
      configuration  as read back from the UE's flash
      bulk_requests, single_requests   with --gateway: ue_ids and the code of the answer of each
      leaks, configurations   messages that name another UE; what is on the flash of each UE
      logs           only when not ok: the last lines of everybody
    """
    if gateway:
        report = BulkJsonReport() if as_json else BulkReport()
        story = bulk.UES, BulkPlay
    else:
        report = JsonReport() if as_json else Report()
        story = UES, Play
    try:
        sys.exit(asyncio.run(_perform(report, *story)))
    except KeyboardInterrupt:
        sys.exit(130)


async def _perform(report, ues, story):
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    ended_by = []

    def end(number):
        if not ended_by:  # once is enough: what follows is tidying up
            task.cancel()
        ended_by.append(number)

    for number in _ENDING:
        loop.add_signal_handler(number, end, number)
    try:
        async with Stage(ues) as stage:
            play = story(stage, report.progress, report.message)
            report.begin(play)
            await play.perform()
            report.end(play, stage.seconds(), stage.logs() if play.errors else {})
            return 1 if play.errors else 0
    except (DemoError, OSError) as error:
        report.fail(str(error))
        return 1
    except asyncio.CancelledError:
        if not ended_by:
            raise
        report.fail("interrupted")
        return 128 + ended_by[0]
    finally:
        report.close()
