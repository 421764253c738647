"""Which exchange day pays: the date on New York's clocks, clock changes included."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE


def exchange_day(at: datetime) -> date:
    """Return the exchange's date at an instant."""
    return at.astimezone(ZoneInfo(EXCHANGE_ZONE)).date()


def month_of(day: date) -> str:
    """Return the month that a day is counted in: "2026-03"."""
    return day.isoformat()[:7]
