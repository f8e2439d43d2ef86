"""What can go wrong above CoAP."""


class DocumentError(Exception):
    """A body that holds no configuration for this UE; the text says why."""
