"""USD as the file has them: whole nano-USD (1e-9 USD), always rounded against us.

What is charged is rounded up and what is allowed is rounded down, so that no sum in the file can
pass a cap by rounding. Fractions in between are exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from roboinvest.core.errors import BadInput

NANO: Final = 10**9  # nano-USD in one USD
MOST_USD: Final = Decimal(1_000_000)  # of one amount: a million of them fit into 64 bits


def nano_charged(usd: Decimal) -> int:
    """Return what is charged, in nano-USD, rounded up.

    Raises:
        BadInput: it is no amount, is negative, or is more than `MOST_USD`.
    """
    numerator, denominator = _ratio(usd)
    return -(-numerator * NANO // denominator)


def nano_allowed(usd: Decimal) -> int:
    """Return what is allowed, in nano-USD, rounded down.

    Raises:
        BadInput: it is no amount, is negative, or is more than `MOST_USD`.
    """
    numerator, denominator = _ratio(usd)
    return numerator * NANO // denominator


def usd_of(nano: int) -> Decimal:
    """Return an amount of the file in USD, exactly."""
    return Decimal(nano).scaleb(-9)


def usd_text(usd: Decimal) -> str:
    """Return an amount for a sentence: two decimals, more where there are any."""
    whole, _, decimals = f"{usd:.9f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _ratio(usd: Decimal) -> tuple[int, int]:
    if not usd.is_finite() or not 0 <= usd <= MOST_USD:
        raise BadInput(f"{usd} USD is no amount between 0 and {MOST_USD} USD; nothing was written")
    return usd.as_integer_ratio()
