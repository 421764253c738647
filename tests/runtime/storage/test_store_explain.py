"""What an explanation asks of the store."""

from __future__ import annotations

from datetime import timedelta

import pytest

from roboinvest.core.orders import Leg, OrderState, Side
from roboinvest.core.quant.memories import CalibrationCell
from roboinvest.runtime.store import Store
from tests.fakes.records import busy_commit, commit, order, record, tick_at, tick_id, trade

HALF_A_MINUTE = timedelta(seconds=30)


async def test_the_ticks_around_an_instant_are_found_without_their_bodies(store: Store) -> None:
    for number in (0, 1, 5):
        await store.commit_tick(commit(number))
    for at, before, after in (
        (tick_at(0) - HALF_A_MINUTE, None, 0),
        (tick_at(0), 0, 1),
        (tick_at(1) + HALF_A_MINUTE, 1, 5),
        (tick_at(5), 5, None),
    ):
        names = [number if number is None else tick_id(number) for number in (before, after)]
        found = (await store.tick_before(at), await store.tick_after(at))
        assert [tick and tick.tick_id for tick in found] == names
        assert all(tick is None or tick.body is None for tick in found)


async def test_ticks_that_wanted_something_come_newest_first_page_by_page(store: Store) -> None:
    actions = {0: {"buys": 1}, 1: {}, 2: {"sells": 2}, 3: {"orders": 1}, 4: {"buys": 1}}
    for number, counts in actions.items():
        await store.commit_tick(commit(number, record=record(number, **counts)))
    first = await store.active_ticks(2)
    assert [tick.tick_id for tick in first] == [tick_id(4), tick_id(2)]
    assert first[0] == record(4, buys=1)
    second = await store.active_ticks(2, before=first[-1].at)
    assert [tick.tick_id for tick in second] == [tick_id(0)]
    assert await store.active_ticks(2, before=second[-1].at) == ()


async def test_an_order_is_found_by_its_name_in_its_latest_form(store: Store) -> None:
    await store.commit_tick(commit(0, orders=(order("a"),)))
    filled = order("a", state=OrderState.FILLED)
    await store.commit_tick(commit(1, orders=(filled,)))
    assert await store.order("a") == filled
    assert await store.order("b") is None


async def test_the_orders_of_a_tick_come_as_they_arrived(store: Store) -> None:
    legs = (order("z"), order("z-s", leg=Leg.STOP, side=Side.SELL, parent_id="z"))
    await store.commit_tick(commit(0, orders=legs))
    await store.commit_tick(commit(1, orders=(order("a", 1),)))
    assert await store.orders_of(tick_id(0)) == legs
    assert await store.orders_of(tick_id(9)) == ()


@pytest.mark.parametrize("end", ["in", "out"])
async def test_round_trips_are_found_by_the_order_at_either_end(store: Store, end: str) -> None:
    parts = (trade("t"), trade("t2", entry_order_id="t-in", exit_order_id="t-out"))
    await store.commit_tick(commit(0, trades=(*parts, trade("other"))))
    assert await store.trades_of(f"t-{end}") == parts
    assert await store.trades_of("nothing") == ()


async def test_what_convictions_came_to_is_read_by_agent_and_bucket(store: Store) -> None:
    cells = (
        CalibrationCell(agent_id="a", bucket=2, wins=1, losses=0),
        CalibrationCell(agent_id="a", bucket=11, wins=0, losses=3),
    )
    await store.commit_tick(commit(0, calibration=cells[::-1]))
    assert await store.calibration() == cells
    await store.commit_tick(busy_commit(1))
    assert len(await store.calibration()) == 3
