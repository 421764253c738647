"""An order desk over a venue and a journal in memory, and what it told the house."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.parts import DeskPolicy
from roboinvest.core.events import TradingState
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Settlement,
    Side,
    TimeInForce,
    client_order_id,
)
from tests.fakes.clocks import START, LoopClock
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.markets import session
from tests.fakes.venues import CALM, Faults, SimulatedVenue


@dataclass(slots=True)
class HeardAlarms:
    """What a person was told, in order; as on the board, only what is open is resolved."""

    heard: list[tuple[str, str]] = field(default_factory=list)  # ("raised" | "resolved", key)
    open: set[str] = field(default_factory=set)  # keys; those of earlier lives too

    def raised(self, key: str, message: str) -> None:
        self.heard.append(("raised", key))
        self.open.add(key)

    def resolved(self, key: str, message: str) -> None:
        if key in self.open:
            self.open.discard(key)
            self.heard.append(("resolved", key))


class DeskHouse:
    """A desk on the running loop's time; `restarted` is the next life of the same house."""

    def __init__(self, faults: Faults = CALM, *, seed: int = 1) -> None:
        self.clock = LoopClock()
        self.venue = SimulatedVenue(seed, self.clock, START, faults)
        self.venue.books.slow_fills = 0.0
        self.venue.books.partial_fills = 0.0
        self.journal = InMemoryOrderJournal()
        self.alarms = HeardAlarms()
        self.states: list[TradingState] = []
        self.refusal: str | None = None  # what the gate answers
        self.desk = self.restarted()

    def restarted(self, snapshot: str | None = None) -> OrderDesk:
        """Return a new desk over the same journal and venue."""
        self.desk = OrderDesk(
            self.venue,
            self.journal,
            self.clock,
            instance="sim",
            limits=lambda: "{}",
            may_act=lambda _intent: self.refusal,
            on_state=lambda state, _reason: self.states.append(state),
            alarms=self.alarms,
            policy=DeskPolicy(),
        )
        if snapshot is not None:
            self.desk.restore(snapshot)
        return self.desk

    async def opened(self) -> OrderDesk:
        """Bring the desk past the start barrier."""
        await self.desk.begin()
        for _ in range(10):
            await self.desk.reconcile()
            if self.desk.state()[0] is not TradingState.RECONCILING:
                return self.desk
            await asyncio.sleep(3.0)
        raise AssertionError(f"the barrier stays down: {self.desk.state()}")

    async def later(self, seconds: float) -> None:
        """Let time pass, then compare with the broker."""
        await asyncio.sleep(seconds)
        await self.desk.reconcile()

    async def settle(self) -> Settlement:
        """Settle at the present instant."""
        now = self.clock.now()
        return await self.desk.settle(MarketUpdate(at=now, session=session(now.date()), bars=()))

    def intent(
        self,
        tick: str = "t1",
        symbol: str = "AAA",
        leg: Leg = Leg.ENTRY,
        qty: str = "10",
        *,
        bracket: bool = False,
        valid_s: float = 300.0,
    ) -> OrderIntent:
        """Return a market order of this instant; an entry buys, everything else sells."""
        return OrderIntent(
            client_order_id=client_order_id("sim", tick, HOUSE_AGENT, symbol, leg),
            tick_id=tick,
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=symbol,
            leg=leg,
            side=Side.BUY if leg is Leg.ENTRY else Side.SELL,
            qty=Decimal(qty),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            mark=Decimal(100),
            stop_loss=Decimal(95) if bracket else None,
            take_profit=Decimal(110) if bracket else None,
            valid_until=self.clock.now() + timedelta(seconds=valid_s),
        )
