"""`msgin5g bench`: the figures of the table in docs/boards.md, measured now.

`programs/` runs on MicroPython: `speed` (hot paths), `relay_heap` and `gateway_heap` (heap a UE),
`ue` and `role` (a UE and a relay on loopback), `imports` (heap of modules) and `idle_heap` (heap
of a role).
"""
