"""What a search may try: a space says it once, and each walk through it begins with an asker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Number, Param, Strategy, Values
from tools.backtester.run_book.values import RunFigures

MOST_COMBINATIONS: Final = 100_000
_PARTS: Final = 20  # steps of a range that declares none


class Objective(StrEnum):
    """What a search wants much of."""

    SHARPE = "sharpe"
    TOTAL_RETURN = "return"
    RETURN_OVER_DRAWDOWN = "return_over_drawdown"

    def of(self, figures: RunFigures) -> float | None:
        """Return the figure; None where it is not defined, which is worse than any number."""
        match self:
            case Objective.SHARPE:
                return figures.sharpe
            case Objective.TOTAL_RETURN:
                return figures.total_return
            case Objective.RETURN_OVER_DRAWDOWN:
                fall = figures.max_drawdown
                return figures.total_return / fall if fall > 0.0 else None


class Asker(Protocol):
    """One walk through a space."""

    def ask(self) -> Sequence[Values]:
        """Return what to try next, in one batch; empty when there is nothing left."""

    def tell(self, scores: Sequence[tuple[Values, float | None]]) -> None:
        """Take what the batch came to, in the order it was asked; None: nothing."""


class Space(Protocol):
    """What may be tried."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the parameters that are chosen."""

    @property
    def size(self) -> int:
        """Return how many combinations are asked for at most."""

    @property
    def text(self) -> str:
        """Return the space in one line; equal spaces have equal texts."""

    def start(self) -> Asker:
        """Begin a walk; each one asks the same, as long as it is told the same."""


def param_of(strategy: Strategy, name: str) -> Param:
    """Return a parameter by its name.

    Raises:
        BadInput: there is none.
    """
    for param in strategy.params:
        if param.name == name:
            return param
    known = ", ".join(param.name for param in strategy.params) or "none"
    raise BadInput(f"{strategy.name} has no parameter {name}; it has {known}")


def axis_of(param: Param, text: str = "") -> tuple[Number, ...]:
    """Return the values of a parameter to try, smallest first.

    `text` is `5:50:5` (from, to, step), `5:50` (the parameter's own step) or `5,10,20`; empty: all
    of the declared range.

    Raises:
        BadInput: the text is none of these, or a value is outside what the parameter allows.
    """
    if "," in text or (text and ":" not in text):
        values = [_number(param, each, text) for each in text.split(",")]
    else:
        values = _steps(param, text)
    found = sorted({_checked(param, each) for each in values})
    return tuple(found)


def own_step(param: Param) -> Number:
    """Return the step of a parameter's grid: what it declares, or a twentieth of its range."""
    step = param.step if param.step is not None else (param.high - param.low) / _PARTS
    return max(1, round(step)) if isinstance(param.default, int) else step


def _steps(param: Param, text: str) -> list[Number]:
    parts = [_number(param, each, text) for each in text.split(":")] if text else []
    if len(parts) > 3:
        raise BadInput(
            f"{param.name}={text} is no range; write from:to:step, or values with commas"
        )
    low, high = parts[:2] if parts else (param.low, param.high)
    step = parts[2] if len(parts) == 3 else own_step(param)
    if low > high or (low < high and not step > 0):
        raise BadInput(f"{param.name}={text}: a range runs upwards in steps above 0; turn it round")
    if low == high:
        return [low]
    first, width = Decimal(repr(low)), Decimal(repr(step))
    count = int((Decimal(repr(high)) - first) / width) + 1
    if count > MOST_COMBINATIONS:
        raise BadInput(
            f"{param.name}={text} has {count} values, and a search tries at most "
            f"{MOST_COMBINATIONS}; make the step wider"
        )
    return [float(first + width * number) for number in range(count)]


def _number(param: Param, each: str, text: str) -> float:
    try:
        number = float(each)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f"{param.name}={text}: {each!r} is not a number")
    return number


def _checked(param: Param, value: Number) -> Number:
    whole = isinstance(param.default, int)
    if whole and value != int(value):
        raise BadInput(f"{param.name}={value} is not a whole number; give whole values and steps")
    if not param.low <= value <= param.high:
        raise BadInput(
            f"{param.name}={value:g} is outside {param.low:g} to {param.high:g}; narrow the range"
        )
    return int(value) if whole else float(value)
