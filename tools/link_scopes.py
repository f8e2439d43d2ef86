"""What a module of the firmware defines and refers to, as far as joining modules needs it."""

import ast

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (*_FUNCTIONS, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
IMPORTS = (ast.Import, ast.ImportFrom)


class LinkError(Exception):
    """Modules that cannot be joined; the text says where and why."""


def does_nothing(node):
    """Whether a statement is a docstring, or what an import of constants has left."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.Pass)


def bound_names(scope):
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
        elif isinstance(node, IMPORTS):
            found.update((a.asname or a.name).split(".")[0] for a in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            outside.update(node.names)
        todo.extend(ast.iter_child_nodes(node))
    return found - outside


class Source:
    """A source of the firmware: its tree, and the names that its own code defines."""

    def __init__(self, name, text):
        self.name = name
        self.tree = ast.parse(text)
        self.defined = {}  # name -> the statement that defines it
        self.imported = {}  # name -> (module, name there) of what is imported at the top
        for node in self.tree.body:
            if isinstance(node, _DEFINITIONS):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign):
                self.defined.update((name, node) for name in _targets(node))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (node.module, alias.name)
            elif not (isinstance(node, ast.Import) or does_nothing(node)):
                raise LinkError(f"{name}:{node.lineno}: only definitions can be linked")

    def is_constant(self, name):
        """Whether a name is one that mpy-cross writes in wherever it is used."""
        value = getattr(self.defined[name], "value", None)
        call = isinstance(value, ast.Call) and getattr(value.func, "id", None) == "const"
        return call and name.startswith("_")

    def is_class(self, name):
        return isinstance(self.defined[name], ast.ClassDef)

    def references(self, name):
        """{(module, name)} of what a definition may refer to: its local names are not sorted out,
        which can only find too much."""
        found = set()
        for node in ast.walk(self.defined[name]):
            if isinstance(node, ast.Name):
                if node.id in self.defined and node.id != name:
                    found.add((self.name, node.id))
                elif node.id in self.imported:
                    found.add(self.imported[node.id])
            elif isinstance(node, ast.ImportFrom):
                found.update((node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Global):
                found.update((self.name, n) for n in node.names if n in self.defined)
        return found


def _targets(node):
    """The names that an assignment in a module's own code binds."""
    for target in node.targets:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                yield name.id
