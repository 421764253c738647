"""A fingerprint of code that other names, comments and layout do not change.

A change that was rejected comes back with its variables renamed. The fingerprint is of the syntax
trees, with the names that the code itself gives out replaced by their order of appearance;
attributes and imported names are kept, because they say what the code does. What is not Python, or
does not parse, counts by its bytes.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Mapping


def fingerprint_of(files: Mapping[str, bytes], wishes: Iterable[str]) -> str:
    """Return the hex SHA-256 of what files do, as far as their form says.

    Args:
        files: content by path; names of Python files do not count, their order does.
        wishes: capabilities that the files ask for.
    """
    told = hashlib.sha256()
    for path in sorted(files):
        shape = _shape(files[path]) if path.endswith(".py") else None
        kind = path.encode() if shape is None else b"python"
        content = files[path] if shape is None else shape.encode()
        told.update(kind + b"\0" + hashlib.sha256(content).digest())
    told.update(",".join(wishes).encode())
    return told.hexdigest()


def _shape(content: bytes) -> str | None:
    """Return the syntax tree as text, without the names given in it; None: it does not parse."""
    try:
        tree = ast.parse(content)
        _rename(tree)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _rename(tree: ast.Module) -> None:
    given = _given_names(tree)
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            _drop_docstring(node.body)
        if isinstance(node, ast.Name):
            node.id = given.get(node.id, node.id)
        elif isinstance(node, ast.arg) or (isinstance(node, ast.keyword) and node.arg in arguments):
            node.arg = given.get(node.arg or "", node.arg or "")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            node.name = given.get(node.name, node.name)


def _given_names(tree: ast.Module) -> dict[str, str]:
    """Return a number for each name that the code itself gives, by first appearance."""
    given: dict[str, str] = {}
    for node in ast.walk(tree):
        name: str | None = None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = node.name
        if name is not None:
            given.setdefault(name, f"n{len(given)}")
    return given


def _drop_docstring(body: list[ast.stmt]) -> None:
    first = body[0].value if body and isinstance(body[0], ast.Expr) else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        del body[0]
