"""One scenario: a seed, faults, deaths; a short trading day lived through all of it.

The house is made of the real desk and the real reconciler service, over the journal and the venue
that last. Ticks are committed as the trading service commits them: the fills and changes of a tick
together with the desk's snapshot, at once or not at all.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.desk.parts import DeskPolicy
from roboinvest.brokers.desk.reconciler import Reconciler
from roboinvest.core.errors import OrderRejected, TryLater
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
from roboinvest.core.ports import Clock, OrderJournal, Venue
from roboinvest.core.venue import Execution, Outcome, VenueOrder
from tests.fakes.clocks import START, LoopClock
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.markets import session
from tests.fakes.services import context
from tests.fakes.venues import CALM, UNTRADABLE, Deliver, Faults, SimulatedVenue
from tests.fakes.virtual_time import run_virtual
from tests.simulation.checker import Checker
from tests.simulation.wire import Disk, Killed, Life, Steps, Wire

SYMBOLS = ("AAA", "BBB", "CCC")
TICK_S = 20.0
TICKS = 5
CALM_FROM_S = TICK_S * (TICKS + 1)
LAST_LIFE_S = 100.0
CALM_S = 260.0  # what the last question takes to be settled, beside an intent's validity
POLICY = DeskPolicy(settle_s=60.0, call_s=15.0)

DeskMaker = Callable[..., OrderDesk]
WireMaker = Callable[[Venue, Life], Venue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is tried."""

    seed: int
    deaths: tuple[int, ...] = ()  # the steps at which the process dies
    faults: Faults = CALM
    reruns_ticks: bool = False  # a killed tick is run again; else it is abandoned
    by_hand: bool = False  # a person trades and replaces beside us
    desk: DeskMaker = OrderDesk
    wire: WireMaker = Wire
    policy: DeskPolicy = POLICY
    valid_s: float = 45.0  # how long an intent may be sent: shorter or longer than `settle_s`
    stuck: tuple[float, float] | None = None  # when every call to the broker hangs for ever

    @property
    def end_s(self) -> float:
        """Return when it ends: long enough after the last fault."""
        return CALM_S + self.valid_s

    def in_words(self) -> str:
        """Return the line to run it again from."""
        return f"seed={self.seed} step={','.join(map(str, self.deaths)) or '-'}"


def faulty(seed: int, deaths: tuple[int, ...] = (), **fields: Any) -> Scenario:
    """Return the scenario of a seed, with faults of its own."""
    rng = random.Random(seed * 7919 + 1)
    level = rng.choice((0.0, 0.3, 0.6, 0.9))
    faults = Faults(
        place=level,
        cancel=rng.choice((0.0, 0.5)),
        read=rng.choice((0.0, 0.03, 0.1, 0.4)),
        late_s=rng.choice((5.0, 30.0, 50.0)),
        lookup_lag_s=rng.choice((0.0, 3.0, 8.0)),
        positions_lag_s=rng.choice((0.0, 4.0, 8.0)),
        odd_status=rng.choice((0.0, 0.2)),
        stream_lost=rng.choice((0.0, 0.3, 1.0)),
        stream_twice=rng.choice((0.0, 0.5)),
        stream_late_s=rng.choice((0.0, 2.0, 10.0)),
    )
    values: dict[str, Any] = {
        "reruns_ticks": rng.random() < 0.5,
        "by_hand": rng.random() < 0.4,
        "valid_s": rng.choice((45.0, 130.0)),
        **fields,
    }
    return replace(Scenario(seed=seed, deaths=deaths, faults=faults), **values)


def hanging(seed: int, **fields: Any) -> Scenario:
    """Return the scenario of a seed in which every call to the broker hangs for a while."""
    return faulty(seed, (), stuck=(33.0, 52.0), **fields)


@dataclass(slots=True)
class Committed:
    """What the store has: whole ticks."""

    ticks: set[int] = field(default_factory=set)
    snapshot: str | None = None
    fills: list[str] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    open_orders: dict[str, object] = field(default_factory=dict)
    ends: list[tuple[str, ...]] = field(default_factory=list)  # of orders, as they were told


class Alarms:
    """Hears what people would be told."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def raised(self, key: str, message: str) -> None:
        self._checker.told_of(key, message)

    def resolved(self, key: str, message: str) -> None:
        pass


class World:
    """All that lasts, and the lives that pass through it."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock: Clock = LoopClock()
        self.venue = SimulatedVenue(scenario.seed, self.clock, START, scenario.faults)
        self.journal = InMemoryOrderJournal()
        self.checker = Checker(self.venue, self.journal)
        self.steps = Steps(scenario.deaths, self.checker.look)
        self.committed = Committed()
        self.lives = 0
        self._last_state = TradingState.STARTING

    async def run(self) -> World:
        """Live until the end of the scenario, and judge it."""
        if self.scenario.by_hand:
            self.venue.books.give("AAA", Decimal(7))
            self._let_people_trade()
        self._check_posts()
        if self.scenario.stuck is not None:
            for at, stuck in zip(self.scenario.stuck, (True, False), strict=True):
                self.venue.books.later(at, lambda stuck=stuck: self._stick(stuck))  # type: ignore[misc]
        while self.clock.monotonic() < self.scenario.end_s:
            self.lives += 1
            await self._live(Life(self.steps, self.lives))
            await asyncio.sleep(1.0)
        self.checker.state = self._last_state
        self.checker.end(self.committed.fills, self.committed.open_orders, self.committed.ends)
        return self

    async def _live(self, life: Life) -> None:
        desk = self._new_desk(life)
        try:
            async with asyncio.timeout(self.scenario.end_s - self.clock.monotonic()):
                async with asyncio.TaskGroup() as house:
                    house.create_task(Reconciler(desk).run(context("reconciler")))
                    house.create_task(self.venue.stream(_living(life, desk)))
                    house.create_task(self._trade(life, desk))
        except TimeoutError:
            self._last_state = self.checker.state
            await self._check_idempotence(desk, life)
        except BaseExceptionGroup as group:
            rest = group.split(Killed)[1]
            if rest is not None:
                raise rest from None
        finally:
            life.lives = False
            self.checker.state = TradingState.STARTING

    def _new_desk(self, life: Life) -> OrderDesk:
        def told(state: TradingState, _reason: str) -> None:
            if life.lives:
                self.checker.state = state

        wire = self.scenario.wire(self.venue, life)
        disk: OrderJournal = Disk(self.journal, life)
        desk = self.scenario.desk(
            wire,
            disk,
            self.clock,
            instance="sim",
            limits=lambda: "{}",
            may_act=lambda intent: "halted by a person" if self._halted(intent) else None,
            on_state=told,
            alarms=Alarms(self.checker),
            policy=self.scenario.policy,
        )
        if self.committed.snapshot is not None:
            desk.restore(self.committed.snapshot)
        return desk

    def _halted(self, _intent: OrderIntent | None = None) -> bool:
        """A person halts for a while in every third world."""
        return self.scenario.seed % 3 == 0 and 45.0 <= self.clock.monotonic() < 58.0

    async def _trade(self, life: Life, desk: OrderDesk) -> None:
        numbers = iter(range(1, int(self.scenario.end_s / TICK_S) + 1))
        begun: set[int] = set()
        for number in numbers:
            if number in self.committed.ticks:
                continue
            due = number * TICK_S
            late = self.clock.monotonic() - due
            if late > 0 and not (self.scenario.reruns_ticks and late < TICK_S):
                continue
            await asyncio.sleep(max(0.0, -late))
            if self.clock.monotonic() >= CALM_FROM_S:
                self.venue.faults = CALM
            if self.clock.monotonic() >= self.scenario.end_s - LAST_LIFE_S:
                self.steps.deaths.clear()  # the last life has time to make good
            begun.add(number)
            try:
                await self._tick(number, life, desk)
            except TryLater:
                if self.committed.snapshot is not None:
                    desk.restore(self.committed.snapshot)
                else:
                    desk.restore('{"cursor":0,"told":[]}')
        await asyncio.sleep(self.scenario.end_s)

    async def _tick(self, number: int, life: Life, desk: OrderDesk) -> None:
        rng = random.Random(self.scenario.seed * 1009 + number)
        at = START + timedelta(seconds=number * TICK_S)
        await desk.before_tick()
        update = MarketUpdate(at=at, session=session(at.date()), bars=())
        settlement = await desk.settle(update)
        after = _with(self.committed, settlement)
        if number <= TICKS:
            await self._act(rng, number, at, desk, after)
        after.snapshot = desk.snapshot()
        after.ticks = {*self.committed.ticks, number}
        self.steps.step(life)
        self.committed = after
        self.steps.step(life)

    async def _act(
        self, rng: random.Random, number: int, at: datetime, desk: OrderDesk, after: Committed
    ) -> None:
        """Do what agents do: leave, cancel, enter."""
        for symbol in SYMBOLS:
            held = after.held.get(symbol, Decimal(0))
            what = rng.random()
            if held > 0 and what < 0.5:
                await self._cancel_all(symbol, at, desk, after)
                await self._submit(
                    self._intent(number, symbol, Leg.EXIT, held, at, rng), desk, after
                )
            elif what < 0.1:
                await self._cancel_all(symbol, at, desk, after)
            elif what < 0.75:
                qty = Decimal(rng.choice((1, 3, 10)))
                name = symbol if rng.random() < 0.9 else UNTRADABLE
                await self._submit(self._intent(number, name, Leg.ENTRY, qty, at, rng), desk, after)

    def _intent(
        self, number: int, symbol: str, leg: Leg, qty: Decimal, at: datetime, rng: random.Random
    ) -> OrderIntent:
        is_bracket = leg is Leg.ENTRY and rng.random() < 0.5
        tick_id = f"t{number}"
        return OrderIntent(
            client_order_id=client_order_id("sim", tick_id, HOUSE_AGENT, symbol, leg),
            tick_id=tick_id,
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=symbol,
            leg=leg,
            side=Side.BUY if leg is Leg.ENTRY else Side.SELL,
            qty=qty,
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
            mark=Decimal(100),
            stop_loss=Decimal(95) if is_bracket else None,
            take_profit=Decimal(110) if is_bracket else None,
            valid_until=at + timedelta(seconds=self.scenario.valid_s),
        )

    async def _submit(self, intent: OrderIntent, desk: OrderDesk, after: Committed) -> None:
        try:
            at = intent.valid_until - timedelta(seconds=self.scenario.valid_s)
            _track(after, await desk.submit(intent, at))
        except OrderRejected:
            return

    async def _cancel_all(
        self, symbol: str, at: datetime, desk: OrderDesk, after: Committed
    ) -> None:
        for order in await desk.open_orders():
            if order.symbol == symbol:
                _track(after, await desk.cancel(order.client_order_id, at, "a change of mind"))

    async def _check_idempotence(self, desk: OrderDesk, life: Life) -> None:
        """I-REC-1 and I-REC-2, at the end of a calm time."""
        if not life.lives:
            return
        await desk.reconcile()
        before, held = list(self.journal.events), dict(desk.book.ours)
        await desk.reconcile()
        self.venue.no_positions = True
        await desk.reconcile()
        self.venue.no_positions = False
        if self.journal.events != before:
            self.checker.found.append(
                f"I-REC-1 nothing changed, and {self.journal.events[len(before) :]} was written"
            )
        if desk.book.ours != held:
            self.checker.found.append("I-REC-2 a missing position report changed what we hold")
        await desk.reconcile()

    def _stick(self, stuck: bool) -> None:
        self.venue.stuck = stuck

    def _check_posts(self) -> None:
        place, checker = self.venue.place, self.checker

        async def checked(intent: OrderIntent) -> Outcome:
            checker.is_halted = self._halted()
            checker.sent(intent, self.clock.now())
            return await place(intent)

        self.venue.place = checked  # type: ignore[method-assign]

    def _let_people_trade(self) -> None:
        books, rng = self.venue.books, random.Random(self.scenario.seed + 5)
        for _ in range(3):
            symbol, qty = rng.choice(SYMBOLS), Decimal(rng.choice((1, 2, 5)))
            books.later(rng.uniform(5, 100), lambda s=symbol, q=qty: books.by_hand(s, Side.BUY, q))  # type: ignore[misc]
        books.later(rng.uniform(25, 90), self._replace_one)

    def _replace_one(self) -> None:
        books = self.venue.books
        for venue_id, order in tuple(books.orders.items()):
            if order.is_alive and order.intent is not None:
                books.replace_by_hand(venue_id)


def play(scenario: Scenario) -> World:
    """Play a scenario to its end in virtual time."""

    async def main() -> World:
        return await World(scenario).run()

    return run_virtual(main)


def violations(scenarios: Sequence[Scenario]) -> list[str]:
    """Return every finding, each with the line to run it again from, and print them."""
    found = [
        f"{scenario.in_words()}: {finding}"
        for scenario in scenarios
        for finding in play(scenario).checker.found
    ]
    for line in found:
        print(line)
    return found


def _living(life: Life, desk: OrderDesk) -> Deliver:
    async def deliver(order: VenueOrder | None, executions: Sequence[Execution]) -> None:
        life.looking()
        await desk.on_update(order, executions)

    return deliver


def _with(before: Committed, settlement: Settlement) -> Committed:
    after = replace(
        before,
        fills=[*before.fills, *(fill.execution_id for fill in settlement.fills)],
        held=dict(before.held),
        open_orders=dict(before.open_orders),
        ends=[
            *before.ends,
            *(
                (o.client_order_id, o.state, f"{o.filled_qty}")
                for o in settlement.orders
                if not o.is_open
            ),
        ],
    )
    for fill in settlement.fills:
        after.held[fill.symbol] = after.held.get(fill.symbol, Decimal(0)) + fill.qty
    _track(after, settlement.orders)
    return after


def _track(after: Committed, orders: Sequence[object]) -> None:
    for order in orders:
        if order.is_open:  # type: ignore[attr-defined]
            after.open_orders[order.client_order_id] = order  # type: ignore[attr-defined]
        else:
            after.open_orders.pop(order.client_order_id, None)  # type: ignore[attr-defined]
