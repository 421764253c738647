"""The instants of a run: the bar closes of all its symbols, which both executors walk along."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.session_bars import SessionBars


def instants_of(bars: Sequence[SessionBars], first_rows: Sequence[int]) -> Ints:
    """Return (m,) ns: every bar close from the first decision on, once, oldest first.

    `first_rows` are those in which the symbols first decide.
    """
    if len(bars) == 1:
        return bars[0].closes_at[first_rows[0] :]
    starts = [
        int(one.closes_at[row]) for one, row in zip(bars, first_rows, strict=True) if row < len(one)
    ]
    if not starts:
        return np.zeros(0, np.int64)
    closes = np.unique(bars[0].closes_at)
    for one in bars[1:]:  # one by one: behind one another they would be as large as the bars
        if not np.array_equal(closes, one.closes_at):
            closes = np.union1d(closes, one.closes_at)
    return closes[np.searchsorted(closes, min(starts)) :]
