"""Figures as a sentence shows them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE

_MOST_WORDS: Final = 240  # characters of a stranger's sentence within one of ours


def utc(at: datetime) -> str:
    """Return an instant: "2011-01-03 15:31 UTC"."""
    return f"{at:%Y-%m-%d %H:%M} UTC" if not at.second else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def both_zones(at: datetime) -> str:
    """Return an instant with the time on New York's clocks."""
    return f"{utc(at)} ({at.astimezone(ZoneInfo(EXCHANGE_ZONE)):%H:%M} in New York)"


def plain(number: Decimal) -> str:
    """Return a number without an exponent and without zeros that say nothing."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(number: Decimal | float) -> str:
    """Return USD per share, with cents and what is beyond them."""
    whole, _, parts = (
        format(number, "f") if isinstance(number, Decimal) else f"{number:.4f}"
    ).partition(".")
    return f"{whole}.{parts.rstrip('0'):0<2}"


def usd(amount: Decimal) -> str:
    """Return an amount with its sign, in cents."""
    return f"{amount:+,.2f} USD"


def cost(amount: Decimal) -> str:
    """Return what a call cost; most cost less than a cent."""
    return f"{plain(round(amount, 6))} USD"


def signed(number: float | None, digits: int = 2) -> str:
    """Return a figure with its sign."""
    return "?" if number is None else f"{number:+.{digits}f}"


def r_multiple(number: float | None) -> str:
    """Return a result as a multiple of what was risked."""
    return "no R" if number is None else f"{number:+.2f} R"


def span(length: timedelta) -> str:
    """Return a length of time in its natural unit."""
    minutes = length.total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def shortened(text: str) -> str:
    """Return a text of somebody else's, cut to what one sentence can carry."""
    return text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS - 3].rstrip()}..."


def joined(parts: list[str]) -> str:
    """Return parts as a person lists them."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
