"""Concise problem details (RFC 9290): the payload of every error (TS 24.546 C.1.4.4)."""

from micropython import const

from msgin5g.cbor.reader import ARRAY, MAP, NINT, TEXT, CborError, Reader

_TITLE = const(-1)
_DETAIL = const(-2)
_RESPONSE_CODE = const(-4)
_UNPROCESSED_OPTION = const(-8)
_MAX_SIZE = const(200)  # bytes kept of a title or a detail: it goes into events and logs


def compose(code, title, detail=None, option=None):
    """The payload of an error; `option` is the number of the option that was not processed."""
    from msgin5g.cbor.encoder import dumps  # a UE only reads problem details

    problem = {_TITLE: title, _RESPONSE_CODE: code}
    if detail:
        problem[_DETAIL] = detail
    if option is not None:
        problem[_UNPROCESSED_OPTION] = option
    return dumps(problem)


def parse(payload):
    """(title, detail) of a problem, each None when it is not given; never raises."""
    found = [None, None]
    try:
        reader = Reader(payload)
        n = reader.begin(MAP)
        while reader.more(n):
            key = 0
            if reader.peek() == NINT:
                reader.head()
                key = -1 - reader.argument
            else:
                reader.skip()
            if key == _TITLE or key == _DETAIL:
                found[-1 - key] = _text(reader)
            else:
                reader.skip()
            n -= n > 0
    except CborError:
        pass
    return found[0], found[1]


def _text(reader):
    """A text, or one with its language (tag 38: an array of the language and the text)."""
    if reader.peek() == ARRAY:
        reader.begin(ARRAY)
        reader.skip()
    try:
        return str(reader.string(TEXT)[:_MAX_SIZE], "utf-8")
    except UnicodeError:
        return None  # not UTF-8, or cut within a character
