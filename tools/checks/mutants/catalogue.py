"""All mutants of a module: what is changed where, and which lines a test must run to see it."""

import ast
import difflib
import hashlib
from collections import Counter, namedtuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

from msgin5g_tools.checks.mutants.operators import operators

# module: a path below the root. span: where it begins and ends. line: the text of that line.
# function: a dotted name, "" at the top of the module. rows: the lines of the statement. top: it
# runs when the module is imported. nth: the same change of the same text in the same function.
Mutant = namedtuple("Mutant", "area module operator occurrence span line function rows top nth")


def mutants_of(area, module, source):
    """The Mutants of one module."""
    places = _Places(source)
    lines = source.split("\n")
    nodes = list(ast_nodes(get_ast(source)))
    seen = Counter()
    found = []
    for name, operator in operators().items():
        positions = (p for node in nodes for p in operator.mutation_positions(node))
        for occurrence, span in enumerate(positions):
            row = span[0][0]
            if places.is_text(row):
                continue
            line = lines[row - 1].strip()
            function, rows, top = places.of(row)
            key = (name, function, line)
            found.append(
                Mutant(area, module, name, occurrence, span, line, function, rows, top, seen[key])
            )
            seen[key] += 1
    return found


def mutated(mutant, source):
    """The changed source text."""
    return mutate_code(source, operators()[mutant.operator], mutant.occurrence)


def rank(mutant, seed):
    """A number by chance, which a change elsewhere in the module does not change."""
    text = f"{seed} {mutant.module} {mutant.operator} {mutant.function} {mutant.line} {mutant.nth}"
    return hashlib.sha256(text.encode()).digest()


def sample(mutants, n, seed):
    """`n` of the mutants by chance, at most one a statement."""
    chosen, taken = [], set()
    for mutant in sorted(mutants, key=lambda mutant: rank(mutant, seed)):
        place = (mutant.module, mutant.rows[0])
        if len(chosen) < n and place not in taken:
            taken.add(place)
            chosen.append(mutant)
    return chosen


def changed_lines(source, text):
    """The lines of a diff that begin with - or +, without blanks around the code."""
    before = [line.rstrip() for line in source.split("\n")]
    after = [line.rstrip() for line in text.split("\n")]
    lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
    return [f"{line[0]} {line[1:].strip()}" for line in lines if line[0] in "+-"]


class _Places:
    """Which function and which statement a line of a module belongs to."""

    def __init__(self, source):
        self._rows = {}  # row: (function, rows, top) of the innermost statement
        self._text = set()  # rows of docstrings
        self._walk(ast.parse(source).body, "", False)

    def is_text(self, row):
        return row in self._text or row not in self._rows

    def of(self, row):
        return self._rows[row]

    def _walk(self, statements, function, inside):
        for node in statements:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            last = node.end_lineno
            if body and isinstance(body[0], ast.stmt):
                last = max(first, body[0].lineno - 1)
                if body[0].lineno == node.lineno:  # `if x: return`
                    last = node.end_lineno
            rows = range(first, last + 1)
            for row in rows:
                self._rows[row] = (function, rows, not inside)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                self._text.update(rows)
            is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            name = function
            if is_function or isinstance(node, ast.ClassDef):
                name = f"{function}.{node.name}".lstrip(".")
            for part in ("body", "orelse", "finalbody"):
                block = getattr(node, part, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    if part == "body" and block[0].lineno == node.lineno:
                        continue
                    self._walk(block, name, inside or is_function)
            for handler in getattr(node, "handlers", ()):
                rows = range(handler.lineno, max(handler.lineno + 1, handler.body[0].lineno))
                for row in rows:
                    self._rows[row] = (name, rows, not inside)
                self._walk(handler.body, name, inside)
