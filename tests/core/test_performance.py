"""Figures against published ones, against hand-made ones, and where there is none to give."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core import performance as p
from roboinvest.core.errors import BadInput
from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Leg

TOLERANCE = 1e-9
SMALL = ("mixed", "all_positive", "all_negative", "flat", "zeros", "one", "empty")
SERIES = (
    ("SPY", date(2008, 1, 1), date(2010, 1, 1)),
    ("AAPL", date(2015, 1, 1), date(2019, 1, 1)),
    ("IBM", date(2010, 1, 1), date(2014, 1, 1)),
)


@pytest.fixture(scope="module")
def expected(data_pack: Path) -> dict[str, Any]:
    """Return the oracle: figures of two other libraries for ten series of returns."""
    text = (data_pack / "metrics" / "expected_metrics.json").read_text()
    oracle: dict[str, Any] = json.loads(text)
    return oracle


def closes(pack: Path, symbol: str, first: date, last: date) -> list[float]:
    """Return raw daily closes in [first, last)."""
    table = pq.read_table(
        pack / "bars" / "daily_equity.parquet",
        filters=[("symbol", "=", symbol), ("source", "=", "lean")],
        columns=["ts", "close"],
    )
    low, high = (np.datetime64(day, "ns") for day in (first, last))
    ts = table["ts"].to_numpy().astype("datetime64[ns]")
    return [float(x) for x in table["close"].to_numpy()[(ts >= low) & (ts < high)]]


def assert_agrees(metrics: dict[str, Any], returns: Sequence[float]) -> None:
    """Hold every figure with a shared convention to the oracle."""
    r = list(returns)
    curve = np.concatenate(([1.0], np.cumprod(1.0 + np.asarray(r))))
    fall = p.drawdown(curve)
    pairs: list[tuple[str, float | None]] = [
        ("annual_volatility_252", p.annual_volatility(r)),
        ("sharpe_252_rf0", p.sharpe(r)),
        ("sortino_252_req0", p.sortino(r)),
        ("tail_ratio", p.tail_ratio(r)),
        ("cvar_95", p.expected_shortfall(r)),
        ("annual_return_252", p.annual_return(r)),
        ("calmar", p.calmar(r)),
        ("omega", p.omega(r)),
        ("qs_sharpe", p.sharpe(r)),
        ("qs_sortino", p.sortino(r)),
        ("qs_cagr", p.annual_return(r)),
        ("qs_profit_factor", p.profit_factor(r)),
        ("qs_payoff_ratio", p.payoff_ratio(r)),
        ("var_95", p.value_at_risk(r)),
        # Named difference: the oracle's drawdown is a negative return, ours a positive fraction.
        ("max_drawdown", -fall.depth if fall is not None and r else None),
    ]
    for name, ours in pairs:
        theirs = metrics[name]
        if name in NAMED_DIFFERENCES.get(len(r), {}):
            assert ours == NAMED_DIFFERENCES[len(r)][name], name
        elif theirs is None:
            assert ours is None, f"{name}: {ours}, where the oracle has nan or inf"
        else:
            assert ours is not None, f"{name}: None, where the oracle has {theirs}"
            assert ours == pytest.approx(theirs, rel=TOLERANCE, abs=TOLERANCE), name


# Where we differ on purpose, by length of the series. The oracle gives an empty series the profit
# factor 0, as if everything had been lost; nothing was tried, so there is none.
NAMED_DIFFERENCES: dict[int, dict[str, float | None]] = {0: {"qs_profit_factor": None}}


@pytest.mark.parametrize("name", [n for n in SMALL if n not in ("mixed", "zeros")])
def test_small_series_agree_with_the_oracle(expected: dict[str, Any], name: str) -> None:
    case = expected[f"small/{name}"]
    assert_agrees(case["metrics"], case["returns"])


def test_a_series_of_zeros_differs_only_in_the_profit_factor(expected: dict[str, Any]) -> None:
    """Named difference: the oracle calls 0 won over 0 lost a profit factor of 0; it has none."""
    case = expected["small/zeros"]
    assert p.profit_factor(case["returns"]) is None
    assert_agrees(case["metrics"] | {"qs_profit_factor": None}, case["returns"])


def test_a_missing_first_return_changes_only_what_counts_periods(expected: dict[str, Any]) -> None:
    """Named difference: the oracle drops a missing value from sums and still counts its period."""
    case = expected["small/mixed"]
    assert case["returns"][0] is None
    returns = case["returns"][1:]
    with pytest.raises(BadInput, match="Value 0 of 9"):
        p.sharpe([math.nan, *returns])
    n_counted, n_real = len(returns) + 1, len(returns)
    ours = p.annual_return(returns)
    assert ours is not None
    as_theirs = (1.0 + ours) ** (n_real / n_counted) - 1.0
    assert as_theirs == pytest.approx(case["metrics"]["annual_return_252"], rel=TOLERANCE)
    agreed = {
        "annual_return_252": ours,
        "calmar": ours / 0.1,
        "var_95": float(np.quantile(returns, 0.05)),
    }
    assert_agrees(case["metrics"] | agreed, returns)


@pytest.mark.parametrize(("symbol", "first", "last"), SERIES, ids=[s[0] for s in SERIES])
def test_years_of_real_returns_agree_with_the_oracle(
    data_pack: Path, expected: dict[str, Any], symbol: str, first: date, last: date
) -> None:
    equity = closes(data_pack, symbol, first, last)
    metrics = expected[f"series/{symbol}_{first}_{last}"]["metrics"]
    assert len(equity) - 1 == metrics["n"]
    assert_agrees(metrics, list(p.simple_returns(equity)))
    total = p.figures(equity, []).total_return
    assert total == pytest.approx(metrics["cum_return_final"], rel=TOLERANCE)


def test_the_risk_free_rate_is_annual_and_compounds() -> None:
    daily = 1.05 ** (1 / 252) - 1
    returns = [0.01, -0.02, 0.03, 0.004]
    shifted = [r - daily for r in returns]
    assert p.sharpe(returns, risk_free=0.05) == pytest.approx(p.sharpe(shifted))
    assert p.sortino(returns, required=0.05) == pytest.approx(p.sortino(shifted))
    assert p.omega(returns, required=0.05) == pytest.approx(p.omega(shifted))


def test_a_curve_that_only_varies_by_rounding_has_no_sharpe() -> None:
    equity = [100_000.0 * 1.0001**i for i in range(300)]
    assert p.sharpe(p.simple_returns(equity)) is None


def test_a_drawdown_knows_its_peak_its_trough_and_its_recovery() -> None:
    fall = p.drawdown([100, 120, 90, 110, 121, 120, 119, 118, 117])
    assert fall == p.Drawdown(depth=0.25, peak=1, trough=2, recovered=4, longest=4)


def test_a_drawdown_that_is_not_over_has_no_recovery() -> None:
    fall = p.drawdown([100, 80, 90])
    assert fall is not None
    assert fall.depth == pytest.approx(0.2)
    assert (fall.peak, fall.trough, fall.recovered, fall.longest) == (0, 1, None, 2)


def test_the_capital_before_the_first_period_counts_as_a_peak() -> None:
    assert p.calmar([-0.5, 0.1]) == pytest.approx(((0.55 ** (252 / 2)) - 1) / 0.5)


@pytest.mark.parametrize(
    ("wins", "n", "low", "high"),
    [  # Newcombe 1998, table I, method 3 (Wilson score without continuity correction)
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_proportion_is_the_published_one(
    wins: int, n: int, low: float, high: float
) -> None:
    interval = p.wilson_interval(wins, n)
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


def test_ten_wins_of_ten_are_not_certainty() -> None:
    interval = p.wilson_interval(10, 10)
    assert interval is not None
    assert (interval.value, interval.high) == (1.0, 1.0)
    assert interval.low < 0.75


def trade(
    pnl: str,
    r_multiple: float | None = None,
    *,
    entry: str,
    qty: str = "1",
    closes_entry: bool = True,
) -> Trade:
    opened = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
    return Trade(
        trade_id=f"{entry}:{pnl}",
        agent_id="house",
        revision_id="built-in",
        symbol="ACME",
        qty=Decimal(qty),
        entry_price=Decimal(10),
        exit_price=Decimal(10),
        commission=Decimal(0),
        pnl=Decimal(pnl),
        r_multiple=r_multiple,
        opened_at=opened,
        closed_at=opened + timedelta(minutes=5),
        exit_leg=Leg.EXIT,
        entry_order_id=entry,
        exit_order_id="2",
        closes_entry=closes_entry,
    )


def test_the_figures_of_trades_are_those_worked_by_hand() -> None:
    trades = [
        trade("300", 1.5, entry="a"),
        trade("-100", -1.0, entry="b"),
        trade("0", entry="c"),
        trade("-100", -0.5, entry="d"),
    ]
    found = p.figures([1000, 1300, 1200, 1200, 1100], trades)
    assert found.trades == 4
    assert found.win_rate == p.wilson_interval(1, 4)
    assert found.profit_factor == pytest.approx(1.5)
    assert found.payoff_ratio == pytest.approx(3.0)
    assert found.expectancy_usd == pytest.approx(25.0)
    assert found.expectancy_r == pytest.approx(0.0)  # over the three trades that had a stop


def test_an_entry_sold_in_parts_is_one_trade() -> None:
    parts = [
        trade("90", 3.0, entry="a", qty="30", closes_entry=False),
        trade("-10", -1.0, entry="a", qty="10", closes_entry=True),
        trade("500", 5.0, entry="still open", closes_entry=False),
    ]
    found = p.figures([1000, 1080], parts)
    assert (found.trades, found.expectancy_usd, found.expectancy_r) == (1, 80.0, 2.0)
    assert found.win_rate == p.wilson_interval(1, 1)


def test_exposure_is_gross_value_over_equity_and_the_share_of_points_held() -> None:
    found = p.figures([1000, 1000, 2000, 2000], [], gross=[0, 500, 500, 0])
    assert found.time_in_market == pytest.approx(0.5)
    assert found.mean_exposure == pytest.approx((0.5 + 0.25) / 4)


def test_nothing_done_gives_no_figure_but_the_counts() -> None:
    for equity in ([], [1000.0]):
        found = p.figures(equity, [])
        given_values = {f.name: getattr(found, f.name) for f in fields(found)}
        assert {k: v for k, v in given_values.items() if v is not None} == {
            "periods": 0,
            "trades": 0,
        }


def test_a_total_loss_is_a_return_of_minus_one_and_nothing_follows_it() -> None:
    found = p.figures([1000, 0], [])
    assert (found.total_return, found.annual_return, found.max_drawdown) == (-1.0, -1.0, 1.0)
    with pytest.raises(BadInput, match=r"Equity is 0\.0 at point 1 of 3"):
        p.figures([1000, 0, 10], [])


def test_gross_values_of_another_length_are_refused() -> None:
    with pytest.raises(BadInput, match="2 points and equity 3"):
        p.figures([1, 2, 3], [], gross=[0, 0])


@given(
    st.lists(st.floats(min_value=-0.9, max_value=3.0), max_size=60),
    st.lists(st.integers(-1000, 1000), max_size=20),
)
def test_no_figure_is_ever_infinite_or_not_a_number(
    returns: list[float], profits: list[int]
) -> None:
    equity = [1000.0, *(1000.0 * np.cumprod(1.0 + np.asarray(returns)))]
    trades = [trade(str(x), x / 10, entry=str(i)) for i, x in enumerate(profits)]
    found = p.figures(equity, trades, gross=[1.0] * len(equity))
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, float):
            assert math.isfinite(value), field.name


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_holds_its_proportion(wins: int, n: int) -> None:
    interval = p.wilson_interval(min(wins, n), n)
    assert interval is not None
    assert 0.0 <= interval.low <= interval.value <= interval.high <= 1.0
