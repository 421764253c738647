"""Seeded bars on disk, as every engine reads them: one parquet file a symbol.

Prices are a walk on whole cents with volume in the shape of a U over the day; sessions are those
of the exchange in 2024. Columns: ts and closes_at (ns), day (ordinal), open, high, low, close,
volume, opens and ends (ns, of the session).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.backtests.cases import SYMBOLS
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.sessions import Session
from tools.calendar import ExchangeCalendar

MINUTE_NS: Final = 60_000_000_000
DAYS: Final = 2_520  # ten years


def make_bars(folder: Path, seed: int = 20240102) -> None:
    """Write `daily.parquet` and `minute_00.parquet` to `minute_19.parquet`."""
    calendar = ExchangeCalendar()
    year = list(calendar.sessions(date(2024, 1, 1), date(2024, 12, 31)))
    decade = list(calendar.sessions(date(2014, 1, 1), date(2024, 12, 31)))[:DAYS]
    rng = np.random.default_rng(seed)
    _write(folder / "daily.parquet", _daily(decade, rng))
    for number in range(SYMBOLS):
        _write(folder / f"minute_{number:02d}.parquet", _minutes(year, rng))


def _daily(sessions: list[Session], rng: np.random.Generator) -> dict[str, np.ndarray]:
    opens, ends = _edges(sessions)
    days = np.array([s.day.toordinal() for s in sessions], dtype=np.int64)
    ts = opens - opens % (24 * 60 * MINUTE_NS) + 5 * 60 * MINUTE_NS
    return _walk(rng, ts, ends, days, opens, ends, 0.012)


def _minutes(sessions: list[Session], rng: np.random.Generator) -> dict[str, np.ndarray]:
    opens, ends = _edges(sessions)
    days = np.array([s.day.toordinal() for s in sessions], dtype=np.int64)
    counts = (ends - opens) // MINUTE_NS
    at = np.repeat(np.arange(len(sessions)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    ts = opens[at] + (np.arange(len(at)) - first) * MINUTE_NS
    return _walk(rng, ts, ts + MINUTE_NS, days[at], opens[at], ends[at], 0.0006)


def _edges(sessions: list[Session]) -> tuple[np.ndarray, np.ndarray]:
    opens = np.array([to_ns(s.opens_at) for s in sessions], dtype=np.int64)
    return opens, np.array([to_ns(s.closes_at) for s in sessions], dtype=np.int64)


def _walk(
    rng: np.random.Generator,
    ts: np.ndarray,
    closes_at: np.ndarray,
    day: np.ndarray,
    opens: np.ndarray,
    ends: np.ndarray,
    deviation: float,
) -> dict[str, np.ndarray]:
    n = len(ts)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, deviation, n)))
    first = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, deviation / 4, n))
    reach = np.exp(np.abs(rng.normal(0.0, deviation / 2, (2, n))))
    part = (closes_at - opens) / (ends - opens)
    volume = np.round(rng.lognormal(9.0, 0.6, n) * (0.5 + 2.0 * (2.0 * part - 1.0) ** 2)) + 1_000.0
    return {
        "ts": ts,
        "closes_at": closes_at,
        "day": day,
        "open": np.round(first, 2),
        "high": np.round(np.maximum(first, close) * reach[0], 2),
        "low": np.round(np.minimum(first, close) / reach[1], 2),
        "close": np.round(close, 2),
        "volume": volume,
        "opens": opens,
        "ends": ends,
    }


def _write(path: Path, columns: dict[str, np.ndarray]) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd")
