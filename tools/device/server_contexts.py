"""The OSCORE keys of a server's database, for commands; a wheel, without firmware, has it too."""

from contextlib import contextmanager

from msgin5g_tools.device.errors import WRONG_INPUT, DeviceError
from msgin5g_tools.scm_server.contexts import Contexts
from msgin5g_tools.scm_server.database import Database, exists, shown
from msgin5g_tools.scm_server.problem import DatabaseError, ScmError


@contextmanager
def open_contexts(path):
    """The Contexts of a database, in one transaction; DeviceError, one line, for every fault."""
    if not exists(path):
        raise DeviceError(WRONG_INPUT, f"{path}: no such database")
    try:
        with Database(path, create=False) as database, database.transaction():
            yield Contexts(database)
    except ScmError as error:
        text, name = str(error), shown(path)
        named = text if text.startswith(f"{name}: ") else f"{name}: {text}"
        raise DeviceError(WRONG_INPUT, named) from None
    except DatabaseError as error:
        raise DeviceError(WRONG_INPUT, f"{shown(path)}: {error.line}") from None
