# mypy: disable-error-code="no-any-return"
"""`core.fills` in integers: prices, quantities and fees, to the last unit.

Every rate is a ratio, so that each rounding of the rules is one division. The names are those of
`core.fills`; what they promise is said there.
"""

from __future__ import annotations

from roboinvest.core.market.bars import Ints
from tools.backtester.kernel.machine.compiled import compiled, inlined
from tools.backtester.kernel.machine.layout import COMMISSION, SEC, SLIP, TAF, TAF_CAP, THROUGH

UNITS = 10_000
CENT = 100
MANY = 1 << 61  # shares that nobody can buy


@inlined
def over(amount: int, by: int) -> int:
    """Return a quotient, rounded up."""
    return -((-amount) // by)


@compiled
def shares_for(amount: int, above: int, below: int, price: int) -> int:
    """Return the whole shares that a share of an amount, above / below of it, buys at a price.

    The product of all is never formed; what would not fit comes out as `MANY`.
    """
    lots, rest = amount // price, amount % price
    if lots > MANY // max(above, 1):
        return MANY
    return (lots * above + rest * above // price) // below


@inlined
def slipped(price: int, sign: int, terms: Ints) -> int:
    """Return a price made worse by the slippage."""
    return price + sign * over(price * terms[SLIP], terms[SLIP + 1])


@inlined
def through(level: int, terms: Ints) -> int:
    """Return how far beyond a limit the market must trade."""
    if terms[THROUGH] == 0:
        return 0
    return CENT if level >= UNITS else 1


@inlined
def commission(qty: int, terms: Ints) -> int:
    """Return what a broker takes for some shares, in units."""
    return CENT * over(qty * terms[COMMISSION] * 100, terms[COMMISSION + 1])


@compiled
def fees(sign: int, qty: int, price: int, terms: Ints) -> int:
    """Return commission and regulatory fees of one execution, in units."""
    total = commission(qty, terms)
    if sign > 0:
        return total
    notional = qty * price
    total += CENT * over(notional * terms[SEC], terms[SEC + 1] * CENT)
    total += min(CENT * over(qty * terms[TAF] * 100, terms[TAF + 1]), terms[TAF_CAP])
    return min(total, notional)


@compiled
def affordable(qty: int, price: int, cash: int, terms: Ints) -> int:
    """Return how many of some shares cash can buy, fees included."""
    if qty * price + commission(qty, terms) <= cash:
        return qty
    a_share = price * terms[COMMISSION + 1] + UNITS * terms[COMMISSION]
    if a_share <= 0:
        return 0
    fitting = max(cash, 0) * terms[COMMISSION + 1] // a_share
    while fitting > 0 and fitting * price + commission(fitting, terms) > cash:
        fitting -= 1
    return fitting


@inlined
def stop_at_open(level: int, sign: int, opened: int) -> bool:
    """Return whether an open lies at a stop or beyond it."""
    return (opened - level) * sign >= 0


@inlined
def limit_at_open(level: int, sign: int, opened: int, terms: Ints) -> bool:
    """Return whether an open lies through a limit."""
    return (level - opened) * sign >= through(level, terms)


@inlined
def stop_inside(level: int, sign: int, high: int, low: int) -> bool:
    """Return whether a bar comes to a stop."""
    return ((high if sign > 0 else low) - level) * sign >= 0


@inlined
def limit_inside(level: int, sign: int, high: int, low: int, terms: Ints) -> bool:
    """Return whether a bar trades through a limit."""
    return (level - (low if sign > 0 else high)) * sign >= through(level, terms)


@inlined
def within(level: int, high: int, low: int) -> int:
    """Return the price of a bar that is nearest to a level."""
    return min(max(level, low), high)
