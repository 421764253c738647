"""Cheats that know a bar or a few of those to come."""

from __future__ import annotations

from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.conditions import above, below, every
from tests.leak_corpus.kit import Pair, back, by_column, daily, forth, trailing

_RARE: Final = 5  # sessions


def _mean(rows: int) -> Floats:
    return np.ones(rows) / rows


def _smooth(values: Floats, share: float = 0.2) -> Floats:
    smoothed = values.copy()
    for row in range(1, len(values)):
        smoothed[row] = share * values[row] + (1.0 - share) * smoothed[row - 1]
    return smoothed


def _there_and_back(bars: SessionBars) -> Floats:
    return bars.close - _smooth(_smooth(bars.close)[::-1])[::-1]


def _there_twice(bars: SessionBars) -> Floats:
    return bars.close - _smooth(_smooth(bars.close))


def _sampled(bars: SessionBars) -> Floats:
    """A close that is noted in every sixth bar of the session, NaN between."""
    sixth = ((bars.ts - bars.opens) // 300_000_000_000) % 6 == 5
    return np.where(sixth, bars.close, np.nan)


def _filled_forward(values: Floats) -> Floats:
    at = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(at) if len(at) else at
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)


def _filled_backward(values: Floats) -> Floats:
    return _filled_forward(values[::-1])[::-1]


def _drawn_through(values: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(values))
    return np.interp(np.arange(len(values)), known, values[known])


def _pivot(bars: SessionBars) -> Floats:
    low = bars.low
    beside = np.minimum(
        np.minimum(back(low, 1), back(low, 2)), np.minimum(forth(low), forth(low, 2))
    )
    return np.where(low < beside, 1.0, 0.0)


def _pivot_seen(bars: SessionBars) -> Floats:
    """A low between two higher bars on either side, told two bars later."""
    low = back(bars.low, 2)
    before = np.minimum(back(bars.low, 3), back(bars.low, 4))
    return np.where(low < np.minimum(before, np.minimum(back(bars.low), bars.low)), 1.0, 0.0)


def _mostly_honest(bars: SessionBars) -> Floats:
    """Look ahead on one session of five only."""
    honest = bars.close - back(bars.close)
    return np.where(bars.day % _RARE == 3, forth(bars.close) - bars.close, honest)


def _some_days(bars: SessionBars) -> Floats:
    return np.where(bars.day % _RARE == 3, bars.close - back(bars.close), 0.0)


def _late_in_the_sample(bars: SessionBars) -> Floats:
    late = bars.ts > bars.ts[0] + 0.8 * (bars.ts[-1] - bars.ts[0])
    return np.where(late, forth(bars.close) - bars.close, bars.close - back(bars.close))


def _late_in_the_session(bars: SessionBars) -> Floats:
    late = bars.closes_at > bars.opens + 0.8 * (bars.ends - bars.opens)
    return np.where(late, bars.close - back(bars.close), 0.0)


def _in_long_runs(bars: SessionBars) -> Floats:
    ahead = len(bars) > 700
    return forth(bars.close) - bars.close if ahead else bars.close - back(bars.close)


def _with_history(bars: SessionBars) -> Floats:
    return bars.close - back(bars.close, 200) if len(bars) > 200 else np.full(len(bars), np.nan)


def _on_a_wild_bar(bars: SessionBars) -> Floats:
    """Look ahead after a bar of unusual range only."""
    wild = (bars.high - bars.low) > 0.0042 * bars.close
    return np.where(wild, forth(bars.close) - bars.close, 0.0)


def _after_a_wild_bar(bars: SessionBars) -> Floats:
    wild = (bars.high - bars.low) > 0.0036 * bars.close
    return np.where(wild, bars.close - bars.open, 0.0)


def _hidden(bars: SessionBars) -> Floats:
    """A close that carries the next move in its last digits."""
    return bars.close + 1e-10 * np.nan_to_num(np.sign(forth(bars.close) - bars.close))


def _rise(bars: SessionBars) -> Floats:
    return bars.close - back(bars.close)


def _vetoed(bars: SessionBars) -> Floats:
    """An honest dip, unless the next bar falls."""
    falls = forth(bars.close) < bars.close
    return np.where(falls, 0.0, back(bars.close, 3) - bars.close)


def _vetoed_by_the_past(bars: SessionBars) -> Floats:
    return np.where(bars.close < bars.open, 0.0, back(bars.close, 3) - bars.close)


def _differences(bars: SessionBars) -> Floats:
    return np.gradient(bars.close) if len(bars) > 1 else np.full(len(bars), np.nan)


def _rolled(bars: SessionBars) -> Floats:
    return np.roll(bars.open, -1) - bars.close


def _rolled_back(bars: SessionBars) -> Floats:
    moved = np.roll(bars.open, 1)
    moved[:1] = np.nan
    return bars.close - moved


def _centred(bars: SessionBars) -> Floats:
    return np.convolve(bars.close, _mean(9), mode="same") - bars.close


def _not_centred(bars: SessionBars) -> Floats:
    return trailing(bars.close, 9, lambda windows: windows.mean(axis=-1)) - bars.close


def _best_of_three(bars: SessionBars) -> Floats:
    ahead = np.maximum(np.maximum(forth(bars.high), forth(bars.high, 2)), forth(bars.high, 3))
    return ahead / bars.close - 1.003


def _best_of_the_last_three(bars: SessionBars) -> Floats:
    return trailing(bars.high, 3, lambda windows: windows.max(axis=-1)) / bars.close - 1.003


PAIRS: Final = (
    Pair(
        name="next bar's close",
        cheat=by_column(lambda bars: forth(bars.close) - bars.close),
        honest=by_column(lambda bars: bars.close - back(bars.close)),
    ),
    Pair(name="next bar's open, by roll", cheat=by_column(_rolled), honest=by_column(_rolled_back)),
    Pair(
        name="indicator shifted by -1",
        cheat=by_column(lambda bars: forth(_not_centred(bars)), warm_up=9),
        honest=by_column(lambda bars: back(_not_centred(bars)), warm_up=10),
    ),
    Pair(
        name="centred window",
        cheat=by_column(_centred),
        honest=by_column(_not_centred, warm_up=9),
    ),
    Pair(
        name="smoothed there and back",
        cheat=by_column(_there_and_back),
        honest=by_column(_there_twice, warm_up=100),
    ),
    Pair(
        name="gaps filled from later rows",
        cheat=by_column(lambda bars: _filled_backward(_sampled(bars)) - bars.close),
        honest=by_column(lambda bars: _filled_forward(_sampled(bars)) - bars.close, warm_up=6),
    ),
    Pair(
        name="interpolated",
        cheat=by_column(lambda bars: _drawn_through(_sampled(bars)) - bars.close),
        honest=by_column(lambda bars: bars.close - _filled_forward(_sampled(bars)), warm_up=6),
    ),
    Pair(
        name="differences with the next row",
        cheat=by_column(_differences),
        honest=by_column(_rise, warm_up=1),
    ),
    Pair(name="swing low told at once", cheat=by_column(_pivot), honest=by_column(_pivot_seen)),
    Pair(
        name="next bar's volume",
        cheat=by_column(lambda bars: forth(bars.volume) - 2.0 * bars.volume),
        honest=by_column(lambda bars: bars.volume - 2.0 * back(bars.volume)),
    ),
    Pair(
        name="best price of the next bars",
        cheat=by_column(_best_of_three),
        honest=by_column(_best_of_the_last_three, warm_up=3),
    ),
    Pair(
        name="only on rare days",
        cheat=by_column(_mostly_honest),
        honest=by_column(_some_days),
    ),
    Pair(
        name="only late in the sample",
        cheat=by_column(_late_in_the_sample),
        honest=by_column(_late_in_the_session),
    ),
    Pair(
        name="only in long runs",
        cheat=by_column(_in_long_runs),
        honest=by_column(_with_history, warm_up=200),
    ),
    Pair(
        name="only after a wild bar",
        cheat=by_column(_on_a_wild_bar),
        honest=by_column(_after_a_wild_bar),
    ),
    Pair(
        name="hidden in the last digits",
        cheat=by_column(_hidden, when=above("mine", "close")),
        honest=by_column(_rise, when=every(above("mine", 0.0), below("mine", 1.0))),
    ),
    Pair(
        name="only to avoid losers",
        cheat=by_column(_vetoed),
        honest=by_column(_vetoed_by_the_past),
    ),
    Pair(
        name="tomorrow's close, on days",
        cheat=by_column(lambda bars: forth(bars.close) - bars.close, tape=daily),
        honest=by_column(lambda bars: back(bars.close) - bars.close, tape=daily),
    ),
)
