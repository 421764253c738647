"""The Healer as a service: when it looks, how often, and what wakes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roboinvest.core.events import AlertRaised, Severity
from roboinvest.core.oversight.healing_record import Rung, Verdict
from roboinvest.runtime.in_flight import InFlight
from tests.fakes.clocks import START
from tests.fakes.healing import Infirmary, Patient, infirmary
from tests.fakes.services import context
from tests.fakes.virtual_time import run_virtual

HEALED, NOT = Verdict.HEALED, Verdict.NOT_HEALED
Scene = Callable[[Infirmary], Awaitable[None]]


def play(folder: Path, patients: dict[str, Patient], scene: Scene, **more: Any) -> None:
    """Play a scene under virtual time, on a file in a folder."""
    in_flight = InFlight()

    async def main() -> None:
        with infirmary(folder, in_flight, patients, **more) as place:
            await scene(place)

    run_virtual(main, in_flight)


def run_for(place: Infirmary, seconds: float) -> Awaitable[None]:
    async def run() -> None:
        try:
            async with asyncio.timeout(seconds):
                await place.healer.run(context())
        except TimeoutError:
            pass

    return run()


def test_as_a_service_it_heals_at_once_at_its_interval_and_at_each_deadline(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        began = asyncio.get_running_loop().time()
        await run_for(place, 86_400.0 - 1)
        assert place.healer.passes == 206
        first = place.attempts.get("heal-0")
        assert (first.at - START).total_seconds() == pytest.approx(began)
        assert first.settled_at is not None
        assert (first.settled_at - first.deadline).total_seconds() < 2

    play(tmp_path, {"a": Patient()}, scene, interval_s=420.0)


def test_a_healer_that_is_started_again_every_four_minutes_still_heals(tmp_path: Path) -> None:
    patients = {"a": Patient(cured_by=frozenset({Rung.REVISION_ROLLBACK}))}

    async def life(place: Infirmary) -> None:
        place.clock._start = START + life_at[0]
        await run_for(place, 240.0)

    life_at = [timedelta(0)]
    for number in range(14):
        life_at[0] = timedelta(minutes=4 * number)
        play(tmp_path, patients, life, first_id=100 * number)

    async def look(place: Infirmary) -> None:
        assert place.rows() == [(Rung.RESTART, NOT), (Rung.REVISION_ROLLBACK, HEALED)]

    play(tmp_path, patients, look)


def test_a_critical_alert_is_not_left_until_the_next_pass(tmp_path: Path) -> None:
    async def scene(place: Infirmary) -> None:
        place.ward.patients["a"].value = 0.0
        async with asyncio.TaskGroup() as group:
            group.create_task(_run(place))
            await asyncio.sleep(10)
            place.ward.patients["a"].value = 0.9
            for severity in (Severity.HIGH, Severity.CRITICAL):
                assert place.rows() == []
                place.healer.hear(
                    AlertRaised(
                        at=START, key="x", severity=severity, kind="agent", message="it fails"
                    )
                )
                await asyncio.sleep(1)
            assert place.rows() == [(Rung.RESTART, None)]
            raise asyncio.CancelledError

    async def guarded(place: Infirmary) -> None:
        with pytest.raises(asyncio.CancelledError):
            await scene(place)

    play(tmp_path, {"a": Patient()}, guarded)


async def _run(place: Infirmary) -> None:
    await place.healer.run(context())
