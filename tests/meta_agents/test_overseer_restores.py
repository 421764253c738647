"""The way back from the rules to the model: after calm, on trial, and with patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from meta_agents.overseer_models import DEGRADED
from meta_agents.overseer_restores import LONGEST_S, MOST_BAD, TRIAL, WELL_S, Restorer
from roboinvest.core.errors import TryLater
from roboinvest.core.oversight.healing_record import ActionEnd
from roboinvest.core.tasks import RULES, Answer
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.oversight.model_switch import ModelSwitch
from tests.fakes.clocks import LoopClock
from tests.fakes.overseen import World, lived
from tests.fakes.virtual_time import run_virtual

PAYER, AGENT = "strategy", "SimpleOrganicStrategyAgent"


def answer(source: str, *, is_recalled: bool = False) -> Answer[None]:
    return Answer(
        output=None,
        source=source,
        cost_usd=Decimal(0),
        latency_ms=1.0,
        is_recalled=is_recalled,
    )


class Diary:
    """An audit log that may be away."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.is_away = False

    async def begun(self, order: Any, metric: str, value: float) -> None:
        """Note it."""
        self._note(f"begun {order.agent}")

    async def ended(self, order: Any, end: ActionEnd, words: str) -> None:
        """Note it."""
        self._note(f"{end} {order.agent}: {words}")

    def _note(self, text: str) -> None:
        if self.is_away:
            raise TryLater("the disk is full")
        self.rows.append(text)


class Clinic:
    """A restorer that looks every 20 s, a switch, and a provider that is well or not."""

    def __init__(self) -> None:
        self.is_well, self.model_answers = True, True
        self.diary = Diary()
        self.switch = ModelSwitch(SimpleNamespace(), SimpleNamespace())
        self.restored_at: list[float] = []
        self.restorer = Restorer(
            self.switch,
            is_well=lambda: self.is_well,
            agents={PAYER: AGENT},
            journal=self.diary,
            clock=LoopClock(),
            new_id=lambda: "heal-1",
        )

    async def live(self, seconds: float) -> None:
        """Look every 20 s, and ask once in between."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while loop.time() < ends:
            was = PAYER in self.switch.degraded
            await self.restorer.look()
            if was and PAYER not in self.switch.degraded:
                self.restored_at.append(loop.time())
            if PAYER not in self.switch.degraded:
                source = "openai:m" if self.model_answers else "safe"
                self.restorer.hear(PAYER, answer(source))
            await asyncio.sleep(20.0)


def treated(work: Callable[[Clinic], Any]) -> Clinic:
    """Work in a clinic whose agent was degraded at the start, under virtual time."""

    async def main() -> Clinic:
        clinic = Clinic()
        clinic.switch.degrade(PAYER, f"{DEGRADED} heal x")
        await work(clinic)
        return clinic

    return run_virtual(main, InFlight())


def test_the_model_comes_back_once_the_provider_was_well_for_a_while_and_proves_itself() -> None:
    async def work(clinic: Clinic) -> None:
        clinic.is_well = False
        await clinic.live(1000.0)
        assert clinic.restored_at == []
        assert "rules answer it since" in clinic.restorer.words()[AGENT]
        clinic.is_well = True
        await clinic.live(WELL_S + 40.0)
        assert "on trial" in clinic.restorer.words()[AGENT]
        await clinic.live(200.0)

    clinic = treated(work)
    assert clinic.restored_at == [1000.0 + WELL_S]
    assert clinic.switch.degraded == {}
    assert clinic.restorer.words() == {}
    ended = f"returned {AGENT}: the model answers {AGENT} again: {TRIAL} of {TRIAL} on trial"
    assert clinic.diary.rows == [f"begun {AGENT}", ended]


def test_a_provider_that_falters_begins_the_wait_anew() -> None:
    async def work(clinic: Clinic) -> None:
        await clinic.live(WELL_S - 60.0)
        clinic.is_well = False
        await clinic.live(20.0)
        clinic.is_well = True
        await clinic.live(WELL_S + 20.0)

    assert treated(work).restored_at == [WELL_S - 40.0 + WELL_S]


def test_a_trial_that_fails_puts_the_rules_back_and_each_wait_is_twice_as_long() -> None:
    async def work(clinic: Clinic) -> None:
        clinic.model_answers = False
        await clinic.live(20 * 3600.0)

    clinic = treated(work)
    waits = [
        later - before
        for before, later in zip(clinic.restored_at, clinic.restored_at[1:], strict=False)
    ]
    for times, waited in enumerate(waits, start=1):
        due = min(WELL_S * 2**times, LONGEST_S)
        assert due <= waited <= due + 100.0
    assert len(waits) >= 5
    assert clinic.switch.degraded[PAYER].startswith(DEGRADED)
    assert sum(row.startswith("failed") for row in clinic.diary.rows) == len(clinic.restored_at)


def test_one_bad_answer_of_a_trial_is_forgiven_and_recalled_ones_say_nothing() -> None:
    async def work(clinic: Clinic) -> None:
        await clinic.live(WELL_S + 10.0)
        assert len(clinic.restored_at) == 1
        for _ in range(50):
            clinic.restorer.hear(PAYER, answer("openai:m", is_recalled=True))
        assert PAYER not in clinic.switch.degraded
        for _ in range(MOST_BAD):
            clinic.restorer.hear(PAYER, answer(RULES))
        await clinic.live(20.0 * TRIAL)

    clinic = treated(work)
    assert clinic.switch.degraded == {}
    assert clinic.diary.rows[-1].startswith(f"returned {AGENT}")


def test_nothing_is_restored_that_cannot_be_told() -> None:
    async def work(clinic: Clinic) -> None:
        clinic.diary.is_away = True
        await clinic.live(2 * WELL_S)
        assert clinic.restored_at == []
        clinic.diary.is_away = False
        await clinic.live(40.0)

    assert len(treated(work).restored_at) == 1


@pytest.mark.parametrize(("heals", "ends"), [(True, False), (False, True)])
def test_in_a_house_the_model_answers_again_where_it_can(
    tmp_path: Path, heals: bool, ends: bool
) -> None:
    def plant(world: World) -> None:
        switch = world.oversight._switch
        world.at(100.0, lambda: switch.degrade(PAYER, f"{DEGRADED} heal x: tried"))
        if not heals:
            world.at(200.0, lambda: setattr(world.model, "source", "safe"))

    world = lived(tmp_path, 100.0 + WELL_S + 700.0, plant)
    assert (PAYER in world.oversight._switch.degraded) is ends
    assert (AGENT in world.oversight.tried()) is ends
