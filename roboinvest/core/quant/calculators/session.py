"""What a session knows of itself so far, and of the one before.

A session has the rows of one exchange day. History has to begin with a session's first bar: what
begins in the middle of one is read as if the session had begun there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.quant.calculators import windows
from roboinvest.core.quant.calculators.arguments import declared, positive, ratio, typical, whole
from roboinvest.core.quant.calculators.by_session import BySession, Running
from roboinvest.core.strategy import Calculator, Number

_MINUTE_NS: Final = 60_000_000_000
_LONGEST_MIN: Final = 1440.0


def session_vwap() -> Calculator:
    """Return the session's volume-weighted average of the typical price so far.

    Before the first share has changed hands it is the typical price itself.
    """

    def compute(bars: SessionBars) -> Floats:
        sessions, price = BySession.of(bars), typical(bars)
        shares = sessions.running(bars.volume, np.add, 0.0)
        paid = sessions.running(price * bars.volume, np.add, 0.0)
        return np.divide(paid, shares, out=price, where=shares > 0.0)

    return declared("session_vwap", 0, compute)


def session_open() -> Calculator:
    """Return the open of the session's first bar."""

    def compute(bars: SessionBars) -> Floats:
        return BySession.of(bars).first(bars.open)

    return declared("session_open", 0, compute)


def session_high() -> Calculator:
    """Return the session's high so far, this bar included."""

    def compute(bars: SessionBars) -> Floats:
        return BySession.of(bars).running(bars.high, np.maximum, -np.inf)

    return declared("session_high", 0, compute)


def session_low() -> Calculator:
    """Return the session's low so far, this bar included."""

    def compute(bars: SessionBars) -> Floats:
        return BySession.of(bars).running(bars.low, np.minimum, np.inf)

    return declared("session_low", 0, compute)


def session_move() -> Calculator:
    """Return the close over the session's open, minus 1."""

    def compute(bars: SessionBars) -> Floats:
        return ratio(bars.close, BySession.of(bars).first(bars.open)) - 1.0

    return declared("session_move", 0, compute)


def session_bar() -> Calculator:
    """Return how many bars of the session came before this one."""

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        return (np.arange(len(bars)) - sessions.starts[sessions.number]).astype(np.float64)

    return declared("session_bar", 0, compute)


def previous_close() -> Calculator:
    """Return the last close of the session before; NaN in the first."""

    def compute(bars: SessionBars) -> Floats:
        return BySession.of(bars).previous(bars.close)

    return declared("previous_close", 1, compute)


def previous_high() -> Calculator:
    """Return the high of the session before; NaN in the first."""

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        return sessions.previous(sessions.running(bars.high, np.maximum, -np.inf))

    return declared("previous_high", 1, compute)


def previous_low() -> Calculator:
    """Return the low of the session before; NaN in the first."""

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        return sessions.previous(sessions.running(bars.low, np.minimum, np.inf))

    return declared("previous_low", 1, compute)


def previous_move() -> Calculator:
    """Return the last close of the session before over its open, minus 1; NaN in the first."""

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        return sessions.previous(ratio(bars.close, sessions.first(bars.open)) - 1.0)

    return declared("previous_move", 1, compute)


def gap_frac() -> Calculator:
    """Return the session's open over the close before it, minus 1; NaN in the first session."""

    def compute(bars: SessionBars) -> Floats:
        sessions = BySession.of(bars)
        return _gaps(bars, sessions)[sessions.number]

    return declared("gap_frac", 1, compute)


def overnight_drift(sessions: Number) -> Calculator:
    """Return the mean gap of so many sessions, the running one's included, as a fraction."""
    count = whole("overnight_drift", "sessions", sessions)

    def compute(bars: SessionBars) -> Floats:
        by_session = BySession.of(bars)
        return windows.mean(_gaps(bars, by_session), count)[by_session.number]

    return declared("overnight_drift", count, compute, count)


def opening_range_high(minutes: Number) -> Calculator:
    """Return the high of the session's first minutes, once they are over; NaN before.

    They are over when a bar closes at or after their end. Bars that closed by then are inside;
    NaN where none did, as with bars longer than the range.
    """
    length = positive("opening_range_high", "minutes", minutes, _LONGEST_MIN)

    def compute(bars: SessionBars) -> Floats:
        return _opening(bars, bars.high, length, np.maximum, -np.inf)

    return declared("opening_range_high", 0, compute, length)


def opening_range_low(minutes: Number) -> Calculator:
    """Return the low of the session's first minutes, as `opening_range_high` does the high."""
    length = positive("opening_range_low", "minutes", minutes, _LONGEST_MIN)

    def compute(bars: SessionBars) -> Floats:
        return _opening(bars, bars.low, length, np.minimum, np.inf)

    return declared("opening_range_low", 0, compute, length)


def relative_volume(period: Number) -> Calculator:
    """Return a bar's volume over the mean of the `period` bars before it; NaN over nothing."""
    length = whole("relative_volume", "period", period)

    def compute(bars: SessionBars) -> Floats:
        return ratio(bars.volume, windows.before(windows.mean(bars.volume, length)))

    return declared("relative_volume", length, compute, length)


def _gaps(bars: SessionBars, sessions: BySession) -> Floats:
    """Return each session's gap, shape (sessions,)."""
    return ratio(bars.open[sessions.starts], sessions.last_of_previous(bars.close)) - 1.0


def _opening(
    bars: SessionBars, values: Floats, minutes: float, combine: Running, neutral: float
) -> Floats:
    over = bars.opens + round(minutes * _MINUTE_NS)
    inside = np.where(bars.closes_at <= over, values, neutral)
    extreme = BySession.of(bars).running(inside, combine, neutral)
    return np.where((bars.closes_at >= over) & np.isfinite(extreme), extreme, np.nan)
