"""The application: it measures as often as the configuration says.

make test     its tests              make run      beside a UE on this computer
make flash PORT=/dev/ttyACM0         on a board
"""

measured = []  # what a program would send


def declare(schema):
    """The keys of this application in the configuration."""
    schema.declare("interval-s", int, default=60, low=1, high=3600)


def changed(node):
    """Another configuration runs now; None: it was removed."""
    if node.configuration:
        print("app: every", node.configuration["interval-s"], "s")


def step(node, now):
    """Measure; gives the milliseconds until the next call."""
    if node.configuration is None:
        return 1000
    measured.append(21.5)  # the reading of a sensor
    del measured[:-10]
    return node.configuration["interval-s"] * 1000
