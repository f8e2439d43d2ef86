"""The shape of documents, checked by pydantic; each fault is (where, reason).

pydantic's own texts name types of Python ("Input should be a valid dictionary") and take several
lines; ours are one line with the place and the rule in the words of the document.
"""

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

OPEN = ConfigDict(strict=True, extra="allow")  # keys that are not defined here are kept
CLOSED = ConfigDict(strict=True, extra="forbid")

MISSING, UNKNOWN_KEY = "is missing", "is not a key"
_REASONS = {
    "missing": MISSING,
    "string_type": "is not a text",
    "string_too_short": "is empty",
    "list_type": "is not an array",
    "too_short": "is an empty array: it needs at least one item",
}
_IGNORED = "invalid_key"  # CBOR allows keys that are not texts: those of maps in a map are kept


class Shape:
    """A type that pydantic checks.

    object_name: "a map" in CBOR, "an object" in JSON. owner: of the keys of a closed type.
    """

    def __init__(self, kind, object_name, owner=""):
        self._adapter = TypeAdapter(kind)
        self._reasons = {
            **_REASONS,
            "dict_type": f"is not {object_name}",
            "extra_forbidden": f"{UNKNOWN_KEY} of {owner}",
        }

    def faults(self, value):
        """Everything wrong with the value: list of (where, reason); where is "" for itself."""
        try:
            self._adapter.validate_python(value)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            return [self._fault(detail) for detail in details if detail["type"] != _IGNORED]
        return []

    def _fault(self, detail):
        return _place(detail["loc"]), self._reasons.get(detail["type"], detail["msg"])


def rule(check):
    """The validator of a text; check(text): why it is wrong, or None."""

    def validate(value):
        reason = check(value) if isinstance(value, str) else "is not a text"
        if reason:
            raise fault(reason)
        return value

    return PlainValidator(validate)


def fault(reason):
    """The error that a validator raises."""
    return PydanticCustomError("rule", "{reason}", {"reason": reason})


def _place(location):
    """`valUeIds.uris[0]` for ("valUeIds", "uris", 0)."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")
