"""Recall heals: the server ends, hangs, errs or forgets on request, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import TryLater
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.recall.chroma_client import ChromaClient, Match
from roboinvest.runtime.recall.chroma_server import Address, ServerAway
from roboinvest.runtime.recall.recall import Recall, RecallPolicy, RecallState, backoff_s
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.chroma import FakeMemoryTable, Manner, make_memory
from tests.fakes.recall_house import CALL_TIMEOUT_S, PATIENCE_S, QUICK, House

READY, DEGRADED, REBUILDING, OFF = (
    RecallState.READY,
    RecallState.DEGRADED,
    RecallState.REBUILDING,
    RecallState.OFF,
)


async def test_a_server_killed_while_fed_is_degraded_then_ready_with_all_rows(
    house: House,
) -> None:
    house.table.write(make_memory(n) for n in range(60))
    house.chroma.puts_until_end = 3
    async with house.running():
        await house.until(READY)
    assert [state for state, _ in house.states] == [
        RecallState.STARTING,
        REBUILDING,
        DEGRADED,
        READY,
        OFF,
    ]
    assert set(house.chroma.held) == set(house.table.rows)
    assert len({folder.name for folder in house.chroma.folders}) == 1, "one crash is forgiven"


async def test_whoever_asks_gets_another_server_and_the_index_stays(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        for times in range(2, 6):  # more than crashes would be forgiven
            await house.until(READY, times - 1)
            await house.recall.reconnect()
        await house.until(READY, 5)
        assert await house.recall.query("support", 1) != ()
        assert (house.recall.status().setbacks, house.recall.status().rebuilds) == (0, 1)
    with pytest.raises(TryLater, match="connects anyway"):
        await house.recall.reconnect()


async def test_a_server_that_ends_while_idle_is_noticed_and_replaced(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
        house.chroma.end("signal 9")
        await house.until(READY, 2)
        assert await house.recall.query("support", 1) != ()
    assert house.reasons(DEGRADED) == ["the recall server ended (signal 9)"]


async def test_the_third_crash_condemns_the_index(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        for nth in (1, 2, 3):
            await house.until(READY, nth)
            assert house.recall.status().generation == "generation-0001"
            house.chroma.end("signal 11")
        await house.until(READY, 4)
        assert house.recall.status().generation == "generation-0002"
        assert set(house.chroma.held) == set(house.table.rows)
    assert sorted(path.name for path in house.root.iterdir()) == [
        "CURRENT",
        "damaged-0001",
        "generation-0002",
    ]


async def test_a_removed_folder_is_noticed_and_the_index_built_anew(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
        (house.root / "generation-0001" / "chroma.sqlite3").unlink()
        (house.root / "generation-0001").rmdir()
        await house.until(READY, 2)
        assert set(house.chroma.held) == set(house.table.rows)
    assert house.reasons(DEGRADED) == ["the folder of the index was removed or replaced"]
    assert house.table.asked_again == 2


async def test_a_row_that_the_index_lost_makes_it_new(house: House) -> None:
    house.table.write(make_memory(n) for n in range(12))
    async with house.running():
        await house.until(READY)
        house.chroma.held.popitem()
        await house.until(READY, 2)
        assert len(house.chroma.held) == 12
    assert house.reasons(DEGRADED) == ["the index holds 11 memories and the table 12"]


@pytest.mark.parametrize("manner", [Manner.FAILING, Manner.GARBLED])
async def test_a_server_that_answers_with_errors_is_rebuilt(house: House, manner: Manner) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
        house.chroma.manner = manner
        with pytest.raises(TryLater):
            await house.recall.query("support", 1)
        assert house.recall.status().state is DEGRADED, "it says so at once"
        await house.until(REBUILDING, 2)
        house.chroma.manner = Manner.ANSWERING
        await house.until(READY, 2)
    assert house.chroma.folders[-1].name != "generation-0001"


async def test_one_failed_query_is_healed_long_before_the_next_check(
    tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    policy = replace(QUICK, verify_interval_s=3600.0)
    house = House(root=tmp_path / "memory", pool=pool, policy=policy)
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
        house.chroma.manner = Manner.FAILING
        with pytest.raises(TryLater):
            await house.recall.query("support", 1)
        house.chroma.manner = Manner.ANSWERING
        await house.until(READY, 2)
        assert len(await house.recall.query("support", 5)) == 5


async def test_a_folder_that_cannot_be_served_is_set_aside_at_the_start(
    house: House, tmp_path: Path
) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
    second = House(root=house.root, pool=house.pool, table=house.table)
    second.chroma.refuses_folders = {"generation-0001"}
    async with second.running():
        await second.until(READY)
        assert set(second.chroma.held) == set(house.table.rows)
    assert sorted(path.name for path in house.root.iterdir()) == [
        "CURRENT",
        "damaged-0001",
        "generation-0002",
    ]


async def test_indexes_that_never_served_do_not_pile_up(house: House) -> None:
    house.chroma.refuses_folders = {f"generation-{n:04d}" for n in range(1, 6)}
    async with house.running() as ctx:
        await house.until(DEGRADED, 5)
        await house.until(READY)
        assert ctx.is_ready
    assert sorted(path.name for path in house.root.iterdir()) == ["CURRENT", "generation-0006"]


async def test_a_restart_keeps_the_index_and_sends_nothing_twice(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    async with house.running():
        await house.until(READY)
    second = House(root=house.root, pool=house.pool, table=house.table, chroma=house.chroma)
    async with second.running():
        await second.until(READY)
        assert second.recall.status().rows_sent == 0
        assert second.recall.status().generation == "generation-0001"
    assert second.times(REBUILDING) == 0


async def test_a_kill_after_the_pointer_moved_is_found_by_the_count(house: House) -> None:
    house.table.write(make_memory(n) for n in range(5))
    await house.table.mark_sent(list(house.table.rows), [1] * 5)
    (house.root / "generation-0007").mkdir(parents=True)
    (house.root / "CURRENT").write_text("generation-0007\n")
    async with house.running():
        await house.until(READY)
        assert len(house.chroma.held) == 5
    assert house.reasons(DEGRADED) == ["the index holds 0 memories and the table 5"]


@pytest.mark.parametrize("manner", [Manner.STALLED, Manner.DRIPPING])
async def test_a_server_that_hangs_never_holds_up_the_loop_or_the_threads(
    house: House, manner: Manner
) -> None:
    house.table.write(make_memory(n) for n in range(200))
    worst_s = 0.0

    async def tick() -> None:
        nonlocal worst_s
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.005
            await asyncio.sleep(0.005)
            worst_s = max(worst_s, loop.time() - due)

    async with asyncio.TaskGroup() as group, house.running():
        ticker = group.create_task(tick())
        await house.until(READY)
        house.chroma.manner = manner
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        results = await asyncio.gather(
            *(house.recall.query("support", 1) for _ in range(12)), return_exceptions=True
        )
        took_s = loop.time() - asked_at
        assert all(isinstance(result, TryLater) for result in results)
        assert took_s < 2 * CALL_TIMEOUT_S, "those that wait for a thread have the same deadline"
        house.chroma.manner = Manner.ANSWERING
        await house.until(READY, 2)
        ticker.cancel()
    assert worst_s < 0.1
    free = [house.pool.submit(lambda: None) for _ in range(4)]
    assert all(done.result(timeout=2.0) is None for done in free)


async def test_cancelling_a_query_frees_its_thread(house: House) -> None:
    async with house.running():
        await house.until(READY)
        house.chroma.manner = Manner.STALLED
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await house.recall.query("support", 1)
        assert house.recall.status().state is READY, "an impatient caller is no failure"
        house.chroma.manner = Manner.ANSWERING
    assert house.pool.submit(lambda: True).result(timeout=1.0)


async def test_a_failing_table_is_the_supervisors_business(house: House) -> None:
    class AwayTable(FakeMemoryTable):
        async def memory_count(self) -> int:
            raise TryLater("the store is away")

    away = House(root=house.root, pool=house.pool, table=AwayTable())
    loop = asyncio.get_running_loop()
    ctx = ServiceContext(
        "recall", patience_s=PATIENCE_S, ready_within_s=PATIENCE_S, loop_time=loop.time
    )
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TryLater, match="the store is away"):
            await away.recall.run(ctx)
    assert away.recall.status().state is OFF
    assert away.recall.status().setbacks == 0


async def test_a_folder_that_cannot_be_written_degrades_and_heals(house: House) -> None:
    house.root.write_text("a file where the folder should be")
    async with house.running():
        await house.until(DEGRADED)
        house.root.unlink()
        await house.until(READY)
    assert "the memory folder cannot be used" in house.reasons(DEGRADED)[0]


async def test_a_query_that_fails_on_a_server_long_replaced_changes_nothing(house: House) -> None:
    gate = asyncio.Event()

    class LateClient(ChromaClient):
        async def nearest(self, *asked: object, **more: object) -> Sequence[Match]:
            await gate.wait()
            raise ServerAway("the recall server broke off")

    clients = iter([LateClient, ChromaClient])

    def connect(address: Address) -> ChromaClient:
        return next(clients)(address, pool=house.pool, timeout_s=CALL_TIMEOUT_S)

    house.recall = Recall(
        table=house.table,
        server=house.chroma,
        connect=connect,
        root=house.root,
        pool=house.pool,
        clock=SystemClock(),
        on_state=house.note,
        policy=house.policy,
    )
    async with house.running(), asyncio.TaskGroup() as group:
        await house.until(READY)
        late = group.create_task(_failure_of(house.recall.query("support", 1)))
        await asyncio.sleep(0)
        house.chroma.end("signal 9")
        await house.until(READY, 2)
        gate.set()
        assert isinstance(await late, ServerAway)
        assert house.recall.status().state is READY


async def _failure_of(asked: Awaitable[object]) -> TryLater | None:
    try:
        await asked
    except TryLater as error:
        return error
    return None


@given(
    setbacks=st.integers(min_value=0, max_value=10_000),
    first=st.floats(min_value=0.1, max_value=10.0),
)
def test_the_back_off_never_shrinks_and_never_passes_its_limit(setbacks: int, first: float) -> None:
    policy = RecallPolicy(backoff_first_s=first)
    waits = [backoff_s(n, policy) for n in (setbacks, setbacks + 1)]
    assert waits[0] <= waits[1] <= policy.backoff_max_s
    assert all(wait >= first for wait in waits)


def test_the_back_off_doubles_to_five_minutes() -> None:
    waits = [backoff_s(n, RecallPolicy()) for n in range(1, 11)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert all(a <= b for a, b in itertools.pairwise(waits))
