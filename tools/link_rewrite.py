"""The part of one module in a file that joins several: names, imports, docstrings."""

import ast
import copy

from tools.link_scopes import IMPORTS, LinkError, bound_names, does_nothing


class Rewriter(ast.NodeTransformer):
    """Turns some definitions of one module into their part of a file.

    names: of the definitions. outside: {name: (module, name there)} of what the file imports from
    without, so far. See link_modules.Linker, which knows what is where.
    """

    def __init__(self, linker, source, file, names, outside):
        self._linker = linker
        self._source = source
        self._file = file
        self._outside = outside
        self._scopes = []  # (whether of a class, {local name: what it becomes})
        self._stored = ()  # what the function at hand assigns to
        self._names = {}  # what the names at the top of the module become
        self._wanted = self._with_constants(names)
        self._used = {
            node.id
            for name in self._wanted
            for node in ast.walk(source.defined[name])
            if isinstance(node, ast.Name)
        }

    def _with_constants(self, names):
        """The names, and those of the constants that their definitions need."""
        wanted, todo = set(names), list(names)
        while todo:
            for module, name in self._source.references(todo.pop()):
                if module == self._source.name and name not in wanted:
                    if self._source.is_constant(name):
                        wanted.add(name)
                        todo.append(name)
        return wanted

    def rewrite(self):
        """The statements: imports, then definitions."""
        found, definitions = [], []
        for node in self._source.tree.body:
            if isinstance(node, IMPORTS):
                self._import_of_module(node, found)
        for name, node in self._source.defined.items():
            if name in self._wanted:
                file, self._names[name] = self._file, self._new(self._source.name, name, node)[1]
                definitions.append(copy.deepcopy(node))
            elif name in self._used and not self._source.is_constant(name):
                file, new = self._new(self._source.name, name, node)
                self._names[name] = new
                self._once(node, (file, new), new, found)
        return [n for n in (self.visit(node) for node in found + definitions) if n is not None]

    def _where(self, node):
        return f"{self._source.name}:{node.lineno}"

    def _new(self, module, name, node):
        return self._linker.place_of(module, name, self._where(node))

    # Imports

    def _import_of_module(self, node, found):
        """At the top of a module: what is in the same file need not be imported."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if (alias.asname or alias.name) in self._used:
                    self._once(node, (alias.name, None), alias.asname or alias.name, found)
            return
        if node.module == "micropython":
            if [alias.name for alias in node.names] != ["const"]:  # that one is mpy-cross's own
                raise LinkError(f"{self._where(node)}: import of micropython")
            return
        for alias in node.names:
            name = alias.asname or alias.name
            if name not in self._used:
                continue
            if self._linker.file_of(node.module) is None:
                self._once(node, (node.module, alias.name), name, found)
                continue
            file, new = self._new(node.module, alias.name, node)
            self._names[name] = new
            if file != self._file:
                # Its own name, which is a string in the heap anyway, if that is free here.
                if self._linker.is_defined(self._file, new):
                    self._names[name] = name
                self._once(node, (file, new), self._names[name], found)

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
        if node.module == "msgin5g":
            for alias in node.names:
                module = "msgin5g." + alias.name
                if self._linker.file_of(module) != module:
                    raise LinkError(f"{self._where(node)}: {module} is no file of its own")
            return node
        if self._linker.file_of(node.module) is None:
            return node
        imports = {}  # file -> aliases
        for alias in node.names:
            file, new = self._new(node.module, alias.name, node)
            name = alias.asname or alias.name
            if file == self._file:
                if name in self._stored:
                    raise LinkError(f"{self._where(node)}: {name} is imported and then assigned")
                self._scopes[-1][1][name] = new
            else:
                alias = ast.alias(new, None if name == new else name)
                imports.setdefault(file, []).append(alias)
        new = [ast.ImportFrom(file, aliases, 0) for file, aliases in imports.items()]
        return [ast.copy_location(n, node) for n in new] or None

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
        self._scopes.append((isinstance(node, ast.ClassDef), dict.fromkeys(bound_names(node))))
        for field in fields:
            value = getattr(node, field)
            if isinstance(value, list):
                kept = []
                for new in map(self.visit, value):
                    kept.extend(new if isinstance(new, list) else [new] if new else [])
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
