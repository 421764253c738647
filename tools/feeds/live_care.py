"""LiveCare: prepares each session, and asks the vendor for what the stream did not bring.

Preparing means: the bars of the sessions before from the store, or from the vendor where the store
lacks them, and the splits and dividends since. It happens in the hour before the open, so that the
first tick finds it done. Mending a hole is one call a symbol, in the lane of what a tick needs.
While the vendor is away both are tried again and again; nobody is told that nothing is missing.
People are told once that it is away: two looks in a row came to nothing, so that it is no hiccup,
and bars are missing or about to. That it limits us is no absence: it says so itself, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Calendar, Clock
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.runtime.vendors.rate_limiter import Lane
from tools.data_fetcher.bar_cache import BarCache
from tools.data_fetcher.failures import RateLimited
from tools.data_fetcher.port import DataFetcher
from tools.feeds.minute_book import MINUTE_NS, Hole, MinuteBook, Preparation

KEY: Final = "market_data.away"
_FAR: Final = timedelta(days=21)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CareTerms:
    """How closely the book is looked after."""

    warm_up_sessions: int = 5  # before each session: more than any window looks back
    look_s: float = 5.0  # between two looks
    before_open: timedelta = timedelta(hours=1)  # when the next session is prepared
    call_s: float = 120.0  # the longest that one question may take
    silent_after: timedelta = timedelta(minutes=4)  # of a symbol, while the market is open
    ask_again: timedelta = timedelta(minutes=10)  # about a symbol that stays silent
    settled_after: timedelta = timedelta(seconds=30)  # a bar is at the vendor by then
    failed_looks: int = 2  # in a row, after which people are told


class LiveCare:
    """A supervised service: the keeper of a book."""

    name = "market_care"

    def __init__(
        self,
        book: MinuteBook,
        fetcher: DataFetcher,
        cache: BarCache,
        calendar: Calendar,
        *,
        clock: Clock,
        terms: CareTerms | None = None,
    ) -> None:
        self._book = book
        self._fetcher = fetcher
        self._cache = cache
        self._calendar = calendar
        self._clock = clock
        self._terms = terms or CareTerms()
        self._asked: dict[str, datetime] = {}  # symbol -> when it was last asked for
        self._failed = 0  # looks, in a row
        self._answers = 0  # of the vendor, since one of them failed
        self._is_away: bool | None = None  # None: not known, and an earlier run may have told it
        self._publish: Callable[[Event], None] = lambda _: None
        self._log = structlog.get_logger("roboinvest.market_care")

    def tell(self, publish: Callable[[Event], None]) -> None:
        """Take who hears that the vendor is away, and that it is back."""
        self._publish = publish

    def away(self) -> str | None:
        """Return the key of the alert that says that the vendor is away; None: it is not."""
        return KEY if self._is_away else None

    async def run(self, ctx: ServiceContext) -> None:
        """Look after the book until cancelled; ready once the next session is prepared."""
        while True:
            await self.look(ctx)
            ctx.beat()
            await ctx.sleep(self._terms.look_s)

    async def look(self, ctx: ServiceContext) -> None:
        """Look once; people are told where the vendor is away, and where it is back."""
        try:
            await self.look_once(ctx)
        except TryLater as error:
            self._log.warning("market_data_away", why=str(error))
            self._note_failure(error)
        else:
            ctx.ready()
            self._note_success()

    async def look_once(self, ctx: ServiceContext) -> None:
        """Prepare what is due, and mend what can be.

        Raises:
            TryLater: the vendor is away; what was done stays.
        """
        now = self._clock.now()
        session = self._due_session(now)
        held = self._book.preparation
        if session is not None and (held is None or held.day != session.day):
            self._book.prepare(await self._prepare(ctx, session))
        if session is None or now < session.opens_at:
            self._close_idle_holes(session)
            return
        self._suspect_the_silent(session, now)
        self._close_idle_holes(session)
        for symbol in self._book.symbols:
            hole = self._book.hole(symbol)
            if hole is not None:
                await self._mend(ctx, symbol, hole, session)

    def _note_failure(self, error: TryLater) -> None:
        """Tell people once it has lasted."""
        if isinstance(error, RateLimited):
            return
        self._failed, self._answers = self._failed + 1, 0
        if self._is_away or self._failed < self._terms.failed_looks:
            return
        self._is_away = True
        self._publish(
            AlertRaised(
                at=self._clock.now(),
                key=KEY,
                severity=Severity.HIGH,
                kind="data",
                message=f"the vendor of market data is away: {error}; nothing is bought on prices "
                "that have aged, and it is asked again every few seconds",
            )
        )

    def _note_success(self) -> None:
        """Tell people that it is back, once it has answered: a look may have nothing to ask."""
        self._failed = 0
        if self._is_away is False or not (self._answers or self._book.stream_since):
            return
        self._is_away = False
        text = "the vendor of market data answers again"
        self._publish(AlertResolved(at=self._clock.now(), key=KEY, message=text))

    def _due_session(self, now: datetime) -> Session | None:
        """Return the session that runs or is near; at night the one that comes, or came last."""
        near = self._calendar.sessions((now - _FAR).date(), (now + _FAR).date())
        begun = [each for each in near if each.opens_at - self._terms.before_open <= now]
        held = self._book.preparation
        if held is not None:
            ahead = [each for each in near if each.day == held.day and each.opens_at > now]
            return ahead[0] if ahead else (begun[-1] if begun else None)
        if begun and now < begun[-1].closes_at:
            return begun[-1]
        return next((each for each in near if each.opens_at > now), None)

    async def _prepare(self, ctx: ServiceContext, session: Session) -> Preparation:
        before = self._calendar.sessions(
            session.day - timedelta(days=2 * self._terms.warm_up_sessions + 15),
            session.day - _DAY,
        )[-self._terms.warm_up_sessions :]
        history: dict[str, RawRows] = {}
        for symbol in self._book.symbols:
            history[symbol] = await self._history(ctx, symbol, before)
        first = before[0].day if before else session.day
        ctx.beat()
        ctx.idle(2 * self._terms.call_s)
        actions = await self._fetcher.actions_of(
            self._book.symbols, first, session.day, lane=Lane.DATA
        )
        self._answers += 1
        self._log.info("session_prepared", day=session.day.isoformat(), actions=len(actions))
        return Preparation(day=session.day, history=history, actions=tuple(actions))

    async def _history(
        self, ctx: ServiceContext, symbol: str, before: Sequence[Session]
    ) -> RawRows:
        if not before:
            return RawRows.none()
        ctx.beat()
        ctx.idle(self._terms.call_s)
        return await self._cache.rows(
            symbol, Timeframe.MINUTE, before[0].day, before[-1].day, lane=Lane.DATA
        )

    async def _mend(self, ctx: ServiceContext, symbol: str, hole: Hole, session: Session) -> None:
        """Ask for a symbol's day so far, and close its hole when the answer reaches its end."""
        asked_at = self._clock.now()
        ctx.beat()
        ctx.idle(self._terms.call_s)
        found = await self._fetcher.bars(
            symbol, Timeframe.MINUTE, session.day, session.day, lane=Lane.DATA
        )
        self._answers += 1
        fresh = self._book.add(symbol, found.rows)
        self._asked[symbol] = asked_at
        until = hole.until_ns
        if until is None:
            return  # the stream is away: there will be more to ask for
        settled = to_ns(asked_at - self._terms.settled_after) >= until
        reached = len(found.rows) and int(found.rows.ts[-1]) >= until - MINUTE_NS
        if settled or reached:
            self._book.mend(symbol)
            self._log.info("hole_mended", symbol=symbol, bars=fresh)

    def _suspect_the_silent(self, session: Session, now: datetime) -> None:
        """Ask about symbols that have been silent for long while the market is open."""
        if not session.opens_at + self._terms.silent_after <= now < session.closes_at:
            return
        limit = to_ns(now - self._terms.silent_after)
        for symbol in self._book.symbols:
            asked = self._asked.get(symbol)
            if asked is not None and now - asked < self._terms.ask_again:
                continue
            if (self._book.newest(symbol) or 0) < limit:
                self._book.suspect(symbol)

    def _close_idle_holes(self, session: Session | None) -> None:
        """Forget holes that lie wholly outside of trading: nothing can be missing there."""
        for symbol in self._book.symbols:
            hole = self._book.hole(symbol)
            if hole is None or hole.until_ns is None:
                continue
            if session is None or not _touches(hole.from_ns, hole.until_ns, session):
                self._book.mend(symbol)


def _touches(from_ns: int, until_ns: int, session: Session) -> bool:
    """Return whether a span has anything of a session's trading in it."""
    return from_ns < to_ns(session.closes_at) and until_ns > to_ns(session.opens_at)
