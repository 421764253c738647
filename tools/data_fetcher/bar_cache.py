"""Bars from the store, and from the vendor only what the store does not hold whole.

Each answer is on disk before the next question is asked, so that a process that is killed loses
the one answer that was on its way. Bars of a session that is still running are kept and asked for
again. The gate of the store sets bad rows aside; whether a session is whole is judged before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from roboinvest.core.ports import Clock
from roboinvest.runtime.vendors.calls import VendorCalls
from roboinvest.runtime.vendors.rate_limiter import Lane
from tools.bars.actions import KEPT_ACTIONS, keep_actions
from tools.bars.store import BarStore, Imported
from tools.bars.table import BarTable, SeriesKey
from tools.calendar import ExchangeCalendar
from tools.data_fetcher.completeness import Shortfall, completeness_of, days_with_rows
from tools.data_fetcher.factors import factor_file, factors_of
from tools.data_fetcher.failures import RateLimited
from tools.data_fetcher.ledger import FetchLedger
from tools.data_fetcher.plan import FetchPlan, Piece, pieces_of
from tools.data_fetcher.port import DataFetcher

ResultT = TypeVar("ResultT")
SOURCE: Final = "polygon"  # how the store calls where these bars are from
_DISK_S: Final = 120.0  # for one read or write of the store
_TRIES: Final = 4  # of one question, while the vendor is away
_FIRST_WAIT_S: Final = 2.0  # before the second try; doubled each time
_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class FetchTally:
    """What a fetch did so far."""

    calls: int = 0
    pieces: int = 0
    rows: int = 0
    added: int = 0
    replaced: int = 0
    quarantined: int = 0
    actions: int = 0
    short: list[Shortfall] = field(default_factory=list)
    left_out: list[CorporateAction] = field(default_factory=list)  # no close to hold them to


class BarCache:
    """A store of bars in front of a vendor."""

    def __init__(
        self,
        fetcher: DataFetcher,
        store: BarStore,
        calendar: ExchangeCalendar,
        *,
        clock: Clock,
        disk: VendorCalls,
    ) -> None:
        """Keep what `fetcher` gives in `store`; `disk` is a pool of its own, without a limiter."""
        self._fetcher = fetcher
        self._store = store
        self._calendar = calendar
        self._clock = clock
        self._disk = disk
        self._ledger = FetchLedger(store.folder)

    async def plan(
        self,
        symbols: Sequence[str],
        timeframe: Timeframe,
        first: date,
        last: date,
        *,
        with_actions: bool = True,
    ) -> FetchPlan:
        """Return what has to be asked; nothing is.

        Raises:
            BadInput: the range holds no session that has begun, or the store has bars of a symbol
                from elsewhere.
        """
        return await self._on_disk(
            lambda: self._plan(symbols, timeframe, (first, last), with_actions=with_actions)
        )

    async def fetch(self, plan: FetchPlan, done: Callable[[FetchTally], None]) -> FetchTally:
        """Ask for everything in `plan`; `done` is called after each answer that is kept.

        Raises:
            TryLater: the vendor stayed away; what was kept stays.
            BadKey, NotEntitled, BadInput, BadSettings: as `DataFetcher` and `BarStore`.
        """
        tally = FetchTally()
        for piece in plan.pieces:
            await self._fetch_piece(piece, tally, Lane.RESEARCH)
            done(tally)
        for symbol in plan.actions_of:
            await self._fetch_actions(symbol, plan, tally)
            done(tally)
        return tally

    async def rows(
        self, symbol: str, timeframe: Timeframe, first: date, last: date, *, lane: Lane
    ) -> RawRows:
        """Return the bars of some exchange days: from the store, after asking for what it lacks.

        Raises:
            as `fetch`.
        """
        plan = await self.plan([symbol], timeframe, first, last, with_actions=False)
        for piece in plan.pieces:
            await self._fetch_piece(piece, FetchTally(), lane)
        return await self._on_disk(lambda: self._store.read(symbol, timeframe, first, last))

    def _plan(
        self,
        symbols: Sequence[str],
        timeframe: Timeframe,
        days: tuple[date, date],
        *,
        with_actions: bool,
    ) -> FetchPlan:
        wanted = tuple(dict.fromkeys(symbols))
        sessions = self._begun(*days)
        if not sessions:
            raise BadInput(
                f"no session of the exchange has begun from {days[0]} to {days[1]}; "
                "give a range with trading days that lie behind us"
            )
        self._refuse_other_source(wanted, timeframe)
        pieces, whole, actions_of = list[Piece](), 0, list[str]()
        for symbol in wanted:
            held = self._whole(symbol, timeframe, sessions)
            whole += sum(session.day in held for session in sessions)
            fresh = pieces_of(symbol, timeframe, sessions, held)
            pieces += fresh
            span = (sessions[0].day, sessions[-1].day)
            if with_actions and (fresh or not self._ledger.has_actions(symbol, timeframe, *span)):
                actions_of.append(symbol)
        return FetchPlan(
            symbols=wanted,
            timeframe=timeframe,
            first=sessions[0].day,
            last=sessions[-1].day,
            sessions=len(sessions),
            whole=whole,
            pieces=tuple(pieces),
            actions_of=tuple(actions_of),
        )

    def _begun(self, first: date, last: date) -> list[Session]:
        now = self._clock.now()
        last = min(last, now.date() + _DAY)
        return [each for each in self._calendar.sessions(first, last) if each.opens_at < now]

    def _whole(
        self, symbol: str, timeframe: Timeframe, sessions: Sequence[Session]
    ) -> frozenset[date]:
        """Return the sessions that are noted as whole and of which the store has bars."""
        noted = self._ledger.whole_days(symbol, timeframe)
        if not noted:
            return noted
        rows = self._store.read(symbol, timeframe, sessions[0].day, sessions[-1].day)
        return noted & days_with_rows(rows)

    def _refuse_other_source(self, symbols: Sequence[str], timeframe: Timeframe) -> None:
        for held in self._store.ls():
            mixed = held.source != SOURCE or held.adjusted
            if held.symbol in symbols and held.timeframe is timeframe and mixed:
                kind = "adjusted" if held.adjusted else "raw"
                raise BadInput(
                    f"{held.symbol} {timeframe} in {self._store.folder} is {kind} from "
                    f"{held.source or 'an unnamed source'}, and must not be mixed with {SOURCE}; "
                    "remove it or use another --data-dir"
                )

    async def _fetch_piece(self, piece: Piece, tally: FetchTally, lane: Lane) -> None:
        asked_at = self._clock.now()
        fetched = await self._stubborn(
            lambda: self._fetcher.bars(
                piece.symbol, piece.timeframe, piece.first, piece.last, lane=lane
            ),
            tally,
        )
        sessions = self._begun(piece.first, piece.last)
        judged = completeness_of(
            piece.symbol, piece.timeframe, fetched.rows, sessions, asked_at=asked_at
        )
        kept = await self._on_disk(lambda: self._keep(piece, fetched.rows, judged.whole))
        tally.calls += fetched.calls
        tally.pieces += 1
        tally.rows += len(fetched.rows)
        tally.short += judged.short
        for each in kept:
            tally.added += each.added
            tally.replaced += each.replaced
            tally.quarantined += each.quarantined

    def _keep(self, piece: Piece, rows: RawRows, whole: Sequence[date]) -> list[Imported]:
        """Write bars, and only then the note that says which sessions are whole."""
        if not len(rows):
            return []
        key = SeriesKey(symbol=piece.symbol, source=SOURCE, adjusted=False)
        table = BarTable(path=Path(SOURCE), series={key: rows}, undated=())
        imported = self._store.add(table, timeframe=piece.timeframe)
        self._ledger.note(piece.symbol, piece.timeframe, whole)
        return imported

    async def _fetch_actions(self, symbol: str, plan: FetchPlan, tally: FetchTally) -> None:
        """Ask for a symbol's splits and dividends since its first bar, and keep them."""
        held = await self._on_disk(self._store.ls)
        begins = [each.first.date() for each in held if each.symbol == symbol]
        span = (min([plan.first, *begins]), max(plan.last, self._clock.now().date()))
        found = await self._stubborn(lambda: self._fetcher.actions(symbol, *span), tally)
        left_out = await self._on_disk(
            lambda: self._keep_actions(symbol, plan.timeframe, found, span)
        )
        tally.calls += 2
        tally.actions += len(found) - len(left_out)
        tally.left_out += left_out

    def _keep_actions(
        self,
        symbol: str,
        timeframe: Timeframe,
        found: Sequence[CorporateAction],
        span: tuple[date, date],
    ) -> Sequence[CorporateAction]:
        factors = factors_of(
            symbol,
            found,
            session_before=self._session_before,
            close_on=lambda day: self._close_on(symbol, timeframe, day),
        )
        self._store.folder.mkdir(parents=True, exist_ok=True)
        fresh = self._store.folder / f".{KEPT_ACTIONS}.fetched"
        try:
            fresh.write_bytes(factor_file(factors.rows))
            keep_actions(self._store.folder, fresh)
        finally:
            fresh.unlink(missing_ok=True)
        self._ledger.note_actions(symbol, timeframe, *span)
        return factors.left_out

    def _session_before(self, day: date) -> date | None:
        earlier = self._calendar.sessions(day - timedelta(days=15), day - _DAY)
        return earlier[-1].day if earlier else None

    def _close_on(self, symbol: str, timeframe: Timeframe, day: date) -> Decimal | None:
        """Return the close of the last regular bar of a session."""
        rows = self._store.read(symbol, timeframe, day, day)
        for session in self._calendar.sessions(day, day):
            for place in range(len(rows) - 1, -1, -1):
                close = float(rows.values[3, place])
                if rows.ts[place] < to_ns(session.closes_at) and close > 0:
                    return Decimal(repr(close))
        return None

    async def _stubborn(self, ask: Callable[[], Awaitable[ResultT]], tally: FetchTally) -> ResultT:
        """Ask again, a few times, while the vendor is away or wants patience."""
        wait_s, tries = _FIRST_WAIT_S, 1
        while True:
            try:
                return await ask()
            except TryLater as error:
                tally.calls += 1
                tries += 1
                if tries > _TRIES:
                    raise
                if isinstance(error, RateLimited):
                    continue  # the limiter holds everybody back until it may be asked again
                await asyncio.sleep(wait_s)
                wait_s *= 2

    async def _on_disk(self, job: Callable[[], ResultT]) -> ResultT:
        return await self._disk.run(job, lane=Lane.DATA, deadline_s=_DISK_S)
