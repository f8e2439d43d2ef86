"""Concise problem details (RFC 9290), as 3GPP TS 24.546 C.1.4.4 uses them."""

from micropython import const

from msgin5g.cbor import CborError, dumps, loads

_TITLE = const(-1)
_DETAIL = const(-2)
_RESPONSE_CODE = const(-4)
_UNPROCESSED_OPTION = const(-8)

_MAX_TEXT = const(200)  # of a title or a detail that is kept: it goes into events and logs


def parse(payload):
    """(title, detail) of a problem, each None when it is not given; never raises."""
    try:
        problem = loads(payload) if payload else {}
    except CborError:
        return None, None
    if not isinstance(problem, dict):
        return None, None
    return _text(problem.get(_TITLE)), _text(problem.get(_DETAIL))


def _text(value):
    return value[:_MAX_TEXT] if isinstance(value, str) else None


def compose(code, title, detail=None, option=None):
    """The payload of an error; `option` is the number of the option that was not processed."""
    problem = {_TITLE: title, _RESPONSE_CODE: code}
    if detail:
        problem[_DETAIL] = detail
    if option is not None:
        problem[_UNPROCESSED_OPTION] = option
    return dumps(problem)
