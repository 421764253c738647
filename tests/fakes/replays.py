"""A week of replayed sessions, and all that can be asked of a feed at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from roboinvest.core.market.bars import BarSeries, to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from tests.fakes.bar_files import quiet_rows
from tools.calendar import ExchangeCalendar
from tools.feeds.file_source import MemorySource
from tools.feeds.market_feed import SessionFeed

CALENDAR = ExchangeCalendar()
MONDAY, FRIDAY = date(2024, 3, 4), date(2024, 3, 8)
WEEK = CALENDAR.sessions(MONDAY, FRIDAY)
TUESDAY = WEEK[1]


def altered(rows: RawRows, cells: Mapping[tuple[int, int], float]) -> RawRows:
    values = rows.values.copy()
    for (row, column), value in cells.items():
        values[column, row] = value
    return RawRows.of(rows.ts, values)


def scaled(rows: RawRows, factor: float, first: date) -> RawRows:
    """Return rows with prices multiplied from the session of `first` on."""
    values = rows.values.copy()
    opens = to_ns(next(each.opens_at for each in WEEK if each.day == first))
    values[:4, rows.ts >= opens] *= factor
    return RawRows.of(rows.ts, values)


def feed_of(
    rows: Mapping[str, RawRows],
    timeframe: Timeframe = Timeframe.MINUTE,
    *,
    first: date = TUESDAY.day,
    warm_up_sessions: int = 1,
    actions: Sequence[CorporateAction] = (),
    vix: Mapping[date, float] | None = None,
) -> SessionFeed:
    return SessionFeed(
        MemorySource(rows, timeframe),
        CALENDAR,
        first=first,
        warm_up_sessions=warm_up_sessions,
        actions=actions,
        vix=vix,
    )


def ticks(
    timeframe: Timeframe, first: date = TUESDAY.day, last: date = FRIDAY
) -> list[tuple[Session, datetime]]:
    return [
        (session, at)
        for session in CALENDAR.sessions(first, last)
        for at in session.tick_times(timeframe)
    ]


@dataclass(frozen=True)
class Seen:
    """All that can be asked of a feed at one instant, in comparable form."""

    update: MarketUpdate
    windows: tuple[bytes, ...]
    counts: DataCounts
    vix: float | None


def packed(series: BarSeries) -> bytes:
    ints, floats = (series.ts, series.closes_at, series.day), (series.open, series.high, series.low)
    return np.stack([*ints]).tobytes() + np.stack([*floats, series.close, series.volume]).tobytes()


async def look(feed: SessionFeed, session: Session, at: datetime) -> Seen:
    update = await feed.advance(at, session)
    return Seen(
        update=update,
        windows=tuple(packed(feed.window(symbol, 500)) for symbol in feed.symbols),
        counts=feed.counts(),
        vix=feed.vix(),
    )


SPLIT = CorporateAction(
    symbol="AAA", kind=ActionKind.SPLIT, ex_date=date(2024, 3, 6), ratio=Decimal(7)
)


def troubled(timeframe: Timeframe) -> dict[str, RawRows]:
    """Return AAA with a split on Wednesday, BBB with one nobody explains, CCC with bad rows."""
    quiet = quiet_rows(WEEK, timeframe)
    broken = altered(quiet, {(n, 3): float("nan") for n in range(1, len(quiet), 4)})
    return {
        "AAA": scaled(quiet, 1 / 7, date(2024, 3, 6)),
        "BBB": scaled(quiet, 1 / 2, date(2024, 3, 7)),
        "CCC": broken.take(np.arange(len(quiet)) % 4 != 3),
    }
