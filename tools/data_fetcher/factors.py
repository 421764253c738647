"""Splits and dividends into the factor rows that a store of bars keeps.

A dividend's factor is a fraction of the close before it, so that a dividend without that close in
the store cannot be kept; it is left out and said. A split needs no price.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from roboinvest.core.market.actions import FactorRow
from roboinvest.core.market.values import ActionKind, CorporateAction

_FOREVER: Final = date(2050, 12, 31)  # the last row of a factor file is for all days to come
_ONE: Final = Decimal(1)
_COLUMNS: Final = (
    "symbol", "last_date_inclusive", "price_factor", "split_factor", "reference_price",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """One symbol's rows, and the dividends that could not be turned into one."""

    rows: tuple[FactorRow, ...]  # oldest first
    left_out: tuple[CorporateAction, ...]


def factors_of(
    symbol: str,
    actions: Sequence[CorporateAction],
    *,
    session_before: Callable[[date], date | None],
    close_on: Callable[[date], Decimal | None],
) -> Factors:
    """Return the rows that stand for `actions`.

    Args:
        symbol: whose actions they are.
        actions: in any order.
        session_before: the last session before a day.
        close_on: the raw close of a session, USD per share; None where it is not known.
    """
    price, split = _ONE, _ONE
    rows = [_row(symbol, _FOREVER, price, split, Decimal(0))]
    left_out: list[CorporateAction] = []
    for ex_date in sorted({action.ex_date for action in actions}, reverse=True):
        before = session_before(ex_date)
        close = close_on(before) if before is not None else None
        for action in (each for each in actions if each.ex_date == ex_date):
            if action.kind is ActionKind.SPLIT:
                split /= action.ratio
            elif close is None or action.cash >= close:
                left_out.append(action)
            else:
                price *= _ONE - action.cash / close
        if before is not None:
            rows.append(_row(symbol, before, price, split, close or Decimal(0)))
    return Factors(rows=tuple(reversed(rows)), left_out=tuple(left_out))


def factor_file(rows: Sequence[FactorRow]) -> bytes:
    """Return the content of a factor file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([getattr(row, name) for name in _COLUMNS])
    return text.getvalue().encode()


def _row(symbol: str, day: date, price: Decimal, split: Decimal, reference: Decimal) -> FactorRow:
    return FactorRow(
        symbol=symbol,
        last_date_inclusive=day,
        price_factor=price,
        split_factor=split,
        reference_price=reference,
    )
