"""What finer bars say of a bar that could not tell whether stop or target came first.

A position is held from the coarse bar's open on, so that the finer bars are asked in turn, with
the same rules. Where they do not reach a level that the coarse bar reached, some of them are
missing, and the worst stands.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from roboinvest.core.fills import BarPrices, BracketExit, FillRules, resolve_bracket
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.orders import Side, to_price
from tools.backtester.contract import Part


def told_by_finer(
    part: Part,
    row: int,
    side: Side,
    stop: Decimal | None,
    target: Decimal | None,
    rules: FillRules,
    worst: BracketExit,
) -> BracketExit:
    """Return how a bracket ended in bar `row` as finer bars tell it; `worst` where they cannot.

    `side` is that of the legs, as for `core.fills.resolve_bracket`.
    """
    finer = part.finer
    if finer is None:
        return worst
    begins, ends = int(part.bars.ts[row]), int(part.bars.closes_at[row])
    first, last = np.searchsorted(finer.ts, (begins, ends))
    for at in range(int(first), int(last)):
        found = resolve_bracket(side, stop, target, _prices(finer, at), rules)
        if found.leg is not None:
            return replace(found, at_open=False)
    return worst


def _prices(bars: SessionBars, row: int) -> BarPrices:
    return BarPrices(
        open=to_price(float(bars.open[row])),
        high=to_price(float(bars.high[row])),
        low=to_price(float(bars.low[row])),
        close=to_price(float(bars.close[row])),
        capacity=None,
    )
