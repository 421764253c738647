"""InstalledStrategyAgent: a strategy in the place of the strategy task.

It works on the newest row of the same signal arrays that a backtest is played on, so that one
object decides alike everywhere. What it wants is a request: the executor sizes it by the strategy's
own rule and risk clamps it. Decisions come from closed bars; only what the clock decides (leaving
before the close) does not wait for one.

A strategy in the box is asked in threads, all symbols of a tick within one deadline, so that the
loop goes on whatever its code does; what the account says is read before. Where the strategy or
its box fails, the symbol is held with the reason, what the clock decides happens all the same, and
the failure is counted for whoever watches it.

Deliberately absent: state. What it has to know of a position it reads from the ledger and the bars,
so that a restart changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Final, Protocol, TypeVar

import numpy as np

from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.held_position import Holding, trailed, wants_out
from roboinvest.core.ledger import Lot
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.grid import from_units
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Action,
    Decision,
    Leg,
    Reason,
    Side,
    to_tick,
)
from roboinvest.core.ports import Calendar, MarketFeed
from roboinvest.core.quant.expert import View, confidence_of
from roboinvest.core.signals import Signals, in_time, signals_of
from roboinvest.core.strategy import Plan
from roboinvest.core.text.cleaning import clean
from roboinvest.runtime.supervision.service import in_words
from roboinvest.runtime.vendors.rate_limiter import Lane
from roboinvest.trading.account_book import AccountBook
from roboinvest.trading.installed_strategy_asks import Tally, line_of_failure
from roboinvest.trading.installed_strategy_seat import Seat
from roboinvest.trading.playbook import Playbook
from roboinvest.trading.state import EntryRequest, Strategy, TickInput, TickState, World

HISTORY: Final = 20_000  # bars that a strategy may look back on
ZERO: Final = Decimal(0)
_SHOWN: Final = 6  # columns that a reason quotes
_ANSWERS_S: Final = 20.0  # for a boxed strategy to answer about all symbols of a tick
_LONGEST: Final = 600  # characters of what a failure says
_LEAST_S: Final = 0.5  # for one symbol, though it is late: the box answers in a tenth of it
_LATE_S: Final = 15.0  # and then for none: what else is in the tick has to come to its end
ResultT = TypeVar("ResultT")


class Elsewhere(Protocol):
    """Runs what blocks away from the loop; `runtime.vendors.calls.VendorCalls` is one."""

    async def run(self, call: Callable[[], ResultT], *, lane: Lane, deadline_s: float) -> ResultT:
        """Return what `call()` returns, or raise what it raises, or `TryLater` at the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A strategy with its parameters, as a run has it."""

    stamp: str  # "vwap_bounce@1"
    plan: Plan
    revision: str = ""  # first digits of its id, where an agent wrote it
    elsewhere: Elsewhere | None = None  # where a plan is asked that waits for another process
    seat: Seat[Installed] | None = None  # where it goes with an agent's alias; None: it stays

    @property
    def current(self) -> Installed:
        """Return who decides from the next tick on: this one, or who took its place."""
        return self if self.seat is None else self.seat.successor or self

    @property
    def source(self) -> str:
        """Return what records name as who decided."""
        return f"strategy:{self.stamp}" + (f"+{self.revision}" if self.revision else "")


@dataclass(slots=True, kw_only=True)
class _Wish:
    """What the strategy wants in one symbol."""

    action: Action = Action.HOLD
    why: str
    request: EntryRequest | None = None
    stop: Decimal | None = None  # where the stop of what is held should be now
    seen: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What the account says of one symbol."""

    lots: Sequence[Lot]
    holding: Holding | None  # None: there are no lots
    enters: bool  # an entry order is working
    fresh: bool  # its newest bar closed at this tick


class InstalledStrategyAgent:
    """Decides for every symbol of the universe by one installed strategy."""

    def __init__(
        self,
        installed: Installed,
        feed: MarketFeed,
        calendar: Calendar,
        account: AccountBook,
        playbook: Playbook,
    ) -> None:
        self._given = self._installed = installed
        self._plan = in_time(installed.plan, feed.timeframe)
        self._vacant = ""
        self._feed, self._calendar = feed, calendar
        self._account, self._playbook = account, playbook

    async def __call__(self, state: TickState) -> TickState:
        """Return the `strategy` of this tick."""
        self._look_who_decides()
        tick, world, tally = state["tick"], state["world"], Tally()
        bars = self._bars(tick, world)
        wishes = dict[str, _Wish]()
        ends_at = asyncio.get_running_loop().time() + _ANSWERS_S
        for symbol in world.observations:
            wishes[symbol] = await self._wish(symbol, bars, tick, ends_at, tally)
            await asyncio.sleep(0)
        views = tuple(self._view(symbol, wish, world) for symbol, wish in wishes.items())
        strategy = Strategy(
            decisions=tuple(self._decision(view, wishes[view.symbol], tick) for view in views),
            views=views,
            source=self._installed.source,
            cost_usd=ZERO,
            requests={s: w.request for s, w in wishes.items() if w.request is not None},
            stops={s: w.stop for s, w in wishes.items() if w.stop is not None},
            asks=tally.asks(),
        )
        return {"strategy": strategy}

    def _look_who_decides(self) -> None:
        """Take over who sits in the place now: once a tick, at its beginning."""
        current, seat = self._given.current, self._given.seat
        self._vacant = "" if seat is None else seat.vacant
        if current is not self._installed:
            self._installed = current
            self._plan = in_time(current.plan, self._feed.timeframe)

    def _bars(self, tick: TickInput, world: World) -> Mapping[str, SessionBars]:
        """Return every symbol's closed bars beside their sessions."""
        series = {s: self._feed.window(s, HISTORY) for s in world.observations}
        days = [int(each.day[0]) for each in series.values() if len(each)]
        if not days:
            return {}
        oldest = tick.session.day - timedelta(days=tick.session.day.toordinal() - min(days))
        sessions = self._calendar.sessions(oldest, tick.session.day)
        return among({s: SessionBars.of(each, sessions) for s, each in series.items() if len(each)})

    async def _wish(
        self,
        symbol: str,
        bars: Mapping[str, SessionBars],
        tick: TickInput,
        ends_at: float,
        tally: Tally,
    ) -> _Wish:
        mine = bars.get(symbol)
        if mine is None:
            return _Wish(why="no bar yet")
        standing = self._standing(symbol, mine, tick)
        if self._vacant:
            return self._without_signals(standing.lots, tick, self._vacant)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        left_s = _left_s(began_at, ends_at)
        # gathered, because its code may raise anything, and only its own symbol pays for it
        (found,) = await asyncio.gather(
            self._answer(partial(self._asked, mine, standing, tick), left_s),
            return_exceptions=True,
        )
        took_s = loop.time() - began_at
        if isinstance(found, BaseException):
            late = isinstance(found, TryLater) and took_s >= left_s
            tally.failed(line_of_failure(found, late=late))
            said = str(found) if isinstance(found, RoboInvestError) else in_words(found)
            why = f"the strategy failed: {clean(said, _LONGEST)}"
            return self._without_signals(standing.lots, tick, why)
        tally.answered(took_s)
        return found

    async def _answer(self, asked: Callable[[], _Wish], within_s: float) -> _Wish:
        """Return the answer to one question, asked where this strategy is asked."""
        elsewhere = self._installed.elsewhere
        if elsewhere is None:
            return asked()
        if not within_s:
            raise TryLater("no time was left in this tick to ask about it")
        return await elsewhere.run(asked, lane=Lane.DATA, deadline_s=within_s)

    def _standing(self, symbol: str, bars: SessionBars, tick: TickInput) -> _Standing:
        """Return what the account says of a symbol now, on the loop."""
        lots = self._account.ledger.lots(symbol, HOUSE_AGENT)
        return _Standing(
            lots=lots,
            holding=self._holding(lots, bars) if lots else None,
            enters=bool(self._account.working(symbol, Leg.ENTRY)),
            fresh=int(bars.closes_at[-1]) == to_ns(tick.at),
        )

    def _asked(self, bars: SessionBars, standing: _Standing, tick: TickInput) -> _Wish:
        """Return what the strategy wants; it may block, and reads nothing of the account."""
        signals = self._signals(bars)
        if standing.holding is not None:
            return self._on_position(standing, standing.holding, bars, signals, tick)
        if not standing.fresh:
            return _Wish(why="no bar closed at this tick")
        return self._on_entry(standing, bars, signals)

    def _signals(self, bars: SessionBars) -> Signals:
        return signals_of(self._plan, bars, self._feed.timeframe, from_row=len(bars) - 1)

    def _on_entry(self, standing: _Standing, bars: SessionBars, signals: Signals) -> _Wish:
        seen = self._shown(signals)
        side = int(signals.entry[-1])
        if not side:
            short = len(bars) <= self._plan.warm_up
            why = f"warming up, {len(bars)} of {self._plan.warm_up + 1} bars"
            return _Wish(why=why if short else "the scan finds no entry", seen=seen)
        if standing.enters:
            return _Wish(why="an entry order is working", seen=seen)
        stop, target = (_level(int(column[-1])) for column in (signals.stop, signals.target))
        request = EntryRequest(
            side=Side.BUY if side > 0 else Side.SELL,
            size=self._plan.execution.size,
            stop=stop,
            target=target,
        )
        action = Action.BUY if side > 0 else Action.SELL
        return _Wish(action=action, why="the scan finds an entry", request=request, seen=seen)

    def _on_position(
        self,
        standing: _Standing,
        holding: Holding,
        bars: SessionBars,
        signals: Signals,
        tick: TickInput,
    ) -> _Wish:
        seen, out = self._shown(signals), Action.SELL if standing.lots[0].qty > 0 else Action.BUY
        if self._too_late(tick):
            return _Wish(action=out, why="the session is about to end", seen=seen)
        if not standing.fresh:
            return _Wish(why="no bar closed at this tick", seen=seen)
        why = wants_out(self._plan, bars, signals, len(bars) - 1, holding)
        if why is not None:
            return _Wish(action=out, why=why, seen=seen)
        moved = self._moved_stop(bars, holding)
        if moved is not None and (moved - signals.mark[-1]) * holding.sign >= 0:
            return _Wish(action=out, why="the trailing stop was passed", seen=seen)
        stop = None if moved is None else from_units(moved)
        return _Wish(why="the position is kept", stop=stop, seen=seen)

    def _without_signals(self, lots: Sequence[Lot], tick: TickInput, why: str) -> _Wish:
        """Return what is left to do where the strategy says nothing: to leave in time."""
        if lots and self._too_late(tick):
            action = Action.SELL if lots[0].qty > 0 else Action.BUY
            return _Wish(action=action, why="the session is about to end")
        return _Wish(why=why)

    def _too_late(self, tick: TickInput) -> bool:
        """Return whether it is time to leave before the close; the clock says so, not a bar."""
        limit = self._plan.execution.flat_before_close_min
        if limit is None or self._feed.timeframe is Timeframe.DAY:
            return False
        return tick.session.time_left(tick.at) <= timedelta(minutes=limit)

    def _holding(self, lots: Sequence[Lot], bars: SessionBars) -> Holding:
        """Return the position as the bars show it since its first share was bought."""
        opened = to_ns(min(lot.opened_at for lot in lots))
        row = max(int(np.searchsorted(bars.ts, opened, side="right")) - 1, 0)
        shares = sum((lot.qty for lot in lots), ZERO)
        paid = sum((lot.qty * lot.price for lot in lots), ZERO)
        stop = self._account.working(lots[0].symbol, Leg.STOP)
        return Holding(
            sign=1 if shares > 0 else -1,
            entry_row=row,
            entry_price=float(paid / shares) if shares else 0.0,
            stop=None if stop is None or stop.stop_price is None else stop.stop_price,
        )

    def _moved_stop(self, bars: SessionBars, holding: Holding) -> int | None:
        """Return where the stop should be now, in units, where that is better than where it is."""
        if self._plan.execution.trail is None or holding.entry_row < 1:
            return None
        # The distance was fixed at the signal: ask what the strategy saw then.
        row, timeframe = holding.entry_row - 1, self._feed.timeframe
        then = signals_of(self._plan, bars.until(row), timeframe, from_row=row)
        return trailed(bars, len(bars) - 1, holding, int(then.trail[-1]))

    def _shown(self, signals: Signals) -> dict[str, float]:
        names = list(self._plan.columns)[:_SHOWN]
        return {name: float(signals.columns[name][-1]) for name in names}

    def _view(self, symbol: str, wish: _Wish, world: World) -> View:
        observation, request = world.observations[symbol], wish.request
        similar = self._playbook.similar(HOUSE_AGENT, observation.vector)
        mean_r = sum(setup.r_multiple for setup in similar) / len(similar) if similar else 0.0
        sign = 0.0 if request is None else float(request.side.sign)
        long = request is not None and request.side is Side.BUY
        levels = (request.stop, request.target) if request is not None else (None, None)
        quoted = ", ".join(f"{name} {value:.6g}" for name, value in wish.seen.items())
        reason = Reason(
            name="strategy",
            score=sign,
            weight=1.0,
            text=f"{wish.why} ({quoted})" if quoted else wish.why,
        )
        return View(
            symbol=symbol,
            action=wish.action,
            conviction=sign,
            confidence=confidence_of(self._playbook.cells(HOUSE_AGENT), HOUSE_AGENT, sign),
            stop=None if levels[0] is None else float(levels[0]),
            target=None if levels[1] is None else float(levels[1]),
            reasons=(reason,),
            summary=f"{wish.action} {symbol}: {self._installed.stamp}: {wish.why}.",
            is_candidate=long and observation.warm and None not in levels,
            similar_setups=len(similar),
            similar_mean_r=round(mean_r, 6),
        )

    def _decision(self, view: View, wish: _Wish, tick: TickInput) -> Decision:
        request = wish.request
        return Decision(
            tick_id=tick.tick_id,
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=view.symbol,
            action=view.action,
            conviction=view.conviction,
            confidence=view.confidence,
            stop=None if request is None else request.stop,
            target=None if request is None else request.target,
            reasons=view.reasons,
            summary=view.summary,
            source=self._installed.source,
            similar_setups=view.similar_setups,
            similar_mean_r=view.similar_mean_r,
        )


def _left_s(now: float, ends_at: float) -> float:
    """Return how long the answer about one symbol may take; 0: it is not asked for any more."""
    return max(ends_at - now, _LEAST_S) if now < ends_at + _LATE_S else 0.0


def _level(units: int) -> Decimal | None:
    """Return a level of a signal as a price that an order may carry; None where there is none."""
    return to_tick(from_units(units)) if units else None
