"""The figures of an equity curve and of its round trips, each with its convention and its source.

One rule throughout: a figure that is not defined is None, never 0 and never infinite. No trade is
not a win rate of 0, and a curve without a loss has no Sortino ratio, however good it looks.

Returns are simple (fraction per period), annualised over 252 periods unless stated; losses are
negative, drawdowns positive fractions from the peak. A trade is a whole entry: the parts in which
it was sold are one outcome, or an exit in ten fills would count as ten wins. Deliberately absent:
significance tests, which need the number of trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.errors import BadInput
from roboinvest.core.ledger import Trade

PERIODS_PER_YEAR: Final = 252  # trading days
TAIL: Final = 0.05  # the worst twentieth, for value at risk and expected shortfall
_Z_95: Final = 1.959963984540054  # standard normal quantile of 0.975
_ROUNDING: Final = 8 * np.finfo(np.float64).eps  # noise of a return that was computed from equity

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall from a peak, and the longest time below one."""

    depth: float  # fraction from the peak, 0 where equity never fell
    peak: int  # index into the equity curve
    trough: int
    recovered: int | None  # first index back at the peak; None while under water
    longest: int  # periods of the longest stretch below a former peak, open ones included


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of successes with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceFigures:
    """What a curve and its trades come to; None where a figure is not defined."""

    periods: int  # returns in the curve
    total_return: float | None  # fraction
    annual_return: float | None  # fraction, compounded (CAGR)
    annual_volatility: float | None  # fraction
    sharpe: float | None  # annualised
    sortino: float | None  # annualised
    calmar: float | None
    omega: float | None
    tail_ratio: float | None
    value_at_risk: float | None  # return per period, 5 % quantile; a loss is negative
    expected_shortfall: float | None  # mean return of the worst 5 % of periods
    max_drawdown: float | None  # fraction from the peak, positive
    longest_drawdown: int | None  # periods
    mean_exposure: float | None  # gross position value over equity
    time_in_market: float | None  # share of points with a position
    trades: int  # entries with nothing left open
    win_rate: Proportion | None  # a trade that broke even did not win
    profit_factor: float | None
    expectancy_usd: float | None  # mean profit per trade, after commission
    expectancy_r: float | None  # mean R of the trades that had a stop
    payoff_ratio: float | None  # mean win over mean loss


def simple_returns(equity: Sequence[float]) -> Floats:
    """Return equity[i] / equity[i - 1] - 1, shape (n - 1,).

    Raises:
        BadInput: a value is not finite, or one that is divided by is not positive.
    """
    curve = np.asarray(equity, dtype=np.float64)
    bad = ~np.isfinite(curve)
    bad[:-1] |= curve[:-1] <= 0.0
    if bad.any():
        at = int(np.argmax(bad))
        raise BadInput(
            f"Equity is {curve[at]} at point {at} of {len(curve)}, and returns need finite values "
            "above 0; check the account that wrote it."
        )
    result: Floats = curve[1:] / curve[:-1] - 1.0
    return result


def annual_return(
    returns: Sequence[float] | Floats, periods_per_year: int = PERIODS_PER_YEAR
) -> float | None:
    """Return the compound annual growth rate: prod(1 + r) ** (periods_per_year / n) - 1."""
    r = _finite(returns)
    if not len(r):
        return None
    growth = float(np.prod(1.0 + r))
    return _or_none(math.pow(growth, periods_per_year / len(r)) - 1.0) if growth >= 0.0 else None


def annual_volatility(
    returns: Sequence[float] | Floats, periods_per_year: int = PERIODS_PER_YEAR
) -> float | None:
    """Return the sample standard deviation (ddof 1) times sqrt(periods_per_year)."""
    r = _finite(returns)
    return float(np.std(r, ddof=1)) * math.sqrt(periods_per_year) if len(r) > 1 else None


def sharpe(
    returns: Sequence[float] | Floats,
    risk_free: float = 0.0,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> float | None:
    """Return mean(r - f) / std(r - f, ddof 1) * sqrt(periods_per_year) (Sharpe 1994).

    `risk_free` is an annual rate; f is its compound share of one period. None below two returns
    and where they do not vary.
    """
    excess = _finite(returns) - _per_period(risk_free, periods_per_year)
    if len(excess) < 2:
        return None
    deviation = float(np.std(excess, ddof=1))
    if deviation <= _noise(excess):
        return None
    return float(np.mean(excess)) / deviation * math.sqrt(periods_per_year)


def sortino(
    returns: Sequence[float] | Floats,
    required: float = 0.0,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> float | None:
    """Return the annualised mean excess over the annualised downside deviation.

    The deviation is sqrt(mean(min(r - q, 0)^2)) over all periods (Sortino and Price 1994); q is
    the share of one period in the `required` annual return. None where nothing fell short of it.
    """
    excess = _finite(returns) - _per_period(required, periods_per_year)
    if len(excess) < 2:
        return None
    downside = math.sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    if downside <= _noise(excess):
        return None
    return float(np.mean(excess)) / downside * math.sqrt(periods_per_year)


def drawdown(equity: Sequence[float] | Floats) -> Drawdown | None:
    """Return the deepest and the longest drawdown of a curve of positive values."""
    curve = np.asarray(equity, dtype=np.float64)
    if not len(curve):
        return None
    peaks = np.maximum.accumulate(curve)
    falls = 1.0 - curve / peaks
    trough = int(np.argmax(falls))
    peak = int(np.argmax(curve[: trough + 1]))
    depth = float(falls[trough])
    back = np.flatnonzero(curve[trough:] >= curve[peak])
    return Drawdown(
        depth=depth,
        peak=peak,
        trough=trough,
        recovered=trough + int(back[0]) if len(back) else None,
        longest=_longest_run(falls > 0.0),
    )


def calmar(
    returns: Sequence[float] | Floats, periods_per_year: int = PERIODS_PER_YEAR
) -> float | None:
    """Return the annual return over the maximum drawdown (Young 1991, over the whole curve)."""
    growth = annual_return(returns, periods_per_year)
    fall = drawdown(_curve(returns))
    if growth is None or fall is None or fall.depth <= _ROUNDING:
        return None
    return growth / fall.depth


def omega(
    returns: Sequence[float] | Floats,
    required: float = 0.0,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> float | None:
    """Return the sum of what exceeds the required return over the sum of what falls short of it.

    Keating and Shadwick 2002. `required` is an annual rate, as for `sortino`.
    """
    excess = _finite(returns) - _per_period(required, periods_per_year)
    short = -float(np.sum(np.minimum(excess, 0.0)))
    return _ratio(float(np.sum(np.maximum(excess, 0.0))), short)


def tail_ratio(returns: Sequence[float] | Floats) -> float | None:
    """Return |95 % quantile| over |5 % quantile|, both interpolated linearly."""
    r = _finite(returns)
    if not len(r):
        return None
    high, low = np.abs(np.quantile(r, (1.0 - TAIL, TAIL)))
    return _ratio(float(high), float(low))


def value_at_risk(returns: Sequence[float] | Floats, tail: float = TAIL) -> float | None:
    """Return the `tail` quantile of the returns, interpolated linearly; a loss is negative."""
    r = _finite(returns)
    return float(np.quantile(r, tail)) if len(r) else None


def expected_shortfall(returns: Sequence[float] | Floats, tail: float = TAIL) -> float | None:
    """Return the mean of the floor((n - 1) * tail) + 1 worst returns (historical, no model)."""
    r = _finite(returns)
    return float(np.mean(np.sort(r)[: int((len(r) - 1) * tail) + 1])) if len(r) else None


def wilson_interval(successes: int, n: int, z: float = _Z_95) -> Proportion | None:
    """Return a proportion with its score interval (Wilson 1927); None without a trial."""
    if n <= 0:
        return None
    p, z2 = successes / n, z * z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Proportion(value=p, low=low, high=high)


def profit_factor(profits: Sequence[float] | Floats) -> float | None:
    """Return gross profit over gross loss; None where nothing was lost."""
    pnl = _finite(profits)
    lost = -float(np.sum(pnl[pnl < 0.0]))
    return _ratio(float(np.sum(pnl[pnl > 0.0])), lost)


def payoff_ratio(profits: Sequence[float] | Floats) -> float | None:
    """Return the mean win over the mean loss; None where either is missing."""
    pnl = _finite(profits)
    wins, losses = pnl[pnl > 0.0], pnl[pnl < 0.0]
    return (
        _ratio(float(np.mean(wins)), -float(np.mean(losses))) if len(wins) and len(losses) else None
    )


def figures(
    equity: Sequence[float],
    trades: Sequence[Trade],
    *,
    gross: Sequence[float] | None = None,
    risk_free: float = 0.0,
    required: float = 0.0,
    periods_per_year: int = PERIODS_PER_YEAR,
) -> PerformanceFigures:
    """Return every figure of one curve and the trades that made it.

    `equity` starts with the capital before the first period: n + 1 points give n returns. `gross`
    is the absolute value of all positions (USD) at the same points; without it there is no
    exposure. The rates are annual.

    Raises:
        BadInput: equity is not finite and positive, or `gross` has another length.
    """
    r = simple_returns(equity)
    fall = drawdown(equity)
    pnl, multiples = _outcomes(trades)
    held, exposure = _exposure(equity, gross)
    return PerformanceFigures(
        periods=len(r),
        total_return=float(equity[-1] / equity[0] - 1.0) if len(r) else None,
        annual_return=annual_return(r, periods_per_year),
        annual_volatility=annual_volatility(r, periods_per_year),
        sharpe=sharpe(r, risk_free, periods_per_year),
        sortino=sortino(r, required, periods_per_year),
        calmar=calmar(r, periods_per_year),
        omega=omega(r, required, periods_per_year),
        tail_ratio=tail_ratio(r),
        value_at_risk=value_at_risk(r),
        expected_shortfall=expected_shortfall(r),
        max_drawdown=fall.depth if fall and len(r) else None,
        longest_drawdown=fall.longest if fall and len(r) else None,
        mean_exposure=exposure,
        time_in_market=held,
        trades=len(pnl),
        win_rate=wilson_interval(sum(p > 0.0 for p in pnl), len(pnl)),
        profit_factor=profit_factor(pnl),
        expectancy_usd=math.fsum(pnl) / len(pnl) if pnl else None,
        expectancy_r=math.fsum(multiples) / len(multiples) if multiples else None,
        payoff_ratio=payoff_ratio(pnl),
    )


def _outcomes(trades: Sequence[Trade]) -> tuple[list[float], list[float]]:
    """Return profit (USD) and R of each finished entry; R is the mean over its shares."""
    entries: dict[tuple[str, str], list[Trade]] = {}
    for trade in trades:
        entries.setdefault((trade.agent_id, trade.entry_order_id), []).append(trade)
    profits: list[float] = []
    multiples: list[float] = []
    for parts in entries.values():
        if not any(part.closes_entry for part in parts):
            continue
        profits.append(float(sum(part.pnl for part in parts)))
        shares = math.fsum(float(abs(part.qty)) for part in parts)
        if all(part.r_multiple is not None for part in parts):
            r = math.fsum((part.r_multiple or 0.0) * float(abs(part.qty)) for part in parts)
            multiples.append(r / shares)
    return profits, multiples


def _exposure(
    equity: Sequence[float], gross: Sequence[float] | None
) -> tuple[float | None, float | None]:
    """Return the share of points with a position, and the mean of gross value over equity."""
    if gross is None or not len(gross):
        return None, None
    if len(gross) != len(equity):
        raise BadInput(
            f"Gross exposure has {len(gross)} points and equity {len(equity)}; "
            "give one gross value for each point of equity."
        )
    value, capital = np.asarray(gross, dtype=np.float64), np.asarray(equity, dtype=np.float64)
    solvent = capital > 0.0
    mean = float(np.mean(value[solvent] / capital[solvent])) if solvent.any() else None
    return float(np.mean(value > 0.0)), mean


def _finite(values: Sequence[float] | Floats) -> Floats:
    """Return `values` as an array.

    Raises:
        BadInput: one of them is not finite; leaving it out would change every annual figure.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        at = int(np.argmax(~np.isfinite(array)))
        raise BadInput(f"Value {at} of {len(array)} is {array[at]}; drop or repair it first.")
    return array


def _curve(returns: Sequence[float] | Floats) -> Floats:
    """Return the growth of 1 unit, starting with 1."""
    curve: Floats = np.concatenate(([1.0], np.cumprod(1.0 + _finite(returns))))
    return curve


def _per_period(annual: float, periods_per_year: int) -> float:
    return math.pow(1.0 + annual, 1.0 / periods_per_year) - 1.0


def _noise(values: Floats) -> float:
    """Return the deviation below which `values` differ by rounding alone."""
    return float(_ROUNDING * (1.0 + np.max(np.abs(values))))


def _longest_run(flags: NDArray[np.bool_]) -> int:
    edges = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return int(np.max(ends - starts)) if len(starts) else 0


def _ratio(above: float, below: float) -> float | None:
    return _or_none(above / below) if below > 0.0 else None


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
