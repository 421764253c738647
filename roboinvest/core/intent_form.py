"""Whether an intent makes sense by itself, whatever is held and whatever is allowed.

Nothing is computed with a figure before it is known to be one: NaN, infinity, zero and the absurd
are refused first, and the rest only of what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from roboinvest.core.orders import Leg, OrderIntent, OrderType

MOST: Final = Decimal(10) ** 9  # shares, or USD per share; beyond it is no order but a mistake
# order type -> (takes a limit price, takes a stop price)
_TAKES: Final[Mapping[OrderType, tuple[bool, bool]]] = {
    OrderType.MARKET: (False, False),
    OrderType.LIMIT: (True, False),
    OrderType.STOP: (False, True),
}


def is_figure(value: Decimal) -> bool:
    """Return whether a price or a quantity is a positive number of a sane size."""
    return value.is_finite() and 0 < value <= MOST


def faults_of_figures(intent: OrderIntent) -> Iterator[tuple[str, str]]:
    """Yield (rule, text) of each figure that is none."""
    if intent.qty and not is_figure(intent.qty):  # none at all is a matter of size
        yield "quantity", f"{intent.qty} shares is not a quantity, it must be above 0"
    prices = {
        "mark": intent.mark,
        "limit price": intent.limit_price,
        "stop price": intent.stop_price,
        "stop loss": intent.stop_loss,
        "take profit": intent.take_profit,
    }
    for name, price in prices.items():
        if price is not None and not is_figure(price):
            yield "price", f"{name} {price} is not a price, it must be above 0"


def faults_of_form(intent: OrderIntent, *, fractions: bool) -> Iterator[tuple[str, str]]:
    """Yield (rule, text) of each thing that does not fit together; its figures are figures.

    `fractions`: whether an entry may be for parts of a share.
    """
    given = (intent.limit_price is not None, intent.stop_price is not None)
    if given != _TAKES[intent.order_type]:
        yield (
            "order_type",
            f"a {intent.order_type} order with limit price {intent.limit_price} and stop price "
            f"{intent.stop_price}; a limit order takes the first, a stop order the second",
        )
    yield from _wrong_sides(intent)
    has_bracket = intent.stop_loss is not None or intent.take_profit is not None
    if has_bracket and intent.leg is not Leg.ENTRY:
        yield "bracket", f"{intent.leg} carries a bracket, only an entry may"
    if intent.leg is Leg.ENTRY and intent.qty != intent.qty.to_integral_value():
        simple = fractions and not has_bracket and intent.order_type is not OrderType.STOP
        if not simple:
            why = "with a bracket or a stop" if fractions else "on this account"
            yield "fraction", f"{intent.qty} shares, parts of a share are not allowed {why}"


def _wrong_sides(intent: OrderIntent) -> Iterator[tuple[str, str]]:
    """Yield a refusal for each level that does not stand beyond what it is measured from."""
    sign, mark = intent.side.sign, intent.mark
    entry = intent.limit_price or intent.stop_price or mark
    levels = (
        ("stop", "stop price", intent.stop_price, mark, sign),  # a buy stop waits above the market
        ("bracket", "stop loss", intent.stop_loss, entry, -sign),
        ("bracket", "take profit", intent.take_profit, entry, sign),
    )
    for rule, name, level, reference, direction in levels:
        if level is not None and (level - reference) * direction <= 0:
            where = "above" if direction > 0 else "below"
            yield rule, f"{name} {level} of a {intent.side} must lie {where} {reference}"
