"""What code in the box can import: what the box has loaded, and nothing besides.

The plain library is the zygote's own list, so that there is one. What else is not there is named
with the nearest name that is, and a name that is one slip away from an allowed one is called that:
packages with such names exist, and are not written by friends.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from roboinvest.core.quant import calculators
from tools.code_checks.findings import CodeFinding, error, shown
from tools.sandbox.inside.zygote import LIBRARY

OURS: Final = ("roboinvest.core.strategy", "roboinvest.core.quant.conditions")
_FUTURE: Final = "__future__"  # loaded wherever Python is
_HONEST: Final = frozenset({"numpy.select", "numpy.array", "numpy.test"})  # also Python's modules
_ALIASES: Final = frozenset({"np", "numpy", "talib", "pd", "pandas"})  # as modules call others
_TWINS: Final = {  # names that strangers chose to be taken for others
    "py_numpy": "numpy",
    "numpi": "numpy",
    "python_numpy": "numpy",
    "numpy_python": "numpy",
}


class Library:
    """The modules that are there, and which names in them are not theirs."""

    def __init__(self) -> None:
        """List them."""
        self.modules = allowed_modules()
        self._borrowed: dict[str, frozenset[str]] = {}

    def is_inner(self, full: str) -> bool:
        """Return whether a name in a module is private to it, or borrowed from another one."""
        module, _, name = full.rpartition(".")
        if full in self.modules or full in _HONEST or module == _FUTURE:
            return False
        if name.startswith("_") or name in _ALIASES:
            return True
        if name in sys.stdlib_module_names or name == "builtins":
            roots = {each.partition(".")[0] for each in self.modules}
            return name not in roots or module.startswith("roboinvest")
        return name in self._borrowed_by(module)

    def _borrowed_by(self, module: str) -> frozenset[str]:
        """Return what a module of ours imports from others than us; it is not its to lend."""
        if module not in self.modules or not module.startswith("roboinvest."):
            return frozenset()
        if module not in self._borrowed:
            self._borrowed[module] = frozenset(_imports_in(module))
        return self._borrowed[module]


def _imports_in(module: str) -> Iterator[str]:
    spec = importlib.util.find_spec(module)  # finds the file, and does not run it
    tree = ast.parse(Path(spec.origin).read_bytes() if spec and spec.origin else b"")
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (each.asname or each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("roboinvest."):
            yield from (each.asname or each.name for each in node.names)


def allowed_modules() -> frozenset[str]:
    """Return the full names of the modules that are there."""
    near = pkgutil.iter_modules(calculators.__path__, f"{calculators.__name__}.")
    return frozenset({_FUTURE, *LIBRARY, *OURS, *(each.name for each in near)})


def import_fault(module: str, path: str, line: int, allowed: frozenset[str]) -> CodeFinding | None:
    """Return why a module cannot be imported; None: it can."""
    if module in allowed:
        return None
    root = module.partition(".")[0]
    if module.startswith("."):
        text = "the file stands alone in the box, and nothing lies beside it to import"
        return error("ROBO-import", path, line, text)
    twin = _twin(root, allowed)
    if twin is not None:
        said = f"{shown(module)} is not {twin}, only spelled like it; import {twin}"
        return error("ROBO-typosquat", path, line, said)
    near = difflib.get_close_matches(module[:120], sorted(allowed), n=1, cutoff=0.6)
    hint = f"; the nearest that is there: {near[0]}" if near else "; see tools/code_checks/library"
    kind = "is Python's and is not in the box" if _is_pythons(root) else "is not in the box"
    return error("ROBO-import", path, line, f"{shown(module)} {kind}{hint}")


def _twin(root: str, allowed: frozenset[str]) -> str | None:
    """Return the allowed package that a name can be mistaken for."""
    if _is_pythons(root):
        return None
    roots = {each.partition(".")[0] for each in allowed} - {_FUTURE}
    if root in roots:
        return None
    plain = root.casefold().replace("-", "_")
    if plain in _TWINS:
        return _TWINS[plain]
    for known in sorted(roots):
        if len(known) > 3 and (
            plain.replace("_", "").replace("0", "o").replace("1", "l") == known.replace("_", "")
            or _slips(plain, known) <= (1 if len(known) < 8 else 2)
        ):
            return known
    return None


def _is_pythons(root: str) -> bool:
    return root in sys.stdlib_module_names or root in sys.builtin_module_names


def _slips(a: str, b: str) -> int:
    """Return how many letters are added, lost, changed or swapped between two names, up to 3."""
    if abs(len(a) - len(b)) > 2:
        return 3
    rows: list[list[int]] = [list(range(len(b) + 1))]
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
