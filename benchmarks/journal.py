"""What it costs to have an intent on the disk before it is sent, and what the record takes there.

Ours and its bare rival take turns, order by order, so that both meet the same disk. The rival is
sqlite3 alone, in this thread, with the same pragmas: one row of the same bytes a commit, and two
commits for what the order path needs before it sends (the intent, and that it is leaving).
Growth is of a life of an order: recorded, sent, accepted, filled twice, closed.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from benchmarks.figures import median, one_core, percentile, repeat
from benchmarks.houses import scratch
from benchmarks.table import Goal, Row
from roboinvest.core.journal import JournalState
from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Leg,
    OrderIntent,
    OrderType,
    Side,
    TimeInForce,
    client_order_id,
)
from roboinvest.core.venue import Execution
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from roboinvest.runtime.journal.values import intent_fact

FAMILY: Final = "journal"
RUNS: Final = 3
ORDERS: Final = 1_000  # a run
TOGETHER: Final = 64  # callers at once
GROWTH_OF: Final = 10_000  # orders that the growth is told for
MEASURED: Final = 2_000  # orders it is extrapolated from
BEFORE_SENDING: Final = Goal(limit=2.0)  # ms, p50
SLOWEST: Final = Goal(limit=3.0)  # p99, times that of two bare commits
INTENTS: Final = Goal(limit=500, at_least=True)  # a second
_WARM_UP: Final = 50
_START: Final = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
_LIMITS: Final = '{"max_order_usd":"5000","max_position_usd":"20000","max_trades_a_day":"40"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One run of ours and of its rival; ms of wall time for each order."""

    record: list[float]  # one intent
    before_sending: list[float]  # an intent, and that it is leaving
    bare: list[float]  # one bare commit
    two_bare: list[float]


def intents() -> Iterator[OrderIntent]:
    """Return new intents for ever."""
    return map(_intent, itertools.count())


def compare(parent: Path, orders: int = ORDERS, warm_up: int = _WARM_UP) -> Comparison:
    """Return what each order cost in a journal, and in bare commits beside it."""
    with one_core(), scratch(parent) as root:
        return asyncio.run(_compare(root, orders, warm_up))


def pace(parent: Path, together: int, orders: int = ORDERS) -> tuple[float, float]:
    """Return the intents a second of so many callers, and the intents of one commit."""
    with scratch(parent) as root:
        return asyncio.run(_pace(root, together, orders))


def growth_mb(parent: Path, orders: int = MEASURED) -> float:
    """Return what `GROWTH_OF` orders take on the disk, in MB."""
    with scratch(parent) as root:
        asyncio.run(_live(root, orders))
        return (root / "journal.db").stat().st_size / orders * GROWTH_OF / 1e6


def rows(parent: Path) -> list[Row]:
    """Return the figures of this family."""
    found = repeat(RUNS, lambda: compare(parent))
    alone = repeat(RUNS, lambda: pace(parent, 1))
    together = repeat(RUNS, lambda: pace(parent, TOGETHER))
    batch = median([size for _, size in together])

    def row(what: str, figure: float, unit: str, compared: str, goal: Goal | None = None) -> Row:
        return Row(
            family=FAMILY, what=what, figure=figure, unit=unit, n=RUNS, goal=goal, compared=compared
        )

    def middle(part: Callable[[Comparison], float]) -> float:
        return median([part(each) for each in found])

    return [
        row("intents, one caller", median([each for each, _ in alone]), "/s", "FULL", INTENTS),
        row(
            f"intents, {TOGETHER} callers",
            median([each for each, _ in together]),
            "/s",
            f"FULL, {batch:.1f} intents a commit",
            INTENTS,
        ),
        *_latencies(row, middle),
        row(
            f"growth per {GROWTH_OF:,} orders",
            growth_mb(parent),
            "MB",
            f"extrapolated from {MEASURED:,}, two fills each",
        ),
    ]


def _latencies(
    row: Callable[..., Row], middle: Callable[[Callable[[Comparison], float]], float]
) -> list[Row]:
    def p50(values: list[float]) -> float:
        return percentile(values, 0.5)

    def p99(values: list[float]) -> float:
        return percentile(values, 0.99)

    def beside(bare: float, what: str) -> str:
        return f"{what}: {bare:.3f} ms"

    return [
        row(
            "one record, p50",
            middle(lambda each: p50(each.record)),
            "ms",
            beside(middle(lambda each: p50(each.bare)), "a bare commit"),
        ),
        row(
            "one record, p99",
            middle(lambda each: p99(each.record)),
            "ms",
            beside(middle(lambda each: p99(each.bare)), "a bare commit"),
        ),
        row(
            "recorded and leaving, p50",
            middle(lambda each: p50(each.before_sending)),
            "ms",
            beside(middle(lambda each: p50(each.two_bare)), "two bare commits"),
            BEFORE_SENDING,
        ),
        row(
            "recorded and leaving, p99",
            middle(lambda each: p99(each.before_sending) / p99(each.two_bare)),
            "times",
            beside(middle(lambda each: p99(each.two_bare)), "two bare commits"),
            SLOWEST,
        ),
    ]


async def _compare(root: Path, orders: int, warm_up: int) -> Comparison:
    found = Comparison(record=[], before_sending=[], bare=[], two_bare=[])
    journal = await SqliteOrderJournal.open(root / "journal.db", in_flight=InFlight())
    with closing(_bare(root / "bare.db")) as bare:
        for intent in itertools.islice(intents(), orders + warm_up):
            fact = intent_fact(intent, _LIMITS, _START)
            began = time.perf_counter()
            await journal.record(intent, _LIMITS, _START)
            recorded = time.perf_counter()
            await journal.move(intent.client_order_id, JournalState.SENDING, _START)
            left = time.perf_counter()
            _commit(bare, fact)
            once = time.perf_counter()
            _commit(bare, fact)
            twice = time.perf_counter()
            found.record.append((recorded - began) * 1000)
            found.before_sending.append((left - began) * 1000)
            found.bare.append((once - left) * 1000)
            found.two_bare.append((twice - left) * 1000)
    await journal.close()
    for costs in (found.record, found.before_sending, found.bare, found.two_bare):
        del costs[:warm_up]
    return found


async def _pace(root: Path, together: int, orders: int) -> tuple[float, float]:
    journal = await SqliteOrderJournal.open(root / "journal.db", in_flight=InFlight())
    waiting = itertools.islice(intents(), orders)

    async def caller() -> None:
        for intent in waiting:
            await journal.record(intent, _LIMITS, _START)

    began = time.perf_counter()
    await _all_of(caller() for _ in range(together))
    took_s = time.perf_counter() - began
    commits = journal.commits
    await journal.close()
    return orders / took_s, orders / commits


async def _live(root: Path, orders: int) -> None:
    """Give so many orders a whole life."""
    journal = await SqliteOrderJournal.open(root / "journal.db", in_flight=InFlight())

    async def life(number: int) -> None:
        intent, venue_id = _intent(number), f"61e69015-8549-4bfd-b9c3-{number:012d}"
        name = intent.client_order_id
        await journal.record(intent, _LIMITS, _START)
        await journal.move(name, JournalState.SENDING, _START)
        await journal.move(name, JournalState.ACCEPTED, _START, venue_id=venue_id)
        await journal.book([_execution(number, part, name, venue_id) for part in range(2)])
        await journal.move(name, JournalState.CLOSED, _START, reason="filled")

    for first in range(0, orders, TOGETHER):
        await _all_of(life(number) for number in range(first, min(first + TOGETHER, orders)))
    await journal.close()


async def _all_of(works: Iterator[Awaitable[None]]) -> None:
    await asyncio.gather(*works)


def _bare(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, fact TEXT NOT NULL)")
    return connection


def _commit(connection: sqlite3.Connection, fact: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO facts (fact) VALUES (?)", (fact,))
    connection.execute("COMMIT")


def _intent(number: int) -> OrderIntent:
    tick_id = (_START + timedelta(minutes=number)).strftime("%Y%m%dT%H%M%SZ")
    return OrderIntent(
        client_order_id=client_order_id("bench", tick_id, HOUSE_AGENT, "SPY", Leg.ENTRY),
        tick_id=tick_id,
        agent_id=HOUSE_AGENT,
        revision_id=HOUSE_REVISION,
        symbol="SPY",
        leg=Leg.ENTRY,
        side=Side.BUY,
        qty=Decimal(10),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        mark=Decimal("612.3350"),
        limit_price=Decimal("612.35"),
        stop_loss=Decimal("606.20"),
        take_profit=Decimal("624.60"),
        valid_until=_START + timedelta(minutes=number + 5),
    )


def _execution(number: int, part: int, name: str, venue_id: str) -> Execution:
    return Execution(
        execution_id=f"20260105{number:010d}::cf5a1a5e-{part:04d}-4b5e-{number:012d}",
        venue_id=venue_id,
        client_order_id=name,
        symbol="SPY",
        side=Side.BUY,
        qty=Decimal(5),
        price=Decimal("612.3401"),
        at=_START + timedelta(minutes=number),
    )
