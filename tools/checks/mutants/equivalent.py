"""host_tests/mutants/equivalent.toml: changes that nobody outside can see, each with its reason.

They are known by the module and the text of the changed lines, so that they move with the code.
"""

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

from msgin5g_tools.checks.mutants.catalogue import changed_lines, mutated
from msgin5g_tools.paths import ROOT

FILE = "host_tests/mutants/equivalent.toml"


class Equivalents:
    """`mutants` are the rows of the file: module, change (lines that begin with - or +), why."""

    def __init__(self, root=ROOT):
        self.mutants = tomllib.loads((root / FILE).read_text())["mutant"]
        self._changes = {(row["module"], tuple(row["change"])) for row in self.mutants}
        self._lines = {
            (row["module"], line[2:])
            for row in self.mutants
            for line in row["change"]
            if line.startswith("- ")
        }

    def has(self, mutant, source):
        """Whether a mutant is one of them."""
        if (mutant.module, mutant.line) not in self._lines:
            return False
        change = changed_lines(source, mutated(mutant, source))
        return (mutant.module, tuple(change)) in self._changes
