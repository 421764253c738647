"""TradingService: waits for the next tick, runs it, commits it, and says so.

Books live in memory and are rebuilt from the store at every start, so there is one path for the
first start, a restart by the supervisor and the start after kill -9: read what was committed, take
that place in the market, go on with the next tick. A tick that fails leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Protocol

from roboinvest.core.events import TickCompleted, TradingState
from roboinvest.core.market.sessions import Session
from roboinvest.core.ports import Clock, MarketClock
from roboinvest.core.protections import LockRule
from roboinvest.core.records import TickCommit
from roboinvest.runtime.bus import EventBus
from roboinvest.runtime.standing_alerts import StandingAlerts
from roboinvest.runtime.storage.stored import StoredState
from roboinvest.runtime.store import Store
from roboinvest.runtime.supervision.service import ServiceContext
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.schedule import TickSchedule
from roboinvest.trading.state import TickState
from roboinvest.trading.tick import TickRunner


class TickWatcher(Protocol):
    """Somebody who wants to see each committed tick, such as the reports."""

    def saw(self, state: TickState, commit: TickCommit) -> None:
        """Look at a tick after its commit; quick, because the next one waits."""

    def open_alerts(self, prefix: str) -> Iterable[str]:
        """Return the keys of open alerts that begin with `prefix`, without it."""


class TradingService:
    """The supervised loop of one account."""

    name = "trading"

    def __init__(
        self,
        *,
        store: Store,
        open_runner: Callable[[StoredState], Awaitable[TickRunner]],
        schedule: TickSchedule,
        market_clock: MarketClock,
        gate: TradingGate,
        bus: EventBus,
        clock: Clock,
        watcher: TickWatcher,
        finished: Callable[[], None],
    ) -> None:
        self._store = store
        self._open_runner = open_runner
        self._schedule = schedule
        self._market_clock = market_clock
        self._gate = gate
        self._bus = bus
        self._clock = clock
        self._watcher = watcher
        self._finished = finished
        self._suspensions = StandingAlerts(
            "data.", kind="data", over="prices are trusted again", publish=bus.publish
        )
        self._locks = StandingAlerts(
            "lock.", kind="risk", over="the lock is over", publish=bus.publish
        )

    async def run(self, ctx: ServiceContext) -> None:
        """Trade until the schedule ends; a live schedule does not."""
        self._gate.enter(TradingState.RECONCILING, "reading the books")
        stored = await self._store.load()
        runner = await self._open_runner(stored)
        self._gate.enter(TradingState.READY, "books read, market in place")
        ctx.ready()
        for standing in (self._suspensions, self._locks):
            standing.resume(self._watcher.open_alerts(standing.prefix))
        last = stored.last_tick.at if stored.last_tick else None
        for session, at in self._schedule.after(last):
            ctx.idle()
            await self._market_clock.wait_until(at)
            await self._tick(runner, session, at)
            ctx.beat()
        self._finished()

    async def _tick(self, runner: TickRunner, session: Session, at: datetime) -> None:
        state, commit = await runner.run(session, at)
        await self._store.commit_tick(commit)
        self._watcher.saw(state, commit)
        self._bus.publish(_completed(state, commit, self._clock.now()))
        self._tell_of_standing_causes(runner, state)

    def _tell_of_standing_causes(self, runner: TickRunner, state: TickState) -> None:
        """Raise an alert for each symbol not trusted and each lock of risk, and end them."""
        tick, now = state["tick"], self._clock.now()
        self._suspensions.tell(tick.update.suspended, now)
        locks = runner.books.account.locks.in_force(tick.at)
        shown = (lock for lock in locks if lock.rule is not LockRule.COOLDOWN)  # that is routine
        self._locks.tell({lock.name: f"no entries: {lock.text}" for lock in shown}, now)


def _completed(state: TickState, commit: TickCommit, now: datetime) -> TickCompleted:
    """Return what others hear of a tick."""
    record, views = commit.record, state["strategy"].views
    return TickCompleted(
        at=now,
        tick_id=record.tick_id,
        tick_at=record.at,
        decisions=record.buys + record.sells + record.holds,
        fills=record.fills,
        trades=len(commit.trades),
        insights=len(state["lessons"].remembered),
        lookups=len(views),
        lookup_hits=sum(view.similar_setups > 0 for view in views),
        asks=state["strategy"].asks,
    )
