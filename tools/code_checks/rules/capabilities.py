"""Which capabilities a file shows by its form, and which of all it showed it did not ask for."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Final

from roboinvest.core.proposals import Capability
from tools.code_checks.findings import CodeFinding, error
from tools.code_checks.names import Names
from tools.code_checks.rules.mentions import Use
from tools.code_checks.source import Source, line_of

CODE: Final = "code/"
_STRATEGY: Final = frozenset({"scan", "STRATEGY"})
_TEXTS: Final = frozenset(  # keys of what strangers wrote
    {"headline", "headlines", "news", "article", "articles", "tweet", "tweets", "filing", "filings"}
)


def shown_by_form(source: Source, names: Names) -> Iterator[Use]:
    """Yield what a file shows by what it defines and by what it asks its input for.

    A strategy reads prices and leads to orders; a transform does neither by itself.
    """
    if source.path.startswith(CODE):
        for line, name in _defined(source.tree, names):
            for each in (Capability.MARKET_DATA, Capability.PROPOSE_ORDERS):
                yield Use(each, source.path, line, f"defines {name}")
    for node in source.walk():
        match node:
            case (
                ast.Subscript(slice=ast.Constant(value=str(key)))
                | ast.Call(
                    func=ast.Name() | ast.Attribute(attr="get"),
                    args=[ast.Constant(value=str(key)), *_],
                )
            ) if key.casefold() in _TEXTS:
                yield Use(Capability.UNTRUSTED_TEXT, source.path, line_of(node), f"reads {key!a}")


def undeclared(uses: Collection[Use], declared: frozenset[Capability]) -> Iterator[CodeFinding]:
    """Yield each line that shows a capability which was not asked for."""
    for use in uses:
        if use.capability not in declared:
            text = f"{use.why} is {use.capability}, which the spec does not declare"
            yield error("ROBO-capability", use.path, use.line, text)


def _defined(tree: ast.Module, names: Names) -> Iterator[tuple[int, str]]:
    """Yield where a strategy's names are bound, wherever in the module's level that is."""
    for name in sorted(_STRATEGY & names.module.origins.keys()):
        yield min(_lines(tree, name), default=1), name


def _lines(tree: ast.Module, name: str) -> Iterator[int]:
    for node in ast.walk(tree):
        bound = getattr(node, "name", None) or getattr(node, "asname", None)
        is_stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if bound == name or (is_stored and getattr(node, "id", "") == name):
            yield line_of(node)
