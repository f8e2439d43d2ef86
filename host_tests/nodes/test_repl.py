"""What the commands of the REPL print, word for word, for nodes in each state."""

import json

import msgin5g.builder as builder_module
import msgin5g.node as node_module
import msgin5g.settings as settings_module
from msgin5g_testkit.checks import xorshift
from oscore_server import protect_ue
from manager_board import Board
from msgin5g import repl
from msgin5g.coap.message import encode
from msgin5g.coap.numbers import ACK, CON, CONTENT, GET, NON
from msgin5g.coap.ticks import add
from msgin5g.config.schema import Schema
from msgin5g.config.store import StorageError
from msgin5g.node import Node
from msgin5g.port.resolver import resolve
from msgin5g.port.trace import Trace
from msgin5g.repl import commands, format
from msgin5g.ue import ConstrainedUe
from builders import RELAY, UE_ID, new_sim, ue_settings

OWN = ("192.168.4.2", 65401)
HEAD = "ue " + UE_ID + "\n"


class Transport:
    def __init__(self):
        self.sent = []
        self.n_failed = self.n_lost = 0

    def send(self, datagram, remote):
        self.sent.append(bytes(datagram))


def node_of(board, **settings):
    """A Node with a UE that has this board's configuration; its loop does one step a call."""
    ue = ConstrainedUe(ue_settings(**settings), xorshift(3), board.manager, RELAY, board.now)
    node = Node(ue, [Transport()], None, lambda: board.now)
    node.about = {"event": "started", "role": "ue", "ue_id": UE_ID, "bind": OWN}
    node.running = True
    return node


_TICKS_MS = commands.ticks_ms
_TIME = format.time


def restore():
    """Give the modules print and the clock back: other tests use them, too."""
    for module in (repl, commands, format):
        if hasattr(module, "print"):
            del module.print
    commands.ticks_ms = format.ticks_ms = _TICKS_MS
    format.time = _TIME


def printed(board, command, *arguments):
    """What a command prints at this moment, without the lines about version and memory."""
    lines = []
    try:
        for module in (repl, commands, format):
            module.print = lambda text="": lines.append(text)
        commands.ticks_ms = lambda: board.now
        command(*arguments)
    finally:
        restore()
    left_out = ("  memory ", "  version ")
    return "".join([line + "\n" for line in lines if not line.startswith(left_out)])


def status(board, node):
    return printed(board, commands.status, node)


def test_status_of_a_ue_says_what_its_configuration_is():
    board = Board()
    board.now = add(board.now, 1)
    node = node_of(board)
    rest = HEAD + (
        "  state        running\n"
        "  bound to     192.168.4.2:65401\n"
        "  security     none: plain text\n"
        "  asks         192.168.4.1:65401\n"
        "  configuration %s\n"
        "  next step    in 0 s\n"
    )
    assert status(board, node) == rest % "none yet"
    board.offer("one")
    etag = "  ETag         6f6e65\n"
    rest = rest.replace("  next step", etag + "  next step")
    assert status(board, node) == rest % "on trial, 0 of 3 resets"
    board.manager.confirm(board.now)
    assert status(board, node) == rest % "good"
    board.offer("two")
    board.manager.roll_back(board.now)
    text = rest.replace("%s", "the last good one; the newest was rolled back")
    assert status(board, node) == text
    board.manager.safe_mode = board.manager.unsaved = True
    more = "rolled back; safe mode; not\n               yet on flash\n"
    assert status(board, node).endswith(text.replace("rolled back\n", more))


def test_safe_mode_is_the_first_line_with_the_way_out():
    board = Board()
    board.offer("one")
    while board.reset() != "safe_mode":
        pass
    node = node_of(board)
    why = "Safe mode: the board was reset too often, so the application is not started.\n"
    board.wait(60000)
    first = (
        why + "Leave it on for 4 min 0 s, correct the application, or give it another\n"
        "document: then the next start runs the application again.\n"
    )
    assert status(board, node).startswith(first + HEAD)
    assert first in printed(board, commands.why, node)
    board.wait(240000)
    first = why + "The next start (Ctrl-D) runs it again.\n"
    assert status(board, node).startswith(first + HEAD)
    assert first in printed(board, commands.why, node)
    board.reset()
    assert status(board, node_of(board)).startswith(HEAD)


def test_status_of_a_ue_says_what_it_does():
    board = Board("one")
    node = node_of(board)
    node.step(board.now)
    node.transmit(board.now)
    text = status(board, node)
    assert "\n  request      under way\n" in text and "next step" not in text
    node.ue.client.remote = None
    assert "\n  asks         nobody: the next hop has no address yet\n" in status(board, node)
    node = node_of(board)
    node.ue.client.remote = None
    text = status(board, node)
    assert "\n  state        running\n" in text and "next step" not in text
    node = node_of(board, start_delay_s=0)
    node.running = False
    text = status(board, node)
    assert "\n  state        stopped; Ctrl-D starts it again\n" in text
    assert "next step" not in text and "document" not in text
    node.ue.client.document_id = b"doc-1"
    assert status(board, node).endswith("\n  document     doc-1, polled\n")


class Radio:
    def __init__(self, **said):
        self.said = said

    def status(self):
        return self.said

    def step(self, now):
        pass


class Lookup:
    def unresolved(self):
        return ["next_hop: relay.example: not known"]


class Dog:
    timeout_ms = 8000
    held = False


class Program:
    """An application."""

    error = None


class Check:
    """The built-in check of a trial."""

    passed = False
    ping = None


class Ping:
    why = "coap://one.example"


def test_status_has_a_row_for_each_part_of_the_node():
    board = Board("one")
    node = node_of(board)
    node.services = [Radio(link="wifi", up=True), Radio(link="espnow", up=False, reason="far")]
    node.name_lookup = Lookup()
    node.application = Program()
    node.watchdog = Dog()
    node.role.counters.update({"zeal": 3, "duplicate": 12})
    rows = (
        "  wifi         up\n"
        "  espnow       down: far\n"
        "  no address   next_hop: relay.example: not known\n"
        "  application  running\n"
        "  watchdog     8 s, fed\n"
        "  counted      duplicate 12, zeal 3\n"
    )
    assert status(board, node).endswith(rows)
    node.watchdog.held = True
    node.application.error = ValueError("blink")
    text = status(board, node)
    assert "\n  watchdog     8 s, fed by a timer while you are here\n" in text
    assert "\n  application  ended by ValueError: blink\n" in text
    node.application.error = None
    node.running = False
    assert "\n  application  stopped\n" in status(board, node)
    board.manager.safe_mode = True
    assert "\n  application  not started: safe mode\n" in status(board, node)
    node.application = None
    node.missing_application = "app"
    assert "\n  application  not started\n" in status(board, node)
    node.missing_application = None
    assert "  application" not in status(board, node)


def test_a_relay_says_how_many_ues_are_linked_and_which():
    _, _, relay, _ = new_sim()
    board = Board()
    node = Node(relay, [Transport(), Transport()])
    node.about = {"role": "relay", "ue_id": "urn:x:r", "bind": ["0.0.0.0", 65401]}
    assert status(board, node) == (
        "relay urn:x:r\n"
        "  state        stopped; Ctrl-D starts it again\n"
        "  bound to     0.0.0.0:65401\n"
        "  security     none of its own; what UEs protect passes\n"
        "  links        1\n"
    )
    assert printed(board, commands.links, node) == (
        "Linked UEs: 1 of 32\n  192.168.4.2:65401 " + UE_ID + "\n"
    )
    node.transports[0].n_failed = 2
    node.transports[1].n_lost = 1
    node.transports[1].n_failed = 3
    text = printed(board, commands.links, node)
    assert text.startswith("Linked UEs: 1 of 32\n  192.168.4.2:65401 " + UE_ID + "\n  transport 0")
    rows = text.split("\n")[2:]
    assert rows[0].startswith("  transport 0  2 ") and rows[1].startswith("  transport 1  3 ")
    assert ", 1 " in rows[1]


def test_a_link_comes_up_and_goes_down_by_hand():
    _, _, relay, _ = new_sim()
    board = Board()
    node = Node(relay, [Transport()])
    node.about = {"role": "relay", "ue_id": "urn:x:r", "bind": ["0.0.0.0", 65401]}
    other = "urn:x-msgin5g:ue:0008"

    def up(*arguments):
        return printed(board, commands.link_up, node, *arguments)

    def down(ue_id):
        return printed(board, commands.link_down, node, ue_id)

    assert up(other, "127.0.0.9", 65401) == "Linked: 2 of 32 links are used.\n"
    remote = resolve("127.0.0.9", 65401)
    assert relay.links.of_ue(other.encode()).remote == remote
    assert up(other, "127.0.0.9", 65401) == "Linked: 2 of 32 links are used.\n"
    assert up("urn:x:9", "127.0.0.9", 65401) == (
        "Not linked: another UE has this address, see repl.links().\n"
    )
    for arguments, said in (
        (("0008", "127.0.0.9", 65401), "ue_id: must be a URI such as urn:x-msgin5g:ue:0007"),
        ((8, "127.0.0.9", 65401), "ue_id: must be a text"),
        ((other, "127.0.0.9", "x"), "address: port must be a whole number"),
        ((other, "127.0.0.9", 0), "address: port 0 is not 1 to 65535"),
        ((other, ("127.0.0.9", 1), 65401), "address: must be a text"),
    ):
        assert up(*arguments) == "Not linked: " + said + "\n"
    assert down("urn:x:9") == "There is no link with urn:x:9.\n"
    assert down(9) == "There is no link with 9.\n"
    assert down(other) == "The link has ended.\n" and relay.links.of_ue(other.encode()) is None
    relay.links.max_links = 1
    assert up(other, "127.0.0.9", 65401) == "Not linked: all 1 links are used.\n"
    node = node_of(board)
    assert (
        up(other, "127.0.0.9", 65401) == down(other) == ("This node has no links with UEs: ue.\n")
    )


def test_a_station_of_the_access_point_is_linked_when_it_joins():
    class Radios:
        def links_later(self, ue_id, remote):
            return ue_id == UE_ID

    _, _, relay, _ = new_sim()
    node = Node(relay, [Transport()])
    node.radios = Radios()
    relay.link_down(UE_ID.encode())
    assert printed(Board(), commands.link_up, node, UE_ID, "127.0.0.9", 65401) == (
        "It is linked when it joins this node's access point.\n"
    )
    assert len(relay.links) == 0


def test_status_has_the_version_and_how_long_the_node_has_run():
    board = Board()
    node = node_of(board)
    lines = []
    format.print = lines.append
    try:
        commands.print_row("x", "y")
        del lines[:]
        commands.print = lines.append
        commands.status(node)
    finally:
        restore()
    assert lines[1].startswith("  version      0.1.0, ") and "Python " in lines[1]
    assert lines[2] == "  state        running"
    ticks, seconds = 4000, 800_000_100
    for ms, clock_s, text in (
        (0, 0, "0 s"),
        (65_000, 65, "1 min 5 s"),
        (2**30 + 3000, 1_073_744, "298 h 15 min"),
        (3 * 2**30, 3_221_200, "894 h 47 min"),  # the clock is some seconds off
        (65_000, 800_000_000, "1 min 5 s"),  # somebody has set the clock
        (65_000, -5, "1 min 5 s"),
    ):
        node.started_at, node.started_s = (ticks - ms) & 0x3FFFFFFF, seconds - clock_s
        format.ticks_ms = lambda: ticks
        format.time = lambda: seconds
        assert "\n  state        running for " + text + "\n" in status(board, node), text


def test_trace_takes_a_whole_number_of_seconds():
    board = Board()
    node = node_of(board)
    for seconds in ("x", -1, 1.5, None, True, 86401):
        assert printed(board, commands.trace, node, seconds) == (
            "Seconds are a whole number, 0 to 86400: repl.trace(60)\n"
        )
        assert node.trace is None


def test_links_of_a_ue_are_its_next_hop():
    board = Board()
    assert printed(board, commands.links, node_of(board)) == (
        "Towards the configuration server:\n  next hop     192.168.4.1:65401\n"
    )


class Declared(Board):
    """A board whose application declares a key."""

    n_offers = 0

    def offer_values(self, **values):
        doc = {"MSGin5G-Server-address": "a.example:5683", "MSGin5G-UE-Service-id": "u"}
        doc.update({key.replace("_", "-"): value for key, value in values.items()})
        text = json.dumps(doc).encode()
        self.n_offers += 1
        self.event = self.manager.offer(text, bytes((0xE0, self.n_offers)), self.now)
        assert self.event[0] == "applied", self.event

    def reset(self, counts=True):
        board = self

        class Keys(Schema):
            def __init__(self):
                Schema.__init__(self)
                self.declare("blink-ms", int, False, 500, 50)

        import manager_board

        plain = manager_board.Schema
        manager_board.Schema = Keys
        try:
            return Board.reset(board, counts)
        finally:
            manager_board.Schema = plain


def test_config_shows_each_key_with_what_is_known_of_it():
    board = Declared()
    node = node_of(board)
    assert printed(board, commands.config, node) == "There is no configuration yet.\n"
    board.offer_values(blink_ms=100, secret_key="swordfish", depth={"b": [1, True], "a": None})
    assert printed(board, commands.config, node) == (
        "  MSGin5G-Server-address   a.example:5683\n"
        "  MSGin5G-UE-Service-id    u\n"
        "  Segment-size             not set\n"
        "  blink-ms                 100\n"
        "  depth                    {a: None, b: [1, True]}  (not known here)\n"
        "  secret-key               (not shown)  (not known here)\n"
        "  (ETag)                   e001\n"
    )
    name = "a-name-of-twenty-four-le"
    for more in ("", "t"):
        board.offer_values(**{name + more: "x" * 60})
        text = printed(board, commands.config, node)
        assert "  blink-ms                 500  (the default)\n" in text
        if more:
            assert "\n  " + name + "t\n    " + "x" * 60 + "  (not known\n    here)\n" in text
        else:
            assert "\n  " + name + " " + "x" * 52 + "\n" + " " * 27 + "x" * 8 in text


def test_diff_shows_what_became_of_each_key():
    board = Declared()
    node = node_of(board)
    nothing = "There are no two configurations to compare.\n"
    assert printed(board, commands.diff, node) == nothing
    board.offer_values(blink_ms=100, gone=1, wifi_key="old")
    assert printed(board, commands.diff, node) == nothing
    board.manager.confirm(board.now)
    board.offer_values(blink_ms=200, came=[1], wifi_key="new!")
    changes = (
        "  - blink-ms: 100\n  + blink-ms: 200\n  + came: [1]\n  - gone: 1\n"
        "  - wifi-key: (not shown)\n  + wifi-key: (not shown)\n"
    )
    head = "- before: good\n+ newest: "
    assert printed(board, commands.diff, node) == head + "on trial\n" + changes
    board.manager.roll_back(board.now)
    assert printed(board, commands.diff, node) == head + "rolled back\n" + changes
    board.manager.schema.declare("needed", int, True, None, 1)
    assert printed(board, commands.diff, node) == (
        "- before: good, and does not fit what the application declares\n"
        "+ newest: rolled back, and does not fit what the application declares\n"
        "  The values are the same.\n"
    )


def test_history_says_how_long_ago_and_why():
    board = Board()
    board.now = add(board.now, 3_725_000)
    board.offer("one")
    board.now = add(board.now, 65_000)
    board.manager.note(board.now, "refused", ("blink-ms: 20, less than 50", "other"))
    board.now = add(board.now, 9_999)
    board.manager.note(board.now, "factory_reset")
    assert printed(board, commands.history, node_of(board)) == (
        "Since the start, oldest first:\n"
        "     1 h 3 min ago  unconfigured\n"
        "    1 min 14 s ago  applied\n"
        "           9 s ago  refused reasons=['blink-ms: 20, less than 50', 'other']\n"
        "           0 s ago  factory_reset\n"
    )


def test_why_says_why_this_configuration_runs():
    board = Board()
    node = node_of(board)

    def why():
        return printed(board, commands.why, node)

    assert why() == "No configuration runs, because none has been accepted yet.\n"
    board.offer("one")
    trial = "The newest configuration is on trial: it waits for its confirmation"
    assert why().replace("\n", " ") == (
        trial + ", or is rolled back 5 min 0 s after its start, or after 3 resets if there is a"
        " good one to go back to. "
    )
    board.manager.trial_ms = 0
    assert why() == trial + ".\n"
    board.manager.confirm(board.now)
    good = "The newest configuration runs: it was confirmed.\n"
    assert why() == good
    board.manager.reasons = ("blink-ms: 20, less than 50",)
    refused = "The last one that was refused:\n  blink-ms: 20, less than 50\n"
    assert why() == good + refused
    board.manager.reasons = ()
    board.offer("two")
    board.manager.roll_back(board.now)
    assert why() == (
        "The last good configuration runs: the newest one was rolled back, by hand.\n"
        "The server's document is not tried again until it changes.\n"
    )
    board.manager.reasons = ("blink-ms: 20, less than 50",)
    assert why().endswith("until it changes.\n" + refused)


def test_status_and_why_say_that_the_server_has_deleted_the_document():
    board = Board("one")
    node = node_of(board)
    board.manager.document_deleted(board.now)
    assert printed(board, commands.why, node) == (
        "The newest configuration runs: it was confirmed.\n"
        "The server has deleted its document; the setting on_deleted keeps it.\n"
    )
    state = "good; the server has deleted its document\n"
    assert state in printed(board, commands.status, node)
    board.manager.on_deleted = "remove"
    board.manager.document_deleted(board.now)
    assert printed(board, commands.why, node) == (
        "No configuration runs, because the server has deleted it.\n"
    )


def test_why_says_what_stands_in_the_way():
    board = Board("one")
    node = node_of(board)
    good = "The newest configuration runs: it was confirmed.\n"
    check = Check()
    node.services = [Radio(), check]
    assert printed(board, commands.why, node) == good
    check.ping, check.asked_at = Ping, board.now
    for answered, text in (
        (None, "no answer yet, asked 0 s ago"),
        (True, "passed"),
        (False, "no answer"),
    ):
        Ping.answered = answered
        assert printed(board, commands.why, node) == (
            good + "check by ping: coap://one.example: " + text + "\n"
        )
    node.services = []
    node.application = Program()
    assert printed(board, commands.why, node) == good
    node.application.error = OSError("broken")
    assert printed(board, commands.why, node) == (
        good + "The application ended by OSError: broken\n"
    )


def test_confirm_and_rollback_say_what_they_did():
    board = Board()
    node = node_of(board)
    assert printed(board, commands.confirm, node) == "Nothing is on trial.\n"
    assert printed(board, commands.rollback, node) == (
        "There is no good configuration to go back to.\n"
    )
    board.offer("one")
    node.missing_application = "app"
    assert printed(board, commands.confirm, node) == (
        "Not without the keys of app: run main.py (Ctrl-D), press Ctrl-C, try again.\n"
    )
    node.missing_application = None
    assert printed(board, commands.confirm, node) == "Confirmed: this configuration is kept.\n"
    node.missing_application = "app"
    assert printed(board, commands.confirm, node) == "Nothing is on trial.\n"
    board.offer("two")
    assert printed(board, commands.rollback, node).startswith("Rolled back: the configuration")
    assert board.runs() == "one"


def test_factory_reset_says_what_it_does_and_what_went_wrong():
    board = Board("one")
    node = node_of(board)
    text = printed(board, commands.factory_reset, node, None)
    assert text == (
        "This removes every configuration that is stored. The settings, the application\n"
        "and your files stay. If that is what you want:\n"
        '  repl.factory_reset("erase")\n'
    )
    assert board.runs() == "one"
    remove = board.flash.remove

    def refuse(names):
        raise StorageError("storage: full")

    board.flash.remove = refuse
    assert printed(board, commands.factory_reset, node, "erase") == "Not done, storage: full\n"
    board.flash.remove = remove
    assert printed(board, commands.factory_reset, node, "erase") == (
        "All configuration is removed. The next fetch brings a first one.\n"
    )
    assert board.runs() is None


def test_fetch_while_the_node_runs_only_asks():
    board = Board()
    node = node_of(board, start_delay_s=3600)
    text = printed(board, commands.fetch, node)
    assert text == "Request queued; the answer is printed when it arrives.\n"
    node.step(board.now)
    assert node.transmit(board.now) is not None


class Looping:
    """What drives a stopped node: each call passes the time that it was asked for."""

    def __init__(self, board, answers):
        self.board = board
        self.answers = answers
        self.limits = []
        self.services = []

    def __call__(self, node, transports, ticks_ms, emit, trace, limit_ms):
        self.limits.append(limit_ms)
        self.services.append(list(node.services))
        self.board.now = add(self.board.now, limit_ms)
        node.step(self.board.now)
        out = node.transmit(self.board.now)
        if trace and out:
            trace(True, out[1], out[2])
        for event in self.answers.pop(0) if self.answers else ():
            if emit(event):
                return True
        return False


def stopped(board, *answers, **settings):
    node = node_of(board, start_delay_s=3600, **settings)
    node.running = False
    node.loop = Looping(board, list(answers))
    node.application = Program()
    node.services = [node.application, Radio()]
    return node


def test_fetch_of_a_stopped_node_lets_it_work_until_the_outcome_without_its_application():
    board = Board()
    refused = {
        "event": "rejected", "code": "4.03", "title": "Not allowed", "seconds": 60,
        "reasons": ["one", "two"], "detail": None,
    }  # fmt: skip
    node = stopped(board, [], [{"event": "link_up", "reasons": []}], [refused])
    services = node.services
    node.events = [{"event": "unchanged"}, {"event": "confirmed", "reasons": []}]
    assert printed(board, commands.fetch, node) == (
        "  link_up\n  rejected code=4.03 reasons=['one', 'two'] seconds=60 title=Not allowed\n"
        "  confirmed\n"
    )
    assert node.loop.limits == [100, 100, 100]
    assert node.loop.services[0] == services[1:] and node.services is services
    assert node.events == []


def test_fetch_of_a_stopped_node_gives_up_after_30_s():
    board = Board()
    node = stopped(board)
    start = board.now
    assert printed(board, commands.fetch, node) == "No answer within 30 s.\n"
    assert len(node.loop.limits) == 300 and board.now == add(start, 30_000)
    node = stopped(board)
    node.ue.client.remote = None
    assert printed(board, commands.fetch, node) == (
        "The next hop has no address yet: see repl.status().\n"
    )
    node = stopped(board)
    node.missing_application = "app"
    assert printed(board, commands.fetch, node).startswith("Not without the keys of app")
    assert node.loop.limits == []


class Idle:
    """A UE that has nothing under way any more."""

    busy = False
    remote = RELAY

    def __init__(self):
        self.client = self

    def fetch(self, now):
        pass


def test_fetch_of_a_stopped_node_ends_when_nothing_is_under_way_any_more():
    board = Board()
    node = stopped(board)
    node.ue = Idle()
    assert printed(board, commands.fetch, node) == "" and node.loop.limits == [100]


def test_an_outcome_that_needs_no_answer_ends_fetch_at_once():
    board = Board()
    node = stopped(board, [{"event": "timeout", "reasons": []}])
    assert printed(board, commands.fetch, node) == "  timeout\n" and len(node.loop.limits) == 1


def test_trace_of_a_stopped_node_shows_messages_for_so_many_seconds():
    board = Board()
    node = stopped(board)
    node.ue.fetch(board.now)
    text = printed(board, commands.trace, node, 7)
    assert text.startswith(
        "Messages of the next 7 s; Ctrl-C ends it.\n-> 192.168.4.1:65401      CON GET mid "
    )
    assert "\n     /su-uc/v1/val-services/msgin5g/ue-configurations?ue-uri=" in text
    assert node.loop.limits == [7000] and node.trace is None

    def stop(*_):
        raise KeyboardInterrupt

    node.loop = stop
    assert printed(board, commands.trace, node, 7) == "Messages of the next 7 s; Ctrl-C ends it.\n"
    assert node.trace is None and len(node.services) == 2
    node.missing_application = "app"
    assert printed(board, commands.trace, node, 7).startswith("Not without the keys of app")
    assert node.trace is None


def full(*_):
    raise MemoryError


class Prompt:
    def __init__(self, lines):
        self.lines = lines

    def hide(self):
        self.lines.append("hide")

    def show(self):
        self.lines.append("show")


def message(mtype, code, mid, options=(), payload=b""):
    buf = bytearray(400)
    return bytes(buf[: encode(buf, mtype, code, mid, b"t", options, payload)])


def test_trace_while_the_node_runs_shows_each_message_in_a_line_above_the_prompt():
    board = Board()
    node = node_of(board)
    said = printed(board, commands.trace, node, 30)
    assert said == "Messages are shown until repl.trace(0).\n"
    assert printed(
        board, node.trace, True, message(CON, GET, 5, ((6, b""), (11, b"a"))), RELAY
    ) == ("-> 192.168.4.1:65401      CON GET mid 5 observe 0  8 bytes\n     /a\n")
    options = ((6, b"\x07"), (23, b"\x23"))
    assert printed(
        board, node.trace, False, message(ACK, CONTENT, 500, options), ("10.0.0.1", 5)
    ) == ("<- 10.0.0.1:5             ACK 2.05 mid 500 observe 7 block 2  10 bytes\n")
    options = ((11, b"a"), (11, b"b"), (15, b"c=1"), (15, b"d"))
    assert printed(board, node.trace, False, message(NON, GET, 1, options), RELAY).endswith(
        " NON GET mid 1  15 bytes\n     /a/b?c=1&d\n"
    )
    options = ((11, b"a\x1b[2J"), (15, b"\xff"))
    assert printed(board, node.trace, False, message(NON, GET, 1, options), RELAY).endswith(
        "\n     /a\\u001b[2J?0xff\n"
    ), "what is not UTF-8 does not end the loop"
    real = format.code_text
    format.code_text = full
    try:
        said = printed(board, node.trace, False, message(NON, 2, 1, ()), RELAY)
    finally:
        format.code_text = real
    assert said == "A message is not shown: too little memory is free.\n"
    assert printed(board, node.trace, True, b"\x70\0\0\1", RELAY).endswith(
        " RST 0.00 mid 1  4 bytes\n"
    )
    datagram = message(CON, GET, 5, [(11, b"a")] * 64)
    assert " CON GET mid 5  133 bytes\n" in printed(board, node.trace, False, datagram, RELAY)
    text = printed(board, node.trace, False, b"\xff\0", RELAY)
    assert text.startswith("<- 192.168.4.1:65401      not CoAP: ") and text.endswith("  2 bytes\n")
    lines = []
    node.prompt = Prompt(lines)
    printed(board, commands.trace, node, 30)
    format.print = lines.append
    try:
        node.trace(True, b"\x70\0\0\1", RELAY)
    finally:
        restore()
    assert lines[0] == "hide" and lines[-1] == "show" and len(lines) == 3
    assert printed(board, commands.trace, node, 0) == "Messages are not shown any more.\n"
    assert node.trace is None


def test_help_says_what_a_command_does():
    board = Board()
    text = printed(board, commands.help, None)
    assert text.startswith("  repl.status()           state, peers, counters, memory\n")
    assert text.count("\n") == 14 and "  repl.factory_reset()    remove all" in text
    assert printed(board, commands.help, "diff").startswith("repl.diff()\n  The keys in which")
    assert printed(board, commands.help, repl.diff) == printed(board, commands.help, "diff")
    assert printed(board, commands.help, "reboot") == (
        "There is no repl.reboot(); repl.help() lists the commands.\n"
    )


def test_a_command_is_for_the_current_node_and_one_about_configurations_for_a_ue():
    board = Board("one")
    node_module.current = node = node_of(board)
    try:
        assert printed(board, repl.confirm) == "Nothing is on trial.\n"
        assert printed(board, repl.trace) == "Messages are shown until repl.trace(0).\n"
        assert printed(board, repl.help, "why").startswith("repl.why()\n")
        for command in (repl.status, repl.config, repl.history, repl.why, repl.links):
            assert printed(board, command) == printed(
                board, getattr(commands, command.__name__), node
            ), command
        assert printed(board, repl.rollback).startswith("There is no good")
        assert printed(board, repl.fetch).startswith("Request queued")
        node.configuration = None
        node.about["role"] = "relay"
        for command in (repl.config, repl.diff, repl.history, repl.why, repl.confirm,
                        repl.rollback, repl.factory_reset, repl.fetch):  # fmt: skip
            assert printed(board, command) == (
                "This node has no configuration of its own: relay.\n"
            ), command
    finally:
        node_module.current = None


class Opening:
    """Stands for settings.load and builder.open_node."""

    def __init__(self, settings):
        self.settings = settings
        self.asked = []
        self.opened = None

    def load(self, path):
        self.asked.append(path)
        return self.settings

    def open_node(self, settings, directory, **more):
        self.opened = (settings, directory, more)
        node_module.current = node_of(Board("one"))


def opening(board, settings, command):
    """What a command prints, and the Opening."""
    made = Opening(settings)
    real = settings_module.load, builder_module.open_node
    settings_module.load, builder_module.open_node = made.load, made.open_node
    try:
        return printed(board, command), made
    finally:
        settings_module.load, builder_module.open_node = real


def test_without_a_node_that_runs_one_is_opened_to_be_inspected_and_only_then():
    board = Board("one")
    node_module.current = None
    try:
        text, made = opening(board, None, repl.status)
        assert text == "" and made.asked == ["settings.json"] and made.opened is None
        text, made = opening(board, "the settings", repl.status)
        assert text.startswith(HEAD)
        assert made.opened == ("the settings", "/", {"application": "app", "runs": False})
        text, made = opening(board, "the settings", repl.status)
        assert text.startswith(HEAD) and made.asked == []
    finally:
        node_module.current = None


class Heap:
    """Stands for MicroPython's gc."""

    n_collected = 0

    def collect(self):
        self.n_collected += 1

    def mem_free(self):
        return 1234 if self.n_collected else 1000


def test_status_says_how_much_memory_is_free_after_a_collection():
    board = Board()
    lines = []
    real = commands.gc
    commands.gc = Heap()
    try:
        printed(board, commands.status, node_of(board))
        format.print = lines.append
        commands.status(node_of(board))
    finally:
        commands.gc = real
        restore()
    assert "  memory       1234 bytes free" in lines


def test_long_lines_are_broken_at_blanks_or_inside_a_long_word():
    board = Board()

    def wrapped(text, first="", rest=""):
        return printed(board, format.print_wrapped, text, first, rest)

    fits = "a" * 39 + " " + "b" * 39
    assert wrapped(fits) == fits + "\n"
    assert wrapped(fits + "b") == "a" * 39 + "\n" + "b" * 40 + "\n"
    assert wrapped("x" * 79) == "x" * 79 + "\n"
    assert wrapped("x" * 80, "1 ", "22 ") == "1 " + "x" * 77 + "\n22 xxx\n"
    assert wrapped("a " + "x" * 170, "", "  ") == (
        "a\n  " + "x" * 77 + "\n  " + "x" * 77 + "\n  " + "x" * 16 + "\n"
    )
    shown = "a\\u001b[0m\\u007f\\u0080\\u009f\xa0\\u000a\n"
    assert wrapped("a\x1b[0m\x7f\x80\x9f\xa0\n") == shown
    assert wrapped(" ~") == " ~\n" and wrapped("") == "\n"
    assert printed(board, format.print_row, "label", 5) == "  label        5\n"
    assert printed(board, format.print_row, "a long one...", 5) == "  a long one... 5\n"


def test_a_duration_has_two_units_at_most():
    for ms, text in (
        (999, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min 0 s"),
        (3_599_999, "59 min 59 s"),
        (3_600_000, "1 h 0 min"),
        (90_061_000, "25 h 1 min"),
    ):
        assert format.duration(ms) == text, ms


def test_a_traced_datagram_is_an_event():
    events = []
    trace = Trace(events.append)
    trace(True, b"\x40\xff", RELAY)
    trace(False, b"", b"\x02\xaa\x00\x01\x02\x03")
    assert events == [
        {"event": "datagram", "direction": "out", "remote": "192.168.4.1:65401", "hex": "40ff"},
        {"event": "datagram", "direction": "in", "remote": "02:aa:00:01:02:03", "hex": ""},
    ]

    def full(event):
        raise MemoryError

    Trace(full)(True, b"", RELAY)


def test_status_says_whether_traffic_is_protected_and_what_came_unprotected():
    board = Board("one")
    node = node_of(board)
    protect_ue(node.ue, UE_ID)
    security = node.ue.endpoint.security
    assert "\n  security     OSCORE\n" in status(board, node)
    security.unprotected_error = 0x81
    assert "\n  security     OSCORE; an unprotected 4.01 came last\n" in status(board, node)
    security.unprotected_error = None
    security.owner = node.ue.client
    assert "\n  security     OSCORE for its own requests\n" in status(board, node)
