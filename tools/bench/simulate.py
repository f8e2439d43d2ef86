"""What `msgin5g simulate` costs for more and more UEs: processor time and memory, by the UE."""

import json
import os
import subprocess
import sys
from collections import namedtuple

from msgin5g_tools.bench.errors import BenchError

ROLES = ("gateway", "relay")
# seconds: processor time. peak_bytes: of the resident set. time_ratio, memory_ratio: for a UE,
# compared with the first size of that role.
Cost = namedtuple("Cost", "role ues seconds peak_bytes time_ratio memory_ratio")

_COMMAND = [sys.executable, "-c", "from msgin5g_tools.cli import main; main()", "simulate"]
_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


def costs(sizes, roles=ROLES):
    """A Cost for each role and number of UEs, as soon as it is known."""
    for role in roles:
        first = None
        for ues in sizes:
            seconds, peak_bytes = _run(role, ues)
            each = seconds / ues, peak_bytes / ues
            first = first or each
            yield Cost(role, ues, seconds, peak_bytes, each[0] / first[0], each[1] / first[1])


def _run(role, ues):
    """(processor time in seconds, peak of the resident set in bytes) of one simulation."""
    command = [*_COMMAND, "--role", role, "--ues", str(ues), "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        text = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        child.kill()
        raise
    finally:
        child.stdout.close()
    if child.returncode or not json.loads(text)["ok"]:
        raise BenchError(
            f"simulate --role {role} --ues {ues}: not every UE has ended as it should"
        )
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _UNIT
