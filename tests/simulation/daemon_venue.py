"""The world around a simulated daemon: bars that follow one path, and a broker who trades on it.

Beside what `SimulatedVenue` does wrong, this broker has money, prices and closing hours: an account
is worth what its trades made it, an order for the day ends with the day, and a group of orders ends
together. A call takes some hundredths of a second, never twice the same, so that two calls rarely
end at one instant and a seed tells one story.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Action, TimeInForce, to_price
from roboinvest.core.ports import Clock
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.core.venue import VenueAccount, VenueStatus
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.venue_books import VenueBooks
from tests.fakes.venues import CALM, Faults, SimulatedVenue
from tests.fakes.worlds import FIRST, ShortDays, market_of, rows_of
from tools.feeds.file_source import MemorySource
from tools.markets import Market
from tools.simulation.market import SimulatedMarket, SimulatedMarketSettings

SYMBOLS: Final = ("ALFA", "BRVO", "CHRL")
CASH: Final = Decimal(100_000)
_BAR: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Prices of some days, as everybody in a world sees them."""

    rows: dict[str, RawRows]
    calendar: ShortDays
    days: tuple[Session, ...]

    def price(self, symbol: str, at: datetime) -> Decimal:
        """Return the close of the last bar that has ended; before the first one, its open."""
        rows = self.rows[symbol]
        place = int(np.searchsorted(rows.ts, to_ns(at - _BAR), side="right")) - 1
        return to_price(float(rows.values[3, place] if place >= 0 else rows.values[0, 0]))

    def market(self) -> Market:
        """Return the market of these days, which goes by whether a daemon looks or not."""
        source = MemorySource(self.rows, Timeframe.MINUTE)
        given = market_of(source, self.calendar, (self.days[0], self.days[-1]))
        return replace(given, is_live=True, stamp={"world": "a simulated daemon"})

    def session_at(self, at: datetime) -> Session | None:
        """Return the session that is open at an instant."""
        return next((day for day in self.days if day.holds(at)), None)


@functools.lru_cache(maxsize=4)
def path_of(minutes: int, sessions: int) -> Path:
    """Return the prices of so many short days."""
    calendar = ShortDays(minutes)
    settings = SimulatedMarketSettings(seed=5, symbols=SYMBOLS, first=FIRST)
    days = calendar.sessions(FIRST, FIRST + timedelta(days=3 * sessions + 7))[:sessions]
    rows = rows_of(SimulatedMarket(settings, calendar), days)
    return Path(rows=rows, calendar=calendar, days=tuple(days))


def busy_trader(seed: int, quiet_s: float, path: Path) -> ScriptedModel:
    """Return a model that enters and leaves all the time, but not shortly before the close."""

    def decide(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        seen = brief.observation
        session = path.session_at(inputs.at)
        if session is None or session.time_left(inputs.at).total_seconds() <= quiet_s:
            return hold(seen.symbol)
        number = int(inputs.at.timestamp()) // 60 + sum(seen.symbol.encode()) + seed
        if brief.position_qty:
            leaves = number % 3 == 0 and brief.bars_held >= 2
            return view(seen.symbol, Action.SELL if leaves else Action.HOLD)
        if brief.blocked or brief.cooling_down or number % 2:
            return hold(seen.symbol)
        stop, target = seen.close * 0.99, seen.close * 1.01
        return view(seen.symbol, Action.BUY, stop=stop, target=target)

    return ScriptedModel(decide)


class GroupedBooks(VenueBooks):
    """Books in which a group of orders ends together, and an order for the day with the day."""

    def cancel(self, venue_id: str) -> bool:
        """End an order and all of its group; False where it can end no more."""
        if not super().cancel(venue_id):
            return False
        order = self.orders[venue_id]
        parent = order.now.parent_id
        group = [parent, *self.orders[parent].legs] if parent else order.legs
        for other in map(self.orders.__getitem__, group):
            if other.is_alive:
                self._end(other, VenueStatus.CANCELLED)
        return True

    def close_day(self) -> None:
        """End every order that was for the day."""
        for order in tuple(self.orders.values()):
            is_for_the_day = order.intent and order.intent.time_in_force is TimeInForce.DAY
            if order.is_alive and is_for_the_day:
                self._end(order, VenueStatus.EXPIRED)


class TradingVenue(SimulatedVenue):
    """A simulated venue with money, prices and hours."""

    def __init__(
        self, seed: int, clock: Clock, start: datetime, path: Path, faults: Faults = CALM
    ) -> None:
        super().__init__(seed, clock, start, faults)
        self.path = path
        self.books = GroupedBooks(self.rng, start, self._tell)
        self.books.price_of = lambda symbol: path.price(symbol, self.books.now)
        for day in path.days:
            self.books.later((day.closes_at - start).total_seconds(), self.books.close_day)

    def equity(self) -> Decimal:
        """Return what the account is worth now, in USD."""
        held = self.books.positions()
        return self._cash() + sum((q * self.books.price_of(s) for s, q in held.items()), Decimal(0))

    async def account(self) -> VenueAccount:
        """Tell what the account is worth."""
        await self._read("the account")
        equity = self.equity()
        return VenueAccount(
            account_id="simulated",
            cash=self._cash(),
            equity=equity,
            last_equity=equity,
            buying_power=None,
            maintenance_margin=None,
            blocked=None,
            is_paper=True,
        )

    def _cash(self) -> Decimal:
        spent = (e.qty * e.side.sign * e.price for e in self.books.executions)
        return CASH - sum(spent, Decimal(0))

    async def _travel(self) -> None:
        if self.stuck:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self.rng.uniform(0.03, 0.09))
        self.books.advance(self._clock.now())
