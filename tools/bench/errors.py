"""What keeps the bench from measuring."""


class BenchError(Exception):
    """What went wrong, in one line."""
