"""What unit tests of firmware and applications are made of, on CPython and on MicroPython.

Importing it on CPython makes MicroPython's modules importable there: see `shim`.
"""

import sys

if sys.implementation.name != "micropython":
    from msgin5g_testkit import cpython

    cpython.add_shims()
