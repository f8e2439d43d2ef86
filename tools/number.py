"""A number as the value of an option."""

import click


class Number(click.ParamType):
    """A number within limits, both included; a percent sign after it is allowed."""

    name = "number"

    def __init__(self, kind, low, high):
        self._kind = kind
        self._low = low
        self._high = high

    def convert(self, value, parameter, context):
        try:
            number = self._kind(str(value).removesuffix("%"))
            if self._low <= number <= self._high:
                return number
        except ValueError:
            pass
        what = "a whole number" if self._kind is int else "a number"
        self.fail(f"'{value}' is not {what} of {self._low} to {self._high}", parameter, context)


SECONDS = Number(float, 0, 31_536_000)
UINT16 = Number(int, 0, 65535)
