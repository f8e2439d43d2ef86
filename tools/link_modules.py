"""Join modules of the firmware into one before mpy-cross compiles them.

What stays loaded for the same time goes into one file: it has one table of names instead of one a
module, no imports between its parts, and takes one file of the board's flash. Names that are
looked up nowhere but within the firmware get two letters. Comments, docstrings and line breaks go
as well; the map of the lines leads from a traceback back to the source (see tools/where.py).
"""

import ast
from collections import namedtuple

from tools.shorten_names import LETTERS, STATIC_NAMES

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_IMPORTS = (ast.Import, ast.ImportFrom)

# text: what is to be compiled. lines: of each of its lines (source module, line there).
Linked = namedtuple("Linked", "text lines")


class LinkError(Exception):
    """Modules that cannot be joined; the text says where and why."""


def _is_const(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", None) == "const"


def does_nothing(node):
    """Whether a statement is a docstring, or what an import of constants has left."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Pass)


def _targets(node):
    """The names that an assignment in a module's own code binds."""
    for target in node.targets:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                yield name.id


def _bound(scope):
    """The names that are local to a function, a lambda, a class or a comprehension."""
    found, outside = set(), set()
    if isinstance(scope, _COMPREHENSIONS):
        todo = [generator.target for generator in scope.generators]
    elif isinstance(scope, ast.Lambda):
        todo = []
    else:
        todo = list(scope.body)
    if hasattr(scope, "args"):
        given = scope.args
        found.update(a.arg for a in given.args + given.kwonlyargs + given.posonlyargs)
        found.update(a.arg for a in (given.vararg, given.kwarg) if a)
    while todo:
        node = todo.pop()
        if isinstance(node, _DEFINITIONS):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, _IMPORTS):
            found.update((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            outside.update(node.names)
        todo.extend(ast.iter_child_nodes(node))
    return found - outside


class _Module:
    """A source of the firmware: its tree, and the names that its own code defines."""

    def __init__(self, name, text):
        self.name = name
        self.tree = ast.parse(text)
        self.defined = {}  # name -> the node that defines it
        for node in self.tree.body:
            if isinstance(node, _DEFINITIONS):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign):
                self.defined.update((name, node) for name in _targets(node))
            elif not (isinstance(node, _IMPORTS) or does_nothing(node)):
                raise LinkError(f"{name}:{node.lineno}: only definitions can be linked")

    def imported(self):
        """The modules that are imported when this one is."""
        return [n.module for n in self.tree.body if isinstance(n, ast.ImportFrom)]


class Linker:
    """sources: {module: text} of all that is to be on the board. files: {file: its modules},
    every module in one of them; file names are dotted, as modules'. kept: the modules whose names
    their users know, so that they stay.
    """

    def __init__(self, sources, files, kept):
        self._modules = {name: _Module(name, text) for name, text in sources.items()}
        self._files = files
        self._file_of = {module: file for file, modules in files.items() for module in modules}
        self._new = {}  # (module, name) -> the name that it gets
        letters = self._letters()
        constants = iter(range(10**6))
        self._taken = {}  # file -> the names it defines
        for file, modules in files.items():
            self._taken[file] = taken = set()
            for module in modules:
                for name, node in self._modules[module].defined.items():
                    new = name
                    if module in kept:
                        pass
                    elif isinstance(node, ast.Assign) and _is_const(node.value):
                        new = f"_{next(constants)}" if name.startswith("_") else name
                    elif name.startswith("_") or (
                        len(modules) > 1 and not isinstance(node, ast.ClassDef)
                    ):
                        new = next(letters)
                    if new in taken:
                        raise LinkError(f"{file}: two modules define {name}, one is {module}")
                    taken.add(new)
                    self._new[module, name] = new

    def _letters(self):
        """Names that are nowhere in use, those first that every interpreter has in its ROM."""
        used = set()
        for module in self._modules.values():
            for node in ast.walk(module.tree):
                used.update(getattr(node, kind, None) for kind in ("id", "name", "asname", "arg"))
        yield from (name for name in STATIC_NAMES if name not in used)
        for first in ("_", *("_" + letter for letter in LETTERS)):
            for letter in LETTERS:
                if first + letter not in used:
                    yield first + letter

    def file_of(self, module):
        """The file that a module is in, None when it is not of the firmware."""
        return self._file_of.get(module)

    def is_defined(self, file, name):
        """Whether a file defines a name itself."""
        return name in self._taken[file]

    def new_name(self, module, name, where):
        """What `name` of `module` is called; `where` is for the error."""
        try:
            return self._new[module, name]
        except KeyError:
            raise LinkError(f"{where}: {module} does not define {name}") from None

    def link(self, file):
        """A file as Linked."""
        order = []
        todo = list(self._files[file])

        def visit(module):
            if module in todo:
                todo.remove(module)
                for wanted in self._modules[module].imported():
                    visit(wanted)
                order.append(module)

        while todo:
            visit(todo[0])
        outside = {}  # name -> (module, name there) that was imported from without
        body, origins = [], []
        for name in order:
            rewriter = _Rewriter(self, self._modules[name], file, outside)
            for node in rewriter.rewrite():
                body.append(node)
                origins.append(name)
        tree = ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))
        text = ast.unparse(tree) + "\n"
        return Linked(text, _lines(ast.parse(text), tree, origins, text.count("\n")))


def _lines(written, tree, origins, n):
    """[(module, line)] of each line of the text; `written` is `tree` read again from it."""
    lines = [None] * (n + 1)
    for new, old, module in zip(written.body, tree.body, origins):
        for a, b in zip(ast.walk(new), ast.walk(old)):
            if isinstance(a, (ast.stmt, ast.ExceptHandler)):
                lines[a.lineno] = (module, b.lineno)
    for i in range(n - 1, 0, -1):  # a decorator, or `else`
        lines[i] = lines[i] or lines[i + 1]
    return lines[1:]


class _Rewriter(ast.NodeTransformer):
    """Turns the tree of one module into its part of a file."""

    def __init__(self, linker, module, file, outside):
        self._linker = linker
        self._module = module
        self._file = file
        self._outside = outside
        self._scopes = []  # (whether of a class, {local name: what it becomes})
        self._stored = ()  # what the function at hand assigns to
        self._names = {
            name: linker.new_name(module.name, name, module.name) for name in module.defined
        }

    def rewrite(self):
        """The statements, those without effect left out."""
        found = []
        for node in self._module.tree.body:
            if isinstance(node, _IMPORTS):
                self._import_of_module(node, found)
            elif not does_nothing(node):
                found.append(node)
        return [n for n in (self.visit(node) for node in found) if n is not None]

    def _where(self, node):
        return f"{self._module.name}:{node.lineno}"

    # Imports

    def _import_of_module(self, node, found):
        """At the top of a module: what is in the same file need not be imported."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                self._once(node, (alias.name, None), alias.asname or alias.name, found)
        elif node.module == "micropython":
            if [alias.name for alias in node.names] != ["const"]:  # that one is mpy-cross's own
                raise LinkError(f"{self._where(node)}: import of micropython")
        else:
            target = self._linker.file_of(node.module)
            for alias in node.names:
                name = alias.asname or alias.name
                if target is None:
                    self._once(node, (node.module, alias.name), name, found)
                    continue
                new = self._linker.new_name(node.module, alias.name, self._where(node))
                if target == self._file:
                    self._names[name] = new
                    continue
                # Its own name, which is a string in the heap anyway, if that is free here.
                if self._linker.is_defined(self._file, new):
                    new, was = name, new
                else:
                    was = new
                self._names[name] = new
                self._once(node, (target, was), new, found)

    def _once(self, node, what, name, found):
        """Import something in one place of the file only. what: (module, name or None)."""
        known = self._outside.get(name)
        if known == what:
            return
        if known or self._linker.is_defined(self._file, name):
            raise LinkError(f"{self._where(node)}: {name} is something else in {self._file}")
        self._outside[name] = what
        module, attribute = what
        if attribute is None:
            new = ast.Import([ast.alias(module, None if name == module else name)])
        else:
            alias = ast.alias(attribute, None if name == attribute else name)
            new = ast.ImportFrom(module, [alias], 0)
        found.append(ast.copy_location(new, node))

    def visit_ImportFrom(self, node):
        """Within a function; imports at the top are new already."""
        if not self._scopes:
            return node
        target = self._linker.file_of(node.module)
        if target is None:
            return node
        if node.module == "msgin5g":
            for alias in node.names:
                module = "msgin5g." + alias.name
                if self._linker.file_of(module) != module:
                    raise LinkError(f"{self._where(node)}: {module} is no file of its own")
            return node
        aliases = []
        for alias in node.names:
            new = self._linker.new_name(node.module, alias.name, self._where(node))
            name = alias.asname or alias.name
            if target == self._file:
                if name in self._stored:
                    raise LinkError(f"{self._where(node)}: {name} is imported and then assigned")
                self._scopes[-1][1][name] = new
            else:
                aliases.append(ast.alias(new, None if name == new else name))
        return ast.copy_location(ast.ImportFrom(target, aliases, 0), node) if aliases else None

    def visit_Delete(self, node):
        """`del` of what was imported: not where it is in the same file."""
        node.targets = [t for t in node.targets if not self._is_linked(t)]
        return self.generic_visit(node) if node.targets else None

    def _is_linked(self, node):
        return isinstance(node, ast.Name) and self._scopes[-1][1].get(node.id) is not None

    def visit_Expr(self, node):
        """Docstrings go; `unload` speaks of files."""
        if does_nothing(node):
            return None
        call = node.value
        if isinstance(call, ast.Call) and getattr(call.func, "id", None) == "unload":
            if all(isinstance(name, ast.Constant) for name in call.args):
                files = [self._linker.file_of("msgin5g." + name.value) for name in call.args]
                # Not what is not on this board, or always needed.
                files = [f for f in dict.fromkeys(files) if f not in (None, "msgin5g.main")]
                if not files:
                    return None
                call.args = [ast.Constant(file.partition(".")[2]) for file in files]
                call.func = self.visit(call.func)
                return node
        return self.generic_visit(node)

    def visit_Constant(self, node):
        """The full name of a module, to look for in sys.modules."""
        if isinstance(node.value, str) and node.value.startswith("msgin5g."):
            node.value = self._linker.file_of(node.value) or node.value
        return node

    # Names

    def _name(self, name):
        for i in range(len(self._scopes) - 1, -1, -1):
            of_class, names = self._scopes[i]
            # What a class defines its methods do not see.
            if name in names and not (of_class and i < len(self._scopes) - 1):
                return names[name] or name
        return self._names.get(name, name)

    def visit_Name(self, node):
        node.id = self._name(node.id)
        return node

    def visit_Global(self, node):
        node.names = [self._names.get(name, name) for name in node.names]
        return node

    def _enter(self, node, fields):
        self._scopes.append((isinstance(node, ast.ClassDef), dict.fromkeys(_bound(node))))
        for field in fields:
            value = getattr(node, field)
            if isinstance(value, list):
                kept = [n for n in (self.visit(n) for n in value) if n is not None]
                if field == "body" and not kept:
                    kept = [ast.copy_location(ast.Pass(), value[-1])]
                setattr(node, field, kept)
            else:
                setattr(node, field, self.visit(value))
        self._scopes.pop()
        return node

    def generic_visit(self, node):
        """As always; but no block may be left empty."""
        super().generic_visit(node)
        if getattr(node, "body", True) == []:
            node.body = [ast.Pass()]
        return node

    def _visit_function(self, node):
        outer = self._stored
        self._stored = {
            n.id
            for n in ast.walk(node)
            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        node = self._visit_definition(node)
        self._stored = outer
        return node

    def _visit_definition(self, node):
        node.decorator_list = [self.visit(n) for n in node.decorator_list]
        node.args.defaults = [self.visit(n) for n in node.args.defaults]
        node.args.kw_defaults = [n and self.visit(n) for n in node.args.kw_defaults]
        if not self._scopes:
            node.name = self._names[node.name]
        return self._enter(node, ["body"])

    visit_FunctionDef = visit_AsyncFunctionDef = _visit_function

    def visit_ClassDef(self, node):
        node.bases = [self.visit(n) for n in node.bases]
        if not self._scopes:
            node.name = self._names[node.name]
        return self._enter(node, ["body"])

    def visit_Lambda(self, node):
        node.args.defaults = [self.visit(n) for n in node.args.defaults]
        return self._enter(node, ["body"])

    def _visit_comprehension(self, node):
        fields = ["generators", *(f for f in ("key", "value", "elt") if hasattr(node, f))]
        return self._enter(node, fields)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension
