"""The start of the machine that we run on: what it was, and a new one."""


def woken():
    """Whether this start is a wake from deep sleep, which is no failed boot."""
    try:
        import machine

        return machine.reset_cause() == machine.DEEPSLEEP_RESET
    except (ImportError, AttributeError):  # a host
        return False


def reset():
    """Start the board anew; on a host it returns."""
    try:
        import machine

        machine.reset()
    except (ImportError, AttributeError):
        pass
