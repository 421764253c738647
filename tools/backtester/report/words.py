"""Figures as a report shows them: with sign, unit and base; "-" where there is none, never 0."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from roboinvest.core.market.bars import from_ns
from roboinvest.runtime.configuration.policies import EXCHANGE_ZONE
from tools.backtester.report.definitions import Unit

UNKNOWN: Final = "-"
MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def usd(amount: Decimal, *, signed: bool = False) -> str:
    """Return an amount in cents."""
    return f"{gain(amount) if signed else format(amount, ',.2f')} USD"


def gain(amount: Decimal) -> str:
    """Return an amount in cents with its sign, without its unit; 0 has none."""
    text = f"{amount:+,.2f}"
    return text if text.strip("+-0.,") else text.lstrip("+-")


def percent(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a fraction in percent."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value * 100:+,.{digits}f}" if signed else f"{value * 100:,.{digits}f}"
    return f"{text if text.strip('+-0.,') else text.lstrip('+-')} %"


def number(value: float | None, digits: int = 2) -> str:
    """Return a plain figure."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def shown(value: float | None, unit: Unit) -> str:
    """Return a figure in its unit."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    match unit:
        case Unit.FRACTION:
            return percent(value)
        case Unit.GAIN:
            return percent(value, signed=True)
        case Unit.USD:
            return f"{value:+,.2f} USD"
        case Unit.R:
            return f"{value:+.2f} R"
        case Unit.DAYS:
            return f"{value:,.0f} d"
        case Unit.COUNT:
            return f"{value:,.0f}"
        case Unit.RATIO:
            return number(value)


def price(amount: Decimal) -> str:
    """Return USD per share, with cents and what is beyond them."""
    whole, _, parts = format(amount.quantize(Decimal("0.0001")), ",f").partition(".")
    return f"{whole}.{parts.rstrip('0'):0<2}"


def shares(qty: Decimal) -> str:
    """Return a number of shares without zeros that say nothing."""
    text = format(abs(qty), ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def day_text(day: date) -> str:
    """Return a date as people write it: "3 Jan 2011"."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def iso_utc(at: int) -> str:
    """Return nanoseconds since the epoch as an ISO instant in UTC."""
    return f"{from_ns(at):%Y-%m-%dT%H:%M:%SZ}"


def exchange_time(at: int) -> datetime:
    """Return nanoseconds since the epoch on the exchange's clock."""
    return from_ns(at).astimezone(ZoneInfo(EXCHANGE_ZONE))


def listed(parts: list[str]) -> str:
    """Return parts as a person lists them."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""


def sentence(text: str) -> str:
    """Return a text of somebody else's as a sentence: a capital in front, a full stop behind."""
    text = " ".join(text.split())
    if not text:
        return text
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def plain(amount: Decimal) -> str:
    """Return an amount without an exponent and without zeros that say nothing, for machines."""
    text = format(amount, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text
