"""Bars for a case: written out by its author, or made from a seed.

Sessions are invented (weekdays, 14:30 to 21:00 UTC, no holidays), so that a case means the same
wherever and whenever it is played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.random import Generator

from meta_agents.evolution.suites.forms import Bars, Given, Made
from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints, to_ns
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe

_FIRST: Final = date(2015, 1, 5)  # a Monday
_SESSION: Final = 390  # minutes
_MINUTE_NS: Final = 60_000_000_000
_REACH: Final = 0.001  # of the price, that a bar goes beyond its open and close
_VOLUME: Final = 1e6  # shares


def bars_of(scene: Bars, symbol: str) -> SessionBars:
    """Return the bars of a case.

    Raises:
        BadInput: a written bar's high or low does not hold its open and close.
    """
    values = _given(scene) if isinstance(scene, Given) else _made(scene)
    opens, ts, closes_at = _times(values.shape[1], scene.timeframe)
    return SessionBars(
        symbol=symbol,
        ts=ts,
        closes_at=closes_at,
        day=opens // (86_400 * 1_000_000_000) + _EPOCH_DAY,
        open=values[0],
        high=values[1],
        low=values[2],
        close=values[3],
        volume=values[4],
        opens=opens,
        ends=opens + _SESSION * _MINUTE_NS,
    )


_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def _given(scene: Given) -> Floats:
    values: Floats = np.array(scene.rows, dtype=np.float64).T
    opened, high, low, close = values[:4]
    wrong = (high < np.maximum(opened, close)) | (low > np.minimum(opened, close))
    if wrong.any():
        raise BadInput(
            f"bar {int(np.argmax(wrong))} of a case has its open or close outside low and high; "
            "write open, high, low, close, volume"
        )
    return values


def _made(scene: Made) -> Floats:
    rng = np.random.default_rng(scene.seed)
    close = np.round(scene.start * _PATHS[scene.kind](rng, scene.rows), 2)
    opened = np.concatenate(([round(scene.start, 2)], close[:-1]))
    if scene.kind == "gap":  # the night moves it, not the day
        at = _gaps(scene.rows)
        opened[at] = close[at]
    close, opened = np.maximum(close, 0.01), np.maximum(opened, 0.01)
    reach = 0.0 if scene.kind == "flat" else _REACH
    high = np.maximum(np.round(np.maximum(opened, close) * (1 + reach), 2), opened)
    low = np.minimum(np.round(np.minimum(opened, close) * (1 - reach), 2), opened)
    high, low = np.maximum(high, close), np.maximum(np.minimum(low, close), 0.01)
    return np.stack([opened, high, low, close, np.full(scene.rows, _VOLUME)])


def _trend(rng: Generator, rows: int) -> Floats:
    path: Floats = np.exp(np.cumsum(0.002 + rng.normal(0.0, 0.003, rows)))
    return path


def _range(rng: Generator, rows: int) -> Floats:
    path: Floats = 1.0 + 0.03 * np.sin(np.arange(rows) * 2 * np.pi / 40)
    return path * (1.0 + rng.normal(0.0, 0.001, rows))


def _gap(rng: Generator, rows: int) -> Floats:
    steps = rng.normal(0.0, 0.002, rows)
    at = _gaps(rows)
    steps[at] += np.where(np.arange(len(at)) % 2 == 0, 0.05, -0.05)
    path: Floats = np.exp(np.cumsum(steps))
    return path


def _gaps(rows: int) -> Ints:
    return np.arange(rows // 4, rows, max(rows // 4, 1), dtype=np.int64)


def _crash(rng: Generator, rows: int) -> Floats:
    steps = 0.001 + rng.normal(0.0, 0.002, rows)
    begin = rows * 2 // 3
    steps[begin : begin + 20] = np.log(0.7) / 20  # 30 % down in 20 bars
    path: Floats = np.exp(np.cumsum(steps))
    return path


def _flat(_rng: Generator, rows: int) -> Floats:
    return np.ones(rows)


def _walk(rng: Generator, rows: int) -> Floats:
    path: Floats = np.exp(np.cumsum(rng.normal(0.0, 0.006, rows)))
    return path


_PATHS: Final[Mapping[str, Callable[[Generator, int], Floats]]] = {
    "trend": _trend,
    "range": _range,
    "gap": _gap,
    "crash": _crash,
    "flat": _flat,
    "walk": _walk,
}


def _times(rows: int, timeframe: Timeframe) -> tuple[Ints, Ints, Ints]:
    """Return the session's open, the bar's open and the bar's close of each row, in ns."""
    minutes = _SESSION if timeframe is Timeframe.DAY else timeframe.length // timedelta(minutes=1)
    in_session = -(-_SESSION // minutes)
    days, place = np.divmod(np.arange(rows, dtype=np.int64), in_session)
    weeks, weekday = np.divmod(days, 5)
    first = to_ns(datetime(_FIRST.year, _FIRST.month, _FIRST.day, 14, 30, tzinfo=UTC))
    opens = first + (weeks * 7 + weekday) * 86_400 * 1_000_000_000
    ts = opens + place * minutes * _MINUTE_NS
    closes_at = np.minimum(ts + minutes * _MINUTE_NS, opens + _SESSION * _MINUTE_NS)
    return opens, ts, closes_at
