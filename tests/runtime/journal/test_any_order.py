"""I-ORD-5, and that the fake is the real one: whatever happens, in whatever order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import RoboInvestError
from roboinvest.core.journal import BookedExecution, JournalState, positions_of
from roboinvest.core.orders import Side
from roboinvest.core.venue import Execution
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.journal.order_journal import SqliteOrderJournal
from tests.fakes.journals import (
    LIMITS,
    InMemoryOrderJournal,
    an_execution,
    an_intent,
    minute,
)

EVERY_STATE = frozenset(JournalState)
ORDERS = 3
NAMES = [an_intent(number).client_order_id for number in range(ORDERS)]
FILES = itertools.count()
SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@st.composite
def reported(draw: st.DrawFn) -> list[list[Execution]]:
    """Return executions of ours and of a person, in any order, repeated, in any batches.

    A repeated report may leave our name out, and clocks differ.
    """
    facts = [
        an_execution(
            f"x{number}",
            f"v{draw(st.integers(0, ORDERS))}",  # the last one is a person's
            symbol=draw(st.sampled_from(["SPY", "QQQ"])),
            side=draw(st.sampled_from(Side)),
            qty=draw(st.decimals("0.000000001", "5000", places=9)),
        )
        for number in range(draw(st.integers(1, 8)))
    ]
    reports = draw(st.permutations(facts + draw(st.lists(st.sampled_from(facts), max_size=8))))
    told = [
        replace(report, client_order_id=draw(st.sampled_from(["", owner_of(report)])))
        if owner_of(report)
        else replace(report, at=minute(draw(st.integers(0, 9))))
        for report in reports
    ]
    cut = draw(st.integers(0, len(told)))
    return [told[:cut], told[cut:]]


def owner_of(execution: Execution) -> str:
    number = int(execution.venue_id.removeprefix("v"))
    return NAMES[number] if number < ORDERS else ""


def expected(reports: Sequence[Sequence[Execution]], *, ours: bool) -> dict[str, Decimal]:
    unique = {report.execution_id: report for batch in reports for report in batch}
    held: dict[str, Decimal] = {}
    for execution in unique.values():
        if bool(owner_of(execution)) == ours:
            signed = execution.qty * execution.side.sign
            held[execution.symbol] = held.get(execution.symbol, Decimal(0)) + signed
    return {symbol: qty for symbol, qty in held.items() if qty}


@given(reports=reported(), answer_at=st.integers(0, 2))
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
def test_i_ord_5_any_permutation_and_duplicates_fold_to_the_same_positions(
    tmp_path: Path, reports: list[list[Execution]], answer_at: int
) -> None:
    async def fold() -> tuple[BookedExecution, ...]:
        path = tmp_path / f"{next(FILES)}.db"
        journal = await SqliteOrderJournal.open(path, in_flight=InFlight())
        try:
            for number, name in enumerate(NAMES):
                await journal.record(an_intent(number), LIMITS, minute(0))
                await journal.move(name, JournalState.SENDING, minute(0))
            new: list[BookedExecution] = []
            for moment in range(3):
                if moment == answer_at:  # before, between or after the reports
                    await answered(journal)
                if moment < 2:
                    new += await journal.book(reports[moment])
            booked = await journal.booked()
            assert [each.execution for each in new] == [each.execution for each in booked]
            await journal.verify()
            return booked
        finally:
            await journal.close()

    booked = asyncio.run(fold())
    assert positions_of(booked, ours=True) == expected(reports, ours=True)
    assert positions_of(booked, ours=False) == expected(reports, ours=False)


async def answered(journal: SqliteOrderJournal) -> None:
    for number, name in enumerate(NAMES):
        await journal.move(name, JournalState.ACCEPTED, minute(1), venue_id=f"v{number}")


# The fake

VENUE_IDS = st.sampled_from(["v0", "v1", "v2", ""])
STEPS = st.one_of(
    st.tuples(
        st.just("record"),
        st.builds(
            an_intent,
            st.integers(0, ORDERS),
            client_order_id=st.sampled_from([*NAMES, "ri1-test-other"]),
            qty=st.sampled_from([Decimal(10), Decimal("10.0"), Decimal(3)]),
        ),
    ),
    st.tuples(
        st.just("move"),
        st.sampled_from([*NAMES, "ri1-test-nobody"]),
        st.sampled_from(JournalState),
        st.sampled_from(["", "why"]),
        st.one_of(st.none(), VENUE_IDS),
        st.one_of(st.none(), st.integers(0, 2)),
    ),
    st.tuples(st.just("link"), VENUE_IDS, st.sampled_from(NAMES)),
    st.tuples(
        st.just("book"),
        st.lists(
            st.builds(
                an_execution,
                st.sampled_from(["x0", "x1", "x2"]),
                VENUE_IDS,
                client_order_id=st.sampled_from(["", "by-hand", *NAMES]),
                qty=st.sampled_from([Decimal(4), Decimal("4.00"), Decimal(5), Decimal("NaN")]),
            ),
            max_size=3,
        ),
    ),
    st.tuples(st.just("note"), st.sampled_from(["cancel", "mismatch"]), st.integers(0, 1)),
)
Journal = SqliteOrderJournal | InMemoryOrderJournal


async def take(journal: Journal, step: Any, at: int) -> object:
    """Return what a step comes to: an answer, or the kind of the error."""
    try:
        match step:
            case ("record", intent):
                return await journal.record(intent, LIMITS, minute(at))
            case ("move", name, state, reason, venue_id, lookups):
                return await journal.move(
                    name,
                    state,
                    minute(at),
                    reason=reason,
                    venue_id=venue_id,
                    clean_lookups=lookups,
                )
            case ("link", venue_id, name):
                await journal.link(venue_id, name)
                return None
            case ("book", executions):
                return await journal.book(executions)
            case ("note", kind, number):
                await journal.note(kind, minute(number), {"number": number})
                return None
        raise AssertionError(step)
    except (RoboInvestError, ValueError) as error:
        return type(error)


async def seen(journal: Journal) -> list[object]:
    """Return everything that can be read."""
    return [
        await journal.entries(EVERY_STATE),
        [await journal.entry(name) for name in NAMES],
        [await journal.owner_of(venue_id) for venue_id in ("v0", "v1", "v2", "")],
        await journal.booked(),
        await journal.notes(),
    ]


@given(steps=st.lists(STEPS, max_size=25))
@settings(max_examples=100, deadline=None, suppress_health_check=SLOW)
def test_the_fake_answers_as_the_real_one_whatever_is_asked(
    tmp_path: Path, steps: list[Any]
) -> None:
    async def compare() -> None:
        path = tmp_path / f"{next(FILES)}.db"
        real = await SqliteOrderJournal.open(path, in_flight=InFlight())
        fake = InMemoryOrderJournal()
        try:
            for number, step in enumerate(steps):
                assert await take(real, step, number) == await take(fake, step, number), step
            assert await seen(real) == await seen(fake)
            assert (await real.verify()).events == len(fake.events)
        finally:
            await real.close()

    asyncio.run(compare())
