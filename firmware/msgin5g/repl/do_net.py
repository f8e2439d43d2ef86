"""repl.fetch() and repl.trace()."""

from micropython import const
from msgin5g.coap.errors import MessageFormatError
from msgin5g.coap.message import Message, code_text
from msgin5g.coap.numbers import BLOCK2, OBSERVE, URI_PATH, URI_QUERY
from msgin5g.coap.ticks import add, diff
from msgin5g.port.system import ticks_ms
from msgin5g.port.peer import text_of
from msgin5g.repl.do_text import unchecked, wrapped

_LONGEST_MS = const(30000)
_TURN_MS = const(100)
_OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")


def fetch(node):
    if unchecked(node):
        return
    now = ticks_ms()
    node.ue.fetch(now)
    if node.running:
        print("Asked; the answer is told when it comes.")
        return
    end_at = add(now, _LONGEST_MS)
    outcome = []

    def tell(event):
        _told(event)
        if event["event"] in _OUTCOMES:
            outcome.append(event)
        return outcome

    _work(node, _TURN_MS, tell)
    while not outcome and node.ue.client.busy and diff(end_at, ticks_ms()) > 0:
        _work(node, _TURN_MS, tell)
    event = node.poll()  # what comes of the outcome; a push may have come before the answer
    while event:
        if event["event"] != "unchanged":
            _told(event)
        event = node.poll()
    if not outcome and node.ue.client.busy:
        print("No answer yet.")


def trace(node, seconds):
    if not seconds:
        node.trace = None
        print("Messages are not shown any more.")
        return
    if unchecked(node):
        return
    message = Message(64)
    prompt = node.prompt

    def show(out, datagram, remote):
        if prompt:
            prompt.hide()
        _show(message, out, datagram, remote)
        if prompt:
            prompt.show()

    node.trace = show
    if node.running:
        print("Messages are shown until repl.trace(0).")
        return
    print("Messages of the next " + str(seconds) + " s; Ctrl-C ends it.")
    try:
        _work(node, seconds * 1000, _told)
    except KeyboardInterrupt:
        pass
    node.trace = None


def _work(node, ms, tell):
    """Let a stopped node work, but not its application; what it tells may end that."""
    parts = node.parts
    node.parts = [part for part in parts if part is not node.app]
    say = node.say
    node.say = tell
    try:
        node.run(ms)
    finally:
        node.parts = parts
        node.say = say


def _told(event):
    """Print an event in 80 columns."""
    text = event["event"].replace("_", " ")
    for key in ("code", "title", "detail", "seconds"):
        if event.get(key):
            text += ", " + str(event[key])
    if event.get("reasons"):
        text += ": " + "; ".join(event["reasons"])
    wrapped(text, "  ", "    ")


def _show(message, out, datagram, remote):
    where = ("-> " if out else "<- ") + text_of(remote)
    where += " " * (25 - len(where)) + " "
    size = "  " + str(len(datagram)) + " bytes"
    try:
        message.decode(datagram)
    except MessageFormatError as error:
        print(where + "not CoAP: " + str(error) + size)
        return
    code = message.code
    name = "GET" if code == 1 else code_text(code)
    line = where + ("CON", "NON", "ACK", "RST")[message.mtype] + " " + name
    line += " mid " + str(message.mid)
    if message.uint(OBSERVE) is not None:
        line += " observe " + str(message.uint(OBSERVE))
    if message.uint(BLOCK2) is not None:
        line += " block " + str(message.uint(BLOCK2) >> 4)
    print(line + size)
    path = _joined(message, URI_PATH, "/")
    if path:
        query = _joined(message, URI_QUERY, "&")
        wrapped("/" + path[1:] + ("?" + query[1:] if query else ""), "     ", "     ")


def _joined(message, number, mark):
    text = ""
    for i in range(message.n_options):
        if message.numbers[i] == number:
            text += mark + str(bytes(message.value(i)), "utf-8")
    return text
