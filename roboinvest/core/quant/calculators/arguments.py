"""What calculators are asked for, checked before any bar is seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.strategy import Calculator, Number

LONGEST: Final = 10_000  # rows of a window; 25 sessions of minutes
LEFT: Final = 1e-3  # of a seed, where an average counts as settled
LEFT_OF_RATIO: Final = 1e-4  # where it is set against another, or is itself a small difference
LEFT_OF_EXTREMES: Final = 1e-5  # where it is set against its own extremes


@dataclass(frozen=True, slots=True)
class Column:
    """A function of bars that equals another of the same name and arguments.

    So equal calculators are told by `==`, and a sweep need not compute a column twice.
    """

    name: str
    arguments: tuple[Number | str, ...]
    function: Callable[[SessionBars], Floats] = field(compare=False, repr=False)

    def __call__(self, bars: SessionBars) -> Floats:
        """Return the column, shape (n,)."""
        return self.function(bars)


def declared(
    name: str, warm_up: int, function: Callable[[SessionBars], Floats], *arguments: Number | str
) -> Calculator:
    """Return a calculator of the library; the arguments are all that its function depends on."""
    return Calculator(name=name, warm_up=warm_up, compute=Column(name, arguments, function))


def whole(calculator: str, name: str, value: Number, low: int = 1, high: int = LONGEST) -> int:
    """Return a whole number from `low` to `high`.

    Raises:
        BadInput: it is none, or out of range.
    """
    if isinstance(value, bool) or not math.isfinite(value) or value != int(value):
        raise BadInput(f"{calculator}: {name} is {value}; give a whole number")
    if not low <= value <= high:
        raise BadInput(f"{calculator}: {name} is {value}; give a whole number from {low} to {high}")
    return int(value)


def positive(calculator: str, name: str, value: Number, high: float = math.inf) -> float:
    """Return a number above 0, at most `high`.

    Raises:
        BadInput: it is none, or out of range.
    """
    if not (math.isfinite(value) and 0.0 < value <= high):
        most = "" if math.isinf(high) else f" and at most {high:g}"
        raise BadInput(f"{calculator}: {name} is {value}; give a number above 0{most}")
    return float(value)


def one_of(calculator: str, name: str, value: str, known: Collection[str]) -> str:
    """Return a word that is known.

    Raises:
        BadInput: it is not.
    """
    if value not in known:
        raise BadInput(f"{calculator}: {name} is {value!r}; give one of {', '.join(known)}")
    return value


def column(calculator: str, of: str) -> Callable[[SessionBars], Floats]:
    """Return what reads a column of bars, by its name.

    Raises:
        BadInput: bars have no such column.
    """
    return _COLUMNS[one_of(calculator, "of", of, _COLUMNS)]


def typical(bars: SessionBars) -> Floats:
    """Return the mean of high, low and close."""
    return (bars.high + bars.low + bars.close) / 3.0


def settled(share: float, left: float) -> int:
    """Return the rows after which an average keeps the fraction `left` of its seed.

    `share` is what the newest value counts: 2 / (period + 1) for an exponential average, and
    1 / period for Wilder's.
    """
    return 0 if share >= 1.0 else math.ceil(math.log(left) / math.log1p(-share))


def exponential(period: int, left: float = LEFT) -> int:
    """Return the rows before an exponential average, seeded with a simple one, means something."""
    return period - 1 + settled(2.0 / (period + 1), left)


def wilder(period: int, left: float = LEFT) -> int:
    """Return the rows before an average of Wilder's means something."""
    return period + settled(1.0 / period, left)


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Return quotients, shape (n,); NaN where there is nothing to divide by."""
    quotients = np.full(len(top), np.nan)
    np.divide(top, bottom, out=quotients, where=bottom != 0.0)
    return quotients


_COLUMNS: Final[Mapping[str, Callable[[SessionBars], Floats]]] = {
    "open": lambda bars: bars.open,
    "high": lambda bars: bars.high,
    "low": lambda bars: bars.low,
    "close": lambda bars: bars.close,
    "volume": lambda bars: bars.volume,
    "typical": typical,
}
