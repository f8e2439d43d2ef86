"""configData: the JSON text in a UeConfigDoc, and the keys of it that the server knows."""

import json

SERVER_ADDRESS, SERVICE_ID = "MSGin5G-Server-address", "MSGin5G-UE-Service-id"


def parse_object(text):
    """The JSON object in a configData, or None."""
    try:
        data = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def compact(data):
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def unique(pairs):
    found = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f'the key "{key}" is there twice in one object')
        found[key] = value
    return found


def no_constant(name):
    raise ValueError(f"{name} is not JSON")
