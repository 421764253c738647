"""What may look ahead, and what may know that it is watched: a person should look, no more.

A price of tomorrow is not in the box, so nothing here keeps anyone from it. These words save a
run that would be refused later, and tell an auditor where to look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from tools.code_checks.findings import CodeFinding, shown, warning
from tools.code_checks.names import Names
from tools.code_checks.source import Source, line_of

_FORWARD: Final = frozenset(
    {"bfill", "backfill", "filtfilt", "sosfiltfilt", "savgol_filter", "interpolate", "gradient"}
    | {"detrend"}
)
_MOVES: Final = frozenset({"shift", "roll", "diff", "pct_change"})
_MANY: Final = 50  # bars; who compares with such a number knows a run by its length
_WATCHED: Final = re.compile(
    r"pytest|unittest|sandbox|\bzygote\b|/proc/|/sys/|PYTEST_CURRENT_TEST|\bis_test|under_test"
    r"|backtest_mode|\bCI\b",
)
_DATES: Final = frozenset(
    {"datetime.datetime", "datetime.date", "numpy.datetime64", "datetime.datetime.strptime"}
    | {"datetime.datetime.fromisoformat", "datetime.date.fromisoformat"}
)
_ENTROPY: Final = frozenset(  # where they are called with nothing
    {"numpy.random.default_rng", "numpy.random.seed", "numpy.random.RandomState"}
    | {"random.Random", "random.seed"}
)
_DECODES: Final = frozenset(
    {"base64.b64decode", "base64.b32decode", "base64.b16decode", "base64.b85decode"}
    | {"base64.a85decode", "base64.urlsafe_b64decode", "base64.decodebytes", "zlib.decompress"}
    | {"builtins.bytes.fromhex", "builtins.bytearray.fromhex", "zlib.decompressobj"}
)


def foresight_findings(source: Source, names: Names) -> list[CodeFinding]:
    """Return where a file may look ahead, or tell a test from the market."""
    found: list[CodeFinding] = []
    for node in source.walk():
        ahead = "; ".join(_ahead(names, node))
        if ahead:
            text = f"may look ahead: {ahead}"
            found.append(warning("ROBO-look-ahead", source.path, line_of(node), text))
        watched = "; ".join(_detects(names, node))
        if watched:
            text = f"may tell a test from the market: {watched}"
            found.append(warning("ROBO-detect", source.path, line_of(node), text))
        if isinstance(node, ast.Call) and names.paths(node.func) & _DECODES:
            text = "decodes what does not say what it is; write it plainly"
            found.append(warning("ROBO-decode", source.path, line_of(node), text))
        is_bare = isinstance(node, ast.Call) and not (node.args or node.keywords)
        if is_bare and names.paths(getattr(node, "func", None)) & _ENTROPY:
            text = "draws from the machine's entropy; give a seed, or two runs differ"
            found.append(warning("ROBO-chance", source.path, line_of(node), text))
    return found


def _ahead(names: Names, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        yield from _ahead_by_call(names, node)
    match node:
        case ast.Assign(targets=targets, value=value):
            if any(map(_ends_early, targets)) and any(map(_begins_late, ast.walk(value))):
                yield "a row is filled from a later one"
        case ast.Subscript(slice=ast.Slice(lower=None, upper=None, step=ast.expr() as step)):
            if _is_negative(step):
                yield "the rows are turned round"
        case ast.Subscript(
            slice=ast.BinOp(left=ast.Name(), op=ast.Add(), right=ast.Constant()), ctx=ast.Load()
        ):
            yield "a later row is asked for by its number"


def _ahead_by_call(names: Names, node: ast.Call) -> Iterator[str]:
    steps = [*node.args, *(each.value for each in node.keywords)]
    is_back = any(map(_is_negative, steps))
    match node:
        case ast.Call(func=ast.Name(), args=[ast.Constant(value=str()), back, *_]):
            if _is_negative(back):
                yield "a negative number of bars back lies in the future"
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _FORWARD:
            yield f"{name} uses later rows"
        case ast.Call(func=ast.Attribute(attr=name)) if name in _MOVES and is_back:
            yield f"{name} by a negative number brings later rows here"
        case ast.Call(func=func) if "numpy.roll" in names.paths(func) and is_back:
            yield "roll by a negative number brings later rows here"


def _detects(names: Names, node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Compare(left=left, comparators=[right], ops=[ast.Eq() | ast.NotEq()]):
            for one, other in ((left, right), (right, left)):
                many = isinstance(other, ast.Constant) and isinstance(other.value, int)
                if _is_length(one) and many and int(getattr(other, "value", 0)) >= _MANY:
                    yield "compares a length with one number"
        case ast.Constant(value=str(text)) if _WATCHED.search(text[:10_000]):
            if not isinstance(names.parents.get(node), ast.Expr):
                yield f"names {shown(text, 40)}"
        case ast.Call(func=func, args=[ast.Constant(value=int() | str()), *_]):
            if names.paths(func) & _DATES:
                yield "knows a date by heart"


def _is_negative(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Constant)
    )


def _is_length(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="len")) | ast.Attribute(attr="size"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
    return False


def _ends_early(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(slice=ast.Slice(upper=ast.expr() as upper)):
            return _is_negative(upper)
    return False


def _begins_late(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(slice=ast.Slice(lower=ast.Constant(value=int(first)), upper=None)):
            return first > 0
    return False
