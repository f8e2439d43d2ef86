"""Errors for the operator: each kind is one line a minute, with the number of those between."""

_PERIOD_S = 60.0
_MAX_KINDS = 100


class Faults:
    """`faults(text)` calls `report` with the text, unless the same one was reported lately."""

    def __init__(self, report, now):
        self._report = report
        self._now = now
        self._kinds = {}  # text -> [reported_at, how many since]

    def __call__(self, text):
        now = self._now()
        kind = self._kinds.get(text)
        if kind and now - kind[0] < _PERIOD_S:
            kind[1] += 1
            return
        self._kinds.pop(text, None)
        if len(self._kinds) >= _MAX_KINDS:
            del self._kinds[next(iter(self._kinds))]
        self._kinds[text] = [now, 0]
        self._report(text if not kind or not kind[1] else f"{text} (and {kind[1]} more times)")
