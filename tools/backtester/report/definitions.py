"""What each figure means and which rules a run was played by, in words beside the figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from roboinvest.core.performance import PerformanceFigures


class Unit(StrEnum):
    """How a figure is counted, and so how it is shown."""

    FRACTION = "fraction"  # shown in percent
    GAIN = "signed fraction"  # shown in percent with its sign
    RATIO = "ratio"
    USD = "USD"
    R = "R"
    DAYS = "trading days"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A figure's name in `PerformanceFigures`, its label, unit and meaning."""

    name: str
    label: str
    unit: Unit
    text: str


def _figure(name: str, label: str, unit: Unit, text: str) -> Definition:
    return Definition(name=name, label=label, unit=unit, text=text)


FIGURES: Final = (
    _figure(
        "total_return",
        "Total return",
        Unit.GAIN,
        "Equity at the end over the cash at the start, minus 1; open positions at their marks.",
    ),
    _figure(
        "annual_return",
        "Return a year",
        Unit.GAIN,
        "The total return compounded to 252 trading days (CAGR).",
    ),
    _figure(
        "annual_volatility",
        "Volatility a year",
        Unit.FRACTION,
        "Standard deviation of daily returns times the square root of 252.",
    ),
    _figure(
        "sharpe",
        "Sharpe ratio",
        Unit.RATIO,
        "Mean over standard deviation of daily returns, times the square root of 252; "
        "risk-free rate 0 (Sharpe 1994).",
    ),
    _figure(
        "sortino",
        "Sortino ratio",
        Unit.RATIO,
        "As the Sharpe ratio, over the deviation of losses alone (Sortino and Price 1994).",
    ),
    _figure(
        "calmar",
        "Calmar ratio",
        Unit.RATIO,
        "Return a year over the deepest drawdown, over the whole run (Young 1991).",
    ),
    _figure(
        "omega",
        "Omega ratio",
        Unit.RATIO,
        "Sum of the daily gains over the sum of the daily losses (Keating and Shadwick 2002).",
    ),
    _figure(
        "max_drawdown",
        "Deepest drawdown",
        Unit.FRACTION,
        "Largest fall of daily equity from a former peak. Its interval is where that of an equally "
        "long run of this kind would lie.",
    ),
    _figure(
        "longest_drawdown",
        "Longest drawdown",
        Unit.DAYS,
        "Longest stretch of days below a former peak, one that has not ended included.",
    ),
    _figure(
        "value_at_risk",
        "Value at risk, 5 %",
        Unit.GAIN,
        "A day in twenty was worse than this return.",
    ),
    _figure(
        "expected_shortfall",
        "Expected shortfall, 5 %",
        Unit.GAIN,
        "Mean return of the worst twentieth of the days.",
    ),
    _figure(
        "tail_ratio",
        "Tail ratio",
        Unit.RATIO,
        "Size of the 95 % quantile of daily returns over that of the 5 % quantile.",
    ),
    _figure(
        "mean_exposure",
        "Exposure overnight",
        Unit.FRACTION,
        "Mean gross value of positions over equity, at the ends of days.",
    ),
    _figure(
        "time_in_market",
        "Nights with a position",
        Unit.FRACTION,
        "Share of days that ended with a position.",
    ),
    _figure(
        "trades",
        "Trades",
        Unit.COUNT,
        "Entries that were closed within the run; several exits of one entry are one trade.",
    ),
    _figure(
        "win_rate",
        "Win rate",
        Unit.FRACTION,
        "Share of trades that earned more than their costs; interval after Wilson (1927).",
    ),
    _figure(
        "profit_factor",
        "Profit factor",
        Unit.RATIO,
        "Sum of the winning trades over the sum of the losing ones.",
    ),
    _figure(
        "payoff_ratio",
        "Payoff ratio",
        Unit.RATIO,
        "Mean winning trade over mean losing trade.",
    ),
    _figure(
        "expectancy_usd",
        "Expectancy, USD",
        Unit.USD,
        "Mean profit of a trade after fees.",
    ),
    _figure(
        "expectancy_r",
        "Expectancy, R",
        Unit.R,
        "Mean profit of a trade as a multiple of what its stop put at risk.",
    ),
)

RULES: Final = (
    (
        "F1",
        "A signal comes from a closed bar and its order lives from the next bar on: a market order "
        "fills at that bar's open. Nothing fills in a bar that is missing or outside the session, "
        "and day orders die at the session's real close.",
    ),
    (
        "F2",
        "Stop and target are absolute prices, fixed at the signal and rounded to the tick.",
    ),
    (
        "F3",
        "Within a bar come the orders due at the open, then stops, then targets. An open beyond a "
        "level fills at the open. Where a bar touches both levels the stop is assumed; such bars "
        "are counted, and the kindest outcome is shown beside the worst.",
    ),
    ("F4", "A limit fills when the market trades through it by a tick."),
    (
        "F5",
        "All fills of a bar share a part of its volume; the rest of an order waits.",
    ),
    (
        "F6",
        "Fees and slippage are paid on both sides, regulatory fees on sales. Splits and dividends "
        "take effect at the ex-date on raw prices.",
    ),
    (
        "F7",
        "Cash is checked at the fill and not at the signal; what it could not pay is counted.",
    ),
    (
        "F8",
        "A position that is open at the end is reported at its mark and also as if sold at the "
        "last close.",
    ),
    (
        "F9",
        "Prices and money are whole hundredths of a cent, the order of events is fixed, and the "
        "run's digest covers bars, code, values, terms and library versions.",
    ),
    (
        "F10",
        "On bars shorter than a day and with limits, nothing is sent at the session's close, as "
        "the daemon sends nothing then; else an order of that instant is due at the next open.",
    ),
)


def value_of(figures: PerformanceFigures, name: str) -> float | None:
    """Return a figure as a number; a proportion gives its value."""
    value = getattr(figures, name)
    if value is None or isinstance(value, int | float):
        return value
    return float(value.value)
