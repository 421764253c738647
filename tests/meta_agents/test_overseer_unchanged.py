"""What did not change is not worked out again, and what did is seen at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from meta_agents.healing_ward import HealthWard
from meta_agents.overseer import Overseer
from meta_agents.overseer_alerts import HealthAlerts
from meta_agents.overseer_file import FileKeeper, Tried
from meta_agents.overseer_service import HealthService
from meta_agents.overseer_standing import EVERY_READINGS, Standing
from roboinvest.app.reviews import SCHEMAS
from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.cadence import Cadence
from roboinvest.runtime.oversight.file import FILE_NAME, OverseerFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.reports.health import AgentLine, read_health
from tests.fakes.clocks import START, ManualClock


async def nothing() -> None:
    """Measure nothing."""


def a_keeper(path: Path, threads: Threads, clock: ManualClock) -> FileKeeper:
    """Return a keeper of the Overseer's file with all its tables."""
    return FileKeeper(path, schemas=SCHEMAS, threads=threads, clock=clock, publish=lambda _: None)


def test_health_json_says_what_the_last_look_found_of_everybody(tmp_path: Path) -> None:
    clock, tried, counted = ManualClock(), dict[str, str](), list[float]()

    async def look(health: HealthService) -> Mapping[str, AgentLine]:
        clock.advance(60.0)
        await health.look_once()
        report = read_health(tmp_path)
        assert report.checked_at == clock.now()
        return {each.name: each for each in report.agents}

    async def main() -> None:
        overseer = Overseer(clock, Thresholds(offline_s=600.0))
        names = ("idle", "busy", "counts")
        overseer.register_all([AgentCard(name=each, kind=AgentKind.TRADING) for each in names])
        with ThreadPoolExecutor(1) as pool:
            health = HealthService(
                overseer,
                measure=nothing,
                ward=HealthWard(clock, Thresholds(), lambda _: frozenset()),
                alerts=HealthAlerts(lambda _: None),
                reports=tmp_path,
                threads=Threads(pool, InFlight()),
                publish=lambda _: None,
                tried=lambda: tried,
            )
            overseer.vitals("counts").counter("insights", 8.0, clock.monotonic())
            before = await look(health)
            assert (await look(health))["idle"] == before["idle"]
            overseer.vitals("busy").succeeded(clock.monotonic(), 0.5)
            tried["idle"] = "restart: healed"
            after = await look(health)
            assert (before["busy"].calls, after["busy"].calls) == (0, 1)
            assert (before["busy"].latency_p50_s, after["busy"].latency_p50_s is None) == (
                None,
                False,
            )
            assert (before["idle"].tried, after["idle"].tried) == (None, "restart: healed")
            counted.extend(each["counts"].counts["insights"] for each in (before, after))
            clock.advance(600.0)
            late = await look(health)
            assert (after["idle"].status, late["idle"].status) == ("healthy", "offline")
            assert "no progress" in late["idle"].reasons[0]
        assert counted[0] > counted[1] > 0.0  # what was counted fades, though nothing happens
        assert read_health(tmp_path).sequence == 4

    asyncio.run(main())


def test_the_standing_is_read_anew_when_somebody_wrote(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME

    async def main() -> None:
        clock = ManualClock()
        overseer = Overseer(clock, Thresholds())
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, InFlight())
            keeper = a_keeper(path, threads, clock)
            standing = Standing(overseer, keeper, Tried(clock), threads, observes_only=False)
            await overseer.look()

            async def read() -> object:
                for _ in range(EVERY_READINGS):
                    await standing.read()
                return standing.line().next_meeting

            assert await read() is None
            file = await keeper.file()
            cadence = Cadence(file, "governance_meeting", timedelta(days=1))
            upcoming = cadence.done(START)
            assert await read() == upcoming
            assert await read() == upcoming
            with OverseerFile.open(path) as other:  # as another process would
                later = Cadence(other, "governance_meeting", timedelta(days=1)).done(upcoming)
            assert await read() == later
            keeper.close()

    asyncio.run(main())


def test_a_file_that_is_taken_away_is_noticed_although_nobody_wrote(tmp_path: Path) -> None:
    async def main() -> None:
        clock = ManualClock()
        overseer = Overseer(clock, Thresholds())
        with ThreadPoolExecutor(1) as pool:
            threads = Threads(pool, InFlight())
            path = tmp_path / FILE_NAME
            keeper = a_keeper(path, threads, clock)
            standing = Standing(overseer, keeper, Tried(clock), threads, observes_only=False)
            for _ in range(2 * EVERY_READINGS):
                await standing.read()
            assert standing.line().reason is None
            for each in tmp_path.iterdir():
                each.unlink()
            for _ in range(EVERY_READINGS):
                await standing.read()
            assert "is gone" in (standing.line().reason or "")
            keeper.close()

    asyncio.run(main())
