"""Short names for the attributes that only the firmware itself looks at, the same in all files.

An attribute that some class of the firmware defines gets another name, unless that is also the
name of something that comes from without, stands as a word in a string (it may be for getattr,
setattr or a person), or is what applications and people use: what the modules for users define,
what their examples use.
"""

import ast
import asyncio
import builtins
import json
import os
import re
import select
import socket
import struct
import sys
import time

from tools.link_scopes import does_nothing
from tools.paths import FIRMWARE, SHIM
from tools.shorten_names import FOR_PEOPLE, LETTERS, STATIC_NAMES

# Objects of these have their own attributes; `obj.name` may be one of theirs.
_FOREIGN = (
    str,
    bytes,
    bytearray,
    memoryview,
    list,
    tuple,
    dict,
    set,
    int,
    property,
    BaseException,
)
_FOREIGN += (asyncio, builtins, json, os, select, socket, socket.socket, struct, sys, time)
_FOREIGN += (asyncio.Event, asyncio.Task, OSError, UnicodeError, StopIteration, type(sys.stdout))
# Of MicroPython's own modules that CPython has not, and that no shim plays.
_OF_BOARDS = (
    "poll ipoll register modify unregister machine Pin WDT Timer feed init deinit irq value"
    " on off mem_alloc mem_free threshold collect ticks_ms ticks_diff ticks_add sleep_ms reset"
    " reset_cause deepsleep unique_id freq const heap_lock heap_unlock print_exception"
).split()
_HELP = "msgin5g.repl.do_help"  # all of it is prose


def _foreign_names():
    names = set(_OF_BOARDS)
    for thing in _FOREIGN:
        names.update(dir(thing))
    for file in [*SHIM.glob("*.py"), *(FIRMWARE / "examples").glob("*.py"), FIRMWARE / "main.py"]:
        names.update(_all_names(ast.parse(file.read_text())))
    return names


def _all_names(tree):
    for node in ast.walk(tree):
        for kind in ("attr", "id", "name", "arg"):
            if isinstance(getattr(node, kind, None), str):
                yield getattr(node, kind)


def _defined(tree):
    """The attributes that the classes of a module define."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield part.name
                elif isinstance(part, ast.Assign):
                    yield from (target.id for target in part.targets)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and getattr(node.value, "id", None) == "self"
        ):
            yield node.attr


def _prose(tree):
    """Strings that only people read: docstrings and what errors say."""
    found = set()
    for node in ast.walk(tree):
        if does_nothing(node) and isinstance(node, ast.Expr):
            found.add(id(node.value))
        elif isinstance(node, ast.Raise) or (
            isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "count"
        ):
            found.update(id(part) for part in ast.walk(node))
    return found


def short_attributes(trees, kept):
    """{attribute: its new name}; trees: {module: tree} of all that is on a board."""
    defined, taken = {}, _foreign_names()
    used = {}
    for module, tree in trees.items():
        if module in kept or module in FOR_PEOPLE:
            taken.update(_defined(tree))
        defined.update(dict.fromkeys(_defined(tree)))
        prose = _prose(tree)
        if module == _HELP:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and id(node) not in prose:
                taken.update(re.findall(r"\w+", str(node.value)))
            elif isinstance(node, ast.Attribute):
                used[node.attr] = used.get(node.attr, 0) + 1
    names = [n for n in defined if n not in taken and not n.startswith("__") and len(n) > 2]
    names.sort(key=lambda name: (-used.get(name, 0), name))
    present = set(used) | set(defined)
    new = [name for name in STATIC_NAMES if name not in present]
    new += [
        a + b for a in ("_", *("_" + c for c in LETTERS)) for b in LETTERS if a + b not in present
    ]
    return dict(zip(names, new))


def rename_attributes(trees, kept):
    """Give the attributes in trees, {module: tree} of all that is on a board, their new names."""
    new = short_attributes(trees, kept)
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                node.attr = new.get(node.attr, node.attr)
            elif isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                        part.name = new.get(part.name, part.name)
                    elif isinstance(part, ast.Assign):
                        for target in part.targets:
                            target.id = new.get(target.id, target.id)
