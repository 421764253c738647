"""LiveFeed: the market as a live run sees it, minute by minute, through the same gate as a replay.

A tick is due the moment a minute ends, and its bar arrives a little later, so that `advance` waits
a few seconds for it. A symbol with a hole (the stream was away) shows nothing newer until the hole
is mended, or for so long that waiting would be worse: an aged price stops entries by itself, a
window with a gap would not. What arrives after a later bar was judged is late, and is set aside.

Each session begins anew from what its `Preparation` holds; a resumed run therefore sees the windows
that an unbroken one sees, and memory does not grow with the months.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from roboinvest.core.errors import TryLater
from roboinvest.core.market.bars import BarSeries, Ints, to_ns
from roboinvest.core.market.findings import BIT, Reason
from roboinvest.core.market.quality import missing_opens
from roboinvest.core.market.rows import RawRows, exchange_days
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Calendar, Clock
from tools.feeds.counts import RunningCounts, SessionTally
from tools.feeds.minute_book import MINUTE_NS, MinuteBook, Preparation
from tools.feeds.session import JudgedSession, SymbolTrack, Timeline

_NONE: Final[Ints] = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPatience:
    """How long a tick waits for data, in real seconds."""

    bar_s: float = 4.0  # for the bars of the minute that has just ended
    hole_s: float = 180.0  # for a hole to be mended, before it is traded around
    prepared_s: float = 20.0  # for the session to be prepared


class LiveFeed:
    """A `MarketFeed` over a book that others fill."""

    def __init__(
        self,
        book: MinuteBook,
        calendar: Calendar,
        *,
        clock: Clock,
        patience: FeedPatience | None = None,
        vix: Mapping[date, float] | None = None,
    ) -> None:
        """Show nothing yet; `vix` are daily closes by exchange day."""
        self._book = book
        self._calendar = calendar
        self._clock = clock
        self._patience = patience or FeedPatience()
        self._vix_days = sorted(vix or {})
        self._vix = [(vix or {})[day] for day in self._vix_days]
        self._at: datetime | None = None
        self._reset(None)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe, sorted."""
        return self._book.symbols

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars: a minute, as the stream has them."""
        return Timeframe.MINUTE

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        """Move to `at` (a tick time of `session`) and return what happened since the last call.

        Raises:
            TryLater: the session is not prepared; nothing was moved.
            ValueError: `at` lies before the last call's.
        """
        if self._at is not None and at < self._at:
            raise ValueError(f"asked for {at.isoformat()} after {self._at.isoformat()}")
        preparation = await self._prepared(session)
        if self._session is None or self._session.day != session.day:
            self._begin(session, preparation)
        await self._wait_for_bars(at)
        self._take(at, session)
        self._at = at
        return MarketUpdate(
            at=at,
            session=session,
            bars=self._timeline.show(to_ns(at)),
            actions=self._due_actions(session.day),
            suspended=self._timeline.suspended,
        )

    async def seek(self, at: datetime) -> None:
        """Take the place a run had after `advance(at)`; what closed by then is not shown again."""
        self._reset(at)

    def window(self, symbol: str, length: int) -> BarSeries:
        """Return the last `length` regular-session bars, on today's side of every split so far."""
        track = self._tracks[symbol]
        if self._at is None or self._session is None:
            return track.columns.window(0, length)
        return track.window(self._at, length, self._session)

    def vix(self) -> float | None:
        """Return the VIX close of the last day before this session: its close is after ours."""
        if self._session is None:
            return None
        earlier = bisect_left(self._vix_days, self._session.day)
        return self._vix[earlier - 1] if earlier else None

    def counts(self) -> DataCounts:
        """Return what the gate did since this feed was made."""
        return self._counts.until(to_ns(self._at) if self._at is not None else 0)

    def _reset(self, at: datetime | None) -> None:
        self._at = at
        self._session: Session | None = None
        self._actions: tuple[CorporateAction, ...] = ()
        self._acted = self._day_of(at) if at is not None else None
        self._counts = RunningCounts()
        self._tracks = {symbol: self._track(symbol) for symbol in self._book.symbols}
        self._timeline: Timeline = Timeline()
        self._seen: dict[str, set[int]] = {symbol: set() for symbol in self._book.symbols}
        self._closed: date | None = None  # the last session whose holes were counted

    def _track(self, symbol: str) -> SymbolTrack:
        ours = [action for action in self._actions if action.symbol == symbol]
        return SymbolTrack(symbol, self.timeframe, ours)

    def _day_of(self, at: datetime) -> date | None:
        """Return the exchange day whose session had begun by `at`."""
        nearby = self._calendar.sessions(at.date() - timedelta(days=14), at.date())
        begun = [session.day for session in nearby if session.opens_at < at]
        return begun[-1] if begun else None

    async def _prepared(self, session: Session) -> Preparation:
        try:
            async with asyncio.timeout(self._patience.prepared_s):
                while True:
                    found = self._book.preparation
                    if found is not None and found.day == session.day:
                        return found
                    await self._book.change()
        except TimeoutError:
            raise TryLater(
                f"the session of {session.day} is not prepared: its history and its splits are "
                "still asked for; try again"
            ) from None

    def _begin(self, session: Session, preparation: Preparation) -> None:
        """Judge the sessions before this one, which nobody is shown."""
        self._session, self._actions = session, preparation.actions
        self._tracks = {symbol: self._track(symbol) for symbol in self._book.symbols}
        self._seen = {symbol: set() for symbol in self._book.symbols}
        self._timeline = Timeline()
        for symbol, track in self._tracks.items():
            rows = preparation.history.get(symbol, RawRows.none())
            for each in _sessions_of(rows, self._calendar, session.day):
                self._timeline.add_changes(track.take(each, rows).changes)
        self._timeline.skip(to_ns(session.opens_at) - 1)
        if self._at is not None and self._at >= session.opens_at:
            self._take(self._at, session)
            self._timeline.skip(to_ns(self._at))

    async def _wait_for_bars(self, at: datetime) -> None:
        """Wait until every symbol has its newest bar, but not beyond patience after `at`."""
        left = self._patience.bar_s - (self._clock.now() - at).total_seconds()
        if left <= 0:
            return
        due = to_ns(at) - MINUTE_NS
        try:
            async with asyncio.timeout(min(left, self._patience.bar_s)):
                while any((self._book.newest(each) or 0) < due for each in self._book.symbols):
                    await self._book.change()
        except TimeoutError:
            return  # who has no bar yet shows none: a quiet minute looks the same

    def _take(self, at: datetime, session: Session) -> None:
        """Judge what came in for `session` and closed by `at`."""
        at_ns = to_ns(at)
        judged = list[JudgedSession]()
        for symbol, track in self._tracks.items():
            if self._is_held(symbol):
                continue
            rows = self._book.rows(symbol, session.day)
            rows = rows.take(rows.ts + MINUTE_NS <= at_ns)
            fresh = rows.take(~np.isin(rows.ts, list(self._seen[symbol])))
            newest = max(self._seen[symbol], default=-1)
            self._seen[symbol].update(fresh.ts.tolist())
            late = fresh.ts < newest
            self._count_late(fresh.ts[late], at_ns)
            judged.append(track.take(session, fresh.take(~late)))
        self._timeline.add_bars([each.bars for each in judged])
        for each in judged:
            self._timeline.add_changes(each.changes)
            self._counts.add(replace(each.tally, missing_at=_NONE))
        if at >= session.closes_at and self._closed != session.day:
            self._count_missing(session)
        self._counts.settle(at_ns)

    def _is_held(self, symbol: str) -> bool:
        """Return whether a symbol waits for its hole to be mended."""
        hole = self._book.hole(symbol)
        if hole is None:
            return False
        return self._clock.monotonic() - hole.noted_at < self._patience.hole_s

    def _count_late(self, ts: Ints, at_ns: int) -> None:
        if len(ts):
            self._counts.add(
                SessionTally(
                    known_at=np.full(len(ts), at_ns),
                    verdicts=np.full(len(ts), BIT[Reason.LATE], np.uint16),
                    missing_at=_NONE,
                )
            )

    def _count_missing(self, session: Session) -> None:
        """Count the minutes of a session that never came, from a symbol's first one on."""
        self._closed = session.day
        for seen in self._seen.values():
            if not seen:
                continue
            present: Ints = np.array(sorted(seen), np.int64)
            absent = missing_opens(session, self.timeframe, present)
            absent = absent[absent > present[0]]
            self._counts.add(
                SessionTally(
                    known_at=_NONE,
                    verdicts=np.zeros(0, np.uint16),
                    missing_at=absent + MINUTE_NS,
                )
            )

    def _due_actions(self, day: date) -> tuple[CorporateAction, ...]:
        """Return the actions in force since the last session asked about, once."""
        acted, self._acted = self._acted, day
        if acted is None:
            return tuple(action for action in self._actions if action.ex_date == day)
        return tuple(action for action in self._actions if acted < action.ex_date <= day)


def _sessions_of(rows: RawRows, calendar: Calendar, before: date) -> list[Session]:
    """Return the sessions of which there are rows, before a day."""
    if not len(rows):
        return []
    first = date.fromordinal(int(exchange_days(rows.ts[:1])[0]))
    return [each for each in calendar.sessions(first, before) if each.day < before]
