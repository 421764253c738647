"""What lives as long as the process is set aside, and all is as before in the end."""

from __future__ import annotations

import asyncio
import gc

from roboinvest.runtime.collector import AGAIN_S, THRESHOLDS, Collector
from tests.fakes.virtual_time import run_virtual


class Ring:
    """Goes only when the collector comes."""

    def __init__(self) -> None:
        self.itself = self


def test_what_stands_at_ready_is_never_looked_at_again_and_what_comes_later_soon() -> None:
    frozen: list[int] = []

    async def main() -> None:
        before = gc.get_freeze_count()
        with Collector() as collector:
            assert gc.get_freeze_count() == before  # nothing stands yet
            collector.settle()
            frozen.append(gc.get_freeze_count())
            late = [Ring() for _ in range(1_000)]
            await asyncio.sleep(AGAIN_S[0] + 1.0)
            frozen.append(gc.get_freeze_count())
            assert len(late) == 1_000

    run_virtual(main)
    assert frozen[0] > 10_000
    assert frozen[1] >= frozen[0] + 1_000


def test_the_thresholds_are_higher_while_a_house_runs_and_as_before_after_it() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()

    async def main() -> None:
        with Collector() as collector:
            collector.settle()
            assert gc.get_threshold() == THRESHOLDS
            assert gc.isenabled()

    run_virtual(main)
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() <= frozen


def test_rings_that_come_after_are_still_collected() -> None:
    async def main() -> int:
        with Collector() as collector:
            collector.settle()
            for _ in range(100):
                Ring()
            return gc.collect()

    assert run_virtual(main) >= 100
