"""A run's terms as integers, and what cannot be said in them.

Every rate becomes a ratio of whole numbers. What has too many digits, or could carry a product past
63 bits, is refused by name: the simulator plays it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.errors import Refused
from roboinvest.core.fills import BPS, FillRules
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import UNITS_PER_USD, from_units
from roboinvest.core.market.values import Timeframe
from roboinvest.core.risk import RiskLimits
from roboinvest.core.strategy import (
    Dollars,
    EquityShare,
    Execution,
    RiskShare,
    Shares,
    Size,
    six_digits,
)
from tools.backtester.contract import Terms
from tools.backtester.kernel.machine import layout

MILLION: Final = 1_000_000
_LARGEST: Final = 1 << 62
_LONGEST: Final = 10**12  # numerator or denominator of a rate
_HEADROOM: Final = 1_000  # times the cash at the start that equity may come to
_AMOUNTS: Final = (layout.ORDER_UNITS, layout.POSITION_UNITS, layout.DAY_UNITS)
Ratio = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """Terms and execution as the compiled code takes them."""

    terms: Ints  # (layout.TERMS,)
    cash: int  # units


def figures_of(terms: Terms, how: Execution, timeframe: Timeframe) -> Figures:
    """Return the numbers of a run.

    Raises:
        Refused: one of them cannot be a whole number or a ratio of two that are small enough.
    """
    cash = _whole("cash", terms.cash * UNITS_PER_USD)
    rates = dict(_costs(terms.rules))
    bounds = {} if terms.limits is None else dict(_bounds(terms.limits))
    kind, size = _size(how.size)
    numbers = np.zeros(layout.TERMS, np.int64)
    for place, ratio in (*rates.items(), *bounds.items(), (layout.SIZE, size)):
        numbers[place : place + 2] = ratio
    numbers[layout.SIZE_KIND] = kind
    numbers[layout.TAF_CAP] = _whole("taf_cap_usd", terms.rules.taf_cap_usd * UNITS_PER_USD)
    numbers[layout.THROUGH] = terms.rules.limit_needs_trade_through
    numbers[layout.MAX_BARS] = how.max_bars or 0
    numbers[layout.MAY_SHORT] = terms.allow_short
    numbers[layout.DAY_BARS] = timeframe is Timeframe.DAY
    if terms.limits is not None:
        numbers[layout.HAS_LIMITS] = 1
        numbers[layout.TRADES] = terms.limits.max_trades_per_day
        numbers[layout.OPEN_ORDERS] = terms.limits.max_open_orders
        numbers[layout.LIMIT_SHORT] = terms.limits.allow_short
    worth, equity = _bearable(rates, bounds)
    numbers[layout.MOST_WORTH], numbers[layout.MOST] = worth, equity
    if not 0 < cash * _HEADROOM <= equity:
        raise Refused(
            f"an account of {terms.cash} USD, grown a thousandfold, must lie between nothing and "
            f"the {from_units(equity)} USD that 63 bits hold at its rates"
        )
    return Figures(terms=numbers, cash=cash)


def _bearable(rates: Mapping[int, Ratio], bounds: Mapping[int, Ratio]) -> tuple[int, int]:
    """Return the position and the equity (units) up to which no product passes 63 bits."""
    per_share = max(rates[layout.COMMISSION][0], rates[layout.TAF][0]) * 100
    worth = _LARGEST // max(per_share, rates[layout.SEC][0], 1)
    factors = [rates[layout.COMMISSION][1]]
    for place, (above, below) in bounds.items():
        factors.append(below if place in _AMOUNTS else max(above, below))
    return worth, min(worth, _LARGEST // max(factors))


def _costs(rules: FillRules) -> Iterator[tuple[int, Ratio]]:
    """Yield (place, ratio) of every rate of a fill."""
    yield layout.SLIP, _ratio("slippage_bps", rules.slippage_bps / BPS)
    yield layout.COMMISSION, _ratio("commission_per_share_usd", rules.commission_per_share_usd)
    yield layout.SEC, _ratio("sec_fee_rate", rules.sec_fee_rate)
    yield layout.TAF, _ratio("taf_per_share_usd", rules.taf_per_share_usd)
    share = rules.volume_share
    yield layout.SHARE, (0, 0) if share is None else _ratio("volume_share", share)


def _bounds(limits: RiskLimits) -> Iterator[tuple[int, Ratio]]:
    """Yield (place, ratio) of every limit that is a fraction of equity, or an amount of units."""
    yield layout.RISK_FRAC, _ratio("risk_per_trade_frac", limits.risk_per_trade_frac)
    yield layout.ORDER_UNITS, _ratio("max_order_usd", limits.max_order_usd * UNITS_PER_USD)
    yield layout.POSITION_FRAC, _ratio("max_position_frac", limits.max_position_frac)
    yield layout.POSITION_UNITS, _amount("max_position_usd", limits.max_position_usd)
    yield layout.GROSS_FRAC, _ratio("max_gross_frac", limits.max_gross_frac)
    yield layout.DAY_FRAC, _ratio("max_daily_loss_frac", limits.max_daily_loss_frac)
    yield layout.DAY_UNITS, _amount("max_daily_loss_usd", limits.max_daily_loss_usd)
    yield layout.DRAWDOWN_FRAC, _ratio("max_drawdown_frac", limits.max_drawdown_frac)


def _size(size: Size) -> tuple[int, Ratio]:
    match size:
        case Shares(qty):
            return layout.SHARES, (_small("size", qty), 1)
        case Dollars(usd):
            return layout.DOLLARS, (_small("size", int(six_digits(usd) * MILLION)), 1)
        case EquityShare(frac):
            return layout.EQUITY_SHARE, _ratio("size", six_digits(frac))
        case RiskShare(frac):
            return layout.RISK_SHARE, _ratio("size", six_digits(frac))


def _amount(name: str, usd: Decimal | None) -> Ratio:
    return (0, 0) if usd is None else _ratio(name, usd * UNITS_PER_USD)


def _ratio(name: str, rate: Decimal) -> Ratio:
    if not rate.is_finite() or rate < 0:
        raise Refused(f"its {name} is {rate}, and a ratio of whole numbers is needed")
    above, below = rate.as_integer_ratio()
    if max(above, below) > _LONGEST:
        raise Refused(f"its {name} of {rate} has more digits than 64-bit arithmetic takes")
    return above, below


def _whole(name: str, units: Decimal) -> int:
    if units != units.to_integral_value():
        raise Refused(f"its {name} has parts of a hundredth of a cent")
    return _small(name, int(units))


def _small(name: str, number: int) -> int:
    if abs(number) >= _LARGEST:
        raise Refused(f"its {name} of {number} is too large for 64-bit arithmetic")
    return number
