"""Parse what a board or a role prints: events as JSON or as text, faults, the prompt.

Everyone who reads such lines does so here: flash, monitor, decode, demo.
"""

import ast
import json
import re

# The events that may come without any value beside their name, as text.
_BARE = frozenset(
    "applied unchanged timeout confirmed deleted removed safe_mode unconfigured factory_reset"
    " stopped link_up link_down".split()
)
# One line that main prints instead of an event: see settings.load, LinkError, StorageError.
_FAULT = re.compile(
    r"(settings|secrets|bind|address|storage|wifi|link|security|heap): "
    r"(?!unknown, ignored|links: none)"
)
_NOTICE = re.compile(r"(settings|secrets): (unknown, ignored|links: none)")
SAFE_MODE = (
    "safe mode: the board was reset too often, so the application is not started; the next start"
    " runs it again after 5 minutes in safe mode, with another app.py, or with another document"
)
# The prompt erases its own line before something is printed above it: see repl/prompt.py.
ERASE = "\r\x1b[K"
_WORD = re.compile(r"([a-z_]+)(?= |$)")
_KEY = re.compile(r" ([a-z_]+)=")
# On a host there are time and level before the line of a board: see log_lines.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+Z) (debug|info|warning|error) ")
_LEVELS = {
    "datagram": "debug",
    "refused": "warning",
    "rejected": "warning",
    "timeout": "warning",
    "backing_off": "warning",
    "deleted": "warning",
    "removed": "warning",
    "rolled_back": "warning",
    "safe_mode": "error",
    "unconfigured": "error",
    "storage": "error",
    "unresolved": "warning",
    "crashed": "error",
    "restarting": "warning",
}


def visible(line):
    """What a terminal shows of a line: a prompt that was erased is gone, line ends as well."""
    return line.rpartition(ERASE)[2].strip("\r\n\x04\x00")


def parse_event(line):
    """The event in a line of console output, as a dict, or None. Values of text stay text.

    In a line of a host it has `time` and `level`, too.
    """
    stamp, line = _split(line)
    if line.startswith("{"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return None
        known = isinstance(event, dict) and isinstance(event.get("event"), str)
        return event if known else None
    word = _WORD.match(line)
    if not word:
        return None
    parts = _KEY.split(line[word.end() :])
    if parts[0].strip() or (len(parts) == 1 and word[1] not in _BARE):
        return None
    values = [_value(text) for text in parts[2::2]]
    return {**stamp, "event": word[1], **dict(zip(parts[1::2], values, strict=True))}


def _split(line):
    """({"time": ..., "level": ...} or {}, the rest of the visible line)."""
    line = visible(line)
    stamp = _STAMP.match(line)
    if not stamp:
        return {}, line
    return {"time": stamp[1], "level": stamp[2]}, line[stamp.end() :]


def _value(text):
    """What str() was made from, where that is a list or a dict."""
    if text[:1] in ("[", "{"):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError):
            pass
    return text


def without_stamp(line):
    """What is visible of a line, without time and level."""
    return _split(line)[1]


def is_log_line(line):
    """Whether there are time and level in it: a line of `msgin5g run`."""
    return bool(_split(line)[0])


def parse_fault(line):
    """What is visible of the line in which main reports a fault, or None for another line."""
    line = _split(line)[1]
    return line if _FAULT.match(line) else None


def is_notice(line):
    """Whether main points at a setting that it can work with."""
    return bool(_NOTICE.match(_split(line)[1]))


def level_of(event):
    """The level of an event in a log: debug, info, warning or error."""
    return _LEVELS.get(event["event"], "info")


def outcome(event):
    """(configured, in words) when an event decides whether a UE has a configuration, or None."""
    name = event["event"]
    if name in ("applied", "unchanged", "confirmed"):
        return True, "configured"
    if name == "rejected":
        words = [str(event[key]) for key in ("code", "title", "detail") if event.get(key)]
        return False, "rejected: " + ", ".join(words)
    if name == "refused":
        reasons = event.get("reasons", [])
        if isinstance(reasons, list):
            reasons = "; ".join(map(str, reasons))
        return False, f"the document is refused: {reasons}"
    if name == "timeout":
        return False, "timeout: no answer"
    return None
