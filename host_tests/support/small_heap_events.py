"""The events that small_heap_role.py reports by their numbers."""

EVENTS = ("other", "applied", "unchanged", "refused", "rejected", "timeout")
