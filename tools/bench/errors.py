"""Errors of the bench."""


class BenchError(Exception):
    """A measurement that failed; the text is one line."""
