"""The market as a run sees it: rows judged session by session, and shown when they have closed.

A session's rows are judged in one go when the session begins. Judging is causal: a row's verdict
does not depend on the rows after it, so judging early changes nothing, and `advance` only has to
move a mark. Rows outside regular hours are counted as read and go no further: they neither reach
an agent nor move the price that the gate compares with.

What happened before is a function of the source, so `seek` builds it again instead of keeping it.
Deliberately absent: rows that arrive after their session was asked for; that is a live feed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from roboinvest.core.market.bars import BarSeries, to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Calendar
from tools.feeds.counts import RunningCounts
from tools.feeds.session import JudgedSession, SymbolTrack, Timeline

_DAY: Final = timedelta(days=1)


class BarSource(Protocol):
    """Raw rows of some symbols, session by session."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, sorted."""

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars."""

    async def session_rows(self, session: Session) -> Mapping[str, RawRows]:
        """Return the rows of one exchange day, any order, possibly bad.

        Raises:
            TryLater: the source is away.
        """


class SessionFeed:
    """A `MarketFeed` over a source that knows whole sessions: files, stores, simulations."""

    def __init__(
        self,
        source: BarSource,
        calendar: Calendar,
        *,
        first: date,
        warm_up_sessions: int,
        actions: Sequence[CorporateAction] = (),
        vix: Mapping[date, float] | None = None,
    ) -> None:
        """Begin at exchange day `first`; earlier sessions fill windows and are not counted.

        `actions` of a symbol whose prices are already adjusted must be left out by the caller.
        """
        self._source = source
        self._calendar = calendar
        self._first = first
        self._begin = _warm_up_begin(calendar, first, warm_up_sessions)
        self._actions = sorted(
            (action for action in actions if action.symbol in source.symbols),
            key=lambda action: (action.ex_date, action.symbol, action.kind),
        )
        self._vix_days = sorted(vix or {})
        self._vix = [(vix or {})[day] for day in self._vix_days]
        self._at: datetime | None = None
        self._session: Session | None = None
        self._loaded: date | None = None  # the last session that was judged
        self._reset()

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe, sorted."""
        return tuple(self._tracks)

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars."""
        return self._source.timeframe

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        """Move to `at` (a tick time of `session`) and return what happened since the last call.

        Raises:
            TryLater: the source is away; nothing was moved.
            ValueError: `at` lies before the last call's.
        """
        at_ns = to_ns(at)
        if self._at is not None and at < self._at:
            raise ValueError(f"asked for {at.isoformat()} after {self._at.isoformat()}")
        await self._load_through(session)
        actions = self._take_actions(session.day)
        self._at, self._session = at, session
        return MarketUpdate(
            at=at,
            session=session,
            bars=self._timeline.show(at_ns),
            actions=actions,
            suspended=self._timeline.suspended,
        )

    async def seek(self, at: datetime) -> None:
        """Take the place a run had after `advance(at)`, so that a resumed run sees what it saw."""
        self._reset()
        nearby = self._calendar.sessions(at.date() - 7 * _DAY, at.date())
        begun = [session for session in nearby if session.opens_at < at]
        if begun and begun[-1].day >= self._first:
            await self._load_through(begun[-1])
            self._take_actions(begun[-1].day)
            self._session = begun[-1]
        self._at = at
        self._timeline.skip(to_ns(at))

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
        """Return what the gate did from the first session up to the last `advance`."""
        return self._counts.until(to_ns(self._at) if self._at is not None else 0)

    def _reset(self) -> None:
        self._tracks = {
            symbol: SymbolTrack(
                symbol,
                self._source.timeframe,
                [action for action in self._actions if action.symbol == symbol],
            )
            for symbol in sorted(self._source.symbols)
        }
        self._timeline = Timeline()
        self._counts = RunningCounts()
        self._at = self._session = self._loaded = None
        self._acted = self._first - _DAY  # actions up to this day were reported

    async def _load_through(self, session: Session) -> None:
        """Judge every session up to `session` that was not judged yet."""
        if self._loaded is not None and self._loaded >= session.day:
            return
        begin = self._begin if self._loaded is None else self._loaded + _DAY
        before = self._calendar.sessions(begin, session.day - _DAY)
        for each in (*before, session):
            self._take(each, await self._source.session_rows(each))

    def _take(self, session: Session, rows: Mapping[str, RawRows]) -> None:
        judged: list[JudgedSession] = [
            track.take(session, rows.get(symbol, RawRows.none()))
            for symbol, track in self._tracks.items()
        ]
        if session.day >= self._first:
            self._counts.settle(to_ns(self._at) if self._at is not None else 0)
            self._timeline.add_bars([each.bars for each in judged])
            for each in judged:
                self._counts.add(each.tally)
        self._timeline.add_changes([change for each in judged for change in each.changes])
        self._loaded = session.day

    def _take_actions(self, day: date) -> tuple[CorporateAction, ...]:
        """Return the actions in force since the last session asked about, once."""
        if self._acted >= day:
            return ()
        due = tuple(action for action in self._actions if self._acted < action.ex_date <= day)
        self._acted = day
        return due


def _warm_up_begin(calendar: Calendar, first: date, sessions: int) -> date:
    """Return the day of the first warm-up session; `first` where there is to be none."""
    if sessions <= 0:
        return first
    earlier = calendar.sessions(first - timedelta(days=2 * sessions + 15), first - _DAY)
    return earlier[-sessions:][0].day if earlier else first
