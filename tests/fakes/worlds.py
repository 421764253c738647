"""Small worlds to trade in: sessions of an hour on a calendar of weekdays, invented or given rows.

A `Market` made here is read by the product like any other. Short sessions bring a night, a split
and a resumption within a hundred ticks, so that a scenario can afford many lives.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction
from roboinvest.core.ports import Calendar, MarketFeed, NewsSource
from roboinvest.runtime.configuration.settings import load_settings
from tools.feeds.market_feed import BarSource, SessionFeed
from tools.markets import Market, open_market
from tools.news import NewsFile
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

FIRST = date(2026, 1, 5)  # a Monday: the first day of an invented world
_DAY = timedelta(days=1)
ResultT = TypeVar("ResultT")


class ShortDays:
    """Weekdays that open at 14:30 UTC and close some minutes later."""

    def __init__(self, minutes: int) -> None:
        self._length = timedelta(minutes=minutes)

    def sessions(self, first: date, last: date) -> Sequence[Session]:
        """Return the sessions of the weekdays `first` to `last`."""
        days = (first + n * _DAY for n in range((last - first).days + 1))
        return [self._session(day) for day in days if day.weekday() < 5]

    def _session(self, day: date) -> Session:
        opens_at = datetime.combine(day, time(14, 30), UTC)
        closes_at = opens_at + self._length
        return Session(day=day, opens_at=opens_at, closes_at=closes_at, is_half_day=False)


def invented(
    seed: int,
    symbols: Sequence[str] = ("ALFA", "BRVO"),
    *,
    minutes: int = 40,
    sessions: int = 3,
    history: int = 4,
) -> Market:
    """Return a simulated market of short days, with sessions of history before the first."""
    calendar = ShortDays(minutes)
    days = calendar.sessions(FIRST, FIRST + 3 * (sessions + history) * _DAY)
    source = SimulatedMarket(
        SimulatedMarketSettings(seed=seed, symbols=tuple(symbols), first=FIRST), calendar
    )
    span = (days[history], days[history + sessions - 1])
    return market_of(source, calendar, span, news=source, history=history, stamp={"seed": seed})


def market_of(
    source: BarSource,
    calendar: Calendar,
    span: tuple[Session, Session],
    *,
    news: NewsSource | None = None,
    actions: Sequence[CorporateAction] = (),
    history: int = 0,
    stamp: Mapping[str, Any] | None = None,
) -> Market:
    """Return a market of any rows, from the open of the first session of `span` to its last."""
    first, last = span

    def new_feed() -> MarketFeed:
        return SessionFeed(
            source, calendar, first=first.day, warm_up_sessions=history, actions=actions
        )

    return Market(
        mode="replay",
        is_simulated=False,
        symbols=tuple(source.symbols),
        timeframe=source.timeframe,
        calendar=calendar,
        news=news or NewsFile(()),
        starts_at=first.opens_at,
        last_day=last.day,
        speed=None,
        stamp=stamp or {"world": "given rows"},
        new_feed=new_feed,
    )


def recorded(
    pack: Path, symbol: str, source: str, first: str, last: str, *, with_actions: bool = False
) -> Market:
    """Return the market of a replay of the data pack, as the command line would open it."""
    typed = {
        "market.source": "replay",
        "market.symbols": symbol,
        "replay.path": pack / "bars" / "minute_equity.parquet",
        "replay.source": source,
        "replay.first": first,
        "replay.last": last,
    }
    if with_actions:
        typed["replay.actions_path"] = pack / "corporate_actions" / "factors.csv"
    return open_market(load_settings(None, {}, typed))


def rows_of(source: BarSource, sessions: Sequence[Session]) -> dict[str, RawRows]:
    """Return all rows that a source has for some sessions, by symbol."""
    found = [_at_once(source.session_rows(session)) for session in sessions]
    return {symbol: _joined([rows[symbol] for rows in found]) for symbol in source.symbols}


def scaled(rows: RawRows, factor: float, since: datetime) -> RawRows:
    """Return rows whose prices are multiplied from an instant on, in whole cents."""
    values = rows.values.copy()
    later = rows.ts >= to_ns(since)
    values[:4, later] = np.round(values[:4, later] * factor, 2)
    return RawRows.of(rows.ts, values)


def without(rows: RawRows, after: datetime, until: datetime) -> RawRows:
    """Return rows without those that open in [after, until)."""
    return rows.take((rows.ts < to_ns(after)) | (rows.ts >= to_ns(until)))


def _at_once(answer: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return what a source answers that waits for nothing but its turn."""
    while True:
        try:
            answer.send(None)
        except StopIteration as end:
            result: ResultT = end.value
            return result


def _joined(parts: Sequence[RawRows]) -> RawRows:
    return RawRows.of(
        np.concatenate([rows.ts for rows in parts]),
        np.concatenate([rows.values for rows in parts], axis=1),
    )
