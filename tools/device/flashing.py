"""What `msgin5g flash` and `msgin5g provision` do with one board."""

import threading
from collections import namedtuple

from msgin5g_tools.device import bundle
from msgin5g_tools.device.boards import board_fault
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.settings_check import asked_by, checked_secrets, role_on_board
from msgin5g_tools.device.errors import NOT_MICROPYTHON, DeviceError
from msgin5g_tools.device.install import install
from msgin5g_tools.device.inventory import feed_watchdog, take_inventory
from msgin5g_tools.device.session import BOOT_FAULT, session_at
from msgin5g_tools.device.watch import require_configured, watch_boot

# role, settings, secrets: None leaves what the board has. settings and secrets are bytes, checked.
Job = namedtuple("Job", "port role settings secrets")

# board: a Board or None. watch: None waits for a configuration if anything was copied.
Options = namedtuple("Options", "tool board dry_run watch wait_s")


class Bundles:
    """The files of each role, compiled once, when the first board needs them."""

    def __init__(self):
        self._files = {}
        self._lock = threading.Lock()

    def of(self, role):
        with self._lock:
            if role not in self._files:
                self._files[role] = bundle.build(role)
            return self._files[role]


def flash_board(job, options, bundles, line):
    """Do the job; the text that says how it ended, or DeviceError."""
    line.say("connecting")
    with session_at(job.port, options.tool) as session:
        inventory, role, n_copied = _bring_up_to_date(session, job, options, bundles, line)
        if not session.boot_ended:
            line.say(BOOT_FAULT)
        if options.dry_run:
            return f"{n_copied} files would be copied ({role})" if n_copied else "up to date"
        return _first_boot(session, job, inventory, n_copied, options, line)


def _bring_up_to_date(session, job, options, bundles, line):
    """(Inventory from before, role, number of files copied)."""
    inventory = take_inventory(session)
    feed_watchdog(session, inventory)
    fault = board_fault(options.board, inventory.facts)
    if fault:
        raise DeviceError(NOT_MICROPYTHON, fault)
    if job.secrets is not None and job.settings is None and inventory.settings is not None:
        checked_secrets(job.secrets, inventory.settings)
    role = job.role or role_on_board(inventory) or "ue"
    wanted = wanted_files(job, role, bundles)
    return inventory, role, install(session, inventory, wanted, line, options.dry_run)


def wanted_files(job, role, bundles):
    """The Files that the board shall have: the role's, and what the job brings."""
    files = list(bundles.of(role))
    if job.settings is not None:
        files.append(file_of("settings.json", job.settings))
    if job.secrets is not None:
        files.append(file_of("secrets.json", job.secrets))
    return files


def _first_boot(session, job, inventory, n_copied, options, line):
    done = f"{n_copied} files copied" if n_copied else "nothing to copy"
    if not session.boot_ended:
        session.reset()
        require_configured((False, BOOT_FAULT))
    if job.settings is None and inventory.settings is None:
        session.reset()
        return f"{done}, no settings.json: pass --settings FILE"
    if options.watch is False:
        session.reset()
        return f"{done}, reset"
    line.say(f"{done}, watching the first boot")
    until_started = options.watch is None and not n_copied
    asked = asked_by(job.settings or inventory.settings)
    verdict = watch_boot(session, options.wait_s, until_started, asked)
    return f"{done}, {require_configured(verdict)}"
