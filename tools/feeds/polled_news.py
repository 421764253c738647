"""Headlines asked for now and then, and kept, so that a tick never waits for a vendor.

A headline reaches the vendor's list some time after its own stamp; each question therefore reaches
back over the last one. A tick looks back over hours, so that a late one is still seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from roboinvest.core.errors import Refused, TryLater
from roboinvest.core.market.values import NewsItem
from roboinvest.core.ports import Clock
from roboinvest.runtime.supervision.service import ServiceContext
from tools.data_fetcher.port import DataFetcher

_KEPT: Final = timedelta(hours=30)  # more than a tick looks back
_OVERLAP: Final = timedelta(minutes=30)


class PolledNews:
    """A `NewsSource`, and the supervised service that fills it."""

    name = "market_news"
    reconnects = "asks for all headlines of the last hours anew"

    def __init__(
        self,
        fetcher: DataFetcher,
        symbols: Sequence[str],
        *,
        clock: Clock,
        interval_s: float = 300.0,
    ) -> None:
        """Ask about `symbols` every `interval_s` seconds, in the lane of what can wait."""
        self._fetcher = fetcher
        self._symbols = tuple(symbols)
        self._clock = clock
        self._interval_s = interval_s
        self._items: list[NewsItem] = []  # by time, then id
        self._asked_until: datetime | None = None
        self._log = structlog.get_logger("roboinvest.market_news")

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        """Return the items known by now with after < published_at <= until, by time then id."""
        times = [item.published_at for item in self._items]
        start = bisect_right(times, after)
        return self._items[start : bisect_right(times, until, lo=start)]

    async def run(self, ctx: ServiceContext) -> None:
        """Ask until cancelled; a market without news is traded all the same."""
        ctx.ready()
        while True:
            ctx.beat()
            ctx.idle(self._interval_s)
            try:
                await self.ask_once()
            except (TryLater, Refused) as error:  # a plan without news is no failure
                self._log.warning("news_away", why=str(error))
            ctx.beat()
            await ctx.sleep(self._interval_s)

    async def reconnect(self) -> None:
        """Ask anew, as far back as headlines are kept.

        Raises:
            TryLater, NotEntitled, BadKey: as `DataFetcher`.
        """
        self._asked_until = None
        await self.ask_once()

    async def ask_once(self) -> None:
        """Ask for what is new.

        Raises:
            TryLater, NotEntitled, BadKey: as `DataFetcher`.
        """
        now = self._clock.now()
        oldest = now - _KEPT
        after = oldest if self._asked_until is None else self._asked_until - _OVERLAP
        found = await self._fetcher.news(after, now, self._symbols)
        known = {item.item_id: item for item in self._items}
        for item in found:
            known.setdefault(item.item_id, item)
        kept = [item for item in known.values() if item.published_at > oldest]
        self._items = sorted(kept, key=lambda item: (item.published_at, item.item_id))
        self._asked_until = now
