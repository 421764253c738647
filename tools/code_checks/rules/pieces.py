"""The texts of a file, each with its line: comments and constants of code, lines of the rest."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tools.code_checks.rules.constructs import folded
from tools.code_checks.source import Source, line_of, lines_of

_LONGEST: Final = 20_000  # characters looked at in one piece; longer ones are cut into such
_OVERLAP: Final = 200  # so that nothing hides on a seam
_DEEPEST: Final = 60  # levels of JSON


Json = dict[str, "Json"] | list["Json"] | str | float | bool | None


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that stands in a file."""

    line: int
    text: str
    called: str = ""  # the name that it is given, where it is given one
    is_comment: bool = False
    is_code: bool = False  # what code can use: a constant that is no docstring


class Unreadable(ValueError):
    """A JSON text that two readers may read in two ways, or that none reads."""


def pieces_of(path: str, text: str, source: Source | None) -> list[Piece]:
    """Return the texts of a file; `source` is its syntax, where it is Python that parses."""
    found = list(_of_code(source)) if source is not None else list(_of_lines(text))
    if path.casefold().endswith(".json") and "\\" in text:
        with contextlib.suppress(Unreadable):  # told elsewhere; the lines were looked at
            found += [Piece(0, each) for each in _strings(plain(text))]
    return [part for each in found for part in _cut(each)]


def plain(text: str) -> Json:
    """Return what a JSON text says, in which no name stands twice and no number is none.

    Raises:
        Unreadable: it is none of that.
    """
    try:
        tree: Json = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as fault:
        raise Unreadable(f"this is no JSON: {str(fault)[:80]}") from fault
    level: list[Json] = [tree]
    for _ in range(_DEEPEST):
        level = [child for each in level for child in children(each)]
        if not level:
            return tree
    raise Unreadable(f"the JSON is nested deeper than {_DEEPEST} levels")


def children(tree: Json) -> list[Json]:
    """Return what lies directly in a JSON value."""
    if isinstance(tree, dict):
        return list(tree.values())
    return tree if isinstance(tree, list) else []


def comments_of(source: Source) -> Iterator[tuple[int, str]]:
    """Yield comments, those of lines that follow one another as one."""
    begun, last, parts = 0, -1, list[str]()
    for line, text in _comments(source.text):
        if line != last + 1 and parts:
            yield begun, " ".join(parts)
            parts = []
        begun, last = (line if not parts else begun), line
        parts.append(text.lstrip("#").strip())
    if parts:
        yield begun, " ".join(parts)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    if "#" not in text:
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return  # it parsed, so only the last line can be at fault


def _of_code(source: Source) -> Iterator[Piece]:
    for line, text in comments_of(source):
        yield Piece(line, text, is_comment=True)
    docs: set[ast.AST] = set()
    named: dict[ast.AST, str] = {}
    for node in source.walk():
        if isinstance(node, ast.Expr):
            docs.add(node.value)
        named.update(_names(node))
    for node in source.walk():
        said = _text(node)
        if said:
            is_code = node not in docs
            yield Piece(line_of(node), said, named.get(node, ""), is_code=is_code)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.Constant(value=bytes(raw)):
            return raw.decode("latin-1")
    return folded(node)


def _names(node: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Yield values with the name that they are given."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield value, _name(target)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield value, _name(target)
        case ast.keyword(arg=str(name), value=value):
            yield value, name
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield value, key.value


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return ""


def _of_lines(text: str) -> Iterator[Piece]:
    for number, line in enumerate(lines_of(text), 1):
        if line.strip():
            yield Piece(number, line)


def _cut(piece: Piece) -> Iterator[Piece]:
    if len(piece.text) <= _LONGEST:
        yield piece
        return
    for start in range(0, len(piece.text), _LONGEST - _OVERLAP):
        part = piece.text[start : start + _LONGEST]
        yield Piece(piece.line, part, piece.called, piece.is_comment, piece.is_code)


def _strings(tree: Json) -> Iterator[str]:
    stack: list[Json] = [tree]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        if isinstance(each, dict):
            yield from each
        stack.extend(children(each))


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unreadable("a name stands twice in one JSON object, and readers take either")
    return found


def _no_number(text: str) -> float:
    raise Unreadable(f"{text} is no JSON number")
