"""The named features of a window of bars, and the setup vector made of them.

Gaps between prices are in ATR and returns in standard deviations, so that a feature means the same
for every symbol, price and bar length. What a short or motionless window does not show is its
neutral value, never NaN; where nothing moves, the oscillators stand at their middle. The gap
between two sessions is left out of volatility, which would otherwise be high every morning.
The setup vector holds nothing taken from text: what is remembered must not be written by strangers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from roboinvest.core.market.bars import BarSeries, Floats
from roboinvest.core.market.sessions import Session
from roboinvest.core.quant import indicators as ta

OSCILLATOR: Final = 14  # bars
TAIL: Final = 40  # bars; more than any indicator that forgets looks back
TOUCH: Final = 3  # bars in which a bounce shows
RECENT: Final = 10  # bars before the last, for a reclaim and for a squeeze
KELTNER_ATRS: Final = 1.5
DAY_BAR_MIN: Final = 390.0  # a bar this long holds a session
_FLOOR_FRAC: Final = 1e-5  # of the price: the least ATR and deviation that anything is divided by
_MINUTE_NS: Final = 60_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of bars with what every feature needs of it. It holds one bar or more."""

    series: BarSeries
    at: datetime  # UTC
    session: Session
    close: float  # USD per share, of the last bar
    atr: float  # USD per share, never zero
    true_range: Floats  # (n,), its average over time
    today: int  # row of the session's first bar; the length when it has none yet
    previous: int  # row of the first bar of the session before; equals `today` without one

    @classmethod
    def of(cls, series: BarSeries, at: datetime, session: Session) -> Window:
        """Return the window of a series."""
        today = int(np.searchsorted(series.day, session.day.toordinal(), side="left"))
        before = int(series.day[today - 1]) if today else 0
        close = float(series.close[-1])
        true_range = ta.atr(series.high, series.low, series.close)
        return cls(
            series=series,
            at=at,
            session=session,
            close=close,
            atr=max(ta.last(true_range, 0.0), _FLOOR_FRAC * close),
            true_range=true_range,
            today=today,
            previous=int(np.searchsorted(series.day, before, side="left")) if today else 0,
        )

    @property
    def bar_minutes(self) -> float:
        """Return the length of a bar; one at the edge of a session may be shorter."""
        tail = slice(-3, None)
        return float((self.series.closes_at[tail] - self.series.ts[tail]).max()) / _MINUTE_NS


def measure(window: Window) -> dict[str, float]:
    """Return every feature but those of levels and news, not yet rounded."""
    returns = _returns(window)
    features = {
        "bar_minutes": window.bar_minutes,
        "session_bars": float(len(window.series) - window.today),
        "session_part": _session_part(window),
        "atr_frac": window.atr / window.close,
    }
    features.update(_trend(window))
    features.update(_oscillators(window))
    features.update(_moves(window, returns))
    features.update(_volatility(window, returns))
    features.update(_volume(window))
    features.update(_session_average(window))
    features.update(_opening_range(window))
    return features


def setup_vector(features: Mapping[str, float]) -> tuple[float, ...]:
    """Return the sixteen numbers by which setups are compared, each scaled to about [-3, 3]."""
    f = features
    room = f["resistance_gap"] - f["support_gap"]
    scaled = (
        f["ema_gap"] / 0.8,
        f["long_gap"] / 2.5,
        f["di_balance"] * f["adx"] / 8.0,
        f["macd_hist"] * 5.0,
        f["bb_z"],
        (f["rsi"] - 50.0) / 12.0,
        (f["stoch_k"] - 50.0) / 25.0,
        f["vwap_gap"] / 4.0,
        f["move_15"],
        f["move_60"],
        math.log(max(f["vol_ratio"], 0.05)) * 2.0,
        math.log(max(f["squeeze"], 0.05) / 1.4) * 2.0,
        math.log(max(f["rel_volume"], 0.05)),
        f["obv_share"] * 4.0,
        room / 4.0,
        f["session_part"] * 4.0 - 2.0,
    )
    return tuple(round(clip(value, 3.0), 6) + 0.0 for value in scaled)


def clip(value: float, limit: float = 1.0) -> float:
    """Return `value` cut to [-limit, limit]."""
    return max(-limit, min(limit, value))


def _returns(window: Window) -> Floats:
    """Return log returns per bar, shape (n - 1,), zero from one session to the next."""
    close, day = window.series.close, window.series.day
    moves: Floats = np.diff(np.log(close))
    if window.bar_minutes < _session_minutes(window):
        moves[day[1:] != day[:-1]] = 0.0
    return moves


def _session_minutes(window: Window) -> float:
    return (window.session.closes_at - window.session.opens_at).total_seconds() / 60.0


def _session_part(window: Window) -> float:
    passed = (window.at - window.session.opens_at).total_seconds() / 60.0
    return max(0.0, min(1.0, passed / _session_minutes(window)))


def _deviation(values: Floats) -> float:
    if not len(values):
        return 0.0
    centred = values - values.sum() / len(values)
    return math.sqrt(float((centred * centred).sum()) / len(values))


def _trend(window: Window) -> dict[str, float]:
    s, close, atr = window.series, window.close, window.atr
    line, _, histogram = ta.macd(s.close)  # the line is EMA 12 less EMA 26
    plus, minus = (ta.last(half, 0.0) for half in ta.directional(s.high, s.low, s.close))
    return {
        "ema_gap": ta.last(line, 0.0) / atr,
        "long_gap": (close - ta.last(ta.ema(s.close, 50), close)) / atr,
        "adx": ta.last(ta.adx(s.high, s.low, s.close), 0.0),
        "di_balance": (plus - minus) / (plus + minus) if plus + minus > 0.0 else 0.0,
        "macd_hist": ta.last(histogram, 0.0) / atr,
    }


def _oscillators(window: Window) -> dict[str, float]:
    s, tail = window.series, slice(-TAIL, None)
    high, low, close, volume = s.high[tail], s.low[tail], s.close[tail], s.volume[tail]
    still = float(high[-1 - OSCILLATOR :].max()) == float(low[-1 - OSCILLATOR :].min())
    unpaid = still or float(volume[-OSCILLATOR:].max()) <= 0.0
    middle = ta.last(ta.sma(close, 20), window.close)
    deviation = max(ta.last(ta.stddev(close, 20), 0.0), _FLOOR_FRAC * window.close)
    return {
        "bb_z": clip((window.close - middle) / deviation, 6.0),
        "rsi": 50.0 if still else ta.last(ta.rsi(s.close), 50.0),
        "stoch_k": 50.0 if still else ta.last(ta.stochastic(high, low, close)[0], 50.0),
        "cci": 0.0 if still else ta.last(ta.cci(high, low, close), 0.0),
        "mfi": 50.0 if unpaid else ta.last(ta.mfi(high, low, close, volume), 50.0),
        "williams_r": -50.0 if still else ta.last(ta.williams_r(high, low, close), -50.0),
        "roc": ta.last(ta.roc(close), 0.0),
    }


def _moves(window: Window, returns: Floats) -> dict[str, float]:
    """Return the moves of 15 and 60 bars in standard deviations of a walk of that length."""
    close, n = window.series.close, len(window.series)
    unit = max(_deviation(returns[-120:]), _FLOOR_FRAC)
    return {
        f"move_{bars}": clip(
            math.log(window.close / float(close[-1 - bars])) / (unit * math.sqrt(bars)), 6.0
        )
        if n > bars
        else 0.0
        for bars in (15, 60)
    }


def _volatility(window: Window, returns: Floats) -> dict[str, float]:
    s, close = window.series, window.close
    usual = max(_deviation(returns), _FLOOR_FRAC)
    recent = _deviation(returns[-20:]) if len(returns) >= 20 else usual
    bands = 2.0 * ta.stddev(s.close[-TAIL:], 20)[-RECENT:]
    channel = KELTNER_ATRS * window.true_range[-RECENT:]
    ratios = bands / np.maximum(channel, _FLOOR_FRAC * close)
    thrust = (close - float(s.close[-1 - TOUCH])) / window.atr if len(s) > TOUCH else 0.0
    return {
        "vol_ratio": recent / usual,
        "squeeze": ta.last(ratios, 1.0),  # under 1: the Bollinger bands lie inside the Keltner
        "squeeze_low": ta.last(np.array([ratios.min()]), 1.0),
        "thrust": clip(thrust, 6.0),
    }


def _volume(window: Window) -> dict[str, float]:
    s = window.series
    before = s.volume[-21:-1]
    usual = float(before.sum()) / len(before) if len(before) else 0.0
    traded = float(s.volume[-20:].sum())
    flow = ta.obv(s.close[-21:], s.volume[-21:])
    net = float(flow[-1]) - float(flow[0])
    return {
        "rel_volume": min(float(s.volume[-1]) / usual, 20.0) if usual > 0.0 else 1.0,
        "obv_share": clip(net / traded) if traded > 0.0 else 0.0,
    }


def _session_average(window: Window) -> dict[str, float]:
    """Return where the price stands to the session's VWAP; zeros where a bar is the session."""
    s, rows = window.series, slice(window.today, None)
    count = len(s) - window.today
    if count < 2:
        return {"vwap_gap": 0.0, "vwap_below": 0.0, "vwap_touch": 0.0}
    average = ta.session_vwap(s.high[rows], s.low[rows], s.close[rows], s.volume[rows])
    under = s.close[rows][-1 - RECENT : -1] < average[-1 - RECENT : -1]
    touch = (s.low[rows][-TOUCH:] - average[-TOUCH:]).min()
    return {
        "vwap_gap": (window.close - float(average[-1])) / window.atr,
        "vwap_below": float(np.count_nonzero(under)) / len(under),
        "vwap_touch": float(touch) / window.atr,
    }


def _opening_range(window: Window) -> dict[str, float]:
    """Return how far the price is above the opening range (or below, negative), in ATR."""
    s, rows = window.series, slice(window.today, None)
    known = ta.opening_range(s.high[rows], s.low[rows], s.closes_at[rows], window.session)
    if known is None:
        return {"range_known": 0.0, "range_break": 0.0}
    top, bottom = known
    beyond = max(window.close - top, 0.0) + min(window.close - bottom, 0.0)
    return {"range_known": 1.0, "range_break": beyond / window.atr}
