"""Tapes: session bars that tests play strategies on, invented from a seed or written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.sessions import Session

MINUTE = timedelta(minutes=1)
FIRST_DAY = date(2024, 1, 2)


def weekdays(count: int, first: date = FIRST_DAY) -> list[date]:
    """Return the next `count` days from Monday to Friday."""
    days: list[date] = []
    day = first
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def session_on(day: date, *, minutes: int = 390) -> Session:
    """Return a session from 14:30 UTC; a shorter one is a half day."""
    opens = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    return Session(
        day=day,
        opens_at=opens,
        closes_at=opens + minutes * MINUTE,
        is_half_day=minutes < 390,
    )


def minute_tape(
    seed: int,
    *,
    days: int = 5,
    symbol: str = "SPY",
    minutes: int = 390,
    start: float = 100.0,
    deviation: float = 0.0006,
    missing: float = 0.0,
) -> SessionBars:
    """Return minute bars of a seeded walk on whole cents; `missing` is the share left out."""
    sessions = [session_on(day, minutes=minutes) for day in weekdays(days)]
    ts = [to_ns(s.opens_at + k * MINUTE) for s in sessions for k in range(minutes)]
    return _walk(seed, symbol, sessions, ts, 60_000_000_000, start, deviation, missing)


def daily_tape(
    seed: int,
    *,
    days: int = 500,
    symbol: str = "SPY",
    start: float = 100.0,
    deviation: float = 0.012,
    drift: float = 0.0003,
) -> SessionBars:
    """Return day bars of a seeded walk on whole cents, stamped at midnight in New York (EST)."""
    sessions = [session_on(day) for day in weekdays(days)]
    ts = [to_ns(datetime(s.day.year, s.day.month, s.day.day, 5, tzinfo=UTC)) for s in sessions]
    return _walk(seed, symbol, sessions, ts, 0, start, deviation, 0.0, drift)


def tape(
    rows: Sequence[tuple[float, float, float, float] | tuple[float, float, float, float, float]],
    *,
    symbol: str = "SPY",
    day: date = FIRST_DAY,
    minutes: int = 390,
) -> SessionBars:
    """Return minute bars (open, high, low, close, and volume or a million) from a session's open.

    Rows beyond `minutes` go on in the next sessions.
    """
    count = -(-len(rows) // minutes)
    sessions = [session_on(each, minutes=minutes) for each in weekdays(count, day)]
    ts = [to_ns(s.opens_at + k * MINUTE) for s in sessions for k in range(minutes)][: len(rows)]
    values = np.array([(*row, 1e6)[:5] for row in rows], dtype=np.float64).T
    return _bars(symbol, sessions, np.array(ts, dtype=np.int64), 60_000_000_000, values)


def _walk(
    seed: int,
    symbol: str,
    sessions: Sequence[Session],
    ts: Sequence[int],
    length_ns: int,
    start: float,
    deviation: float,
    missing: float,
    drift: float = 0.0,
) -> SessionBars:
    rng, n = np.random.default_rng(seed), len(ts)
    close = start * np.exp(np.cumsum(rng.normal(drift, deviation, n)))
    opens = np.concatenate(([start], close[:-1])) * np.exp(rng.normal(0.0, deviation / 4, n))
    top = np.maximum(opens, close) * np.exp(np.abs(rng.normal(0.0, deviation / 2, n)))
    bottom = np.minimum(opens, close) * np.exp(-np.abs(rng.normal(0.0, deviation / 2, n)))
    volume = rng.integers(1_000, 200_000, n).astype(np.float64)
    values = np.vstack([np.round([opens, top, bottom, close], 2), volume[None, :]])
    keep = rng.random(n) >= missing
    return _bars(symbol, sessions, np.array(ts, dtype=np.int64)[keep], length_ns, values[:, keep])


def _bars(
    symbol: str, sessions: Sequence[Session], ts: np.ndarray, length_ns: int, values: np.ndarray
) -> SessionBars:
    opens = np.array([to_ns(s.opens_at) for s in sessions], dtype=np.int64)
    ends = np.array([to_ns(s.closes_at) for s in sessions], dtype=np.int64)
    days = np.array([s.day.toordinal() for s in sessions], dtype=np.int64)
    at = np.searchsorted(ends, ts, side="right")
    closes = np.minimum(ts + length_ns, ends[at]) if length_ns else ends[at]
    return SessionBars(
        symbol=symbol,
        ts=ts,
        closes_at=closes,
        day=days[at],
        open=values[0],
        high=values[1],
        low=values[2],
        close=values[3],
        volume=values[4],
        opens=opens[at],
        ends=ends[at],
    )
