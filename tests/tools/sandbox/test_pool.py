from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import numpy as np
import psutil
import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import ManualClock
from tools.sandbox.job import Fault, Limits, Transform, Walk
from tools.sandbox.pool import SandboxPool
from tools.sandbox.talk import WalkEnded
from tools.sandbox.tier import Tier

SPIN = Transform(
    code="while True: pass", columns={}, length=1, limits=Limits(cpu_s=30, wall_s=30.0)
)


def doubled(value: float = 1.0) -> Transform:
    code = "def transform(columns): return columns['close'] * 2"
    return Transform(code=code, columns={"close": np.array([value])}, length=1)


def pool(workers: int = 2) -> SandboxPool:
    return SandboxPool(Tier.B, clock=ManualClock(), in_flight=InFlight(), workers=workers)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process or task does, for ten seconds at most."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 nobody could set an event
            await asyncio.sleep(0)


async def test_jobs_run_side_by_side_and_each_gets_its_own_answer() -> None:
    async with pool() as boxes:
        outcomes = await asyncio.gather(*(boxes.run(doubled(float(n))) for n in range(20)))
    assert [each.signals.tolist() for each in outcomes if each.signals is not None] == [
        [2.0 * n] for n in range(20)
    ]


async def test_leaving_kills_what_runs_and_leaves_no_process() -> None:
    async with pool() as boxes:
        pids = boxes.pids
        family = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]
        family += [psutil.Process(pid) for pid in pids]
        assert len(pids) == 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await boxes.run(SPIN)
    assert psutil.wait_procs(family, timeout=5)[1] == []
    assert boxes.pids == ()
    with pytest.raises(Refused, match="not open"):
        await asyncio.wait_for(boxes.run(doubled()), 5)


async def test_leaving_under_a_job_of_another_task_ends_it() -> None:
    async with asyncio.TaskGroup() as group, pool(workers=1) as boxes:
        running = group.create_task(outcome_or_refusal(boxes))
        await until(lambda: bool(psutil.Process(boxes.pids[0]).children()))
    assert running.result() in ("Refused", "TryLater", Fault.BOX)


async def outcome_or_refusal(boxes: SandboxPool) -> object:
    try:
        return (await boxes.run(SPIN)).fault
    except Exception as error:  # noqa: BLE001 whichever it is, it must end
        return type(error).__name__


async def test_a_cancelled_job_gives_its_worker_back() -> None:
    async with pool(workers=1) as boxes:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await boxes.run(SPIN)
            outcome = await boxes.run(doubled())
            assert outcome.signals is not None


async def test_a_killed_zygote_costs_no_job() -> None:
    async with pool(workers=1) as boxes:
        for _ in range(3):
            os.kill(boxes.pids[0], signal.SIGKILL)
            outcome = await boxes.run(doubled(21.0))
            assert outcome.signals is not None
            assert outcome.signals.tolist() == [42.0]


async def test_zygotes_are_renewed_after_so_many_jobs_and_so_long() -> None:
    clock = ManualClock()
    boxes = SandboxPool(
        Tier.B, clock=clock, in_flight=InFlight(), workers=1, most_jobs=3, most_s=60.0
    )
    async with boxes:
        seen = []
        for _ in range(7):
            await boxes.run(doubled())
            seen.append(boxes.pids[0])
        assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [3, 3, 1]
        clock.advance(61.0)
        await boxes.run(doubled())
        assert boxes.pids[0] != seen[-1]


async def test_two_runs_must_be_one() -> None:
    async with pool() as boxes:
        steady = await boxes.run_twice(doubled())
        unsteady = Transform(
            code="import time\ndef transform(c): return [time.perf_counter()]",
            columns={},
            length=1,
        )
        outcome = await boxes.run_twice(unsteady)
        walk = Walk(code="import time\ndef step(row): return time.time_ns() % 1e6", fields=("a",))
        walked = await boxes.walk_twice(walk, np.ones((5, 1)))
    assert steady.signals is not None
    assert (outcome.fault, outcome.signals) == (Fault.UNSTEADY, None)
    assert walked.fault is Fault.UNSTEADY


async def test_a_wall_kill_is_tried_again_and_then_told_as_undecided() -> None:
    code = "def transform(c):\n    while True: pass"
    starved = Transform(code=code, columns={}, length=1, limits=Limits(cpu_s=60, wall_s=0.1))
    async with pool(workers=1) as boxes:
        outcome = await boxes.run(starved)
    assert outcome.fault is Fault.WALL
    assert outcome.again


async def test_a_held_walk_does_not_stop_other_jobs() -> None:
    walk = Walk(
        code="total = 0\ndef step(row):\n    global total\n    total += row[0]\n    return total",
        fields=("close",),
    )
    async with pool() as boxes:
        async with boxes.open(walk) as talk:
            first = await talk.ask(np.array([[1.0], [2.0]]))
            other = await boxes.run(doubled())
            second = await talk.ask(np.array([[3.0]]))
            outcome = await talk.finish()
        assert (await boxes.run(doubled())).fault is None
    assert (first.tolist(), second.tolist()) == ([[1.0], [3.0]], [[6.0]])
    assert other.fault is None
    assert outcome.signals is not None
    assert len(outcome.signals) == 3


async def test_a_walk_that_fails_gives_its_worker_back() -> None:
    async with pool(workers=1) as boxes:
        with pytest.raises(WalkEnded):
            async with boxes.open(Walk(code="def step(row): return 1 / 0", fields=("a",))) as talk:
                await talk.ask(np.ones((1, 1)))
        assert (await boxes.run(doubled())).fault is None


async def test_what_cannot_run_is_refused_before_anything_starts() -> None:
    for tier in (Tier.C, Tier.D):
        with pytest.raises(Refused, match="doctor"):
            async with SandboxPool(tier, clock=ManualClock(), in_flight=InFlight()):
                pass
    async with pool(workers=1) as boxes:
        with pytest.raises(BadInput):
            await boxes.run(Transform(code="", columns={"Bad": np.ones(1)}, length=1))
        assert (await boxes.run(doubled())).fault is None


async def test_jobs_are_counted_while_only_a_box_can_finish_them() -> None:
    in_flight = InFlight()
    async with SandboxPool(Tier.B, clock=ManualClock(), in_flight=in_flight, workers=1) as boxes:
        assert in_flight.count == 0
        async with asyncio.TaskGroup() as group:
            task = group.create_task(boxes.run(doubled()))
            await until(lambda: in_flight.count > 0)
        assert task.result().fault is None
        assert in_flight.count == 0
