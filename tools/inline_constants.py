"""Constants of other modules written into the source before mpy-cross compiles it.

`_X = const(1)` costs nothing within one file, but a name imported from another module costs a
global, an interned string and a look-up at run time. What `const` does within a file this does
between files: every public `NAME = const(integer)` of the package is replaced by its number where
it is imported, and its definition is left out. Lines stay where they are, for tracebacks.
"""

import ast
import io
import tokenize

# This one keeps its definitions: nothing imports it at run time but a person at the REPL.
REGISTRY = "msgin5g.coap.numbers"


def module_name(file, root):
    """`msgin5g.coap.message` for ROOT/msgin5g/coap/message.py."""
    parts = list(file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def constants_of(source):
    """{name: integer} of the public constants that a source defines with `const`."""
    found = {}
    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and getattr(node.value.func, "id", None) == "const"
            and not node.targets[0].id.startswith("_")
        ):
            value = ast.literal_eval(node.value.args[0])
            if isinstance(value, int):
                found[node.targets[0].id] = value
    return found


def inline(source, module, constants):
    """The source with all constants written in; constants: {module: {name: integer}}."""
    lines = source.split("\n")
    tree = ast.parse(source)
    numbers = {}
    blanks = []  # (first line, last line, what is written in place of them)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in constants:
            kept = []
            for alias in node.names:
                if alias.name in constants[node.module]:
                    numbers[alias.asname or alias.name] = constants[node.module][alias.name]
                else:
                    kept.append(alias.name + (f" as {alias.asname}" if alias.asname else ""))
            text = " " * node.col_offset
            text += f"from {node.module} import {', '.join(kept)}" if kept else "pass"
            blanks.append((node.lineno, node.end_lineno, text))
    if module != REGISTRY:
        own = constants.get(module, {})
        numbers.update(own)
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in own:
                blanks.append((node.lineno, node.end_lineno, ""))
    gone = set()
    for first, last, _ in blanks:
        gone.update(range(first, last + 1))
    before = None
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if (
            token.type == tokenize.NAME
            and token.string in numbers
            and before != "."
            and token.start[0] not in gone
        ):
            found.append(token)
        before = token.string
    for token in reversed(found):
        row, start = token.start
        line = lines[row - 1]
        number = numbers[token.string]
        text = str(number) if number >= 0 else f"({number})"
        lines[row - 1] = line[:start] + text + line[token.end[1] :]
    for first, last, text in blanks:
        lines[first - 1 : last] = [text] + [""] * (last - first)
    return "\n".join(lines)
