"""A Lifecycle on flash; loaded while there is something to be done, see keeper."""

from msgin5g.config.manager import Lifecycle
from msgin5g.config.schema import Schema
from msgin5g.config.store import Store
from msgin5g.port.flash import Flash


def lifecycle_in(directory, max_size, trial_ms):
    """The Lifecycle of what is stored in a directory; max_size is that of a document, in bytes.

    trial_ms: as Lifecycle has it.
    """
    store = Store(Flash(directory))
    return Lifecycle(store, Schema(max_size), trial_ms, min(60000, trial_ms // 2))
