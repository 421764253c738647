"""The words of the market: timeframe, bar, quote, news, level, regime, corporate action.

Prices of bars are floats, because they feed statistics; a price becomes `Decimal` at the moment
it enters an order or a fill (`core.orders.to_price`). Bars are stamped at their open, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum


class Timeframe(StrEnum):
    """The length of a bar."""

    MINUTE = "1m"
    MINUTES_5 = "5m"
    MINUTES_15 = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def length(self) -> timedelta:
        """Return the length; a day bar counts 24 hours although it closes with its session."""
        return timedelta(minutes=_MINUTES[self])


_MINUTES = {
    Timeframe.MINUTE: 1,
    Timeframe.MINUTES_5: 5,
    Timeframe.MINUTES_15: 15,
    Timeframe.HOUR: 60,
    Timeframe.DAY: 1440,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Open, high, low, close and volume over one interval."""

    symbol: str
    ts: datetime  # UTC, the bar's open
    closes_at: datetime  # UTC, when the bar became known
    open: float  # USD per share
    high: float
    low: float
    close: float
    volume: float  # shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask at one instant."""

    symbol: str
    at: datetime  # UTC
    bid: float  # USD per share
    ask: float
    bid_size: float  # shares
    ask_size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsItem:
    """One headline. Its text is hostile input: it is scored, never obeyed."""

    item_id: str
    published_at: datetime  # UTC
    symbols: tuple[str, ...]
    headline: str
    summary: str
    source: str


class LevelKind(StrEnum):
    """Where a price level came from."""

    SUPPORT = "support"
    RESISTANCE = "resistance"
    PIVOT = "pivot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A price at which the market turned before, or may turn."""

    name: str  # "P", "R1", "S1", ... or "touched"
    kind: LevelKind
    price: float  # USD per share
    touches: int  # how often it held; 0 for a computed pivot


class Trend(StrEnum):
    """The direction half of a regime."""

    BULL = "bull"
    BEAR = "bear"
    RANGE = "range"


class Volatility(StrEnum):
    """The volatility half of a regime."""

    CALM = "calm"
    STRESSED = "stressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """Trend x volatility."""

    trend: Trend
    volatility: Volatility
    vix: float | None  # index points, where a VIX series is given

    @property
    def name(self) -> str:
        """Return both halves as one word, for example `bull_calm`."""
        return f"{self.trend}_{self.volatility}"


class ActionKind(StrEnum):
    """What a company did to its shares."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """A split or a cash dividend, in force from the open of its ex-date."""

    symbol: str
    kind: ActionKind
    ex_date: date  # exchange date
    ratio: Decimal = Decimal(1)  # new shares for one old share; 1 for a dividend
    cash: Decimal = Decimal(0)  # USD per share held before the ex-date; 0 for a split
