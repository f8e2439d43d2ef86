"""A board that does not run, opened for a person to look at."""

from micropython import const
from msgin5g.coap.ticks import add
from msgin5g.port.system import ticks_ms

_FAR_MS = const(1 << 28)  # three days


def open_node(main):
    """Make `main.node` of the settings and the store on flash, as main.py would, but not to run.

    What is on trial stays so: nothing runs that the time of the trial could be about.
    """
    main.open_node("settings.json", "/", None, False, False, None, "app", False)
    if main.node is not None and main.node.configuration:
        lifecycle = main.node.configuration.open()
        lifecycle.late_at = lifecycle.good_at = add(ticks_ms(), _FAR_MS)
