"""What a person can put right: one line, no traceback."""


class BoardError(Exception):
    """The board cannot start, or cannot go on, and the text says why."""
