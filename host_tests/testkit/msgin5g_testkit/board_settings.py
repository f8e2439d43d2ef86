"""The Settings of the nodes of a Network: checked once, and copied for each start of a board."""

import sys

_MODULE = "msgin5g.settings"


def settings_from(values):
    """The Settings of a settings.json; SettingsError for the first mistake.

    On MicroPython the modules that check them are dropped again, as a board does it after its
    start: they would take 15 KB of a heap that is full of test kit and firmware.
    """
    was_loaded = _MODULE in sys.modules
    from msgin5g.settings import settings_of

    made = settings_of(values)
    if sys.implementation.name == "micropython" and not was_loaded:
        for name in list(sys.modules):
            if name == _MODULE or name.startswith(_MODULE + "."):
                del sys.modules[name]
        del sys.modules["msgin5g"].settings
    return made


def copy_of(settings):
    """Settings for one start, which changes some of them."""
    made = type(settings)()
    for name, value in settings.__dict__.items():
        setattr(made, name, value)
    return made
