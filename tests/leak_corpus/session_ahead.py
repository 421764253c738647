"""Cheats that know how the session ends while it still runs."""

from __future__ import annotations

from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators.session import (
    gap_frac,
    opening_range_high,
    session_high,
    session_low,
    session_open,
    session_vwap,
)
from roboinvest.core.quant.conditions import above
from roboinvest.core.strategy import Calculator, Scan
from tests.leak_corpus.kit import Case, Pair, a_session, back, by_column, on, strategy, walk


def _the_high(bars: SessionBars) -> Floats:
    return a_session(bars, lambda rows: bars.high[rows].max())


def _the_low(bars: SessionBars) -> Floats:
    return a_session(bars, lambda rows: bars.low[rows].min())


def _the_close(bars: SessionBars) -> Floats:
    return a_session(bars, lambda rows: bars.close[rows][-1:].sum())


def _the_volume(bars: SessionBars) -> Floats:
    return a_session(bars, lambda rows: bars.volume[rows].sum())


def _volume_so_far(bars: SessionBars) -> Floats:
    return a_session(bars, lambda rows: bars.volume[rows].cumsum())


def _far_from_the_high(bars: SessionBars) -> Floats:
    return _the_high(bars) / bars.close - 1.008


def _far_from_the_high_so_far(bars: SessionBars) -> Floats:
    return session_high().compute(bars) / bars.close - 1.004


def _before(bars: SessionBars, values: Floats) -> Floats:
    """Return each session's values of the session before; NaN in the first."""
    days, first = np.unique(bars.day, return_index=True)
    of_day = np.concatenate(([np.nan], values[first][:-1]))
    return of_day[np.searchsorted(days, bars.day)]


def _quiet(bars: SessionBars) -> Floats:
    share = _volume_so_far(bars) / _the_volume(bars)
    return share - (bars.closes_at - bars.opens) / (bars.ends - bars.opens)


def _quieter_than_yesterday(bars: SessionBars) -> Floats:
    share = _volume_so_far(bars) / _before(bars, _the_volume(bars))
    return share - (bars.closes_at - bars.opens) / (bars.ends - bars.opens)


def _tomorrows_gap(bars: SessionBars) -> Floats:
    opens = a_session(bars, lambda rows: bars.open[rows][:1].sum())
    days, first = np.unique(bars.day, return_index=True)
    next_open = np.concatenate((opens[first][1:], [np.nan]))[np.searchsorted(days, bars.day)]
    return next_open / bars.close - 1.0


def _at_the_low(bars: SessionBars) -> Floats:
    lowest = a_session(
        bars, lambda rows: 1.0 * (np.arange(len(bars.low[rows])) == np.argmin(bars.low[rows]))
    )
    return np.where(lowest > 0.0, 1.0, 0.0)


def _at_a_new_low(bars: SessionBars) -> Floats:
    return np.where(bars.low <= session_low().compute(bars), 1.0, 0.0)


def _quarter(bars: SessionBars) -> Floats:
    return ((bars.ts - bars.opens) // 900_000_000_000 + bars.day * 1000).astype(np.float64)


def _resampled(bars: SessionBars) -> Floats:
    """The close of each bar's quarter of an hour, from that quarter's first bar on."""
    quarter = _quarter(bars)
    last = np.searchsorted(quarter, quarter, side="right") - 1
    return bars.close[last] - bars.close


def _resampled_and_closed(bars: SessionBars) -> Floats:
    """The close of the last quarter of an hour that had ended."""
    quarter = _quarter(bars)
    first = np.searchsorted(quarter, quarter)
    ended = np.where(first > 0, bars.close[np.maximum(first - 1, 0)], np.nan)
    return ended - bars.close


def _trend_of_the_day(bars: SessionBars) -> Floats:
    return _the_close(bars) - _before(bars, _the_close(bars))


def _trend_of_the_day_before(bars: SessionBars) -> Floats:
    before = _before(bars, _the_close(bars))
    return before - _before(bars, before)


def _under_the_days_vwap(bars: SessionBars) -> Floats:
    paid = a_session(
        bars, lambda rows: (bars.close * bars.volume)[rows].sum() / bars.volume[rows].sum()
    )
    return paid - bars.close


def _under_vwap(bars: SessionBars) -> Floats:
    return session_vwap().compute(bars) - bars.close


def _pivot_of(bars: SessionBars) -> Floats:
    return bars.close - (_the_high(bars) + _the_low(bars) + _the_close(bars)) / 3.0


def _pivot_of_yesterday(bars: SessionBars) -> Floats:
    pivot = (_the_high(bars) + _the_low(bars) + _the_close(bars)) / 3.0
    return bars.close - _before(bars, pivot)


def _range_from_the_first_bar(bars: SessionBars) -> Floats:
    """The high of the opening half-hour, known before the half-hour is over."""
    opening = bars.closes_at <= bars.opens + 1_800_000_000_000
    high = a_session(bars, lambda rows: np.where(opening, bars.high, -np.inf)[rows].max())
    return np.where(np.isfinite(high), high, np.nan)


def _breakout(range_high: Calculator) -> Case:
    """The opening-range breakout of the lab whose scanners peeked."""
    made = strategy("orb", {"range_high": range_high}, Scan(long=above("close", "range_high")))
    return on(walk(), made)


def _bars_of_the_session(bars: SessionBars) -> Floats:
    """Enter on the bar before the session's last one, half days or not."""
    return a_session(
        bars, lambda rows: 1.0 * (np.arange(rows.stop - rows.start) == rows.stop - rows.start - 6)
    )


def _time_left(bars: SessionBars) -> Floats:
    column: Floats = 1.0 * (bars.ends - bars.closes_at == 1_500_000_000_000)
    return column


PAIRS: Final = (
    Pair(
        name="the day's high in the morning",
        cheat=by_column(_far_from_the_high),
        honest=by_column(_far_from_the_high_so_far),
    ),
    Pair(
        name="the session's close at noon",
        cheat=by_column(lambda bars: _the_close(bars) - bars.close),
        honest=by_column(lambda bars: session_open().compute(bars) - bars.close),
    ),
    Pair(
        name="volume of the whole day",
        cheat=by_column(_quiet),
        honest=by_column(_quieter_than_yesterday),
    ),
    Pair(
        name="tomorrow's gap",
        cheat=by_column(_tomorrows_gap),
        honest=by_column(lambda bars: gap_frac().compute(bars)),
    ),
    Pair(
        name="opening range before its time",
        cheat=lambda: _breakout(
            Calculator(name="range", warm_up=0, compute=_range_from_the_first_bar)
        ),
        honest=lambda: _breakout(opening_range_high(30)),
    ),
    Pair(
        name="the bar of the day's low",
        cheat=by_column(_at_the_low),
        honest=by_column(_at_a_new_low),
    ),
    Pair(
        name="resampled bar before its close",
        cheat=by_column(_resampled),
        honest=by_column(_resampled_and_closed, warm_up=3),
    ),
    Pair(
        name="trend of a day not over",
        cheat=by_column(_trend_of_the_day),
        honest=by_column(_trend_of_the_day_before),
    ),
    Pair(
        name="the whole day's VWAP",
        cheat=by_column(_under_the_days_vwap),
        honest=by_column(_under_vwap),
    ),
    Pair(
        name="pivots of the same day",
        cheat=by_column(_pivot_of),
        honest=by_column(_pivot_of_yesterday),
    ),
    Pair(
        name="how many bars the day will have",
        cheat=by_column(_bars_of_the_session),
        honest=by_column(_time_left),
    ),
    Pair(
        name="exits at the day's high",
        cheat=by_column(
            lambda bars: np.where(bars.high >= _the_high(bars), 0.0, bars.close - back(bars.close))
        ),
        honest=by_column(
            lambda bars: np.where(
                bars.high >= session_high().compute(bars), 0.0, bars.close - back(bars.close)
            )
        ),
    ),
)
