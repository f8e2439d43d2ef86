"""What is known about mutants, kept in cosmic-ray's SQLite file, so that a run can go on later.

A mutant is known by the text of its module and the change, not by a line number. One that was
killed stays killed; one that survived is tried again when the tests have changed.
"""

import hashlib
import json
from collections import namedtuple

from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkItem, WorkResult, WorkerOutcome

# outcome: killed, timeout, survived or uncovered (no test runs it). killer: the test that noticed.
Result = namedtuple("Result", "mutant outcome killer seconds change")


class Session:
    def __init__(self, file):
        file.parent.mkdir(parents=True, exist_ok=True)
        self._db = WorkDB(file, WorkDB.Mode.create)
        self._known = dict(self._db.results)
        self._items = {item.job_id for item in self._db.work_items}

    def find(self, mutant, source, tests):
        """The Result of an earlier run that still holds, or None. tests: a hash of the tests."""
        known = self._known.get(_job(mutant, source))
        if known is None:
            return None
        said = json.loads(known.output)
        if known.test_outcome == TestOutcome.SURVIVED and said["tests"] != tests:
            return None
        return Result(mutant, said["outcome"], said["killer"], said["s"], known.diff.split("\n"))

    def save(self, result, source, tests):
        job = _job(result.mutant, source)
        mutant = result.mutant
        if job not in self._items:
            spec = MutationSpec(mutant.module, mutant.operator, mutant.occurrence, *mutant.span)
            self._db.add_work_item(WorkItem.single(job, spec))
            self._items.add(job)
        said = {"outcome": result.outcome, "killer": result.killer, "s": result.seconds}
        noticed = result.outcome in ("killed", "timeout")
        made = WorkResult(
            WorkerOutcome.NORMAL,
            json.dumps({**said, "tests": tests}),
            TestOutcome.KILLED if noticed else TestOutcome.SURVIVED,
            "\n".join(result.change),
        )
        self._db.set_result(job, made)
        self._known[job] = made

    def close(self):
        self._db.close()


def _job(mutant, source):
    text = f"{mutant.module} {mutant.operator} {mutant.occurrence}\n{source}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
