"""The store: all of a tick or nothing of it, exactly as it was given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.ledger import Lot
from roboinvest.core.orders import Order, OrderState
from roboinvest.core.quant.memories import CalibrationCell, Memory
from roboinvest.core.records import TickCommit
from roboinvest.runtime.storage.stored import SessionEquity, StoredState, Totals
from roboinvest.runtime.store import Store
from tests.fakes.open_stores import BOOK, opened
from tests.fakes.records import (
    busy_commit,
    commit,
    fill,
    lot,
    memory,
    order,
    outcome,
    record,
    tick_at,
    tick_id,
    trade,
)


async def test_a_tick_comes_back_as_it_was_committed(store: Store) -> None:
    given_commit = busy_commit(7)
    await store.commit_tick(given_commit)

    assert await store.tick(tick_id(7)) == given_commit.record
    assert await store.orders(10) == tuple(reversed(given_commit.orders))
    assert await store.orders(10, open_only=True) == given_commit.orders[:1]
    assert await store.fills_of("t7-out") == given_commit.fills[1:]
    assert await store.all_trades() == given_commit.trades
    assert await store.memories([given_commit.memories[0].memory_id]) == given_commit.memories
    assert await store.document("account") == '{"tick":7}'
    assert await store.load() == StoredState(
        last_tick=replace(given_commit.record, body=None),
        lots=given_commit.books[BOOK],
        open_orders=given_commit.orders[:1],
        open_memories=given_commit.memories,
        resolved_memories=(),
        calibration=given_commit.calibration,
        documents=given_commit.documents,
        last_exits={"SPY": given_commit.trades[0].closed_at},
    )


async def test_an_untouched_store_has_nothing_to_tell(store: Store) -> None:
    assert await store.load() == StoredState(
        last_tick=None,
        lots=(),
        open_orders=(),
        open_memories=(),
        resolved_memories=(),
        calibration=(),
        documents={},
        last_exits={},
    )
    assert await store.tick("20110103T143100Z") is None
    assert await store.document("account") is None
    assert (await store.totals()).ticks == 0


async def test_totals_and_the_equity_curve_follow_the_ticks(store: Store) -> None:
    next_day = 24 * 60
    equities = {0: "100", 1: "101.5", 2: "99.25", next_day: "103"}
    for number, equity in equities.items():
        busy = busy_commit(number)
        await store.commit_tick(replace(busy, record=replace(busy.record, equity=Decimal(equity))))

    assert await store.totals() == Totals(
        sessions=2,
        ticks=4,
        buys=4,
        sells=4,
        holds=0,
        orders=8,
        fills=8,
        rejected=4,
        trades=4,
        memories=4,
    )
    first, second = tick_at(0).date(), tick_at(next_day).date()
    assert await store.session_equity() == (
        SessionEquity(session_day=first, open_equity=Decimal(100), close_equity=Decimal("99.25")),
        SessionEquity(session_day=second, open_equity=Decimal(103), close_equity=Decimal(103)),
    )
    assert [tick.tick_id for tick in await store.recent_ticks(2)] == [tick_id(next_day), tick_id(2)]
    assert [done.trade_id for done in await store.recent_trades(2)] == ["t1440", "t2"]


decimals = st.decimals(allow_nan=False, allow_infinity=False)
instants = st.datetimes(
    min_value=datetime(1900, 1, 2),  # noqa: DTZ001 hypothesis adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.integers(-840, 840).map(lambda m: timezone(timedelta(minutes=m))),
)
floats = st.floats(allow_nan=False, allow_infinity=False)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    money=st.lists(decimals, min_size=3, max_size=3),
    at=instants,
    vector=st.lists(floats, max_size=9),
    figure=floats,
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
)
def test_money_instants_vectors_and_text_survive_exactly(
    database: Path,
    money: list[Decimal],
    at: datetime,
    vector: list[float],
    figure: float,
    text: str,
) -> None:
    held = lot("x", qty=money[0], price=money[1], risk_per_share=money[2], opened_at=at)
    seen = memory(0, vector=tuple(vector), conviction=figure, text=text, expires_at=at)

    async def round_trip() -> StoredState:
        store = await opened(database)
        try:
            number = (await store.totals()).ticks
            books = {BOOK: (held,)}
            await store.commit_tick(
                commit(number, record=record(number, body=text), books=books, memories=(seen,))
            )
            again = await store.tick(tick_id(number))
            assert again is not None
            assert again.body == text
            return await store.load()
        finally:
            await store.close()

    state = asyncio.run(round_trip())
    assert state.lots == (held,)
    assert state.lots[0].opened_at.tzinfo is UTC
    assert state.open_memories == (seen,)
    assert [str(x) for x in state.open_memories[0].vector] == [str(x) for x in vector]  # -0.0 too


NUMBER = float("nan")
BAD_COMMITS = {
    "money that is not a number": commit(1, books={BOOK: (lot("x", qty=Decimal("NaN")),)}),
    "money without end": commit(1, books={BOOK: (lot("x", price=Decimal("Infinity")),)}),
    "money as a float": commit(1, books={BOOK: (lot("x", price=125.5),)}),
    "a figure that is not a number": commit(1, trades=(trade("x", r_multiple=NUMBER),)),
    "a vector with a hole": commit(1, memories=(memory(1, vector=(1.0, NUMBER)),)),
    "an instant without a zone": commit(
        1,
        memories=(memory(1, seen_at=datetime(2011, 1, 3, 14)),),  # noqa: DTZ001 that is the fault
    ),
    "a fill without its order": commit(1, fills=(fill("x", "nobody"),)),
    "a fill that is booked already": replace(
        commit(1), orders=(order("new"),), fills=(fill("t0-f1", "new"),)
    ),
    "a trade that is booked already": commit(1, trades=(trade("t0"),)),
    "a tick that is stored already": busy_commit(0, {"account": "changed"}),
}


@pytest.mark.parametrize("fault", BAD_COMMITS)
async def test_one_bad_row_keeps_the_whole_tick_out(store: Store, fault: str) -> None:
    await store.commit_tick(busy_commit(0))
    before = await store.load(), await store.totals()
    bad = replace(BAD_COMMITS[fault], documents={"account": "changed"})
    bad = replace(bad, calibration=(CalibrationCell(agent_id="a", bucket=1, wins=1, losses=0),))

    with pytest.raises(BadInput, match="nothing was stored"):
        await store.commit_tick(bad)

    assert (await store.load(), await store.totals()) == before
    await store.commit_tick(busy_commit(1))
    assert (await store.totals()).ticks == 2


@st.composite
def histories(draw: st.DrawFn) -> list[TickCommit]:
    commits = []
    for number in range(draw(st.integers(1, 6))):
        names = st.sets(st.sampled_from("abcdef"), max_size=3)
        agents = st.sampled_from(["house", "twin"])
        states = st.sampled_from(list(OrderState))
        orders = tuple(order(name, number, state=draw(states)) for name in sorted(draw(names)))
        books = {
            (draw(agents), symbol): tuple(
                lot(f"{symbol}{number}{place}", number, symbol=symbol)
                for place in range(draw(st.integers(0, 3)))
            )
            for symbol in draw(st.sets(st.sampled_from(["SPY", "QQQ"])))
        }
        books = {
            key: tuple(replace(held, agent_id=key[0]) for held in lots)
            for key, lots in books.items()
        }
        memories = tuple(
            replace(memory(slot), outcome=draw(st.none() | st.just(outcome(number))))
            for slot in sorted(draw(st.sets(st.integers(0, 4), max_size=3)))
        )
        cells = tuple(
            CalibrationCell(agent_id=agent, bucket=number % 2, wins=number, losses=0)
            for agent in sorted(draw(st.sets(agents)))
        )
        documents = draw(st.dictionaries(st.sampled_from(["account", "paper"]), st.text("xyz")))
        commits.append(
            commit(
                number,
                orders=orders,
                books=books,
                memories=memories,
                calibration=cells,
                documents=documents,
            )
        )
    return commits


def folded(commits: list[TickCommit]) -> StoredState:
    """Return what a house that never stopped would hold in memory."""
    orders: dict[str, Order] = {}
    books: dict[tuple[str, str], tuple[Lot, ...]] = {}
    memories: dict[str, Memory] = {}
    cells: dict[tuple[str, int], CalibrationCell] = {}
    documents: dict[str, str] = {}
    for each in commits:
        orders.update((one.client_order_id, one) for one in each.orders)
        books.update(each.books)
        memories.update((one.memory_id, one) for one in each.memories)
        cells.update(((one.agent_id, one.bucket), one) for one in each.calibration)
        documents.update(each.documents)
    known = [memories[key] for key in sorted(memories)]
    return StoredState(
        last_tick=replace(commits[-1].record, body=None),
        lots=tuple(held for key in sorted(books) for held in books[key]),
        open_orders=tuple(one for one in orders.values() if one.is_open),
        open_memories=tuple(one for one in known if one.outcome is None),
        resolved_memories=tuple(one for one in known if one.outcome is not None),
        calibration=tuple(cells[key] for key in sorted(cells)),
        documents=documents,
        last_exits={},
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commits=histories())
def test_after_any_history_a_restart_finds_what_was_in_memory(
    tmp_path_factory: pytest.TempPathFactory, empty_database: bytes, commits: list[TickCommit]
) -> None:
    path = tmp_path_factory.mktemp("history") / "store.db"
    path.write_bytes(empty_database)

    async def live_and_restart() -> StoredState:
        store = await opened(path)
        for each in commits:
            await store.commit_tick(each)
        await store.close()
        again = await opened(path)
        try:
            return await again.load()
        finally:
            await again.close()

    assert asyncio.run(live_and_restart()) == folded(commits)
