"""The ConfigurationManager of what is stored in a directory."""

from msgin5g.config.manager import ConfigurationManager
from msgin5g.config.schema import Schema
from msgin5g.config.store import StorageError, Store
from msgin5g.port.flash import Flash


def configuration_in(directory, max_size, trial_ms):
    """max_size: of a document, in bytes. trial_ms: see ConfigurationManager."""
    store = Store(Flash(directory, StorageError))
    return ConfigurationManager(store, Schema(max_size), trial_ms, min(60000, trial_ms // 2))
