"""Limits of risk that were lowered below the settings, and what is in force with them.

Whatever stands in the list, of each two the tighter one holds: no list, and no sequence of them,
makes a limit wider than the settings and the mandate do. Only limits are known here where more is
more risk and where an exit asks for none of it: the price collar is left out, because an exit that
lies outside of it would be refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from roboinvest.core.errors import BadInput
from roboinvest.core.records import canonical_json
from roboinvest.core.risk import RiskLimits

LEAST_PART: Final = Decimal("0.1")  # of the settings' limit: to stop altogether is for locks
_WHOLE: Final[Mapping[str, int]] = {"max_trades_per_day": 1, "max_open_orders": 3}  # and the least
_FINE: Final = (
    "risk_per_trade_frac",
    "max_order_usd",
    "max_position_frac",
    "max_gross_frac",
    "max_daily_loss_frac",
    "max_drawdown_frac",
    "max_position_usd",
    "max_daily_loss_usd",
)
LOWERABLE: Final = frozenset((*_FINE, *_WHOLE))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoweredLimit:
    """One limit below the settings."""

    name: str  # of a field of `RiskLimits`
    value: Decimal  # in its unit
    own: Decimal  # what the settings said when it was lowered first; the way back ends there
    by: str
    why: str
    at: datetime  # UTC, real time


def in_force(own: RiskLimits, lowered: Iterable[LoweredLimit]) -> RiskLimits:
    """Return the limits of the settings with those that are lower; never a wider one."""
    changed: dict[str, Any] = {}
    for each in lowered:
        standing = value_of(own, each.name)
        if standing is None or not (each.value.is_finite() and 0 <= each.value < standing):
            continue
        changed[each.name] = int(each.value) if each.name in _WHOLE else each.value
    return replace(own, **changed) if changed else own


def value_of(limits: RiskLimits, name: str) -> Decimal | None:
    """Return a limit as a number; None: there is none of that name that can be lowered."""
    found = getattr(limits, name) if name in LOWERABLE else None
    return None if found is None else Decimal(found)


def least_of(own: RiskLimits, name: str) -> Decimal:
    """Return how far a limit of the settings can be lowered, in its unit."""
    standing = value_of(own, name) or Decimal(0)
    least = standing * LEAST_PART
    if name in _WHOLE:
        least = max(least.to_integral_value(rounding=ROUND_CEILING), Decimal(_WHOLE[name]))
    return min(least, standing)


def is_whole(name: str) -> bool:
    """Return whether a limit counts something."""
    return name in _WHOLE


def lowered_json(lowered: Iterable[LoweredLimit]) -> str:
    """Return the document that `lowered_in` reads."""
    return canonical_json(sorted(lowered, key=lambda each: each.name))


def lowered_in(text: str | None) -> tuple[LoweredLimit, ...]:
    """Return the limits of a document; none of no document.

    Raises:
        BadInput: it is none.
    """
    if text is None:
        return ()
    try:
        found = TypeAdapter(tuple[LoweredLimit, ...]).validate_json(text)
    except (ValidationError, ValueError) as error:
        raise BadInput(f"what limits were lowered to cannot be read: {error!r}"[:300]) from error
    for each in found:
        is_number = each.own.is_finite() and each.value.is_finite() and each.value >= 0
        if each.name not in LOWERABLE or not is_number:
            raise BadInput(f"{each.name[:40]!a} at {each.value} is no limit that was lowered")
    return found
