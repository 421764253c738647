"""Windows of bars, observations and briefs made by hand, for tests of the quantitative expert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.market.bars import BarColumns, BarSeries, from_ns
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Bar, Level, Regime, Timeframe, Trend, Volatility
from roboinvest.core.quant.expert import SymbolBrief
from roboinvest.core.quant.memories import CalibrationCell, SimilarSetup
from roboinvest.core.quant.observation import Observation, observe

FIRST_DAY = date(2024, 3, 4)
SESSION_MINUTES = 390


def session_on(day: date) -> Session:
    """Return a regular session, 14:30 to 21:00 UTC."""
    opens_at = datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC)
    closes_at = opens_at + timedelta(minutes=SESSION_MINUTES)
    return Session(day=day, opens_at=opens_at, closes_at=closes_at, is_half_day=False)


def series_of(
    closes: Sequence[float] | NDArray[np.float64],
    *,
    spread: float = 0.05,
    volumes: Sequence[float] | NDArray[np.float64] | None = None,
    timeframe: Timeframe = Timeframe.MINUTE,
    symbol: str = "TEST",
) -> BarSeries:
    """Return bars with these closes over consecutive sessions.

    A bar opens at the close before it and reaches `spread` beyond both.
    """
    columns = BarColumns(symbol, capacity=max(16, len(closes)))
    day, session = FIRST_DAY, session_on(FIRST_DAY)
    ts, before = _first_open(session, timeframe), float(closes[0]) if len(closes) else 0.0
    for row, close in enumerate(float(value) for value in closes):
        if ts >= session.closes_at or (timeframe is Timeframe.DAY and row):
            day += timedelta(days=1)
            session = session_on(day)
            ts = _first_open(session, timeframe)
        bar = Bar(
            symbol=symbol,
            ts=ts,
            closes_at=session.bar_close(ts, timeframe),
            open=before,
            high=max(before, close) + spread,
            low=min(before, close) - spread,
            close=close,
            volume=1000.0 if volumes is None else float(volumes[row]),
        )
        columns.append(bar, day)
        ts, before = ts + timeframe.length, close
    return columns.window(len(columns), max(1, len(columns)))


def _first_open(session: Session, timeframe: Timeframe) -> datetime:
    if timeframe is Timeframe.DAY:
        return session.opens_at.replace(hour=5, minute=0)
    return session.opens_at


def walk(seed: int, length: int, *, step: float = 0.0005, start: float = 100.0) -> list[float]:
    """Return a random walk of closes."""
    moves = np.random.default_rng(seed).normal(0.0, step, length)
    closes: list[float] = np.round(start * np.exp(np.cumsum(moves)), 2).tolist()
    return closes


def head(series: BarSeries, length: int) -> BarSeries:
    """Return the oldest `length` bars, copied, so that nothing after them can be reached."""
    rows = slice(0, length)
    return BarSeries(
        symbol=series.symbol,
        ts=series.ts[rows].copy(),
        closes_at=series.closes_at[rows].copy(),
        day=series.day[rows].copy(),
        open=series.open[rows].copy(),
        high=series.high[rows].copy(),
        low=series.low[rows].copy(),
        close=series.close[rows].copy(),
        volume=series.volume[rows].copy(),
    )


def look(
    series: BarSeries,
    *,
    vix: float | None = None,
) -> Observation:
    """Observe a series at the close of its last bar."""
    last_day = date.fromordinal(int(series.day[-1])) if len(series) else FIRST_DAY
    session = session_on(last_day)
    at = from_ns(series.closes_at[-1]) if len(series) else session.opens_at
    return observe(series, at=at, session=session, vix=vix)


QUIET = {
    "bar_minutes": 1.0,
    "session_bars": 120.0,
    "session_part": 0.3,
    "atr_frac": 0.0005,
    "ema_gap": 0.0,
    "long_gap": 0.0,
    "adx": 12.0,
    "di_balance": 0.0,
    "macd_hist": 0.0,
    "bb_z": 0.0,
    "rsi": 50.0,
    "stoch_k": 50.0,
    "cci": 0.0,
    "mfi": 50.0,
    "williams_r": -50.0,
    "roc": 0.0,
    "move_15": 0.0,
    "move_60": 0.0,
    "vol_ratio": 1.0,
    "squeeze": 1.4,
    "squeeze_low": 1.2,
    "thrust": 0.0,
    "rel_volume": 1.0,
    "obv_share": 0.0,
    "vwap_gap": 0.0,
    "vwap_below": 0.5,
    "vwap_touch": 0.0,
    "range_known": 1.0,
    "range_break": 0.0,
    "support_gap": 6.0,
    "resistance_gap": 6.0,
}
"""Every feature where nothing happens."""

BULLISH = {
    "ema_gap": 1.2,
    "adx": 35.0,
    "di_balance": 0.6,
    "move_15": 1.5,
    "move_60": 2.0,
    "range_break": 2.0,
    "vwap_gap": 1.0,
    "vwap_below": 0.0,
    "vwap_touch": 0.0,
}
"""What speaks for a purchase, on top of `QUIET`."""

BEARISH = {
    "ema_gap": -1.2,
    "adx": 35.0,
    "di_balance": -0.6,
    "move_15": -1.5,
    "move_60": -2.0,
    "range_break": -2.0,
    "vwap_gap": -1.0,
    "vwap_below": 0.1,
    "vwap_touch": -2.0,
}
"""What speaks against holding, on top of `QUIET`."""


def seen(
    setup: Mapping[str, float] = QUIET,
    *,
    symbol: str = "TEST",
    close: float = 100.0,
    levels: tuple[Level, ...] = (),
    trend: Trend = Trend.RANGE,
    volatility: Volatility = Volatility.CALM,
    warm: bool = True,
    **features: float,
) -> Observation:
    """Return an observation in which nothing happens but `setup` and the given features."""
    changed = {**setup, **features}
    unknown = changed.keys() - QUIET.keys()
    assert not unknown, f"no such features: {sorted(unknown)}"
    at = session_on(FIRST_DAY).opens_at + timedelta(minutes=120)
    return Observation(
        symbol=symbol,
        at=at,
        bar_ts=at - timedelta(minutes=1),
        close=close,
        bars=400 if warm else 20,
        warm=warm,
        features=QUIET | changed,
        vector=(0.0,) * 16 if warm else (),
        levels=levels,
        regime=Regime(trend=trend, volatility=volatility, vix=None),
    )


def brief(
    observation: Observation,
    *,
    held: str = "0",
    entry_price: str | None = None,
    bars_held: int = 0,
    outcomes: Sequence[float] = (),
    cells: tuple[CalibrationCell, ...] = (),
    time_left_min: float = 200.0,
    cooling_down: bool = False,
    blocked: str | None = None,
) -> SymbolBrief:
    """Return a brief of one symbol; `outcomes` are the R of similar setups, all at hand."""
    similar = tuple(
        SimilarSetup(memory_id=f"m{number}", distance=0.0, r_multiple=r)
        for number, r in enumerate(outcomes)
    )
    return SymbolBrief(
        observation=observation,
        position_qty=Decimal(held),
        entry_price=None if entry_price is None else Decimal(entry_price),
        bars_held=bars_held,
        similar=similar,
        cells=cells,
        time_left_min=time_left_min,
        cooling_down=cooling_down,
        blocked=blocked,
    )
