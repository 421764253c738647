"""Modules that stand in the box for the library of calculators.

The real ones need libraries of 80 MB and are not needed in here: columns are computed outside, by
the real ones. A stand-in only notes what a strategy asked for, by module, function and arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final, NoReturn

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Calculator

LIBRARY: Final = "roboinvest.core.quant.calculators"
OWN: Final = (
    "the box takes calculators of the library only; own arithmetic belongs into the scan, which "
    "has its history"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a calculator of the library was asked for; takes the place of its function."""

    module: str
    function: str
    args: tuple[object, ...]
    kwargs: tuple[tuple[str, object], ...]

    def __call__(self, _: object) -> NoReturn:
        """Refuse: there are no bars in here."""
        raise BadInput(f"{self.function} is computed outside of the box; ask about it in the scan")


def stand_in(library: Mapping[str, Sequence[str]]) -> None:
    """Put the modules in their places: short module name -> the names of its functions."""
    package = ModuleType(LIBRARY)
    package.__path__ = []
    sys.modules[LIBRARY] = package
    sys.modules[LIBRARY.rpartition(".")[0]].calculators = package  # type: ignore[attr-defined]
    for short, functions in library.items():
        module = ModuleType(f"{LIBRARY}.{short}")
        for name in functions:
            setattr(module, name, _noting(short, name))
        sys.modules[module.__name__] = module
        setattr(package, short, module)
    sys.modules[f"{LIBRARY}.chance"].custom = _custom  # type: ignore[attr-defined]


def _noting(module: str, function: str) -> Callable[..., Calculator]:
    def note(*args: object, **kwargs: object) -> Calculator:
        asked = Asked(module, function, args, tuple(kwargs.items()))
        return Calculator(name=function, warm_up=0, compute=asked)

    note.__name__ = note.__qualname__ = function
    return note


def _custom(name: str, *_: object, **__: object) -> Calculator:
    raise BadInput(f"{name} is a calculator of its own, and {OWN}")
