"""Fewer lines for mpy-cross to keep account of, and where each of them comes from.

A .mpy file has a byte or two for each line of a function. Statements that cannot fail (a name or a
constant is put somewhere, counted up or returned) share the line of a neighbour: a traceback never
speaks of them, save when memory ends in the midst of one. A `raise` has the line of its `if`.
"""

import ast

_COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.ClassDef)
_COMPOUND += (ast.FunctionDef, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
_HEADED = (ast.If, ast.For, ast.While, ast.FunctionDef)


def text_of(tree, origins):
    """(text, lines) of a module; tree: its ast, origins: the source module of each statement at
    its top. lines: [(source module, line there)] of each line of the text."""
    text = ast.unparse(tree)
    written = ast.parse(text)
    rows = text.split("\n")
    lines = [None] * (len(rows) + 1)
    for new, old, module in zip(written.body, tree.body, origins):
        for a, b in zip(ast.walk(new), ast.walk(old)):
            if isinstance(a, (ast.stmt, ast.ExceptHandler)):
                lines[a.lineno] = (module, b.lineno)
    for i in range(len(rows) - 1, 0, -1):  # a decorator, or `else`
        lines[i] = lines[i] or lines[i + 1]
    joined = {}  # line -> the lines that come after it on the same one
    for block, header in _blocks(written):
        _join(block, header, joined)
    gone = {line for more in joined.values() for line, _ in more}
    found, origin = [], []
    for i in range(1, len(rows) + 1):
        row = rows[i - 1]
        if i in gone or not row:
            continue
        fails = i  # the line that a traceback may speak of
        for line, safe in joined.get(i, ()):
            row += (" " if row.endswith(":") else ";") + rows[line - 1].strip()
            fails = fails if safe else line
        found.append(row)
        origin.append(lines[fails])
    return "\n".join(found) + "\n", origin


def _blocks(tree):
    """(statements, header) of every block; header: the statement that ends in `:`, when it is
    the only thing on its line that may fail."""
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block, node if field == "body" and isinstance(node, _HEADED) else None


def _join(block, header, joined):
    if header and all(map(_is_safe, block)):
        joined[header.lineno] = [(s.lineno, True) for s in block]
        return
    if header and len(block) == 1 and isinstance(block[0], ast.Raise):
        joined[header.lineno] = [(block[0].lineno, False)]
        return
    first, all_safe = None, True  # of the statements that share a line
    for statement in block:
        if isinstance(statement, _COMPOUND) or statement.lineno != statement.end_lineno:
            first = None
            continue
        safe = _is_safe(statement)
        if first is None or not (safe or all_safe):
            first, all_safe = statement.lineno, safe
            continue
        joined.setdefault(first, []).append((statement.lineno, safe))
        all_safe = all_safe and safe


def _is_safe(statement):
    if isinstance(statement, (ast.Pass, ast.Break, ast.Continue)):
        return True
    if isinstance(statement, ast.Return):
        return statement.value is None or _is_atom(statement.value)
    if isinstance(statement, ast.AugAssign):  # counters
        return _is_atom(statement.target) and isinstance(statement.value, ast.Constant)
    return (
        isinstance(statement, ast.Assign)
        and _is_atom(statement.value)
        and all(
            isinstance(t, ast.Name) or (isinstance(t, ast.Attribute) and _is_atom(t))
            for t in statement.targets
        )
    )


def _is_atom(node):
    """A constant, a name, an attribute of `self`, or a list or the like of these."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return all(map(_is_atom, node.elts))
    if isinstance(node, ast.Dict):
        return not node.keys
    if isinstance(node, ast.Attribute):
        return getattr(node.value, "id", None) == "self"
    return isinstance(node, (ast.Constant, ast.Name))
