"""What the house asks of whoever sells market data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol

from roboinvest.core.market.values import CorporateAction, NewsItem, Timeframe
from roboinvest.runtime.vendors.rate_limiter import Lane
from tools.data_fetcher.values import FetchedBars, LastTrade, MarketState, PreviousClose, Snapshot


class DataFetcher(Protocol):
    """A vendor of data. Whatever it returns is whole and in range, or it raises.

    Nothing is asked twice by itself; every page is one call of the vendor's allowance.

    Raises, all of them:
        TryLater: the vendor is away, too busy (`RateLimited`), or its answer cannot be believed
            (`Incomplete`).
        BadKey, NotEntitled: only a person can mend it.
        BadInput: the vendor knows no such thing.
    """

    async def bars(
        self,
        symbol: str,
        timeframe: Timeframe,
        first: date,
        last: date,
        *,
        lane: Lane = Lane.RESEARCH,
    ) -> FetchedBars:
        """Return the unadjusted bars of exchange days `first` to `last`, extended hours too.

        No rows is an answer here: only a calendar can tell whether it is a believable one.
        """

    async def previous_close(self, symbol: str) -> PreviousClose:
        """Return the close of the last finished session, unadjusted."""

    async def last_trade(self, symbol: str) -> LastTrade:
        """Return the newest trade."""

    async def snapshots(self, symbols: Sequence[str]) -> Sequence[Snapshot]:
        """Return what is known of each symbol now, by symbol; one that is missing raises."""

    async def news(
        self, after: datetime, until: datetime, symbols: Sequence[str]
    ) -> Sequence[NewsItem]:
        """Return headlines about any of `symbols` with after < published_at <= until, by time."""

    async def actions(
        self, symbol: str, first: date, last: date, *, lane: Lane = Lane.RESEARCH
    ) -> Sequence[CorporateAction]:
        """Return splits and cash dividends with first <= ex-date <= last, by ex-date."""

    async def actions_of(
        self, symbols: Sequence[str], first: date, last: date, *, lane: Lane = Lane.DATA
    ) -> Sequence[CorporateAction]:
        """Return the actions of many symbols over few days, which costs as much as for one."""

    async def market_state(self) -> MarketState:
        """Return whether the exchange trades, by the vendor's clock."""
