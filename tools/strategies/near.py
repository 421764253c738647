"""The names that a strategy's file may have meant, where it wrote one that does not exist."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Final

from roboinvest.core import strategy
from roboinvest.core.quant import calculators, conditions

_CANNOT_IMPORT: Final = re.compile(r"cannot import name '(\w+)'")


def near_names(error: BaseException) -> str:
    """Return what an error's unknown name may have meant, as the end of a sentence, or nothing."""
    asked = _asked(error)
    if asked is None:
        return ""
    known = _known()
    if asked in known:
        return f"; {asked} is in {known[asked]}"
    near = difflib.get_close_matches(asked, known, n=3)
    if near:
        return f"; did you mean {' or '.join(f'{name} ({known[name]})' for name in near)}?"
    if isinstance(error, ImportError) or isinstance(getattr(error, "obj", None), ModuleType):
        rooms = sorted(name.rpartition(".")[2] for name in _modules())
        return f"; the indicators are in {', '.join(rooms)} of {calculators.__name__}"
    return ""


def nearest(asked: str, known: Sequence[str]) -> str:
    """Return the names closest to one that is unknown, or all of them, as the end of a sentence."""
    alike = [name for name in known if asked and asked in name]
    near = difflib.get_close_matches(asked, known, n=3) or alike
    return f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"


def _asked(error: BaseException) -> str | None:
    """Return the name that was asked for and is not there."""
    match error:
        case ModuleNotFoundError(name=str(name)):
            return name if name.startswith("roboinvest") else None
        case ImportError(name=str(name)) if name.startswith("roboinvest"):
            found = _CANNOT_IMPORT.search(str(error))
            return found.group(1) if found else None
        case AttributeError(name=str(name), obj=ModuleType()) | NameError(name=str(name)):
            return name
        case _:
            return None


def _known() -> dict[str, str]:
    """Return every name that a file may import from us, with its module, and the modules."""
    known = {name: name for name in _modules()}
    for module in (strategy, conditions, *map(importlib.import_module, _modules())):
        known.update((name, module.__name__) for name in _public(module))
    return known


def _modules() -> list[str]:
    """Return the modules with indicators."""
    return [
        name
        for each in pkgutil.iter_modules(calculators.__path__, f"{calculators.__name__}.")
        if any(_public(importlib.import_module(name := each.name)))
    ]


def _public(module: ModuleType) -> Iterator[str]:
    """Yield the classes and functions of a module that a strategy's file is made of."""
    inside = module.__name__.startswith(calculators.__name__)
    for name, value in vars(module).items():
        own = getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
        own = own and name != "declared"  # what indicators are made with
        if own and (not inside or inspect.get_annotations(value).get("return") == "Calculator"):
            yield name
