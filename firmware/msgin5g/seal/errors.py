"""What can go wrong above CoAP."""


class SealError(Exception):
    """Any error of this package."""


class DocumentError(SealError):
    """A body that holds no configuration for this UE; the text says why."""
