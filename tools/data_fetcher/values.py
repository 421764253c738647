"""What a data vendor tells besides bars and news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.values import Timeframe


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedBars:
    """All rows the vendor has of one symbol and range, raw and unadjusted."""

    symbol: str
    timeframe: Timeframe
    first: date  # exchange day
    last: date
    rows: RawRows  # ascending; extended hours included
    calls: int  # what it cost


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousClose:
    """The last finished session of a symbol, unadjusted."""

    symbol: str
    day: date  # exchange day
    close: Decimal  # USD per share


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTrade:
    """The newest trade of a symbol."""

    symbol: str
    at: datetime  # UTC, by the vendor's clock
    price: Decimal  # USD per share
    shares: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A symbol at one instant; None where the vendor, or the plan, leaves a figure out."""

    symbol: str
    at: datetime  # UTC
    last: Decimal | None  # USD per share, the newest trade
    bid: Decimal | None
    ask: Decimal | None
    day_close: Decimal | None  # today's bar so far
    previous_close: Decimal | None


class MarketPhase(StrEnum):
    """Whether the exchange trades."""

    OPEN = "open"
    EXTENDED = "extended-hours"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketState:
    """The exchange as the vendor sees it, and the vendor's clock."""

    phase: MarketPhase
    server_time: datetime  # UTC
