"""What a search asks for, and what comes back: small values that travel between processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.strategy import Values
from tools.backtester.contract import Request, Stage, Terms
from tools.backtester.run_book.sketch import EntrySketch
from tools.backtester.run_book.values import RunFigures

# What code of a strategy raises when it is wrong: one combination fails, and the search goes on.
FAULTS: Final = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, NameError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One combination to play."""

    number: int
    values: Values
    first: date | None = None  # first exchange day with decisions; None: as the request says
    last: date | None = None  # bars of later days are left away; None: all there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one combination came to."""

    days: Ints  # (d,) exchange days as proleptic ordinals
    daily_equity: Ints  # (d + 1,) units: the cash before the first day, then each day's end
    liquidated: int | None  # units: equity had the rest been sold at the last close; None: unknown
    figures: RunFigures
    entries: EntrySketch
    executor: str
    digest: str  # sha256 that identifies the result


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one combination came to nothing, in a sentence."""

    why: str


Play = Callable[[Request], Outcome]  # raises BadInput where a request makes no sense
PlayMany = Callable[[Iterable[Stage], Terms], Iterator[RunFigures]]  # in order, one at a time


def attempt(request: Request, play: Play, job: Job) -> Outcome | Failure:
    """Play one combination; what its code raises is its failure, not the search's."""
    try:
        return play(request_of(request, job))
    except RoboInvestError as error:
        return Failure(why=str(error))
    except FAULTS as error:
        return Failure(why=f"it raised {type(error).__name__}: {' '.join(str(error).split())}")


def request_of(request: Request, job: Job) -> Request:
    """Return the request of one combination; bars after its last day are not even there."""
    bars = request.bars
    if job.last is not None:
        bars = {symbol: _until(each, job.last) for symbol, each in bars.items()}
    first = request.first if job.first is None else job.first
    return replace(request, values=job.values, bars=bars, first=first)


def days_of(bars: Mapping[str, SessionBars], first: date | None) -> Ints:
    """Return the exchange days, from `first` on, on which any symbol has a bar, shape (d,)."""
    every = [np.unique(each.day) for each in bars.values()]
    days: Ints = np.unique(np.concatenate(every)) if every else np.zeros(0, np.int64)
    return days if first is None else days[days >= first.toordinal()]


def _until(bars: SessionBars, last: date) -> SessionBars:
    return bars.rows(slice(0, int(np.searchsorted(bars.day, last.toordinal(), side="right"))))
