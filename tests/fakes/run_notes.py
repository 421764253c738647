"""Notes of runs that nobody played, to fill a run book with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from roboinvest.core.market.values import Timeframe
from roboinvest.core.strategy import Number
from tools.backtester.run_book.sketch import EntrySketch, sketch_of
from tools.backtester.run_book.values import RunFigures, RunNote

FIRST, LAST = date(2024, 1, 2), date(2024, 12, 31)
DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_704_207_000_000_000_000  # 2024-01-02 14:50 UTC


def entered(days: Sequence[int], symbol: str = "SPY") -> EntrySketch:
    """Return the sketch of entries so many days after the first one."""
    return sketch_of({symbol: BEGIN_NS + DAY_NS * np.array(days, dtype=np.int64)})


def run_note(
    strategy: str = "sma_cross",
    *,
    version: str = "1.0",
    fingerprint: str = "",
    values: Mapping[str, Number] | None = None,
    symbols: tuple[str, ...] = ("SPY",),
    first: date = FIRST,
    last: date = LAST,
    data: str = "data",
    terms: str = "terms",
    sharpe: float | None = 0.05,
    entries: EntrySketch | None = None,
    parent: int | None = None,
    sweep: str = "",
) -> RunNote:
    """Return a note; without a fingerprint it gets one made of its name and version."""
    return RunNote(
        strategy=strategy,
        version=version,
        fingerprint=fingerprint or f"code of {strategy} {version}",
        file="library",
        values=values or {"fast": 10},
        symbols=symbols,
        timeframe=Timeframe.DAY,
        first=first,
        last=last,
        data=data,
        terms=terms,
        executor="kernel",
        figures=RunFigures(
            sharpe=sharpe,
            skew=0.1,
            kurtosis=3.2,
            days=250,
            total_return=0.12,
            max_drawdown=0.05,
            trades=40,
            final_equity=Decimal("112000.1234"),
        ),
        entries=entries or entered([]),
        digest="d" * 64,
        parent=parent,
        sweep=sweep,
    )
