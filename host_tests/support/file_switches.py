"""How often control switches between the files of firmware/ while a role does one job.

    python host_tests/support/file_switches.py [--files]     the figures; --files: pair by pair

A switch is a call or a return into another file of firmware/ than the one that ran last. Few
switches mean that a person can follow the job without jumping between files. CPython only:
sys.setprofile counts. host/test_file_switches.py holds the limits.
"""

import sys
from pathlib import Path

_HOST_TESTS = Path(__file__).resolve().parent.parent
FIRMWARE = str(_HOST_TESTS.parent / "firmware")


class FileSwitches:
    """`with FileSwitches() as count:` counts; `n` is the sum, `pairs` is {(from, to): number}.

    from_outside: an entry from a file outside of firmware/ counts too, even into the file that ran
    last.
    """

    def __init__(self, from_outside=False):
        self.from_outside = from_outside
        self.pairs = {}
        self._last = None

    @property
    def n(self):
        return sum(self.pairs.values())

    def __enter__(self):
        sys.setprofile(self._event)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _event(self, frame, event, _):
        if event == "return":
            frame = frame.f_back
        elif event != "call":
            return
        file = frame.f_code.co_filename if frame else ""
        if not file.startswith(FIRMWARE):
            if self.from_outside:
                self._last = ""
            return
        if file != self._last:
            if self._last is not None:
                pair = (self._last[len(FIRMWARE) + 1 :], file[len(FIRMWARE) + 1 :])
                self.pairs[pair] = self.pairs.get(pair, 0) + 1
            self._last = file

    def counted(self, function):
        """`function`, but counted while it runs."""

        def call(*arguments):
            with self:
                return function(*arguments)

        return call


def bulk_for_three():
    """The gateway's part in one bulk request for three UEs: receive, step and transmit.

    It is the first test of nodes/test_gateway_bulk.py.
    """
    from gateway_builders import answered, doc, new

    count = FileSwitches()
    sim, gateway, server, clients = new((1, 2, 3), [doc(n) for n in (1, 2, 3)])
    for verb in ("receive", "step", "transmit"):
        setattr(gateway, verb, count.counted(getattr(gateway, verb)))
    for client in clients:
        client.get()
    assert answered(sim, clients) and len(server.bulks) == 1
    return count


def way_in():
    """A UE receives one datagram with a configuration, until the flash has it.

    The flash is a test's, so each return from it into firmware/ counts as well.
    """
    from builders import RELAY, ue_settings
    from msgin5g_testkit.checks import xorshift
    from msgin5g_testkit.memory_flash import MemoryFlash
    from msgin5g.config.manager import ConfigurationManager
    from msgin5g.config.schema import Schema
    from msgin5g.config.store import Store
    from msgin5g.coap.numbers import CONTENT, CONTENT_FORMAT, ETAG
    from msgin5g.ue import ConstrainedUe
    from ue_alone import answer, asked, body

    flash = MemoryFlash()
    manager = ConfigurationManager(Store(flash), Schema())
    manager.start(0)
    ue = ConstrainedUe(ue_settings(), xorshift(3), manager, RELAY, 0)
    options = [(ETAG, b"12345678"), (CONTENT_FORMAT, b"\xfd\xe9")]
    datagram = answer(asked(ue, 0), CONTENT, options, body())
    n_writes = flash.n_writes
    with FileSwitches(from_outside=True) as count:
        ue.receive(0, datagram, RELAY, 10)
    assert flash.n_writes > n_writes and manager.configuration is not None
    return count


SCENARIOS = {"bulk for three UEs": bulk_for_three, "a UE's way in": way_in}


def main():
    for path in (*(_HOST_TESTS / p for p in ("nodes", "testkit", "support")), FIRMWARE):
        sys.path.insert(0, str(path))
    import msgin5g_testkit  # noqa: F401  # the shims: time.ticks_*

    for name, scenario in SCENARIOS.items():
        scenario()  # a lazy import is not what is counted
        count = scenario()
        print(f"{name}: {count.n}")
        if "--files" in sys.argv:
            for pair, n in sorted(count.pairs.items(), key=lambda item: -item[1]):
                print(f"  {n:4}  {pair[0] or '(outside)'} -> {pair[1]}")


if __name__ == "__main__":
    main()
