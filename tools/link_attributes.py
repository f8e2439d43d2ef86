"""Short names for what only the firmware itself looks at: arguments, and attributes, the same
in all files.

An attribute that some class of the firmware defines gets another name, unless that is also the
name of something that comes from without, is looked up by a string, or is what applications and
people use: what the modules for users define, what their examples use.
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

from tools.paths import FIRMWARE, SHIM
from tools.shorten_names import FOR_PEOPLE, LETTERS, STATIC_NAMES, has_scopes, is_public

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
_BY_NAME = ("getattr", "hasattr", "setattr", "delattr", "namedtuple")


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


def _looked_up(module, tree):
    """Words of the strings that may be names of attributes: of getattr and its like, of named
    tuples, keys of a __dict__; for settings, whose names are in a table, all there are."""
    places = [tree]
    if not module.startswith("msgin5g.settings"):
        places = [
            node for node in ast.walk(tree) if isinstance(node, (ast.Subscript, ast.Compare))
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _BY_NAME:
                places.append(node)
    for place in places:
        for node in ast.walk(place):
            if isinstance(node, ast.Constant):
                yield from re.findall(r"\w+", str(node.value))


def short_attributes(trees, kept):
    """{attribute: its new name}; trees: {module: tree} of all that is on a board."""
    defined, taken = {}, _foreign_names()
    used = {}
    for module, tree in trees.items():
        if module in kept or module in FOR_PEOPLE:
            taken.update(_defined(tree))
        defined.update(dict.fromkeys(_defined(tree)))
        taken.update(_looked_up(module, tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                used.setdefault(node.attr, set()).add(module)
            elif isinstance(node, ast.arg):
                taken.add(node.arg)  # a string in the heap anyway
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                taken.add(node.value)
    names = [n for n in defined if n not in taken and not n.startswith("__") and len(n) > 2]
    names.sort(key=lambda name: (-len(used.get(name, ())), -len(name), name))
    present = set(used) | set(defined)
    new = [name for name in STATIC_NAMES if name not in present]
    new += [
        a + b for a in ("_", *("_" + c for c in LETTERS)) for b in LETTERS if a + b not in present
    ]
    return dict(zip(names, new))


def drop_methods(trees, kept):
    """Leave out the methods that nothing on this board calls; trees as below."""
    wanted = set(_foreign_names())
    for module, tree in trees.items():
        wanted.update(_looked_up(module, tree))
        wanted.update(node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    for module, tree in trees.items():
        if module in kept or is_public(module):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                node.body = [
                    part
                    for part in node.body
                    if not isinstance(part, ast.FunctionDef)
                    or part.name in wanted
                    or part.name.startswith("__")
                ]


def rename_arguments(trees):
    """Give the arguments that nobody passes by keyword names from ROM; trees as below."""
    keywords = {
        node.arg
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
    }
    for module, tree in trees.items():
        if is_public(module):
            continue
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or has_scopes(function):
                continue
            names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
            used = {node.id for node in names} | {a.arg for a in function.args.args}
            free = iter([name for name in STATIC_NAMES if name not in used])
            new = {}
            for argument in function.args.args:
                if argument.arg not in ("self", *keywords, *STATIC_NAMES):
                    argument.arg = new.setdefault(argument.arg, next(free))
            for node in names:
                node.id = new.get(node.id, node.id)


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
