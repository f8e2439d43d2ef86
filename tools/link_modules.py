"""Join modules of the firmware into one before mpy-cross compiles them.

What stays loaded for the same time goes into one file: it has one table of names instead of one a
module, no imports between its parts, and takes one file of the board's flash. A definition that
nobody refers to is left out, and one that only another file refers to goes there. Names that are
looked up nowhere but within the firmware get short ones. Comments, docstrings and line breaks go
as well; the map of the lines leads from a traceback back to the source (see tools/where.py).
"""

import ast
from collections import namedtuple

from tools.link_attributes import drop_methods, rename_arguments, rename_attributes
from tools.link_lines import text_of
from tools.link_rewrite import Rewriter
from tools.link_scopes import LinkError, Source
from tools.shorten_names import LETTERS, STATIC_NAMES

# text: what is to be compiled. lines: of each of its lines (source module, line there).
Linked = namedtuple("Linked", "text lines")


class Linker:
    """sources: {module: text} of all that is to be on the board. files: {file: its modules},
    every module in one of them, the file that stays loaded for longest first; file names are
    dotted, as modules'. kept: the modules whose names their users know, so that they stay. sinks:
    files that may get what only they refer to: nothing that they make may outlive them, or all of
    the file stays in the heap with it.
    """

    def __init__(self, sources, files, kept=(), sinks=()):
        self._sources = {name: Source(name, text) for name, text in sources.items()}
        for source in self._sources.values():
            for module, name in source.imported.values():
                if module in sources and name not in self._sources[module].defined:
                    raise LinkError(f"{source.name}: {module} does not define {name}")
        trees = {name: source.tree for name, source in self._sources.items()}
        drop_methods(trees, kept)
        rename_arguments(trees)
        rename_attributes(trees, kept)
        self._files = files
        self._kept = kept
        self._file_of = {module: file for file, modules in files.items() for module in modules}
        self._place = {  # (module, name) of a definition -> its file
            (module, name): self._file_of[module]
            for module, source in self._sources.items()
            for name in source.defined
        }
        self._used_by = self._references()
        self._sink(sinks)
        self._new = {}  # (module, name) -> the name that it gets
        self._name()

    # What goes where

    def _references(self):
        """{definition: the definitions that refer to it}, of those that are needed at all."""
        todo = [d for d in self._place if d[0] in self._kept or not self._is_joined(d[0])]
        needed = set(todo)
        used_by = {}
        while todo:
            definition = todo.pop()
            module, name = definition
            for other in self._sources[module].references(name):
                if other in self._place:
                    used_by.setdefault(other, set()).add(definition)
                    if other not in needed:
                        needed.add(other)
                        todo.append(other)
        for definition in set(self._place) - needed:
            del self._place[definition]
        return used_by

    def _is_joined(self, module):
        return len(self._files[self._file_of[module]]) > 1

    def _sink(self, sinks):
        """Move what only one of these files refers to out of the first file."""
        first = next(iter(self._files))
        moved = True
        while moved:
            moved = False
            for definition, place in self._place.items():
                module = definition[0]
                places = {self._place[user] for user in self._used_by.get(definition, ())}
                if place != first or len(places) != 1 or places == {place}:
                    continue
                (target,) = places
                if module not in self._kept and target in sinks:
                    self._place[definition] = target
                    moved = True

    # Names

    def _name(self):
        """Give short names: those that other files import are unique, others in their file."""
        constants = iter(range(10**6))
        exported = {
            definition
            for definition, users in self._used_by.items()
            if {self._place[user] for user in users} - {self._place.get(definition)}
        }
        free = list(self._letters())
        shared = iter(list(free))
        order = sorted(self._place, key=lambda definition: definition not in exported)
        inner = {}  # file -> names for what it has for itself
        taken = {}
        for definition in order:
            module, name = definition
            file = self._place[definition]
            source = self._sources[module]
            new = name
            if source.is_constant(name):
                new = f"_{next(constants)}"
            elif self._is_short(module, name):
                if definition in exported:
                    new = next(shared)
                    free.remove(new)
                else:
                    new = next(inner.setdefault(file, iter(list(free))))
            if taken.setdefault((file, new), module) != module:
                raise LinkError(f"{file}: two modules define {name}, one is {module}")
            self._new[definition] = new
        self._taken = set(taken)

    def _is_short(self, module, name):
        if module in self._kept:
            return False
        joined = self._is_joined(module) and not self._is_error(module, name)
        return name.startswith("_") or joined

    def _is_error(self, module, name):
        """Whether people may see a class by its name: an exception, or one of another origin."""
        source = self._sources[module]
        if not source.is_class(name):
            return False
        for base in source.defined[name].bases:
            known = source.imported.get(base.id, (module, base.id))
            if known not in self._place or self._is_error(*known):
                return True
        return False

    def _letters(self):
        """Names that are nowhere in use, those first that every interpreter has in its ROM."""
        used = set()
        for source in self._sources.values():
            for node in ast.walk(source.tree):
                used.update(getattr(node, kind, None) for kind in ("id", "name", "asname", "arg"))
        yield from (name for name in STATIC_NAMES if name not in used)
        for first in ("_", *("_" + letter for letter in LETTERS)):
            for letter in LETTERS:
                if first + letter not in used:
                    yield first + letter

    # What the Rewriter asks

    def file_of(self, module):
        """The file that a module is in, None when it is not of the firmware."""
        return self._file_of.get(module)

    def is_defined(self, file, name):
        """Whether a file defines a name itself."""
        return (file, name) in self._taken

    def place_of(self, module, name, where):
        """(file, name there) of a definition; `where` is for the error."""
        try:
            return self._place[module, name], self._new[module, name]
        except KeyError:
            raise LinkError(f"{where}: {module} does not define {name}") from None

    # The files

    def link(self, file):
        """A file as Linked."""
        here = {}  # module -> its definitions that are in this file
        for (module, name), place in self._place.items():
            if place == file and not self._sources[module].is_constant(name):
                here.setdefault(module, []).append(name)
        outside = {}  # name -> (module, name there) that was imported from without
        body, origins = [], []
        for module in self._in_order(here):
            rewriter = Rewriter(self, self._sources[module], file, here[module], outside)
            for node in rewriter.rewrite():
                body.append(node)
                origins.append(module)
        body, origins = _merged(body, origins)
        tree = ast.fix_missing_locations(ast.Module(body=body, type_ignores=[]))
        return Linked(*text_of(tree, origins))

    def _in_order(self, modules):
        """The modules, each after those that it imports."""
        order, todo = [], sorted(modules)

        def visit(module):
            if module in todo:
                todo.remove(module)
                for wanted, _ in self._sources[module].imported.values():
                    visit(wanted)
                order.append(module)

        while todo:
            visit(todo[0])
        return order


def _merged(body, origins):
    """The statements, with one import for all that is imported from one file."""
    found, imports = [], {}
    for node, origin in zip(body, origins):
        first = imports.get(getattr(node, "module", None))
        if first:
            first.names += node.names
            continue
        if isinstance(node, ast.ImportFrom):
            imports[node.module] = node
        found.append((node, origin))
    return [node for node, _ in found], [origin for _, origin in found]
