"""Every figure of the oracle has its place: held to it here, held to it elsewhere, or named.

`tests/core/test_performance.py` holds the figures of `core.performance` to the same file. Here are
the remaining ones, and the statistics that resamples and trials are judged by, which must be the
same figures: a bootstrap of another Sharpe ratio would be an interval of nothing.
"""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from roboinvest.core import performance
from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.statistics.curve import downside_deviation, stability
from roboinvest.core.statistics.intervals import (
    drawdown_statistic,
    sharpe_statistic,
    win_rate_statistic,
)
from roboinvest.core.statistics.sharpe import annual, moments

TOLERANCE = 1e-9
SMALL = ("all_positive", "all_negative", "flat", "zeros", "one", "empty")
SERIES = (
    ("SPY", date(2008, 1, 1), date(2010, 1, 1)),
    ("AAPL", date(2015, 1, 1), date(2019, 1, 1)),
    ("IBM", date(2010, 1, 1), date(2014, 1, 1)),
)
ELSEWHERE = {  # test_performance.py
    *("annual_return_252", "annual_volatility_252", "calmar", "cvar_95", "omega", "tail_ratio"),
    *("var_95", "sortino_252_req0", "qs_cagr", "qs_payoff_ratio", "qs_profit_factor"),
    *("qs_sortino", "n"),
}
# Named differences. Where nothing was tried, or nothing moved, the oracle gives a win rate of 0; we
# give none. It leaves days without a move out of its win rate, so that the same is done here before
# comparing; our win rates count them as not won, as a trade that broke even.
DIFFERENT = {("empty", "qs_win_rate"), ("zeros", "qs_win_rate")}


@pytest.fixture(scope="module")
def expected(data_pack: Path) -> dict[str, Any]:
    """Return the oracle: figures of two other libraries for ten series of returns."""
    text = (data_pack / "metrics" / "expected_metrics.json").read_text()
    oracle: dict[str, Any] = json.loads(text)
    return oracle


def real_returns(pack: Path, symbol: str, first: date, last: date) -> Floats:
    """Return simple returns of raw daily closes in [first, last)."""
    table = pq.read_table(
        pack / "bars" / "daily_equity.parquet",
        filters=[("symbol", "=", symbol), ("source", "=", "lean")],
        columns=["ts", "close"],
    )
    low, high = (np.datetime64(day, "ns") for day in (first, last))
    ts = table["ts"].to_numpy().astype("datetime64[ns]")
    return performance.simple_returns(table["close"].to_numpy()[(ts >= low) & (ts < high)])


def ours(r: Floats) -> dict[str, float | None]:
    """Return our figures under the oracle's names."""
    enough = len(r) > 1
    found = moments(r)
    sharpe = float(sharpe_statistic()(r[None, :])[0]) if enough else math.nan
    fall = -float(drawdown_statistic(r[None, :])[0]) if len(r) else None
    moved = r[r != 0.0]
    won = performance.wilson_interval(int((moved > 0.0).sum()), len(moved))
    deviation = performance.annual_volatility(r)
    return {
        "sharpe_252_rf0": annual(found.sharpe) if found else None,
        "qs_sharpe": None if math.isnan(sharpe) else sharpe,
        "max_drawdown": fall,
        "qs_max_drawdown": fall,
        "cum_return_final": float(np.prod(1.0 + r) - 1.0) if len(r) else None,
        "downside_risk": downside_deviation(r),
        "stability": stability(r),
        "qs_volatility": deviation,
        "qs_win_rate": won.value if won else None,
    }


def assert_agrees(case: str, metrics: dict[str, Any], r: Floats) -> None:
    for name, value in ours(r).items():
        theirs = None if (case, name) in DIFFERENT else metrics[name]
        if theirs is None:
            assert value is None, f"{case} {name}: {value}, where there is none"
        else:
            assert value is not None, f"{case} {name}: None, where the oracle has {theirs}"
            assert value == pytest.approx(theirs, rel=TOLERANCE, abs=TOLERANCE), f"{case} {name}"


@pytest.mark.parametrize("name", SMALL)
def test_small_series_agree_with_the_oracle(expected: dict[str, Any], name: str) -> None:
    case = expected[f"small/{name}"]
    assert_agrees(name, case["metrics"], np.array(case["returns"], dtype=np.float64))


def test_a_missing_first_return_is_refused_and_the_rest_agrees(expected: dict[str, Any]) -> None:
    """Named difference: the oracle skips what is missing; we ask to drop or repair it."""
    case = expected["small/mixed"]
    with pytest.raises(BadInput, match="Return 0 of 9 is nan"):
        moments([math.nan, *case["returns"][1:]])
    rest = np.array(case["returns"][1:], dtype=np.float64)
    assert_agrees("mixed", case["metrics"], rest)


@pytest.mark.parametrize(("symbol", "first", "last"), SERIES, ids=[s[0] for s in SERIES])
def test_years_of_real_returns_agree_with_the_oracle(
    data_pack: Path, expected: dict[str, Any], symbol: str, first: date, last: date
) -> None:
    metrics = expected[f"series/{symbol}_{first}_{last}"]["metrics"]
    r = real_returns(data_pack, symbol, first, last)
    assert_agrees(symbol, metrics, r)
    still = int(np.sum(r == 0.0))
    share = float(win_rate_statistic(r[None, :])[0])
    assert share == pytest.approx(metrics["qs_win_rate"] * (len(r) - still) / len(r))


def test_no_figure_of_the_oracle_is_left_unsaid(expected: dict[str, Any]) -> None:
    said = set(ours(np.array([0.01, -0.02, 0.03]))) | ELSEWHERE
    for case in expected.values():
        names = {name for name in case["metrics"] if not name.endswith(("_nonfinite", "_error"))}
        assert names <= said, names - said


def test_a_straight_rise_is_stable_and_a_flat_curve_has_no_stability() -> None:
    assert stability([0.01] * 9) == pytest.approx(1.0)
    assert stability([0.0] * 9) is None
    assert stability([0.01]) is None
    assert stability([0.1, -1.0, 0.1]) is None
    assert downside_deviation([]) is None
    assert downside_deviation([0.01, -0.01]) == pytest.approx(0.01 * math.sqrt(126))
    with pytest.raises(BadInput, match="Return 1 of 2 is nan"):
        stability([0.1, math.nan])
    with pytest.raises(BadInput, match="Return 1 of 2 is nan"):
        downside_deviation([0.1, math.nan])
