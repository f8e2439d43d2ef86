"""MicroPython's modules for CPython: as much as firmware/ and applications use of them."""
