"""Corporate actions out of the adjustment factors that vendors publish.

A factor row says by what prices up to and including its date must be multiplied to stand beside
today's. Where two rows meet, something happened at the next session: a change of the split factor
is a split, a change of the price factor is a dividend (or the value of a spin-off, which costs a
holder's price the same way). Factors are rounded by their vendor, so a ratio close to a simple
fraction is taken to be that fraction: a position must be multiplied by exactly 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Final

from roboinvest.core.market.values import ActionKind, CorporateAction

_SNAP: Final = Decimal("0.005")  # relative distance to a simple fraction
_SIMPLE: Final = range(1, 6)  # the smaller half of a simple fraction
_RATIO_STEP: Final = Decimal("0.00001")
_CASH_STEP: Final = Decimal("0.0001")  # USD


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRow:
    """One line of a factor file."""

    symbol: str
    last_date_inclusive: date  # exchange date
    price_factor: Decimal  # for dividends and spin-offs
    split_factor: Decimal
    reference_price: Decimal  # USD, the raw close of that day


def actions_from_factors(
    rows: Iterable[FactorRow], next_session: Callable[[date], date | None]
) -> list[CorporateAction]:
    """Return the splits and dividends between the rows, by ex-date then symbol.

    `next_session` names the first session after a date; None, where the calendar ends, drops it.
    """
    ordered = sorted(rows, key=lambda row: (row.symbol, row.last_date_inclusive))
    found: list[CorporateAction] = []
    for _, of_symbol in groupby(ordered, key=lambda row: row.symbol):
        for before, after in pairwise(of_symbol):
            found.extend(_between(before, after, next_session))
    return sorted(found, key=lambda action: (action.ex_date, action.symbol, action.kind))


def _between(
    before: FactorRow, after: FactorRow, next_session: Callable[[date], date | None]
) -> list[CorporateAction]:
    ratio = simple_ratio(after.split_factor / before.split_factor)
    cash = before.reference_price * (1 - before.price_factor / after.price_factor)
    cash = cash.quantize(_CASH_STEP)
    if ratio == 1 and cash <= 0:
        return []
    ex_date = next_session(before.last_date_inclusive)
    if ex_date is None:
        return []
    found = []
    if cash > 0:
        found.append(
            CorporateAction(
                symbol=before.symbol, kind=ActionKind.DIVIDEND, ex_date=ex_date, cash=cash
            )
        )
    if ratio != 1:
        found.append(
            CorporateAction(
                symbol=before.symbol, kind=ActionKind.SPLIT, ex_date=ex_date, ratio=ratio
            )
        )
    return found


def simple_ratio(ratio: Decimal) -> Decimal:
    """Return the nearest n/m or m/n with m up to 5 when it is within half a percent.

    A ratio near 1 is not made 1: small stock dividends are real.
    """
    if ratio < 1:
        return Decimal(1) / simple_ratio(1 / ratio)
    for m in _SIMPLE:
        n = round(ratio * m)
        if n != m and abs(ratio * m / n - 1) <= _SNAP:
            return Decimal(n) / Decimal(m)
    return ratio.quantize(_RATIO_STEP)
