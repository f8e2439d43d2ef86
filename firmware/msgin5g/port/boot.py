"""The start of the machine that we run on."""


def woken():
    """Whether this start is a wake from deep sleep, which is no failed boot."""
    try:
        import machine

        return machine.reset_cause() == machine.DEEPSLEEP_RESET
    except (ImportError, AttributeError):  # a host
        return False
