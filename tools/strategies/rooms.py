"""The names of a module: which it makes, which it takes from others."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_NEW_ROOM: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.comprehension,
)
_DEFINES: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
)


@dataclass(slots=True)
class Room:
    """A module, statement by statement."""

    name: str
    made: dict[str, list[ast.stmt]] = field(default_factory=dict)  # what defines a name
    imported: dict[str, str] = field(default_factory=dict)  # name here -> name in full
    loose: list[ast.stmt] = field(default_factory=list)  # what does something besides

    @classmethod
    def of(cls, name: str, module: ast.Module) -> Room:
        """Return a module's names; where one is made twice, both statements stand."""
        room = cls(name)
        for statement in module.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                room.imported.update(imports_of(statement))
                continue
            names = bound_names([statement]) if isinstance(statement, _DEFINES) else []
            for each in names:
                room.made.setdefault(each, []).append(statement)
            if not names and not is_text(statement):
                room.loose.append(statement)
        return room


def bound_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Return the names that statements bind where they stand, each once, in a fixed order."""
    return list(dict.fromkeys(name for each in here(nodes) for name in _bound(each)))


def here(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what is in them, but for what has names of its own: functions and such."""
    for node in nodes:
        yield node
        if not isinstance(node, _NEW_ROOM):
            yield from here(ast.iter_child_nodes(node))


def imports_of(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return what an import binds, with the full names."""
    if isinstance(statement, ast.ImportFrom):
        home = "." * statement.level + (statement.module or "")
        return {each.asname or each.name: f"{home}.{each.name}" for each in statement.names}
    return {
        each.asname or each.name.partition(".")[0]: each.name
        if each.asname
        else each.name.partition(".")[0]
        for each in statement.names
    }


def is_text(statement: ast.AST) -> bool:
    """Return whether a statement is only a text, as a docstring is."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
