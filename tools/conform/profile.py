"""What is known about the implementation under test: addresses, facts, and the open choices.

Each field is an option of the command (`no_document` is --no-document) and a key of a profile
file, in TOML or JSON; an option on the command line wins.
"""

import json
from dataclasses import dataclass, field

from msgin5g_tools.person_file import FileError, parse_json, read_text
from msgin5g_tools.toml_file import TomlFile

ANY = "any"


@dataclass
class Profile:
    """address: (host, port) of the implementation. ues: (UE ID, (host, port) or None) pairs."""

    address: tuple
    # Facts and the kit's own addresses
    ues: list = field(default_factory=list)
    no_document: str | None = None
    denied: str | None = None
    recipient: str | None = None
    server_bind: tuple | None = None
    stranger_bind: tuple | None = None
    bind: tuple | None = None
    may_write: bool = False
    events: object = None
    # Open choices
    recipient_option: int = 65020
    content_format: int = 65001
    service: str = "msgin5g"
    path_prefix: str = ""
    host: str | None = None
    bulk_id: str = "msgin5g-bulk"
    comma: bool = False
    strict_codes: bool = False
    no_document_code: str = ANY
    next_hop_is: str = "relay"
    source_port: int = 65401
    # Timing
    ack_timeout_s: float = 2.0
    ack_random_factor: float = 1.5
    max_retransmit: int = 4
    window_s: float = 2.0
    wait_s: float = 60.0
    parallel: int = 0  # 0: as many as the role allows

    @property
    def ue(self):
        return self.ues[0][0] if self.ues else None

    @property
    def second_ue(self):
        return self.ues[1][0] if len(self.ues) > 1 else None

    @property
    def collection(self):
        """The Uri-Path of the collection (TS 24.546 C.3.1.2.1)."""
        prefix = [part for part in self.path_prefix.split("/") if part]
        return [*prefix, "su-uc", "v1", "val-services", self.service, "ue-configurations"]

    @property
    def formats(self):
        """The numbers that stand for the media type of a UeConfigDoc; 60 is application/cbor."""
        return (self.content_format, 60)


# What brings a field that a check needs.
BRINGS = {
    "ue": "--ue",
    "second_ue": "a second --ue",
    "no_document": "--no-document",
    "denied": "--denied",
    "recipient": "--recipient",
    "server_bind": "--server-bind",
    "bind": "--bind",
    "stranger_bind": "--stranger-bind",
    "may_write": "--may-write",
    "events": "--events",
    "comma": "--comma",
    "source_port": "--source-port",
}


def missing(check, profile):
    """The options that would bring what this check needs."""
    return [BRINGS[name] for name in check.needs if not getattr(profile, name)]


def read_profile(path):
    """The values of a profile file, {key: value}; FileError with what is wrong."""
    text = read_text(path)
    if path.endswith(".json") or text.lstrip().startswith("{"):
        values = parse_json(text, path)
    else:
        values = TomlFile(path, text).values
    if not isinstance(values, dict):
        raise FileError(f"{path}: must be an object, {{...}}, not {json.dumps(values)[:30]}")
    return values
