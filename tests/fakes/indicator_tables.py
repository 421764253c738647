"""Tables that other libraries computed, read as columns, and the bars they were computed from."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from roboinvest.core.market.bars import FIELDS, Floats, to_ns
from roboinvest.core.market.session_bars import SessionBars
from tests.fakes.tapes import session_on, weekdays

Columns = Mapping[str, Floats]


def read_table(path: Path) -> dict[str, Floats]:
    """Return the columns that hold numbers, by their names in small letters; NaN where empty."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        names = [name for name in table.column_names if name not in ("symbol", "ts")]
        return {name: table[name].to_numpy().astype(np.float64) for name in names}
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    columns: dict[str, Floats] = {}
    for name in rows[0]:
        texts = [row[name] or "nan" for row in rows] if name else []
        if name and all(_is_number(text) for text in texts):
            columns[name.strip().lower()] = np.array([float(text) for text in texts])
    return columns


def read_months(path: Path) -> list[int]:
    """Return each row's month as a number, from its first column, an ISO date."""
    with path.open(newline="") as lines:
        dates = [row[0] for row in csv.reader(lines)][1:]
    return [int(text[:4]) * 12 + int(text[5:7]) for text in dates]


def day_bars(columns: Columns, *, still: int = 0, symbol: str = "SPY") -> SessionBars:
    """Return day bars with the prices of a table, a session each; what it lacks is the close.

    `still` bars without movement at the first close come before them: a market in which every
    average has settled at the first price.
    """
    close = columns["close"] if "close" in columns else columns["input"]
    rows = [np.concatenate((np.full(still, close[0]), columns.get(name, close))) for name in FIELDS]
    days = weekdays(len(rows[0]))
    sessions = [session_on(day) for day in days]
    return SessionBars(
        symbol=symbol,
        ts=np.array([to_ns(datetime(d.year, d.month, d.day, 5, tzinfo=UTC)) for d in days]),
        closes_at=np.array([to_ns(each.closes_at) for each in sessions]),
        day=np.array([day.toordinal() for day in days]),
        opens=np.array([to_ns(each.opens_at) for each in sessions]),
        ends=np.array([to_ns(each.closes_at) for each in sessions]),
        open=rows[0],
        high=rows[1],
        low=rows[2],
        close=rows[3],
        volume=rows[4],
    )


def with_sessions(bars: SessionBars, days: list[int]) -> SessionBars:
    """Return bars of which those with equal `days` make up one session."""
    return replace(bars, day=np.array(days, dtype=np.int64))


def beside(bars: SessionBars, other: SessionBars) -> SessionBars:
    """Return bars with another symbol's beside them."""
    return replace(bars, others={other.symbol: other})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
