"""What a UE of this project refuses, by the firmware's own code: its schema and its reader."""

from msgin5g_tools.paths import import_firmware
from msgin5g_tools.scm_server import ue_config

import_firmware()

from msgin5g.cbor.reader import CborError, Reader  # noqa: E402
from msgin5g.config.schema import Schema  # noqa: E402
from msgin5g.scm.ue_config_doc import UeConfigDoc  # noqa: E402

_DATA = "configData"


def refusals(document, doc_id):
    """(key, reason) for each rule that the configuration in this document breaks."""
    body = ue_config.encode(document, doc_id)
    try:
        texts = UeConfigDoc(Reader(body)).config_data()
    except CborError as error:
        return [("document", f"cannot be read: {error}")]
    if not texts:
        return [("ueConfigs", "has no configData of type ON_NETWORK or COMMON")]
    _, reasons = Schema().check([bytes(text) for text in texts])
    found = []
    for reason in reasons:
        key, _, why = reason.partition(": ")
        found.append((_DATA if key == _DATA else f"{_DATA}.{key}", why))
    return found
