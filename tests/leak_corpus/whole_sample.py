"""Cheats that scale, rank or fit with the whole sample."""

from __future__ import annotations

from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from tests.leak_corpus.kit import Pair, back, by_column, forth, trailing

_LONG: Final = 60  # bars


def _returns(bars: SessionBars) -> Floats:
    return np.nan_to_num(np.log(bars.close / back(bars.close)))


def _zscore(bars: SessionBars) -> Floats:
    column: Floats = -1.0 - (bars.close - bars.close.mean()) / (bars.close.std() + 1e-12)
    return column


def _mean(windows: Floats) -> Floats:
    return np.asarray(windows.mean(axis=-1))


def _rolling_zscore(bars: SessionBars) -> Floats:
    mean = trailing(bars.close, _LONG, _mean)
    spread = trailing(bars.close, _LONG, lambda windows: windows.std(axis=-1))
    return -1.0 - (bars.close - mean) / spread


def _min_max(bars: SessionBars) -> Floats:
    low, high = bars.close.min(), bars.close.max()
    column: Floats = 0.3 - (bars.close - low) / (high - low + 1e-12)
    return column


def _rolling_min_max(bars: SessionBars) -> Floats:
    low = trailing(bars.close, _LONG, lambda windows: windows.min(axis=-1))
    high = trailing(bars.close, _LONG, lambda windows: windows.max(axis=-1))
    return 0.3 - (bars.close - low) / (high - low + 1e-12)


def _percentile(bars: SessionBars) -> Floats:
    return np.percentile(_returns(bars), 5.0) - _returns(bars)


def _rolling_percentile(bars: SessionBars) -> Floats:
    moves = _returns(bars)
    return trailing(moves, _LONG, lambda each: np.percentile(each, 5.0, axis=-1)) - moves


def _rank(bars: SessionBars) -> Floats:
    return np.argsort(np.argsort(bars.volume)) / len(bars) - 0.9


def _rolling_rank(bars: SessionBars) -> Floats:
    return trailing(bars.volume, _LONG, lambda each: (each < each[..., -1:]).mean(axis=-1)) - 0.9


def _fitted(bars: SessionBars) -> Floats:
    """Regress the next move on the last two, over the whole sample."""
    moves = _returns(bars)
    table = np.stack((moves, np.nan_to_num(back(moves)), np.ones(len(moves))), axis=1)
    labels = np.nan_to_num(forth(moves))
    weights = np.linalg.lstsq(table, labels, rcond=None)[0]
    return np.asarray(table @ weights)


def _fitted_on_the_past(bars: SessionBars) -> Floats:
    """The slope of a move on the one before, over the last bars, times the newest move."""
    moves = _returns(bars)
    before = np.nan_to_num(back(moves))
    both = trailing(moves * before, _LONG, _mean)
    return moves * both / (trailing(before**2, _LONG, _mean) + 1e-12)


def _detrended(bars: SessionBars) -> Floats:
    rows = np.arange(len(bars), dtype=np.float64)
    slope, start = np.polyfit(rows, bars.close, 1) if len(bars) > 1 else (0.0, bars.close[0])
    column: Floats = start + slope * rows - bars.close
    return column


def _rolling_trend(bars: SessionBars) -> Floats:
    rows = np.arange(_LONG) - (_LONG - 1) / 2.0
    slope = trailing(bars.close, _LONG, lambda each: each @ rows / (rows @ rows))
    return trailing(bars.close, _LONG, _mean) + slope * (_LONG - 1) / 2.0 - bars.close


def _calm(bars: SessionBars) -> Floats:
    """Moves smaller than the sample's median move."""
    moves = np.abs(_returns(bars))
    column: Floats = np.median(moves) - moves
    return column


def _calmer_than_lately(bars: SessionBars) -> Floats:
    moves = np.abs(_returns(bars))
    return trailing(moves, _LONG, lambda each: np.median(each, axis=-1)) - moves


def _scaled(bars: SessionBars) -> Floats:
    """A move in units of the whole sample's volatility."""
    column: Floats = _returns(bars) / (_returns(bars).std() + 1e-12) - 1.0
    return column


def _scaled_lately(bars: SessionBars) -> Floats:
    moves = _returns(bars)
    return moves / (trailing(moves, _LONG, lambda each: each.std(axis=-1)) + 1e-12) - 1.0


def _place_in_the_sample(bars: SessionBars) -> Floats:
    """Trade in the second half of the sample, wherever that is."""
    return np.where(np.arange(len(bars)) > len(bars) // 2, bars.close - back(bars.close), 0.0)


def _place_in_the_session(bars: SessionBars) -> Floats:
    late = bars.closes_at - bars.opens > bars.ends - bars.closes_at
    return np.where(late, bars.close - back(bars.close), 0.0)


def _filtered(bars: SessionBars) -> Floats:
    """Slow waves of the whole sample."""
    waves = np.fft.rfft(bars.close)
    waves[max(len(waves) // 20, 1) :] = 0.0
    return np.fft.irfft(waves, len(bars)) - bars.close


def _filtered_so_far(bars: SessionBars) -> Floats:
    shape = np.hanning(_LONG + 1)[: _LONG // 2]
    slow = trailing(bars.close, _LONG // 2, lambda each: each @ shape / shape.sum())
    return slow - bars.close


def _lowest(bars: SessionBars) -> Floats:
    """Buy within a quarter of a per cent of the sample's low."""
    column: Floats = bars.low.min() * 1.0025 - bars.low
    return column


def _lowest_lately(bars: SessionBars) -> Floats:
    return trailing(bars.low, _LONG, lambda each: each.min(axis=-1)) * 1.0005 - bars.low


def _clipped(bars: SessionBars) -> Floats:
    """Outliers cut off at quantiles of the whole sample before a mean is taken."""
    low, high = np.quantile(bars.volume, [0.02, 0.98])
    return np.clip(bars.volume, low, high) - trailing(np.clip(bars.volume, low, high), 20, _mean)


def _clipped_lately(bars: SessionBars) -> Floats:
    most = trailing(bars.volume, _LONG, lambda each: np.quantile(each, 0.98, axis=-1))
    return np.minimum(bars.volume, most) - trailing(bars.volume, 20, _mean)


PAIRS: Final = (
    Pair(
        name="z-score of the whole sample",
        cheat=by_column(_zscore),
        honest=by_column(_rolling_zscore, warm_up=_LONG),
    ),
    Pair(
        name="min-max of the whole sample",
        cheat=by_column(_min_max),
        honest=by_column(_rolling_min_max, warm_up=_LONG),
    ),
    Pair(
        name="percentile of the whole sample",
        cheat=by_column(_percentile),
        honest=by_column(_rolling_percentile, warm_up=_LONG + 1),
    ),
    Pair(
        name="rank in the whole sample",
        cheat=by_column(_rank),
        honest=by_column(_rolling_rank, warm_up=_LONG),
    ),
    Pair(
        name="regression on the whole sample",
        cheat=by_column(_fitted),
        honest=by_column(_fitted_on_the_past, warm_up=_LONG + 2),
    ),
    Pair(
        name="trend of the whole sample",
        cheat=by_column(_detrended),
        honest=by_column(_rolling_trend, warm_up=_LONG),
    ),
    Pair(
        name="median of the whole sample",
        cheat=by_column(_calm),
        honest=by_column(_calmer_than_lately, warm_up=_LONG + 1),
    ),
    Pair(
        name="volatility of the whole sample",
        cheat=by_column(_scaled),
        honest=by_column(_scaled_lately, warm_up=_LONG + 1),
    ),
    Pair(
        name="place in the sample",
        cheat=by_column(_place_in_the_sample),
        honest=by_column(_place_in_the_session),
    ),
    Pair(
        name="waves of the whole sample",
        cheat=by_column(_filtered),
        honest=by_column(_filtered_so_far, warm_up=_LONG // 2),
    ),
    Pair(
        name="low of the whole sample",
        cheat=by_column(_lowest),
        honest=by_column(_lowest_lately, warm_up=_LONG),
    ),
    Pair(
        name="outliers of the whole sample",
        cheat=by_column(_clipped),
        honest=by_column(_clipped_lately, warm_up=_LONG),
    ),
)
