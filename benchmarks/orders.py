"""What the order path costs: a decision's intent from risk to the broker, everything durable.

The paper path is risk, journal and paper broker; the real path is the order desk up to the instant
at which the request leaves, so that what a broker takes is left out. Its rival is two commits of
bare sqlite3 with the same pragmas and as many bytes, taken in turns with ours on the same disk.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from benchmarks.figures import median, one_core, percentile, repeat
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from roboinvest.brokers.alpaca.client import AlpacaAccess
from roboinvest.brokers.alpaca.venue import alpaca_venue
from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.brokers.journaled_paper import JournaledPaperBroker
from roboinvest.brokers.paper import PaperBroker
from roboinvest.core.events import TradingState
from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.orders import OrderIntent
from roboinvest.core.ports import Venue
from roboinvest.core.records import canonical_json
from roboinvest.core.risk import RiskBook, RiskLimits, check_intent
from roboinvest.core.venue import Outcome
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.secrets import Secret
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.desks import HeardAlarms
from tests.fakes.journals import InMemoryOrderJournal
from tests.fakes.markets import intent, minute, session
from tests.fakes.vendors.alpaca_server import AlpacaServer
from tests.fakes.venues import SimulatedVenue

FAMILY: Final = "orders"
RUNS: Final = 3
ORDERS: Final = 500  # a run
OPEN_ORDERS: Final = 1_000
LIMITS: Final = RiskLimits(max_trades_per_day=10**6, max_open_orders=10**6)
LIMITS_TEXT: Final = '{"max_order_usd":"5000","max_position_usd":"20000","max_trades_a_day":"40"}'
PACE: Final = Goal(limit=500, at_least=True)  # intents a second
ADDED: Final = Goal(limit=2.0)  # ms, p50
SLOWEST: Final = Goal(limit=3.0, at_least=False)  # p99, times that of two bare commits
RECONCILED: Final = Goal(limit=2_000.0)  # ms


class ArrivalVenue(SimulatedVenue):
    """Notes when each order arrives."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(1, clock, clock.now())
        self.arrived_at = 0.0

    async def place(self, intent: OrderIntent) -> Outcome:
        """Book at once."""
        self.arrived_at = time.perf_counter()
        return self._book(intent)

    async def _travel(self) -> None:
        self.books.advance(self._clock.now())


def rows(folder: Path) -> list[Row]:
    """Measure in a scratch folder below `folder`."""
    paces = repeat(RUNS, lambda: pace(folder))
    added, bare = zip(*repeat(RUNS, lambda: added_before_post(folder)), strict=True)
    p50, bare_p50 = (median([percentile(run, 0.5) for run in runs]) for runs in (added, bare))
    p99, bare_p99 = (median([percentile(run, 0.99) for run in runs]) for runs in (added, bare))
    return [
        Row(
            family=FAMILY,
            what="risk, journal (WAL, FULL), paper broker: one after the other",
            figure=median(paces),
            unit="intents/s",
            n=RUNS * ORDERS,
            goal=PACE,
        ),
        Row(
            family=FAMILY,
            what="the desk, from submit to the request leaving, p50",
            figure=p50,
            unit="ms",
            n=RUNS * ORDERS,
            goal=ADDED,
            compared=f"two bare commits {bare_p50:.2f} ms",
        ),
        Row(
            family=FAMILY,
            what="the same, p99 against two bare commits",
            figure=p99 / bare_p99,
            unit="times",
            n=RUNS * ORDERS,
            goal=SLOWEST,
            compared=f"{p99:.2f} ms against {bare_p99:.2f} ms",
        ),
        *_reconcile_rows(),
    ]


def _reconcile_rows() -> list[Row]:
    again = repeat(RUNS, reconcile_ms)
    return [
        Row(
            family=FAMILY,
            what=f"reconcile {OPEN_ORDERS:,} open orders, broker in memory",
            figure=median(again),
            unit="ms",
            n=RUNS,
            goal=RECONCILED,
        ),
        Row(
            family=FAMILY,
            what=f"reconcile {OPEN_ORDERS:,} open orders, broker on loopback",
            figure=reconcile_on_loopback_ms(),
            unit="ms",
            n=1,
            goal=RECONCILED,
        ),
    ]


def pace(parent: Path, orders: int = ORDERS) -> float:
    """Return how many intents a second pass risk, the journal and the paper broker."""

    async def run(root: Path) -> float:
        journal = await SqliteOrderJournal.open(root / "journal.db", in_flight=InFlight())
        paper = PaperBroker(Decimal(10**9), FRICTIONLESS)
        broker = JournaledPaperBroker(paper, journal, limits=lambda: LIMITS_TEXT)
        try:
            began = time.perf_counter()
            for each in _intents(orders):
                if not check_intent(each, _risk_book(each), LIMITS).approved:
                    raise RuntimeError("risk refused an intent of the bench")
                await broker.submit(each, minute(0))
            return orders / (time.perf_counter() - began)
        finally:
            await journal.close()

    with one_core(), scratch(parent) as root:
        return asyncio.run(run(root))


def added_before_post(parent: Path, orders: int = ORDERS) -> tuple[list[float], list[float]]:
    """Return ms from submit to the request leaving, and ms of two bare commits, taken in turns."""

    async def run(root: Path, bare: sqlite3.Connection) -> tuple[list[float], list[float]]:
        journal = await SqliteOrderJournal.open(root / "journal.db", in_flight=InFlight())
        clock = SystemClock()
        venue = ArrivalVenue(clock)
        desk = _desk(venue, journal, clock)
        ours, theirs = list[float](), list[float]()
        try:
            await _opened(desk)
            for each in _intents(orders, valid_until=clock.now() + timedelta(hours=1)):
                began = time.perf_counter()
                await desk.submit(each, clock.now())
                ours.append((venue.arrived_at - began) * 1000)
                theirs.append(_two_commits(bare, canonical_json(each)))
        finally:
            await journal.close()
        return ours, theirs

    with one_core(), scratch(parent) as root, closing(_bare(root / "bare.db")) as bare:
        return asyncio.run(run(root, bare))


def reconcile_ms(orders: int = OPEN_ORDERS) -> float:
    """Return what one comparison of so many open orders costs the loop."""

    async def run() -> float:
        clock = SystemClock()
        venue = ArrivalVenue(clock)
        desk = _desk(venue, InMemoryOrderJournal(), clock)
        await _opened(desk)
        for each in _intents(orders, valid_until=clock.now() + timedelta(hours=1)):
            await desk.submit(each, clock.now())
        began = time.perf_counter()
        found = await desk.reconcile()
        if not found.agrees:
            raise RuntimeError(f"the books of the bench differ: {found.reason}")
        return (time.perf_counter() - began) * 1000

    return asyncio.run(run())


def reconcile_on_loopback_ms(orders: int = OPEN_ORDERS) -> float:
    """Return what one comparison of so many open orders takes, asked of a server on loopback."""

    async def run(server: AlpacaServer) -> float:
        clock = SystemClock()
        venue = alpaca_venue(
            AlpacaAccess(
                key_id=Secret(server.key),
                secret_key=Secret(server.secret),
                base_url=server.url,
                stream_url=server.stream_url,
                loopback_only=True,
            ),
            calls_per_minute=1_000_000,
            clock=clock,
            rng=random.Random(1),
            in_flight=InFlight(),
        )
        desk = _desk(venue, InMemoryOrderJournal(), clock)
        try:
            await _opened(desk)
            for each in _intents(orders, valid_until=clock.now() + timedelta(hours=1)):
                await desk.submit(each, clock.now())
            began = time.perf_counter()
            found = await desk.reconcile()
            if not found.agrees:
                raise RuntimeError(f"the books of the bench differ: {found.reason}")
            return (time.perf_counter() - began) * 1000
        finally:
            venue.close()

    with AlpacaServer(cash=10**9, seed=1) as server:
        server.set_price("SPY", 100)
        server.behave(holds_fills=True)
        return asyncio.run(run(server))


def _desk(
    venue: Venue, journal: SqliteOrderJournal | InMemoryOrderJournal, clock: SystemClock
) -> OrderDesk:
    if isinstance(venue, SimulatedVenue):
        venue.books.slow_fills = 1.0
    return OrderDesk(
        venue,
        journal,
        clock,
        instance="bench",
        limits=lambda: LIMITS_TEXT,
        may_act=lambda _intent: None,
        on_state=lambda _state, _reason: None,
        alarms=HeardAlarms(),
    )


async def _opened(desk: OrderDesk) -> None:
    await desk.begin()
    while desk.state()[0] is not TradingState.READY:
        await desk.reconcile()
        await asyncio.sleep(0.5)


def _intents(
    count: int, valid_until: datetime = datetime(2100, 1, 1, tzinfo=UTC)
) -> Iterator[OrderIntent]:
    for number in range(count):
        one = intent(f"ri1-bench-{number:020d}", qty="1", valid_until=valid_until)
        yield replace(one, tick_id=f"{one.tick_id}-{number}")


def _risk_book(of: OrderIntent) -> RiskBook:
    return RiskBook(
        at=minute(1),
        session=session(),
        state=TradingState.READY,
        state_reason="bench",
        equity=Decimal(10**6),
        cash=Decimal(10**6),
        day_start_equity=Decimal(10**6),
        peak_equity=Decimal(10**6),
        position_qty=Decimal(0),
        gross_usd=Decimal(0),
        trades_today=0,
        open_orders=0,
        last_price=of.mark,
        bar_age=timedelta(seconds=1),
    )


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE facts (seq INTEGER PRIMARY KEY, fact TEXT NOT NULL)")
    return connection


def _two_commits(bare: sqlite3.Connection, text: str) -> float:
    began = time.perf_counter()
    for _ in range(2):
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO facts (fact) VALUES (?)", (text,))
        bare.execute("COMMIT")
    return (time.perf_counter() - began) * 1000
