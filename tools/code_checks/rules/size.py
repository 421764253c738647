"""How long and how branched code is: what cannot be read cannot be approved."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from tools.code_checks.findings import CodeFinding, error
from tools.code_checks.source import Source, line_of

MOST_BRANCHES: Final = 15  # of a function that is new
MORE_BRANCHES: Final = 5  # than it had, of one that is not
LONGEST_FUNCTION: Final = 120  # lines
LONGEST_FILE: Final = 1_000  # lines
_BRANCH: Final = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler)
_ALSO: Final = (ast.Assert, ast.match_case)
_FUNCTION: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def complexity_of(source: Source) -> dict[str, int]:
    """Return McCabe's number by "path:function"; what stands outside is under "<module>"."""
    found: dict[str, int] = {}
    for name, node in _parts(source.tree):
        key = f"{source.path}:{name}"
        number = 1 + sum(map(_branches, _own(node)))
        found[key] = max(number, found.get(key, 0))  # of twins, the worse
    return found


def size_findings(source: Source, before: Mapping[str, int]) -> list[CodeFinding]:
    """Return what is too long, or has too many branches; `before` is an earlier version's."""
    found: list[CodeFinding] = []
    length = len(source.lines)
    if length > LONGEST_FILE:
        text = f"the file has {length} lines, and {LONGEST_FILE} can be read; split it"
        found.append(error("ROBO-length", source.path, LONGEST_FILE, text))
    for name, node in _parts(source.tree):
        key = f"{source.path}:{name}"
        line = line_of(node) or 1
        own = 1 + sum(map(_branches, _own(node)))
        most = before[key] + MORE_BRANCHES if key in before else MOST_BRANCHES
        if own > most:
            was = f" (it had {before[key]})" if key in before else ""
            text = f"{name[:60]} has complexity {own}, and {most} is allowed{was}; split it"
            found.append(error("ROBO-complexity", source.path, line, text))
        lines = (getattr(node, "end_lineno", None) or line) - line + 1
        if isinstance(node, _FUNCTION) and lines > LONGEST_FUNCTION:
            text = f"{name[:60]} has {lines} lines, and {LONGEST_FUNCTION} can be read; split it"
            found.append(error("ROBO-length", source.path, line, text))
    return found


def _parts(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yield the module and its functions, by their names in full."""
    yield "<module>", tree
    stack: list[tuple[str, ast.AST]] = [("", tree)]
    while stack:
        above, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            name = above
            if isinstance(child, (*_FUNCTION, ast.ClassDef)):
                name = f"{above}{child.name}."
            if isinstance(child, _FUNCTION):
                yield name[:-1], child
            stack.append((name, child))


def _own(part: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a part and not in a function within it."""
    stack = list(ast.iter_child_nodes(part))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _FUNCTION):
            stack.extend(ast.iter_child_nodes(node))


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, _BRANCH + _ALSO))
