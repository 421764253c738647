"""What is known about a run beyond the run itself: leaks, chance, trials, other periods and costs.

Everything is optional. What is missing is said to be missing, because a page that is silent about
leaks reads like a page without leaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Final

from roboinvest.core.statistics.intervals import Interval, Intervals
from tools.backtester.leaks.findings import Finding

_RESAMPLED: Final = {  # figure -> field of `Intervals`
    "sharpe": "sharpe",
    "max_drawdown": "max_drawdown",
    "win_rate": "win_rate",
    "expectancy_usd": "expectancy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldRow:
    """One fold of a walk-forward: chosen on the train days, judged on the test days."""

    train_first: date
    train_last: date
    test_first: date
    test_last: date
    values: Mapping[str, int | float]  # chosen on the train days
    train_sharpe: float | None
    test_sharpe: float | None
    test_return: float | None  # fraction
    test_trades: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """The same run under other costs."""

    label: str  # "10 bp slippage"
    total_return: float | None  # fraction
    sharpe: float | None
    trades: int
    pnl: Decimal | None = None  # USD


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What else is known; None and empty mean that nobody has looked."""

    leaks: tuple[Finding, ...] = ()
    trials: int | None = None  # runs of this lineage so far, this one included
    probabilistic_sharpe: float | None = None  # chance that the true Sharpe ratio is above 0
    deflated_sharpe: float | None = None  # the same against the best of `trials` without skill
    minimum_track_record: int | None = None  # daily returns needed for 95 % certainty
    permutation_p: float | None = None  # against as many random entries, left by the same rules
    permutations: int | None = None
    exposure_p: float | None = None  # against as many random positions, held for as long
    exposures: int | None = None
    intervals: Intervals | None = None
    folds: tuple[FoldRow, ...] = ()
    costs: tuple[CostRow, ...] = ()
    contamination: str | None = None  # what a model may have known of these days
    regimes: Mapping[date, str] = field(default_factory=dict)  # by exchange day

    def interval_of(self, figure: str) -> Interval | None:
        """Return the resampled interval of a figure of `PerformanceFigures`, or None."""
        if self.intervals is None or figure not in _RESAMPLED:
            return None
        found: Interval | None = getattr(self.intervals, _RESAMPLED[figure])
        return found
