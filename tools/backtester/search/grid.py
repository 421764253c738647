"""Every combination of some values of each parameter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.core.strategy import Number, Param, Strategy, Values
from tools.backtester.search.space import MOST_COMBINATIONS, axis_of, param_of

_AROUND: Final = (0.5, 1.0, 2.0)  # of a parameter's default


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """All combinations of the axes; see `grid_of`."""

    axes: Mapping[str, tuple[Number, ...]]  # by parameter, values smallest first
    fixed: Values = field(default_factory=dict)  # what is not searched, where no default will do

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters that are chosen."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)

    @property
    def size(self) -> int:
        """Return how many combinations there are."""
        return math.prod(len(values) for values in self.axes.values())

    @property
    def text(self) -> str:
        """Return the axes and what is fixed as JSON."""
        axes = {name: list(values) for name, values in self.axes.items()}
        return canonical_json({"grid": axes, "fixed": dict(self.fixed)})

    def start(self) -> GridWalk:
        """Begin a walk."""
        return GridWalk(self)


class GridWalk:
    """Asks for all at once, the last axis running quickest."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._is_done = False

    def ask(self) -> Sequence[Values]:
        """Return every combination, and nothing the second time."""
        if self._is_done:
            return ()
        self._is_done = True
        axes = self._grid.axes
        return [
            {**self._grid.fixed, **dict(zip(axes, values, strict=True))}
            for values in itertools.product(*axes.values())
        ]

    def tell(self, scores: Sequence[tuple[Values, float | None]]) -> None:
        """Learn nothing: a grid is what it is."""


def grid_of(
    strategy: Strategy, ranges: Mapping[str, str] | None = None, fixed: Values | None = None
) -> Grid:
    """Return the grid over the named ranges (see `axis_of`), or over all that a strategy declares.

    Raises:
        BadInput: a parameter is unknown, fixed and searched at once, a range is wrong, or there are
            more combinations than a search tries.
    """
    fixed = fixed or {}
    wanted = ranges or {param.name: "" for param in strategy.params if param.name not in fixed}
    both = sorted(set(wanted) & set(fixed))
    if both:
        raise BadInput(f"{', '.join(both)} is given a value and a range; drop one of them")
    for name in fixed:
        param_of(strategy, name)
    axes = {name: axis_of(param_of(strategy, name), text) for name, text in wanted.items()}
    grid = Grid(axes=axes, fixed=fixed)
    if not axes:
        raise BadInput(f"{strategy.name} has no parameter to search; run it once instead")
    if grid.size > MOST_COMBINATIONS:
        raise BadInput(
            f"the grid has {grid.size} combinations and a search tries at most "
            f"{MOST_COMBINATIONS}; make the steps wider, or let optuna choose"
        )
    return grid


def coarse_axes(
    params: Sequence[Param], most: int, fixed: Collection[str] = ()
) -> dict[str, tuple[Number, ...]]:
    """Return half, once and twice the default of the first `most` parameters that are free."""
    free = [param for param in params if param.name not in fixed and param.default]
    return {param.name: _around(param) for param in free[:most]}


def _around(param: Param) -> tuple[Number, ...]:
    values = [min(max(param.default * part, param.low), param.high) for part in _AROUND]
    if isinstance(param.default, int):
        values = [round(value) for value in values]
    return tuple(sorted(set(values)))
