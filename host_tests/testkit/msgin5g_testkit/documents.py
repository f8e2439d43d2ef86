"""Documents of the configuration management API, for tests."""


def document(ue_id: str, data: str, document_id: str = "doc-1", **more) -> dict:
    """A UeConfigDoc; data: its configData, JSON text."""
    doc = {
        "ueConfigDocId": document_id,
        "valServiceDomain": "example.com",
        "valUeIds": {"uris": [ue_id]},
        "ueConfigs": [{"configType": "ON_NETWORK", "configData": data}],
    }
    doc.update(more)
    return doc
