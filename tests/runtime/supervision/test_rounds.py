"""One timer for all units: who is well is left asleep, and who is not is woken on the second."""

from __future__ import annotations

import asyncio
import random

from roboinvest.runtime.supervision.keeping import Kept, UnitOfRestart
from roboinvest.runtime.supervision.restarts import RestartLimits, RestartRecord
from roboinvest.runtime.supervision.rounds import Rounds
from roboinvest.runtime.supervision.service import Child, ServiceState
from tests.fakes.services import Ticking, context
from tests.fakes.virtual_time import run_virtual, stall


async def hang() -> None:
    """Never end."""
    await asyncio.Event().wait()


def a_unit(name: str, patience_s: float) -> UnitOfRestart:
    """Return a unit of one service that is ready, and never ends."""
    record = RestartRecord(RestartLimits(), random.Random(1))
    kept = Kept(Child(service=Ticking(name), patience_s=patience_s), record)
    kept.ctx = context(name, patience_s=patience_s)
    kept.ctx.ready()
    kept.task = asyncio.ensure_future(hang())
    kept.state = ServiceState.RUNNING
    return UnitOfRestart((kept,))


def end(rounds: Rounds, *units: UnitOfRestart) -> None:
    """Let nothing go on."""
    rounds.end()
    for unit in units:
        task = unit.members[0].task
        assert task is not None
        task.cancel()


async def beats(unit: UnitOfRestart, every_s: float, times: int) -> None:
    """Let a service work."""
    ctx = unit.members[0].ctx
    assert ctx is not None
    for _ in range(times):
        ctx.beat()
        await asyncio.sleep(every_s)


def test_who_gets_on_is_never_woken_and_who_hangs_is_at_the_end_of_its_patience() -> None:
    async def main() -> None:
        well, hangs = a_unit("well", 60.0), a_unit("hangs", 100.0)
        rounds = Rounds((well, hangs))
        for unit in (well, hangs):
            rounds.expect(unit)
        working = asyncio.ensure_future(beats(well, 20.0, 50))
        await hangs.changed.wait()
        assert asyncio.get_running_loop().time() == 100.0
        await working
        assert not well.changed.is_set()
        end(rounds, well, hangs)

    run_virtual(main)


def test_who_is_looked_after_just_now_is_not_woken_on_top_of_it() -> None:
    async def main() -> None:
        busy, other = a_unit("busy", 10.0), a_unit("other", 60.0)
        rounds = Rounds((busy, other))
        for unit in (busy, other):
            rounds.expect(unit)
        busy.due = None  # as its keeper does, for as long as it is at work on it
        await other.changed.wait()
        assert asyncio.get_running_loop().time() == 60.0
        assert not busy.changed.is_set()
        end(rounds, busy, other)

    run_virtual(main)


def test_a_loop_that_stood_still_is_not_held_against_a_service() -> None:
    async def main() -> None:
        unit = a_unit("unit", 10.0)
        rounds = Rounds((unit,))
        rounds.expect(unit)
        await stall(500.0)
        await asyncio.sleep(5.0)
        assert not unit.changed.is_set()
        await unit.changed.wait()
        assert asyncio.get_running_loop().time() == 510.0  # all that was late, and its patience
        end(rounds, unit)

    run_virtual(main)


def test_what_has_failed_is_woken_when_its_time_to_start_has_come() -> None:
    async def main() -> None:
        unit = a_unit("unit", 60.0)
        rounds = Rounds((unit,))
        unit.members[0].state, unit.members[0].retry_at = ServiceState.BACKING_OFF, 7.5
        rounds.expect(unit)
        await unit.changed.wait()
        assert asyncio.get_running_loop().time() == 7.5
        end(rounds, unit)

    run_virtual(main)
