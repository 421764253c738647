"""A mandate that allows a little, and what it looks like signed."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from roboinvest.core.mandate import Mandate, MandateTerms, signed

SIGNED_AT = datetime(2024, 1, 2, 12, 0, tzinfo=UTC)
EXPIRES_AT = datetime(2024, 6, 1, tzinfo=UTC)


def terms(**changes: Any) -> MandateTerms:
    """Return terms of a cautious owner."""
    values: dict[str, Any] = {
        "universe": ("QQQ", "SPY"),
        "allow_short": False,
        "max_order_usd": Decimal(8_000),
        "max_position_usd": Decimal(9_000),
        "max_position_frac": Decimal("0.15"),
        "max_gross_frac": Decimal("0.40"),
        "max_daily_loss_usd": Decimal(1_500),
        "max_daily_loss_frac": Decimal("0.02"),
        "max_drawdown_frac": Decimal("0.08"),
        "max_trades_per_day": 5,
        "entries_from": time(9, 45),
        "entries_until": time(15, 30),
        "timezone": "America/New_York",
        "expires_at": EXPIRES_AT,
    }
    return MandateTerms(**{**values, **changes})


def mandate(*, by: str = "ann", at: datetime = SIGNED_AT, **changes: Any) -> Mandate:
    """Return a signed mandate."""
    return signed(terms(**changes), by=by, at=at)
