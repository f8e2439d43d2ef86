"""Concise problem details (RFC 9290), written: the payload of every error (TS 24.546 C.1.4.4).

A UE reads them with `client.problem_of`.
"""

from micropython import const

from msgin5g.cbor.encoder import dumps

_TITLE = const(-1)
_DETAIL = const(-2)
_RESPONSE_CODE = const(-4)
_UNPROCESSED_OPTION = const(-8)


def compose(code, title, detail=None, option=None):
    """The payload of an error; `option` is the number of the option that was not processed."""
    problem = {_TITLE: title, _RESPONSE_CODE: code}
    if detail:
        problem[_DETAIL] = detail
    if option is not None:
        problem[_UNPROCESSED_OPTION] = option
    return dumps(problem)
