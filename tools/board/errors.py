"""What a person can put right: one line, no traceback."""


class BoardError(Exception):
    """The board cannot start or continue; the text gives the reason."""
