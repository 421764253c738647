"""A file in trouble is one alert; what lives by it rests, and goes on when it is whole again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from meta_agents.overseer_file import AGAIN_S, ALERT_KEY, FileKeeper, OnFile
from roboinvest.core.errors import TryLater
from roboinvest.core.events import AlertRaised, AlertResolved, Event
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.cadence import Cadence, keep
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.supervision.service import ServiceContext
from tests.fakes.clocks import LoopClock
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual


class Diary:
    """Does something every ten minutes, by its file."""

    name = "diary"

    def __init__(self, file: OverseerFile, threads: Threads, done: list[float]) -> None:
        self._cadence = Cadence(file, "diary", timedelta(minutes=10))
        self._threads, self._done = threads, done

    async def run(self, ctx: ServiceContext) -> None:
        """Keep the cadence."""
        clock = LoopClock()

        async def work(_now: object) -> None:
            self._done.append(clock.monotonic())

        await keep(ctx, self._cadence, work, clock=clock, threads=self._threads)


def kept(path: Path, hours: float, harm: dict[float, bool]) -> tuple[list[float], list[Event]]:
    """Keep a diary for hours; `harm` says when the file is broken, or taken away."""
    in_flight, done, said = InFlight(), list[float](), list[Event]()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, in_flight)
            keeper = FileKeeper(path, threads=threads, clock=LoopClock(), publish=said.append)
            service = OnFile("diary", keeper, lambda file: Diary(file, threads, done))
            running = asyncio.ensure_future(service.run(context()))
            for at, is_broken in itertools.chain(harm.items(), [(hours * 3_600, False)]):
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                if is_broken:
                    for each in path.parent.iterdir():
                        each.unlink(missing_ok=True)
                    path.write_bytes(b"not a database" * 500)
                    await keeper.lost(OSError("the disk forgot it"))
                else:
                    path.unlink(missing_ok=at < hours * 3_600)
            assert not running.done()
            running.cancel()
            await asyncio.wait({running})
            keeper.close()

    run_virtual(main, in_flight)
    return done, said


def test_a_service_on_a_file_that_is_whole_does_its_work(tmp_path: Path) -> None:
    done, said = kept(tmp_path / FILE_NAME, 1.0, {})
    assert len(done) == 6
    assert said == []


def test_a_file_that_breaks_is_one_alert_and_the_work_goes_on_when_it_is_whole(
    tmp_path: Path,
) -> None:
    done, said = kept(tmp_path / FILE_NAME, 3.0, {3_700.0: True, 7_300.0: False})
    keys = [
        (type(each), each.key) for each in said if isinstance(each, AlertRaised | AlertResolved)
    ]
    assert keys[0] == (AlertRaised, ALERT_KEY)
    assert keys[-1] == (AlertResolved, ALERT_KEY)
    assert {key for _, key in keys} == {ALERT_KEY}
    assert [at for at in done if 3_700 < at < 7_300] == []
    assert [at for at in done if at < 3_700] != []
    assert len([at for at in done if at > 7_300]) >= 5


def test_a_disk_that_stays_full_is_one_alert_and_not_one_a_minute(tmp_path: Path) -> None:
    """A full disk lets us open the file and read it; only what is written fails."""
    in_flight, said, tries = InFlight(), list[Event](), list[float]()
    full_s, in_the_way = 1_800.0, tmp_path / f"{FILE_NAME}.probe"

    class Writer:
        name = "writer"

        async def run(self, _: ServiceContext) -> None:
            tries.append(asyncio.get_running_loop().time())
            if tries[-1] < full_s:
                in_the_way.mkdir(exist_ok=True)
                raise TryLater("overseer.db cannot be written to now (disk is full)")
            await asyncio.Event().wait()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, in_flight)
            keeper = FileKeeper(
                tmp_path / FILE_NAME, threads=threads, clock=LoopClock(), publish=said.append
            )
            service = OnFile("writer", keeper, lambda _: Writer())
            running = asyncio.ensure_future(service.run(context()))
            asyncio.get_running_loop().call_later(full_s, in_the_way.rmdir)
            for _ in range(40):
                await asyncio.sleep(60.0)
                with contextlib.suppress(TryLater):
                    await keeper.file()  # as whoever reads does, every minute
            running.cancel()
            await asyncio.wait({running})
            keeper.close()

    run_virtual(main, in_flight)
    assert len(tries) == 2  # nobody is let near it meanwhile
    assert {type(each) for each in said[:-1]} == {AlertRaised}
    assert isinstance(said[-1], AlertResolved)
    ago = said[-1].at - said[0].at
    assert timedelta(seconds=full_s) <= ago <= timedelta(seconds=full_s + 2 * AGAIN_S)
    assert not in_the_way.exists()
