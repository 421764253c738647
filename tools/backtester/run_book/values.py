"""What the run book takes in and gives back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from roboinvest.core.market.values import Timeframe
from roboinvest.core.records import canonical_json
from roboinvest.core.strategy import Number, Strategy
from tools.backtester.run_book.sketch import EntrySketch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """What a run came to, in the figures that later tests of significance need."""

    sharpe: float | None  # of one day, not annualised; None where it is not defined
    skew: float | None  # of daily returns, population
    kurtosis: float | None  # the same; a normal distribution has 3
    days: int  # daily returns
    total_return: float  # fraction
    max_drawdown: float  # fraction from the peak of daily equity, positive
    trades: int  # round trips that ended
    final_equity: Decimal  # USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """By what a strategy is known before it has run: its name, and its code."""

    strategy: str
    fingerprint: str  # of the code, names taken out; "": unknown

    @classmethod
    def of(cls, strategy: Strategy) -> Kin:
        """Return that of a strategy."""
        return cls(strategy=strategy.name, fingerprint=strategy.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """One run, as it is written down before anybody sees its figures."""

    strategy: str
    version: str
    fingerprint: str  # of the code, names taken out; "": unknown
    file: str  # where the code lies, or "library"
    values: Mapping[str, Number]
    symbols: tuple[str, ...]  # sorted
    timeframe: Timeframe
    first: date  # exchange days with decisions
    last: date
    data: str  # digest of bars and corporate actions
    terms: str  # digest of account, costs and limits
    executor: str
    figures: RunFigures
    entries: EntrySketch
    digest: str  # sha256 that identifies the result
    parent: int | None = None  # the run that this one was made from
    sweep: str = ""  # the search that it belongs to
    fold: str = ""  # of a walk-forward, "2 train" or "2 test"
    report: str = ""  # where its report lies

    @property
    def kin(self) -> Kin:
        """Return by what its strategy is known."""
        return Kin(strategy=self.strategy, fingerprint=self.fingerprint)

    @property
    def evaluation(self) -> str:
        """Return what was tried: runs with the same one are one trial."""
        return evaluation_of(
            code=self.fingerprint or f"{self.strategy}@{self.version}",
            values=self.values,
            symbols=self.symbols,
            timeframe=self.timeframe,
            first=self.first,
            last=self.last,
            data=self.data,
            terms=self.terms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as the book holds it."""

    id: int
    at: datetime  # UTC, when it was noted
    lineage: int
    evaluation: str
    in_holdout: bool  # whether it saw days of a locked holdout, with leave
    note: RunNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What has to be known of a run's past to judge its figures."""

    lineage: int
    trials: int  # distinct evaluations of the lineage, this one included
    sharpe_variance: float | None  # of daily Sharpe over trials; None below two
    words: tuple[str, ...]  # for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """Days that a lineage may not look at."""

    lineage: int
    symbol: str
    from_day: date  # the first one
    locked_at: datetime  # UTC
    seen_by: int  # runs of the lineage that had seen such days without leave
    openings: tuple[str, ...]  # versions for which it was opened, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Leave to look once, with one evaluation."""

    lineage: int
    version: str
    at: datetime  # UTC
    number: int  # 1 for the first of the lineage; each one makes the next worth less


def evaluation_of(
    *,
    code: str,
    values: Mapping[str, Number],
    symbols: tuple[str, ...],
    timeframe: Timeframe,
    first: date,
    last: date,
    data: str,
    terms: str,
) -> str:
    """Return the sha256 of what is tried: code, values, bars, days and account."""
    facts = [code, dict(values), list(symbols), timeframe, first, last, data, terms]
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
