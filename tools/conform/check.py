"""A check: a function with a clause and a sentence. It ends normally, or raises what it found."""

import asyncio
import inspect
import re
import time
from dataclasses import dataclass, field

PASS, FAIL, NOT_APPLICABLE, INCONCLUSIVE = "pass", "fail", "not applicable", "inconclusive"
VERDICTS = (PASS, FAIL, NOT_APPLICABLE, INCONCLUSIVE)
KIT_FAILED = "the kit itself failed"


class Ended(Exception):
    """A check has ended, for this reason."""

    verdict = INCONCLUSIVE


class Failure(Ended):
    """What came is not what the clause asks for."""

    verdict = FAIL


class NotApplicable(Ended):
    """The implementation does not do what the clause is about."""

    verdict = NOT_APPLICABLE


class Inconclusive(Ended):
    """What came decides nothing."""


@dataclass(frozen=True)
class Check:
    """needs: names of Profile fields. is_should: the clause says SHOULD."""

    role: str
    name: str
    clause: str
    sentence: str
    function: object
    needs: tuple = ()
    is_should: bool = False


@dataclass
class Row:
    """A check with its verdict; sent and came: each a list of texts."""

    check: Check
    verdict: str
    why: str = ""
    sent: list = field(default_factory=list)
    came: list = field(default_factory=list)
    seconds: float = 0.0


class Checks:
    """The checks of one role: `@checks("RFC 7252 4.3", "An empty CON gets a Reset.")`."""

    def __init__(self, role):
        self.role = role
        self.all = []

    def __call__(self, clause, sentence, needs=(), should=False):
        def register(function):
            assert inspect.iscoroutinefunction(function), function
            name = function.__name__.replace("_", "-")
            assert all(name != check.name for check in self.all), name
            self.all.append(Check(self.role, name, clause, sentence, function, needs, should))
            return function

        return register


def select(checks, only):
    """The checks that `only` names, a list of clauses, parts of clauses, or names."""
    if not only:
        return checks
    return [check for check in checks if any(_matches(check, text) for text in only)]


def _matches(check, text):
    if check.name == text:
        return True
    # A clause with those below it: "RFC 7252 4" has 4.2, and not 40 or 5.4.
    return bool(re.search(rf"(?<![\w.]){re.escape(text)}(?![\w])", check.clause))


async def perform(check, case, missing):
    """The Row of one check. missing: what it needs and nobody has told, in words."""
    started_at = time.monotonic()
    verdict, why = PASS, ""
    try:
        if missing:
            raise NotApplicable("give " + " and ".join(missing))
        async with case:
            why = await check.function(case) or ""
    except Failure as failure:
        verdict, why = failure.verdict, str(failure)
        if check.is_should:
            verdict, why = INCONCLUSIVE, f"{why} (the clause says SHOULD)"
    except Ended as ended:
        verdict, why = ended.verdict, str(ended)
    except Exception as error:  # bytes that nobody thought of: say so, and go on
        verdict, why = INCONCLUSIVE, f"{KIT_FAILED}: {type(error).__name__}: {error}"
    return Row(check, verdict, why, case.sent, case.came, time.monotonic() - started_at)


async def perform_all(checks, new_case, missing_of, n_parallel, on_row):
    """The Rows, in the order of the checks; at most n_parallel of them at a time."""
    gate = asyncio.Semaphore(n_parallel)

    async def one(check):
        async with gate:
            row = await perform(check, new_case(), missing_of(check))
        on_row(row)
        return row

    return list(await asyncio.gather(*map(one, checks)))
