"""What may stand in a prompt's template: a short list, and every other node is refused by its line.

Jinja's sandbox has been escaped before, so it is the second fence and this is the first. There are
no calls, no assignments, no arithmetic and no attributes of objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NoReturn

from jinja2 import nodes

from roboinvest.core.errors import BadInput
from roboinvest.runtime.prompts.form import Kind, PromptText

MAX_BLOCKS: Final = 6  # loops and conditions inside each other
MAX_DEPTH: Final = 40  # nodes inside each other
FILTERS: Final = ("join", "length", "round", "tojson")
TESTS: Final = ("defined", "none")
LOOP: Final = frozenset({"index", "index0", "first", "last", "length"})
_ALLOWED: Final = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.CondExpr),
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg),
)
_WORDS: Final[Mapping[str, str]] = {
    "Call": "nothing can be called",
    "Assign": "nothing can be assigned",
    "AssignBlock": "nothing can be assigned",
    "With": "nothing can be assigned",
    "Include": "nothing can be included",
    "Import": "nothing can be imported",
    "FromImport": "nothing can be imported",
    "Extends": "no other template can be extended",
    "Block": "there are no blocks",
    "Macro": "there are no macros",
    "CallBlock": "there are no macros",
    "Scope": "nothing can be escaped",
    "Slice": "slices are not taken",
}


def checked(
    tree: nodes.Template, placeholders: Mapping[str, Kind] | None, where: str, *, offset: int
) -> dict[str, int]:
    """Walk the whole tree; return the line on which each name is used first."""
    lines = dict[str, int]()
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, depth, blocks = waiting.pop()
        line = offset + _line_of(node)
        blocks += isinstance(node, nodes.For | nodes.If)
        if depth > MAX_DEPTH or blocks > MAX_BLOCKS:
            limit = f"{MAX_BLOCKS} loops and conditions" if blocks > MAX_BLOCKS else f"{MAX_DEPTH}"
            say(where, line, f"it nests deeper than {limit}; write it flat")
        fault = _fault_of(node, placeholders)
        if fault is not None:
            say(where, line, fault)
        if isinstance(node, nodes.Name):
            lines[node.name] = min(line, lines.get(node.name, line))
        waiting += [
            (child, depth + 1, blocks)
            for child in node.iter_child_nodes()
            if not _is_loop_of(node, child)
        ]
    return lines


def _line_of(node: nodes.Node) -> int:
    """Return a node's line in its piece; some have none of their own."""
    line: int | None = node.lineno
    return line or min(map(_line_of, node.iter_child_nodes()), default=1)


def _is_loop_of(node: nodes.Node, child: nodes.Node) -> bool:
    """Return whether this is the `loop` of `loop.index`."""
    return (
        isinstance(node, nodes.Getattr)
        and isinstance(child, nodes.Name)
        and child.name == "loop"
        and node.attr in LOOP
    )


def _fault_of(node: nodes.Node, placeholders: Mapping[str, Kind] | None) -> str | None:
    """Return what is wrong with a node by itself."""
    match node:
        case nodes.Name():
            return _fault_of_name(node, placeholders)
        case nodes.Getattr() | nodes.Getitem():
            return _fault_of_key(node)
        case nodes.Filter() if node.name not in FILTERS or node.node is None:
            return f"there is no filter {node.name!r}; there are {', '.join(FILTERS)}"
        case nodes.Filter() | nodes.Test() if not _has_plain_arguments(node):
            return f"{node.name!r} takes at most one argument, and that as it stands there"
        case nodes.Test() if node.name not in TESTS:
            return f"there is no test {node.name!r}; there are {', '.join(TESTS)}"
        case nodes.For() if node.recursive or not isinstance(node.target, nodes.Name):
            return "a loop is written {% for name in values %}"
        case nodes.Neg() if not isinstance(node.node, nodes.Const):
            return "nothing can be calculated; hand in the result as a value"
    if isinstance(node, _ALLOWED):
        return None
    kind = type(node).__name__
    return _WORDS.get(kind, f"{kind} is not written in a prompt: nothing can be calculated")


def _fault_of_name(node: nodes.Name, placeholders: Mapping[str, Kind] | None) -> str | None:
    if node.name.startswith("_") or node.name in ("self", "super", "caller", "loop"):
        return f"{node.name!r} is out of reach; write a placeholder of the head"
    if node.ctx == "store" and node.name in (placeholders or ()):
        return f"the loop hides the placeholder {node.name}; give its variable another name"
    return None


def _fault_of_key(node: nodes.Getattr | nodes.Getitem) -> str | None:
    if isinstance(node, nodes.Getattr):
        if node.attr.startswith("_"):
            return f"{node.attr!r} is out of reach; write the key of a value"
    elif not _is_key(node.arg):
        return "write a key or an index that stands there as it is, such as ['key'] or [0]"
    return None


def _is_key(node: nodes.Expr) -> bool:
    if isinstance(node, nodes.Neg):
        node = node.node
    if not isinstance(node, nodes.Const):
        return False
    return type(node.value) is int or (
        isinstance(node.value, str) and not node.value.startswith("_")
    )


def _has_plain_arguments(node: nodes.Filter | nodes.Test) -> bool:
    return (
        len(node.args) <= 1
        and all(isinstance(argument, nodes.Const) for argument in node.args)
        and not node.kwargs
        and node.dyn_args is None
        and node.dyn_kwargs is None
    )


def check_names(
    names: set[str], lines: Mapping[str, int], prompt: PromptText, where: str, *, is_user: bool
) -> None:
    for name in sorted(names, key=lambda name: (lines.get(name, 0), name)):
        kind = prompt.placeholders.get(name)
        if kind is None:
            say(
                where,
                lines.get(name, 1),
                f"{name!r} is used and not declared; write {name} = "
                f'"text" (or another type) under [placeholders]',
            )
        if kind is Kind.UNTRUSTED and not is_user:
            say(where, lines[name], f"{name} is untrusted; write it in the user section")


def say(where: str, line: int, what: str) -> NoReturn:
    raise BadInput(f"{where}, line {line}: {what}")
