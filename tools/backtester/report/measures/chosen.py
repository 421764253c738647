"""The few trades that are shown on their candles, and the window around each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind
from tools.backtester.contract import BacktestResult, RoundTrip
from tools.backtester.report.words import listed

AROUND: Final = 12  # bars before and after a trade, at least
MOST_CANDLES: Final = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """Bars put together to candles that a picture has room for; arrays of shape (c,)."""

    first_row: int  # of the symbol's bars
    bundle: int  # bars in a candle, the last one may hold fewer
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __len__(self) -> int:
        return len(self.open)

    def place(self, row: int) -> float:
        """Return the middle of the candle that holds a row, as a share of the width."""
        return ((row - self.first_row) // self.bundle + 0.5) / len(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenTrade:
    """A round trip, why it was chosen, and the candles around it."""

    why: str  # "best, worst and last"
    trip: RoundTrip
    candles: Candles
    split: date | None  # ex-date of the last split within: prices before are on its scale


def chosen_trades(result: BacktestResult) -> tuple[ChosenTrade, ...]:
    """Return the best, the worst, the last and the most doubtful trade, each once."""
    trips = result.round_trips
    if not trips:
        return ()
    doubtful = [trip for trip in trips if trip.ambiguous]
    chosen = [
        ("best", max(trips, key=lambda trip: trip.pnl)),
        ("worst", min(trips, key=lambda trip: trip.pnl)),
        ("last", max(trips, key=lambda trip: (trip.exit_at, trip.entry))),
    ]
    if doubtful:
        chosen.append(
            ("most ambiguous", max(doubtful, key=lambda trip: trip.kindest_pnl - trip.pnl))
        )
    reasons = dict[int, list[str]]()
    for why, trip in chosen:
        reasons.setdefault(trip.entry, []).append(why)
    by_entry = {trip.entry: trip for _, trip in chosen}
    return tuple(_shown(result, listed(why), by_entry[entry]) for entry, why in reasons.items())


def candles_of(bars: SessionBars, first: int, last: int, scale: Floats | None = None) -> Candles:
    """Return the candles from row `first` to row `last`, both included.

    `scale` is what prices are multiplied by, shape (last - first + 1,); None: nothing.
    """
    rows = slice(first, last + 1)
    factor = np.ones(last - first + 1) if scale is None else scale
    bundle = -(-len(factor) // MOST_CANDLES)
    starts = np.arange(0, len(factor), bundle)
    ends = np.append(starts[1:] - 1, len(factor) - 1)
    return Candles(
        first_row=first,
        bundle=bundle,
        open=(bars.open[rows] * factor)[starts],
        high=np.maximum.reduceat(bars.high[rows] * factor, starts),
        low=np.minimum.reduceat(bars.low[rows] * factor, starts),
        close=(bars.close[rows] * factor)[ends],
    )


def _shown(result: BacktestResult, why: str, trip: RoundTrip) -> ChosenTrade:
    """Return the window around a trip, on the price scale of its exit."""
    bars = result.stage.parts[trip.symbol].bars
    around = max(AROUND, (trip.exit_row - trip.entry_row) // 3)
    first, last = max(0, trip.entry_row - around), min(len(bars) - 1, trip.exit_row + around)
    scale, before = np.ones(last - first + 1), None
    for action in result.stage.actions:
        ex_day = action.ex_date.toordinal()
        if action.kind is not ActionKind.SPLIT or action.symbol != trip.symbol:
            continue
        if bars.day[trip.exit_row] < ex_day <= bars.day[last]:
            last = int(np.searchsorted(bars.day, ex_day)) - 1
        elif bars.day[first] < ex_day <= bars.day[trip.exit_row]:
            scale[bars.day[first : first + len(scale)] < ex_day] /= float(action.ratio)
            before = action.ex_date if before is None else max(before, action.ex_date)
    return ChosenTrade(
        why=why,
        trip=trip,
        candles=candles_of(bars, first, last, scale[: last - first + 1]),
        split=before,
    )
