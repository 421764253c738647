"""A market feed made of hand-written bars, and a news source made of hand-written items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from roboinvest.core.market.bars import BarColumns, BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import ActionKind, Bar, CorporateAction, NewsItem, Timeframe


class HandMadeFeed:
    """A `MarketFeed` that shows given bars at their close; every bar is a good one."""

    def __init__(
        self,
        bars: Iterable[Bar],
        *,
        actions: Sequence[CorporateAction] = (),
        suspended: Mapping[str, str] | None = None,
        symbols: Sequence[str] | None = None,
    ) -> None:
        self._bars = sorted(bars, key=lambda bar: (bar.ts, bar.symbol))
        self._actions = list(actions)
        self.suspended = dict(suspended or {})
        self.symbols = tuple(sorted(symbols or {bar.symbol for bar in self._bars}))
        self.timeframe = Timeframe.MINUTE
        self._columns = {symbol: BarColumns(symbol) for symbol in self.symbols}
        self._shown = 0
        self._in_force: list[CorporateAction] = []
        self._day: date | None = None

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        actions: tuple[CorporateAction, ...] = ()
        if session.day != self._day:
            self._day = session.day
            actions = tuple(a for a in self._actions if a.ex_date == session.day)
            self._in_force += actions
        fresh = list[Bar]()
        while self._shown < len(self._bars) and self._bars[self._shown].closes_at <= at:
            fresh.append(self._bars[self._shown])
            self._columns[fresh[-1].symbol].append(fresh[-1], fresh[-1].ts.date())
            self._shown += 1
        return MarketUpdate(
            at=at,
            session=session,
            bars=tuple(fresh),
            actions=actions,
            suspended=dict(self.suspended),
        )

    async def seek(self, at: datetime) -> None:
        while self._shown < len(self._bars) and self._bars[self._shown].closes_at <= at:
            bar = self._bars[self._shown]
            self._columns[bar.symbol].append(bar, bar.ts.date())
            self._shown += 1
        self._day = at.date()

    def window(self, symbol: str, length: int) -> BarSeries:
        columns = self._columns[symbol]
        series = columns.window(len(columns), length)
        for action in self._in_force:
            if action.kind is ActionKind.SPLIT and action.symbol == symbol:
                series = series.rescaled(float(action.ratio), action.ex_date)
        return series

    def vix(self) -> float | None:
        return None

    def counts(self) -> DataCounts:
        shown = self._shown
        return DataCounts(rows=shown, used=shown, quarantined=0, by_reason={})


class HandMadeNews:
    """A `NewsSource` with given items."""

    def __init__(self, items: Iterable[NewsItem] = ()) -> None:
        self._items = sorted(items, key=lambda item: (item.published_at, item.item_id))

    async def published(self, after: datetime, until: datetime) -> Sequence[NewsItem]:
        return [item for item in self._items if after < item.published_at <= until]
