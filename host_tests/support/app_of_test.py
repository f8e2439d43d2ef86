"""An application that nodes/test_testkit.py puts on two boards."""

counted = []


def changed(node):
    counted.append("changed")
