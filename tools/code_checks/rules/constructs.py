"""Forms that generated code may not have, whatever the names in them: read off the tree alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from tools.code_checks.findings import CodeFinding, error, shown, warning
from tools.code_checks.names import Names
from tools.code_checks.source import Source, line_of

_DUNDER: Final = re.compile(r"__[A-Za-z0-9_]{1,40}__")
_ASYNC: Final = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
# What a class may say about itself; the rest changes what others see when they compare or count.
_METHODS: Final = frozenset(
    {"__init__", "__post_init__", "__repr__", "__str__", "__len__", "__iter__", "__next__"}
    | {"__call__", "__contains__", "__getitem__", "__setitem__", "__enter__", "__exit__"}
    | {"__add__", "__sub__", "__mul__", "__truediv__", "__neg__", "__abs__", "__missing__"}
)
_OF_TUPLES: Final = frozenset({"_replace", "_asdict", "_fields", "_make"})
_NAMES: Final = frozenset(  # that a file may bind or read
    {"__slots__", "__match_args__", "__all__", "__version__", "__author__", "__doc__"}
)
_BUILT: Final = re.compile(
    r"eval|exec|compile|__import__|globals|locals|getattr|setattr|import os|os\.system|subprocess"
    r"|socket|ctypes|pickle|__\w{1,40}__"
)
_MUTATES: Final = frozenset(
    {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove"}
    | {"discard", "clear", "appendleft", "sort", "fill"}
)
_CACHES: Final = frozenset({"functools.lru_cache", "functools.cache"})
_MUTABLE: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)


def construct_findings(source: Source, names: Names) -> list[CodeFinding]:
    """Return the forms of a file that are not allowed, or that a person should look at."""
    found: list[CodeFinding] = []
    for node in source.walk():
        found += _async(source.path, node)
        found += _alphabet(source.path, node)
        found += _dunders(source.path, names, node)
        found += _private(source.path, node)
        found += _overloads(source.path, node)
        found += _patches(source.path, names, node)
        found += _built(source.path, names, node)
        found += _state(source.path, names, node)
    return found


def _async(path: str, node: ast.AST) -> Iterator[CodeFinding]:
    if isinstance(node, _ASYNC) or (isinstance(node, ast.comprehension) and node.is_async):
        line = line_of(node) or line_of(getattr(node, "iter", node))
        yield error("ROBO-async", path, line, "async code waits, and a job answers at once")


def _alphabet(path: str, node: ast.AST) -> Iterator[CodeFinding]:
    for place in ("id", "attr", "arg", "name", "asname"):
        name = getattr(node, place, None)
        if isinstance(name, str) and not name.isascii():
            text = f"the name {shown(name)} is not ASCII, and may look like another"
            yield error("ROBO-lookalike", path, line_of(node), text)


def _dunders(path: str, names: Names, node: ast.AST) -> Iterator[CodeFinding]:
    match node:
        case ast.Attribute(value=value, attr=attr) if _DUNDER.fullmatch(attr):
            if not (attr in _METHODS and _is_super(value)):
                text = f".{shown(attr)[1:-1]} reaches into what Python keeps to itself"
                yield error("ROBO-dunder", path, line_of(node), text)
        case ast.Name(id="__name__"):
            text = "__name__ tells where the code runs; it is the same everywhere"
            yield warning("ROBO-detect", path, line_of(node), text)
        case ast.Name(id=name) if _DUNDER.fullmatch(name) and name not in _NAMES:
            in_class = isinstance(node.ctx, ast.Store) and name in _METHODS
            if not in_class:
                text = f"{shown(name)[1:-1]} is Python's own name"
                yield error("ROBO-dunder", path, line_of(node), text)
        case ast.MatchClass(kwd_attrs=attrs) if any(map(_DUNDER.fullmatch, attrs)):
            yield error("ROBO-dunder", path, line_of(node), "a pattern asks for a dunder attribute")
        case ast.Constant(value=str(value)) if _DUNDER.search(value) and not _is_text(names, node):
            if value != "__main__":
                text = "a text holds a dunder name, by which attributes are reached"
                yield error("ROBO-dunder", path, line_of(node), text)


def _private(path: str, node: ast.AST) -> Iterator[CodeFinding]:
    """Find what is asked of an object that keeps it to itself, as a moment keeps its bars."""
    if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
        return
    is_own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    if not (is_own or node.attr in _OF_TUPLES or _DUNDER.fullmatch(node.attr)):
        text = f".{shown(node.attr)[1:-1]} is private to what it is asked of"
        yield warning("ROBO-private", path, line_of(node), text)


def _overloads(path: str, node: ast.AST) -> Iterator[CodeFinding]:
    if not isinstance(node, ast.ClassDef):
        return
    if any(each.arg == "metaclass" for each in node.keywords):
        text = "a metaclass changes what classes do; write a plain class"
        yield error("ROBO-overload", path, line_of(node), text)
    for each in ast.walk(node):
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if _DUNDER.fullmatch(each.name) and each.name not in _METHODS:
            text = f"{shown(each.name)[1:-1]} changes what others see of an object; leave it out"
            yield error("ROBO-overload", path, line_of(each), text)


def _patches(path: str, names: Names, node: ast.AST) -> Iterator[CodeFinding]:
    """Find what changes a module or a class of somebody else."""
    target: ast.expr | None = None
    if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
        target = node.value
    elif isinstance(node, ast.Call) and node.args and "builtins.setattr" in names.paths(node.func):
        target = node.args[0]
    while isinstance(target, ast.Subscript):
        target = target.value
    foreign = sorted(names.paths(target))
    if foreign:
        text = f"{shown(foreign[0])} is not this file's, and is changed here"
        yield error("ROBO-patch", path, line_of(node), text)


def _built(path: str, names: Names, node: ast.AST) -> Iterator[CodeFinding]:
    """Find texts that are put together so as not to stand there."""
    if isinstance(names.parents.get(node), ast.BinOp):
        return
    text = folded(node)
    if text is not None and _BUILT.search(text):
        said = f"{shown(text)} is put together from pieces; texts that name code are not built"
        yield error("ROBO-built-name", path, line_of(node), said)
    elif isinstance(node, ast.BinOp | ast.Call) and _counts_chr(node) >= 3:
        said = "a text is built character by character, which hides what it says"
        yield error("ROBO-built-name", path, line_of(node), said)


def folded(node: ast.AST) -> str | None:
    """Return the text that constants are joined to, where there are several; else None."""
    match node:
        case ast.BinOp(op=ast.Add()):
            left, right = _piece(node.left), _piece(node.right)
            return None if left is None or right is None else left + right
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(glue)), attr="join"),
            args=[ast.List(elts=parts) | ast.Tuple(elts=parts)],
        ):
            pieces = [_piece(each) for each in parts]
            return None if None in pieces else glue.join(each or "" for each in pieces)
        case ast.Subscript(value=ast.Constant(value=str(text)), slice=ast.Slice(step=step)):
            is_back = isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub)
            return text[::-1] if is_back else None
        case ast.JoinedStr(values=parts) if len(parts) > 1:
            pieces = [
                _piece(each.value) if isinstance(each, ast.FormattedValue) else _piece(each)
                for each in parts
            ]
            return None if None in pieces else "".join(each or "" for each in pieces)
    return None


def _piece(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    return folded(node)


def _counts_chr(node: ast.AST) -> int:
    return sum(
        isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "chr"
        for each in ast.walk(node)
    )


def _state(path: str, names: Names, node: ast.AST) -> Iterator[CodeFinding]:
    """Find what is kept from one call to the next, which makes answers depend on the order."""
    kept = ""
    match node:
        case ast.Global(names=given):
            kept = ", ".join(given)
        case ast.Call(func=ast.Attribute(value=ast.Name() as name, attr=attr)) if attr in _MUTATES:
            kept = name.id if _is_modules(names, name) else ""
        case ast.Subscript(value=ast.Name() as name, ctx=ast.Store() | ast.Del()):
            kept = name.id if _is_modules(names, name) else ""
        case ast.Attribute(value=ast.Name() as name, ctx=ast.Store()):
            kept = name.id if _is_modules(names, name) else ""
        case ast.FunctionDef(args=args):
            if any(isinstance(each, ast.List | ast.Dict | ast.Set) for each in args.defaults):
                kept = f"a default of {node.name}"
        case ast.Name() | ast.Attribute() if names.paths(node) & _CACHES:
            kept = "a cache"
    if kept:
        text = f"{shown(kept)} is kept between calls; answers must not depend on earlier ones"
        yield warning("ROBO-state", path, line_of(node), text)


def _is_modules(names: Names, name: ast.Name) -> bool:
    """Return whether a name belongs to the module, and is used inside a function of it."""
    if names.local_origin(name) is not names.module or names.paths(name):
        return False
    above = names.parents.get(name)
    while above is not None and not isinstance(above, ast.FunctionDef | ast.Lambda):
        above = names.parents.get(above)
    return above is not None


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
    )


def _is_text(names: Names, node: ast.AST) -> bool:
    """Return whether a constant is a docstring or a text that stands alone."""
    return isinstance(names.parents.get(node), ast.Expr)
