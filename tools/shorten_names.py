"""Names that nobody can see get one letter before mpy-cross compiles a module.

MicroPython keeps the name of every argument and attribute as an interned string in the heap. Two
kinds are shared instead of kept: arguments that nobody passes by keyword, and private attributes
(`self._x`, data only) that no other class looks at. Names of functions, methods, classes, modules
and public attributes stay, so tracebacks and the REPL show what the source says.
"""

import ast

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What people call by keyword at the REPL or in their own programs.
_PUBLIC = ("main", "composition", "repl", "app", "examples")
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)
_SCOPES += (ast.GeneratorExp, ast.Global, ast.Nonlocal)


def _is_own(node):
    """Whether a node is `self.name`."""
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "self"


class Shortener:
    """Knows all sources, those of the tests included, and renames in one after the other."""

    def __init__(self, firmware, others):
        """firmware, others: lists of sources; only the first are going to be renamed."""
        self._in_use = {"self"}  # strings at run time anyway
        foreign = set()  # attributes that are looked at from outside
        own = {}  # class name -> its private attributes
        bases = {}
        for source in [*firmware, *others]:
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Attribute):
                    self._in_use.add(node.attr)
                    if not _is_own(node) or source in others:
                        foreign.add(node.attr)
                elif isinstance(node, _DEFINITIONS):
                    self._in_use.add(node.name)
                    foreign.add(node.name)
                elif isinstance(node, ast.keyword) and node.arg:
                    self._in_use.add(node.arg)
                elif isinstance(node, ast.alias):
                    self._in_use.update((*node.name.split("."), node.asname))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    foreign.add(node.value)  # it may be a name for getattr
                if isinstance(node, ast.ClassDef) and source in firmware:
                    bases[node.name] = [getattr(base, "id", None) for base in node.bases]
                    own.setdefault(node.name, set()).update(
                        n.attr
                        for n in ast.walk(node)
                        if _is_own(n) and n.attr.startswith("_") and not n.attr.startswith("__")
                    )
        # Classes that inherit from each other share one set of names.
        self._letters = {}
        for name in own:
            family = {name}
            grown = True
            while grown:
                more = {c for c in own if family & {c, *bases[c]}}
                more |= {b for c in family for b in bases.get(c, ()) if b in own}
                grown = not more <= family
                family |= more
            private = sorted(set().union(*(own[c] for c in family)) - foreign)
            self._letters[name] = {
                attribute: "_" + letter for attribute, letter in zip(private, LETTERS)
            }

    def state(self):
        """What all the renaming depends on, to compare."""
        return sorted(self._in_use, key=str), sorted(self._letters.items())

    def shorten(self, source, module):
        """The source with its names shortened. Lines stay where they are."""
        tree = ast.parse(source)
        lines = source.split("\n")
        places = []  # (line, column in bytes, old name, new name)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.extend(self._attributes(node, lines))
        if module.split(".")[1:2] and module.split(".")[1] not in _PUBLIC:
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    places.extend(self._arguments(node))
        for line, column, old, new in sorted(set(places), reverse=True):
            raw = lines[line - 1].encode()
            assert raw[column : column + len(old)] == old.encode(), (module, line, old)
            raw = raw[:column] + new.encode() + raw[column + len(old) :]
            lines[line - 1] = raw.decode()
        return "\n".join(lines)

    def _attributes(self, node, lines):
        letters = self._letters[node.name]
        for attribute in ast.walk(node):
            if _is_own(attribute) and attribute.attr in letters:
                # The name ends where the node ends.
                column = attribute.end_col_offset - len(attribute.attr.encode())
                yield attribute.end_lineno, column, attribute.attr, letters[attribute.attr]

    def _arguments(self, function):
        inner = [n for n in ast.walk(function) if isinstance(n, _SCOPES) and n is not function]
        if inner:
            return
        arguments = function.args.args
        taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        taken.update(argument.arg for argument in arguments)
        letters = iter(letter for letter in LETTERS if letter not in taken)
        new = {}
        for argument in arguments:
            if argument.arg not in self._in_use and len(argument.arg) > 1:
                new[argument.arg] = next(letters)
                yield argument.lineno, argument.col_offset, argument.arg, new[argument.arg]
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in new:
                yield node.lineno, node.col_offset, node.id, new[node.id]
