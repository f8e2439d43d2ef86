"""A UE on a virtual board, with its application: the firmware as its builder makes it.

`Network.ue` makes one. The role, the store, the services and the event loops are the firmware's;
the board under them is virtual: clock, flash, sockets, pins. The application is imported anew at
each start of the board, as a board does it.
"""

import sys

import msgin5g.builder as firmware_builder
from msgin5g.port import event_loop, system
from msgin5g_testkit.board import (
    HARD_RESET,
    PWRON_RESET,
    WDT_RESET,
    Board,
    Restart,
)
from msgin5g_testkit.board_settings import copy_of, settings_from
from msgin5g_testkit.memory_flash import MemoryFlash, PowerCut
from msgin5g_testkit.virtual_modules import (
    Modules,
    NoRadio,
    VirtualOs,
    VirtualSelect,
    VirtualSocket,
    VirtualTime,
)

_BOOT_MS = 500
_OUTCOMES = ("applied", "rejected", "unchanged", "refused", "timeout")  # of a fetch
_MAX_EVENTS = 1000
_STOPPED = (
    "the run before has ended the application, which has a loop of its own: do all in one run, "
    "and plan what is to happen meanwhile with net.at(ms, function)"
)
_HELD = "_application_of_the_test"  # the name of one that is an object, not a module


class Stop(BaseException):
    """The run of the network is over: it unwinds an application with a loop of its own."""


class _Builder(firmware_builder.Builder):
    def __init__(self, settings, flash):
        self._flash = flash
        firmware_builder.Builder.__init__(self, settings, "/")

    def open_flash(self):
        return self._flash

    def protect(self, role, owner=None):
        if self.settings.security_mode != "oscore":
            return
        from msgin5g.builder import security

        of_board = security.Flash
        security.Flash = lambda directory, error: self._flash
        try:
            firmware_builder.Builder.protect(self, role, owner)
        finally:
            security.Flash = of_board


class Ue:
    """A UE in a Network; its methods return when the network's clock has moved, or at once.

    ue_id, address: its MSGin5G UE ID, and its (host, port) in the network. events: list of dicts,
    the last 1000, of all starts: {"event": name, ...}, see docs/settings.md for the names. app:
    the module of the application that runs, None before the start and in safe mode. board: pins
    and the like, see Board. flash: see MemoryFlash. n_boots: how often it has started.
    is_on_espnow: whether its next hop is reached over ESP-NOW, without IP.
    """

    def __init__(self, network, ue_id: str, address: tuple, settings: dict, application, radio,
                 has_key: bool = False):  # fmt: skip
        """radio: {name: module} of its radios, see Network.ue. has_key: see `oscore` there."""
        self.is_on_espnow = "espnow" in settings
        self.ue_id = ue_id
        self.address = address
        self.events: list = []
        self.app = None
        self.flash = MemoryFlash()
        self.n_boots = 0
        self._network = network
        self._has_wifi = "wifi" in settings
        self._application = application
        self._radio = radio
        self._n_read = 0  # events that `wait` has passed
        self._node = self._program = self._inbox = self._modules = None
        self._is_busy = False  # its application waits in a call
        self._has_begun = False  # `main` of its application was called
        self._was_stopped = False
        self._on_at = 0
        self.board = Board(network, self._sleep, self._interrupt, ue_id.encode()[-6:])
        if has_key:
            from msgin5g_testkit.security import give_key

            give_key(settings, self.flash, self.board.unique_id, ue_id)
        self._settings = settings_from(settings)

    def __repr__(self):
        return "<Ue " + self.ue_id + ", " + ("on" if self._node else "off") + ">"

    # What a test calls

    @property
    def configuration(self) -> "dict | None":
        """The configuration that runs; None without one, or while the board is off."""
        return self._node and self._node.configuration.configuration

    @property
    def node(self):
        """What the application gets as its `node`; None without an application."""
        return self._node and self._node.application

    @property
    def counters(self) -> dict:
        """{name: count} of the role since the start; empty while the board is off."""
        return self._node.role.counters if self._node else {}

    def wait(self, *names: str, limit_s: float = 3600) -> dict:
        """Let time pass until an event of one of these names; the event.

        Each event is given once. AssertionError with the events since the last `wait` when none
        comes within limit_s seconds of virtual time.
        """
        found: list = []

        def has_come():
            while self._n_read < len(self.events) and not found:
                event = self.events[self._n_read]
                self._n_read += 1
                if event["event"] in names:
                    found.append(event)
            return bool(found)

        first = self._n_read
        self._network.run(has_come, limit_s)
        since = [event["event"] for event in self.events[first:]]
        assert found, "%s: none of %s within %d s, but %s" % (self.ue_id, names, limit_s, since)
        return found[0]

    def reset(self) -> None:
        """Press the reset button."""
        self._end(HARD_RESET, _BOOT_MS)

    def power_cut(self, off_s: float = 1) -> None:
        """Take the power away for off_s seconds. `flash.cut_at` does it in a write."""
        self._end(PWRON_RESET, int(off_s * 1000))

    def install(self, application) -> None:
        """Put another application on the board; it runs from the next start on."""
        self._application = application

    def pin(self, number):
        """A pin of the board, in the hands of the test: see board.PinState."""
        return self.board.pin(number)

    # The verbs of a node of a NetworkSim

    def receive(self, transport, datagram, remote, now):
        if self._node:
            self._socket.receive(transport, datagram, remote)

    def transmit(self, now):
        return self._socket.out.pop(0) if self._node and self._socket.out else None

    def step(self, now):
        """Let the board do what it can do now."""
        if self._is_busy:
            return
        self._is_busy = True
        try:
            if self._node is None and self._network.elapsed_ms >= self._on_at:
                self.board.start()
                self._guarded(self._boot)
            if self._node is not None:
                self._guarded(self._turn)
        finally:
            self._is_busy = False

    def wait_ms(self, now):
        """Milliseconds until `step` has something to do; None: nothing by itself."""
        if self._node is None:
            return max(self._on_at - self._network.elapsed_ms, 0)
        if self._is_busy:
            return None
        left = self.board.watchdog_left_ms()
        if not self._has_begun or self._has_arrived():
            wait = 0
        elif self._program:
            wait = self._program.wait_ms(now)
        else:
            wait = self._node.wait_ms(now)
        return left if wait is None or (left is not None and left < wait) else wait

    # The life of the board

    def _guarded(self, function):
        """Run code of the board: all that ends it, ends here."""
        self._modules = self._modules or self._new_modules()
        self._modules.enter()
        try:
            function()
        except Restart:
            pass
        except PowerCut:
            self.board.end(PWRON_RESET, 1000)
        except SystemExit:  # from node.work
            self.board.end(HARD_RESET, _BOOT_MS)
        finally:
            self._modules.leave()
        left = self.board.watchdog_left_ms()
        if left is not None and left <= 0:
            self.board.end(WDT_RESET, _BOOT_MS)
        if self.flash.n_cuts != self._n_cuts:  # asyncio has kept the exception
            self.board.end(PWRON_RESET, 1000)
        if self.board.off_ms is not None:
            self._switch_off()

    def _new_modules(self):
        self._n_cuts = self.flash.n_cuts
        network = self._network
        self._os = VirtualOs(network.seed + 16777619 * (self.n_boots + 1))
        self._socket = VirtualSocket(network.names, self._is_up)
        modules = {"machine": self.board.machine, "network": NoRadio}
        modules.update(self._radio)
        return Modules(
            modules,
            VirtualTime(network, self._sleep),
            self._os,
            self._socket,
            VirtualSelect(self._wait_for_datagram),
        )

    def _boot(self):
        self.n_boots += 1
        if self._radio:
            if self.board.cause in (PWRON_RESET, HARD_RESET):
                self._radio["network"].power_on()
            self._radio["espnow"].here = self.board.unique_id
        self._os.drop_drawn(system.random_byte)
        settings = copy_of(self._settings)
        before = self._take_application(settings)
        try:
            node = _Builder(settings, self.flash).build()
        finally:
            sys.modules.pop(settings.application, None)
            if before is not None:
                sys.modules[settings.application] = before
        node.print_event = self._emit
        node.running = True
        self._has_begun = self._was_stopped = False
        self._inbox = event_loop.Inbox(node.transports)
        self._node = node
        self._emit(node.about)

    def _take_application(self, settings):
        """Have it imported anew; what was imported by that name, or None."""
        application = self._application
        if application is None:
            return None
        if isinstance(application, str):
            settings.application = application
        elif hasattr(application, "__file__"):
            settings.application = application.__name__
        else:
            settings.application = _HELD
        if settings.confirm == "auto":
            settings.confirm = "lasting"
        name = settings.application
        before = sys.modules.pop(name, None)
        if name == _HELD:
            sys.modules[name] = application
        return before

    def _turn(self):
        """What the board does at this moment."""
        node = self._node
        if not self._has_begun:
            self._has_begun = True
            self._begin()
        assert not self._was_stopped, _STOPPED
        if self._program:
            self._program.run(system.ticks_ms())
            return
        event_loop.collect(node, self._inbox, system.ticks_ms, None)
        event_loop.act(
            node, node.transports, system.ticks_ms(), node.print_event, None, self._inbox
        )

    def _begin(self):
        """Call `main` of the application; if it is a coroutine, it runs in asyncio from now on."""
        node = self._node
        application = node.application
        if application is None:
            return
        self.app = application.module
        try:
            coroutine = application.start()
        except Stop:
            self._was_stopped = True
            raise
        if coroutine:
            from msgin5g_testkit.programs import Program

            self._program = Program(node, coroutine, self._network, self._has_arrived)

    def _emit(self, event):
        self.events.append(event)
        if event["event"] in _OUTCOMES:
            self._node.outcome = event["event"]
        if len(self.events) > _MAX_EVENTS:
            del self.events[0]
            self._n_read = max(self._n_read - 1, 0)
        if event["event"] == "restarting":
            self.board.end(HARD_RESET, _BOOT_MS)
            if self._program:
                self._program.stop()
        return event["event"] == "restarting"

    def _end(self, cause, off_ms):
        """A person ends it, or the power fails: at once, or when its application next waits."""
        self.board.end(cause, off_ms)
        if not self._is_busy:
            self._switch_off()

    def _switch_off(self):
        if self._program:
            self._modules.enter()
            try:
                self._program.close()
            finally:
                self._modules.leave()
        if self.is_on_espnow:
            self._radio["espnow"].boards.pop(self.board.unique_id, None)
        self._node = self._program = self._inbox = self._modules = self.app = None
        self._on_at = self._network.elapsed_ms + self.board.off_ms

    # What the virtual modules call

    def _sleep(self, ms):
        """The application waits: time passes, and the others go on."""
        self._pass(ms, False)

    def _wait_for_datagram(self, ms):
        self._pass(ms, True)

    def _pass(self, ms, until_datagram):
        was_busy, self._is_busy = self._is_busy, True
        try:
            self._network.pass_time(self, ms, self._has_arrived if until_datagram else None)
        finally:
            self._is_busy = was_busy
        if self.board.off_ms is not None:
            raise Restart()

    def _interrupt(self, handler, argument):
        self._modules.enter()
        try:
            handler(argument)
        finally:
            self._modules.leave()

    def _has_arrived(self):
        """Whether a datagram waits at a socket, or a frame at ESP-NOW."""
        if self._socket.has_arrived():
            return True
        radio = self.is_on_espnow and self._radio["espnow"].boards.get(self.board.unique_id)
        return bool(radio and radio.any())

    def _is_up(self):
        """Whether the link carries datagrams: a UE with Wi-Fi needs its access point."""
        if not self._has_wifi:
            return True
        wlan = self._radio["network"].WLAN
        return wlan(wlan.IF_STA).isconnected()
