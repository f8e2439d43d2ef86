"""What `msgin5g flash` and `msgin5g provision` do with one board."""

import threading
from collections import namedtuple

from msgin5g_tools.device import bundle
from msgin5g_tools.device.board_key import (
    KEY,
    NOTHING,
    REST,
    holds_key,
    joined_secrets,
    read_numbers,
    with_key,
)
from msgin5g_tools.device.boards import board_fault
from msgin5g_tools.device.bundle import file_of
from msgin5g_tools.device.settings_check import asked_by, checked_secrets, role_on_board
from msgin5g_tools.device.errors import NOT_MICROPYTHON, DeviceError
from msgin5g_tools.device.install import install
from msgin5g_tools.device.inventory import feed_watchdog, take_inventory
from msgin5g_tools.device.session import BOOT_FAULT, session_at
from msgin5g_tools.device.watch import require_configured, watch_boot


class Job(namedtuple("Job", "port role settings secrets key_source", defaults=(None,))):
    """role, settings, secrets: None leaves what the board has; the last two are bytes, checked.

    key_source: gives the board a key (server_keys.KeySource); None leaves the key that it has.
    """

    def __repr__(self):
        return f"Job({self.port!r})"


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
    key = _key_for(session, job, inventory, options, line)
    wanted = wanted_files(job, role, bundles)
    wanted += _secret_files(session, job, inventory, key)
    n_copied = install(session, inventory, wanted, line, options.dry_run)
    if key is not None and not options.dry_run:
        job.key_source.installed(key)
    return inventory, role, n_copied


def wanted_files(job, role, bundles):
    """The Files that the board shall have, but for its secrets."""
    files = list(bundles.of(role))
    if job.settings is not None:
        files.append(file_of("settings.json", job.settings))
    return files


def _key_for(session, job, inventory, options, line):
    """The BoardKey that the board shall have, in a dry run only if it has it; None for no other.

    A key for which the board has numbers stays, whatever became of an earlier run. Any other one
    is made now, and no file of numbers is ever made for a key of before.
    """
    if job.key_source is None:
        return None
    board = _board_id(inventory)
    found = read_numbers(session)
    key = job.key_source.key_with(lambda key: key.has_numbers(found, board))
    if key is None and options.dry_run:
        line.say(f"would make a key, for the board and for {job.key_source.other_end}")
    elif key is None:
        key = job.key_source.new_key()
        line.say(f"a new key: {key.sender_id.hex()}")
    return key


def _secret_files(session, job, inventory, key):
    """secrets.json with `key`, or with the key that the board has; the numbers of a new key."""
    secrets = job.secrets
    if key is None:
        if secrets is None:
            return []
        if holds_key(secrets):
            return [file_of("secrets.json", secrets)]
        return [joined_secrets(session, secrets, KEY)]
    board = _board_id(inventory)
    ues = key.entries(job.key_source.ue_keys, session, board)
    data = with_key(secrets, key, ues)
    kept_ues = () if key.is_new else job.key_source.kept_ues
    if secrets is None or not key.is_new:
        keeps = REST if secrets is None else NOTHING
        files = [joined_secrets(session, data, keeps, kept_ues)]
    else:
        files = [file_of("secrets.json", data)]
    return files + (key.new_numbers(board) if key.is_new else [])


def _board_id(inventory):
    identity = bytes.fromhex(inventory.facts["id"])
    if not identity:
        raise DeviceError(NOT_MICROPYTHON, "it has no unique_id, to which a key could be bound")
    return identity


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
