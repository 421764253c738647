"""Counts are kept within a moment, and a store that is away costs nothing but that."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from roboinvest.runtime.alerting.board import AlertBoard
from roboinvest.runtime.alerting.keeper import AlertKeeper
from tests.fakes.alert_boards import NOW, Shelf, raised
from tests.fakes.clocks import LoopClock
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual


def kept_count(shelf: Shelf) -> int:
    return int(json.loads(shelf.texts["alerts"])["alerts"][0]["count"])


def test_counts_are_kept_by_the_keeper_and_at_its_end() -> None:
    shelf = Shelf()

    async def main() -> None:
        board = AlertBoard(shelf.save)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(AlertKeeper(board, LoopClock(NOW)).run(context()))
            await asyncio.sleep(1)
            for _ in range(10_000):
                await board.receive(raised())
            assert kept_count(shelf) == 1
            await asyncio.sleep(5)
            assert kept_count(shelf) == 10_000
            assert shelf.saves == 2
            await asyncio.sleep(60)
            assert shelf.saves == 2  # nothing changed
            await board.receive(raised())
            keeping.cancel()
        assert kept_count(shelf) == 10_001

    run_virtual(main)


def test_what_the_store_does_not_take_is_kept_when_it_does() -> None:
    shelf = Shelf()

    async def main() -> None:
        board = AlertBoard(shelf.save)
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(AlertKeeper(board, LoopClock(NOW)).run(context()))
            await board.receive(raised())
            shelf.is_full = True
            await board.receive(raised())
            await asyncio.sleep(60)
            shelf.is_full = False
            await asyncio.sleep(6)
            assert kept_count(shelf) == 2
            keeping.cancel()

    run_virtual(main)


def test_each_new_cause_is_kept_before_the_next_fact_but_not_in_a_storm() -> None:
    shelf = Shelf()

    async def main() -> None:
        board = AlertBoard(shelf.save)
        for number in range(4):
            await board.receive(raised(f"k{number}", minutes=number))
            assert shelf.saves == number + 1
        for number in range(2_000):
            await board.receive(raised(f"s{number}", minutes=10))
        assert shelf.saves < 12

    run_virtual(main)


async def test_the_loop_gets_its_turn_while_a_full_board_is_written() -> None:
    shelf, turns = Shelf(), 0
    board = AlertBoard(shelf.save)
    for number in range(900):
        await board.receive(raised(f"s{number}"))

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        turning = group.create_task(turn())
        await board.flush()
        turning.cancel()
    assert turns >= 8
    board.settle(NOW + timedelta(minutes=1))
