"""Tests and evals of an earlier version may not be removed, emptied, skipped or loosened.

An assert counts where it can fail: not one of a constant, not one behind a return, not one whose
failure is caught. Of data files the cases are counted and the bounds compared, place by place.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tools.code_checks.findings import CodeFinding, error, shown
from tools.code_checks.rules.pieces import Json, Unreadable, plain
from tools.code_checks.source import Source, line_of, lines_of

FOLDER: Final = "evals/"
_SKIPS: Final = frozenset(
    {"skip", "skipif", "skipIf", "skipUnless", "xfail", "importorskip", "skipTest"}
    | {"expectedFailure", "SkipTest", "todo", "disabled"}
)
_LOOSER: Final = re.compile(
    r"(^|_)(tol|tolerance|atol|rtol|abs|rel|eps|epsilon|slack|margin|max|most|limit|delta|upper)"
    r"(_|$)|^(tolerance|maximum)",
    re.IGNORECASE,
)
_STRICTER: Final = re.compile(r"(^|_)(min|minimum|least|floor|threshold|lower)(_|$)", re.IGNORECASE)
_ENDS: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_CATCHES: Final = frozenset({"AssertionError", "Exception", "BaseException"})


@dataclass(slots=True)
class Counted:
    """What one file of evals asks."""

    asserts: int = 0
    cases: int = 0
    bounds: dict[str, list[float]] = field(default_factory=dict)  # by name or place
    floors: dict[str, list[float]] = field(default_factory=dict)
    skips: list[int] = field(default_factory=list)  # lines
    empty: list[int] = field(default_factory=list)  # lines of asserts that cannot fail


def eval_findings(
    path: str, text: str, source: Source | None, before: tuple[str, Source | None] | None
) -> list[CodeFinding]:
    """Return how a file of evals asks less than it should, or than it did `before`."""
    try:
        now = _counted(path, text, source)
    except Unreadable as fault:
        return [error("ROBO-evals-json", path, 1, str(fault))]
    found = [
        *(error("ROBO-evals-skip", path, line, "a case is skipped") for line in now.skips),
        *(error("ROBO-evals-empty", path, line, "this cannot fail") for line in now.empty),
    ]
    if before is not None:
        try:
            old = _counted(path, *before)
        except Unreadable:
            return found  # what was there could not be read, and asked nothing
        found += _weaker(path, old, now)
    return found


def lost_findings(files: Mapping[str, bytes], before: Mapping[str, bytes]) -> list[CodeFinding]:
    """Return which files of evals are gone."""
    return [
        error("ROBO-evals-lost", path, 0, "this file of evals was there and is gone")
        for path in sorted(before)
        if path.startswith(FOLDER) and path not in files
    ]


def _weaker(path: str, old: Counted, now: Counted) -> Iterator[CodeFinding]:
    if now.asserts < old.asserts:
        text = f"{now.asserts} asserts that can fail, and there were {old.asserts}"
        yield error("ROBO-evals-asserts", path, 0, text)
    if now.cases < old.cases:
        text = f"{now.cases} cases, and there were {old.cases}"
        yield error("ROBO-evals-cases", path, 0, text)
    for was, are, sign in ((old.bounds, now.bounds, 1.0), (old.floors, now.floors, -1.0)):
        for name in sorted(was.keys() & are.keys()):
            if max(sign * each for each in are[name]) > max(sign * each for each in was[name]):
                text = f"the bound {shown(name)} is looser than it was"
                yield error("ROBO-evals-bounds", path, 0, text)


def _counted(path: str, text: str, source: Source | None) -> Counted:
    if source is not None:
        return _of_code(source)
    folded = path.casefold()
    if folded.endswith(".py"):
        return Counted()  # it does not parse, which is told already
    if folded.endswith(".json"):
        return _of_tree(plain(text))
    counted = Counted(cases=sum(bool(line.strip()) for line in lines_of(text)))
    if folded.endswith(".jsonl"):
        for number, line in enumerate(lines_of(text), 1):
            if line.strip():
                _add(counted, plain(line), f"line {number}")
    return counted


def _of_tree(tree: Json) -> Counted:
    counted = Counted()
    _add(counted, tree, "")
    return counted


def _add(counted: Counted, tree: Json, place: str) -> None:
    """Count what a JSON value holds; depth was bounded when it was read."""
    stack: list[tuple[str, str, Json]] = [(place, "", tree)]
    while stack:
        at, name, each = stack.pop()
        if isinstance(each, dict):
            counted.cases += len(each)
            stack += [(f"{at}.{key}", key, value) for key, value in each.items()]
            if any(_is_off(key, value) for key, value in each.items()):
                counted.skips.append(0)
        elif isinstance(each, list):
            counted.cases += len(each)
            stack += [(f"{at}[{index}]", name, value) for index, value in enumerate(each)]
        elif isinstance(each, int | float) and not isinstance(each, bool):
            _bound(counted, name, at, _float(each))


def _is_off(key: str, value: Json) -> bool:
    return (key in _SKIPS and value not in (False, None, 0, "")) or (
        key in ("enabled", "active", "run") and value is False
    )


def _bound(counted: Counted, name: str, place: str, value: float) -> None:
    if _LOOSER.search(name):
        counted.bounds.setdefault(place, []).append(value)
    elif _STRICTER.search(name):
        counted.floors.setdefault(place, []).append(value)


def _of_code(source: Source) -> Counted:
    counted = Counted()
    _statements(counted, source.tree.body)
    for node in source.walk():
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _SKIPS:
                counted.skips.append(line_of(node))
            case ast.ImportFrom(names=names) if any(each.name in _SKIPS for each in names):
                counted.skips.append(line_of(node))
            case ast.FunctionDef(name=name) if name.startswith("test"):
                counted.cases += 1
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                counted.cases += len(parts)
            case (
                ast.keyword(arg=str(name), value=value)
                | ast.Assign(targets=[ast.Name(id=name)], value=value)
            ):
                number = _number(value)
                if number is not None:
                    _bound(counted, name, name, number)
    return counted


def _statements(counted: Counted, body: list[ast.stmt]) -> None:
    """Count asserts that are reached and whose failure is not caught."""
    for statement in body:
        if isinstance(statement, ast.Assert):
            if _always_true(statement.test):
                counted.empty.append(line_of(statement))
            else:
                counted.asserts += 1
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            counted.asserts += _is_assertion(statement.value.func)
        _blocks(counted, statement)
        if isinstance(statement, _ENDS):
            return


def _blocks(counted: Counted, statement: ast.stmt) -> None:
    if isinstance(statement, ast.With):
        counted.asserts += sum(
            isinstance(each.context_expr, ast.Call) and _is_assertion(each.context_expr.func)
            for each in statement.items
        )
    never = isinstance(statement, ast.If | ast.While) and _is_false(statement.test)
    caught = isinstance(statement, ast.Try) and any(map(_swallows, statement.handlers))
    for name in ("body", "orelse", "finalbody"):
        inner = getattr(statement, name, None)
        if isinstance(inner, list) and not ((never or caught) and name == "body"):
            _statements(counted, inner)
    for handler in getattr(statement, "handlers", []):
        _statements(counted, handler.body)
    for case in getattr(statement, "cases", []):
        _statements(counted, case.body)


def _swallows(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    return any(
        isinstance(each, ast.Name) and each.id in _CATCHES for each in ast.walk(handler.type)
    )


def _is_assertion(func: ast.expr) -> bool:
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    return name.startswith("assert") or name in ("raises", "warns", "fail")


def _always_true(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_always_true, values))
        case ast.BoolOp(op=ast.And(), values=values):
            return all(map(_always_true, values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _is_false(operand)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return bool(parts)
        case ast.Compare(left=left, ops=[ast.Eq() | ast.Is()], comparators=[right]):
            return ast.dump(left) == ast.dump(right)
    return False


def _is_false(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if not isinstance(node, ast.Constant) or not isinstance(node.value, int | float):
        return None
    if isinstance(node.value, bool):
        return None
    return _float(node.value)


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
