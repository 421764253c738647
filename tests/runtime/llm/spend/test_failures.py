"""A full disk, a file that cannot be trusted, a caller that goes: nothing is spent unseen."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.errors import BadInput, BadSettings, TryLater
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.llm.spend.values import Reserved
from tests.fakes.spending import NOON, a_call, an_ask, audit, paid
from tests.fakes.virtual_time import run_virtual
from tests.runtime.llm.spend.conftest import Desk


async def test_a_full_disk_reserves_nothing_and_passes_when_there_is_room(
    ledger: SpendLedger, desk: Desk
) -> None:
    room = desk.pragma("max_page_count")
    await ledger.reserve(a_call(0, "0.001"))
    desk.pragma(f"max_page_count = {desk.pragma('page_count')}")
    let_through = {"c0"}

    async def reserve_all() -> None:
        for number in range(1, 400):
            await ledger.reserve(a_call(number, "0.001"))
            let_through.add(f"c{number}")

    with pytest.raises(TryLater, match=r"disk is full.*nothing was written, so send nothing"):
        await reserve_all()
    assert set(audit(desk.path).charged) == let_through
    assert (await ledger.standing(NOON)).day == NOON.date()  # reading goes on
    for write in (
        lambda: ledger.note_ask(an_ask(inputs="x" * 100_000)),
        lambda: ledger.put_reply("k", "x" * 100_000),
    ):
        with pytest.raises(TryLater):
            await write()
    desk.pragma(f"max_page_count = {room}")
    for name in let_through:
        await ledger.settle(name, paid("0.0005", prompt="x" * 1000))
    books = audit(desk.path)
    assert (books.spent, books.reserved) == (len(let_through) * Decimal("0.0005"), Decimal(0))


async def test_a_file_that_becomes_read_only_is_an_error_for_every_write(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call())
    desk.pragma("query_only = ON")
    for call in (
        lambda: ledger.reserve(a_call(1)),
        lambda: ledger.settle("c0", paid("0.01")),
        lambda: ledger.cut("c0", "why"),
        lambda: ledger.release("c0", "why"),
        lambda: ledger.note_ask(an_ask()),
        lambda: ledger.set_day_cap(Decimal("0.5"), "why", NOON),
    ):
        with pytest.raises(TryLater, match=r"the spend ledger could not .*readonly"):
            await call()
    desk.pragma("query_only = OFF")
    await ledger.settle("c0", paid("0.01"))
    assert audit(desk.path).states == {"settled": 1}


async def test_a_reservation_whose_caller_is_cancelled_is_let_go_of(
    ledger: SpendLedger, desk: Desk
) -> None:
    async with asyncio.TaskGroup() as group:
        with desk.held():
            waits = group.create_task(ledger.reserve(a_call()))
            await asyncio.sleep(0)
            waits.cancel()
            await asyncio.wait([waits])
            assert (waits.cancelled(), desk.in_flight.count) == (True, 2)  # it goes on without him
    await ledger.note_ask(an_ask())  # what was queued before it is done
    books = audit(desk.path)
    assert (books.states, desk.in_flight.count) == ({"released": 1}, 0)


async def test_a_reservation_that_comes_too_late_is_let_go_of(desk: Desk) -> None:
    async with desk.ledger(patience_s=0.05) as ledger:
        with desk.held():
            with pytest.raises(TryLater, match="did not reserve the cost of a call within"):
                await ledger.reserve(a_call())
            assert (await ledger.standing(NOON)).caps  # reading goes on
    # closing did what was queued
    assert audit(desk.path).states == {"released": 1}


async def test_a_caller_that_is_cancelled_leaves_a_settlement_that_happens(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call())
    async with asyncio.TaskGroup() as group:
        with desk.held():
            waits = group.create_task(ledger.settle("c0", paid("0.04")))
            await asyncio.sleep(0)
            waits.cancel()
            await asyncio.wait([waits])
    assert not await ledger.cut("c0", "cancelled")
    assert audit(desk.path).spent == Decimal("0.04")


async def test_one_that_is_refused_takes_nobody_along(ledger: SpendLedger, desk: Desk) -> None:
    async with asyncio.TaskGroup() as group:
        with desk.held():
            calls = [
                group.create_task(ledger.reserve(a_call(number, reserved)))
                for number, reserved in enumerate(["0.40", "0.50", "0.20", "0.10"])
            ]
            wrong = group.create_task(settled_wrongly(ledger))
            await asyncio.sleep(0)
    assert [isinstance(each.result(), Reserved) for each in calls] == [True, True, False, True]
    assert wrong.result()
    assert audit(desk.path).reserved == Decimal("1.00")


async def settled_wrongly(ledger: SpendLedger) -> bool:
    try:
        await ledger.settle("nobody", paid("0.01"))
    except BadInput as error:
        return "no call nobody" in str(error)
    return False


def test_virtual_time_stands_still_while_the_disk_works(desk: Desk) -> None:
    async def a_day() -> float:
        async with desk.ledger() as ledger:
            for number in range(24):
                await ledger.reserve(a_call(number, "0.01"))
                await ledger.settle(f"c{number}", paid("0.01"))
                await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_virtual(a_day, desk.in_flight) == pytest.approx(24 * 3600, abs=1e-3)
    assert audit(desk.path).spent == Decimal("0.24")


# When it is opened


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_into_text(path: Path) -> None:
    path.write_text("this is a letter\n" * 500)


def give_to_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ticks (tick_id TEXT)")


def make_it_a_journal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {0x52494A31}")


def date_from_the_future(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_in_half, "is damaged.*nothing was written.*with the provider's own count"),
        (turn_into_text, "is damaged.*not a database"),
        (give_to_another_program, "a database of another program, and no spend ledger"),
        (make_it_a_journal, "a database of another program, and no spend ledger"),
        (date_from_the_future, "a newer program.*version 99, this one knows 1"),
    ],
)
async def test_a_file_that_cannot_be_trusted_is_refused_and_left_as_it_is(
    desk: Desk, harm: Callable[[Path], None], said: str
) -> None:
    async with desk.ledger() as ledger:
        for number in range(50):
            await ledger.reserve(a_call(number, "0.001"))
    harm(desk.path)
    before = desk.path.read_bytes()
    for recover in (True, False):
        with pytest.raises(BadSettings, match=said) as refused:
            await desk.open(recover=recover)
        assert "\n" not in str(refused.value)
    assert desk.path.read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM calls",
        "UPDATE calls SET reserved = 0",
        "UPDATE calls SET agent = 'nobody'",
        "DELETE FROM cap_moves",
    ],
)
async def test_the_file_itself_refuses_to_forget_money(
    ledger: SpendLedger, desk: Desk, statement: str
) -> None:
    await ledger.reserve(a_call())
    with closing(sqlite3.connect(desk.path)) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)


async def test_it_is_durable_and_readable_by_its_owner_alone(
    ledger: SpendLedger, desk: Desk
) -> None:
    await ledger.reserve(a_call())
    assert (desk.pragma("synchronous"), desk.pragma("journal_mode")) == (2, "wal")
    assert desk.path.stat().st_mode & 0o777 == 0o600


async def test_closing_does_what_is_queued_and_refuses_what_comes_after(desk: Desk) -> None:
    ledger = await desk.open()
    waits: list[asyncio.Task[Any]] = []
    async with asyncio.TaskGroup() as group:
        with desk.held():
            waits += [
                group.create_task(ledger.reserve(a_call(number, "0.01"))) for number in range(20)
            ]
            await asyncio.sleep(0)
            assert ledger.waiting == 20
            group.create_task(ledger.close())
            await asyncio.sleep(0)
    assert all(isinstance(task.result(), Reserved) for task in waits)
    with pytest.raises(TryLater, match="closed"):
        await ledger.reserve(a_call(99))
    await ledger.close()
    assert (audit(desk.path).reserved, desk.in_flight.count) == (Decimal("0.20"), 0)
