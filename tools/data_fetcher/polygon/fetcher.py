"""PolygonFetcher: `DataFetcher` on the vendor's own client.

Every page is one call through the shared limiter and one job of a bounded pool of threads; bodies
are parsed and checked in that thread, because a page can hold fifty thousand bars. A refusal for
too many calls stops everything that shares the limiter for as long as the vendor says.
Deliberately absent: retries. Whoever asked knows what a second question is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, TypeVar

from roboinvest.core.market.values import CorporateAction, NewsItem, Timeframe
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import WINDOW_S, Lane, RateLimiter
from tools.data_fetcher.failures import Incomplete, RateLimited
from tools.data_fetcher.polygon.aggregates import PAGE_SIZE, UNITS, PagedRows, Question
from tools.data_fetcher.polygon.client import Body, PolygonClient
from tools.data_fetcher.polygon.facts import (
    dividend_actions,
    last_trade_of,
    market_state_of,
    news_items,
    previous_close_of,
    results_of,
    snapshots_of,
    split_actions,
)
from tools.data_fetcher.values import (
    FetchedBars,
    LastTrade,
    MarketState,
    PreviousClose,
    Snapshot,
)

ResultT = TypeVar("ResultT")
_Records = Sequence[Mapping[str, Any]]
_MOST_PATIENCE_S: Final = 300.0  # no Retry-After is believed beyond this
_REFERENCE_PAGES: Final = 5
_REFERENCE_ROWS: Final = 1000  # a page of news, splits or dividends
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call may take, the wait for its turn included."""

    data_s: float = 60.0  # what a tick needs
    research_s: float = 180.0  # what can wait


class PolygonFetcher:
    """Market data of one account at one vendor."""

    def __init__(
        self,
        client: PolygonClient,
        *,
        calls: VendorCalls,
        limiter: RateLimiter,
        patience: Patience | None = None,
    ) -> None:
        """Ask through `calls`, which must wait for `limiter`."""
        self._client = client
        self._calls = calls
        self._limiter = limiter
        self._patience = patience or Patience()

    async def bars(
        self,
        symbol: str,
        timeframe: Timeframe,
        first: date,
        last: date,
        *,
        lane: Lane = Lane.RESEARCH,
    ) -> FetchedBars:
        """Return the unadjusted bars of exchange days `first` to `last`, extended hours too."""
        paged = PagedRows(Question(symbol=symbol, timeframe=timeframe, first=first, last=last))
        multiplier, unit = UNITS[timeframe]

        def begin() -> str | None:
            return paged.add(
                self._client.ask(
                    lambda client: client.list_aggs(
                        symbol,
                        multiplier,
                        unit,
                        first.isoformat(),
                        last.isoformat(),
                        adjusted=False,
                        sort="asc",
                        limit=PAGE_SIZE,
                        raw=True,
                    )
                )
            )

        def follow(url: str) -> str | None:
            return paged.add(self._client.follow(url))

        next_url = await self._run(begin, lane)
        while next_url is not None:
            next_url = await self._run(partial(follow, next_url), lane)
        return FetchedBars(
            symbol=symbol,
            timeframe=timeframe,
            first=first,
            last=last,
            rows=paged.rows(),
            calls=paged.pages,
        )

    async def previous_close(self, symbol: str) -> PreviousClose:
        """Return the close of the last finished session, unadjusted."""
        body = await self._ask(
            lambda client: client.get_previous_close_agg(symbol, adjusted=False, raw=True),
            Lane.DATA,
        )
        return previous_close_of(body, symbol)

    async def last_trade(self, symbol: str) -> LastTrade:
        """Return the newest trade."""
        body = await self._ask(lambda client: client.get_last_trade(symbol, raw=True), Lane.DATA)
        return last_trade_of(body, symbol)

    async def snapshots(self, symbols: Sequence[str]) -> Sequence[Snapshot]:
        """Return what is known of each symbol now, by symbol; one that is missing raises."""
        asked = sorted(set(symbols))
        body = await self._ask(
            lambda client: client.get_snapshot_all("stocks", tickers=asked, raw=True), Lane.DATA
        )
        return snapshots_of(body, asked)

    async def news(
        self, after: datetime, until: datetime, symbols: Sequence[str]
    ) -> Sequence[NewsItem]:
        """Return headlines about any of `symbols` with after < published_at <= until, by time."""
        rows = await self._reference(
            lambda client: client.list_ticker_news(
                published_utc_gt=after.astimezone(UTC).strftime(_STAMP),
                order="asc",
                sort="published_utc",
                limit=_REFERENCE_ROWS,
                raw=True,
            ),
            Lane.RESEARCH,
        )
        found = [item for item in news_items(rows, symbols) if after < item.published_at <= until]
        return sorted(found, key=lambda item: (item.published_at, item.item_id))

    async def actions(
        self, symbol: str, first: date, last: date, *, lane: Lane = Lane.RESEARCH
    ) -> Sequence[CorporateAction]:
        """Return splits and cash dividends with first <= ex-date <= last, by ex-date."""
        splits, dividends = await self._actions(symbol, first, last, lane)
        return _ordered(
            [*split_actions(splits, symbol), *dividend_actions(dividends, symbol)], first, last
        )

    async def actions_of(
        self, symbols: Sequence[str], first: date, last: date, *, lane: Lane = Lane.DATA
    ) -> Sequence[CorporateAction]:
        """Return the actions of many symbols over few days, which costs as much as for one."""
        splits, dividends = await self._actions(None, first, last, lane)
        found: list[CorporateAction] = []
        for symbol in dict.fromkeys(symbols):
            found += split_actions(splits, symbol)
            found += dividend_actions(dividends, symbol)
        return _ordered(found, first, last)

    async def _actions(
        self, symbol: str | None, first: date, last: date, lane: Lane
    ) -> tuple[_Records, _Records]:
        """Return the vendor's splits and dividends; of every symbol for None."""
        splits = await self._reference(
            lambda client: client.list_splits(
                ticker=symbol,
                execution_date_gte=first.isoformat(),
                execution_date_lte=last.isoformat(),
                limit=_REFERENCE_ROWS,
                raw=True,
            ),
            lane,
        )
        dividends = await self._reference(
            lambda client: client.list_dividends(
                ticker=symbol,
                ex_dividend_date_gte=first.isoformat(),
                ex_dividend_date_lte=last.isoformat(),
                limit=_REFERENCE_ROWS,
                raw=True,
            ),
            lane,
        )
        return splits, dividends

    async def market_state(self) -> MarketState:
        """Return whether the exchange trades, by the vendor's clock."""
        return market_state_of(
            await self._ask(lambda client: client.get_market_status(raw=True), Lane.DATA)
        )

    async def _reference(self, call: Callable[[Any], Any], lane: Lane) -> _Records:
        """Return the records of all pages of a list."""
        body = await self._ask(call, lane)
        rows, followed = list(results_of(body)), set[str]()
        while isinstance(next_url := body.get("next_url"), str):
            if next_url in followed or len(followed) + 1 >= _REFERENCE_PAGES:
                raise Incomplete(
                    f"a list does not end after {len(followed) + 1} pages; ask for less"
                )
            followed.add(next_url)
            body = await self._run(partial(self._client.follow, next_url, exact=True), lane)
            rows.extend(results_of(body))
        return rows

    async def _ask(self, call: Callable[[Any], Any], lane: Lane) -> Body:
        return await self._run(lambda: self._client.ask(call, exact=True), lane)

    async def _run(self, job: Callable[[], ResultT], lane: Lane) -> ResultT:
        """Make one call in its turn; a refusal for too many makes everybody wait."""
        patience = self._patience
        deadline_s = patience.data_s if lane is Lane.DATA else patience.research_s
        try:
            return await self._calls.run(job, lane=lane, deadline_s=deadline_s)
        except RateLimited as error:
            after = WINDOW_S if error.retry_after_s is None else error.retry_after_s
            self._limiter.hold(min(max(after, 1.0), _MOST_PATIENCE_S))
            raise


def _ordered(
    found: Sequence[CorporateAction], first: date, last: date
) -> Sequence[CorporateAction]:
    """Return what lies in a range by ex-date, symbol and kind, whatever the vendor sent."""
    inside = [action for action in found if first <= action.ex_date <= last]
    return sorted(inside, key=lambda action: (action.ex_date, action.symbol, action.kind))
