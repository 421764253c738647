"""Thirty days in which nothing is wrong, and the faults that are still seen after them."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from roboinvest.core.oversight.agents import AgentCard, AgentKind
from roboinvest.core.oversight.health import AgentHealth, Status, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals
from tests.fakes.quiet_month import AGENTS

MONDAY: Final = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
SATURDAY: Final = datetime(2026, 1, 3, 6, 0, tzinfo=UTC)
MINUTES: Final = 30 * 24 * 60
ALLOWED: Final = 3  # false alarms of any kind, of all agents, in the month


@pytest.mark.timeout(600)  # two minutes of work on a busy machine
@pytest.mark.parametrize(
    ("seed", "start"), [(11, MONDAY), pytest.param(12, SATURDAY, marks=pytest.mark.campaign)]
)
def test_a_quiet_month_is_quiet_and_faults_are_seen_after_it(seed: int, start: datetime) -> None:
    print(f"seed {seed}")
    limits = Thresholds()
    alarms: list[str] = []
    for name, live in AGENTS.items():
        rng = random.Random(f"{seed} {name}")
        card = AgentCard(name=name, kind=AgentKind.SERVICE)
        vitals, health = Vitals(0.0), a_first_look(card, start)
        for minute in range(MINUTES):
            at = 60.0 * minute
            live(vitals, at, start + timedelta(seconds=at), rng)
            now = start + timedelta(seconds=at + 60)
            before, health = health, judge(card, vitals.snapshot(at + 60), limits, now, health)
            if is_alarm(before, health):
                alarms.append(f"{now:%a %m-%d %H:%M} {name} {health.status}: {health.reasons}")
        see_faults(card, vitals, start, health)
    print("\n".join(alarms) or "no false alarm")
    assert not [line for line in alarms if "failing" in line or "offline" in line]
    assert len(alarms) <= ALLOWED


def a_first_look(card: AgentCard, start: datetime) -> AgentHealth:
    """Return how an agent is before it did anything."""
    return judge(card, Vitals(0.0).snapshot(0.0), Thresholds(), start)


def is_alarm(before: AgentHealth, health: AgentHealth) -> bool:
    """Return whether a tick tells something new, for which somebody would be called."""
    if health.status is Status.HEALTHY:
        return False
    known = {found.what for found in before.findings}
    return any(found.what not in known for found in health.findings)


def see_faults(card: AgentCard, vitals: Vitals, start: datetime, health: AgentHealth) -> None:
    """Let everything fail at once after the month: seen within two ticks of 60 s."""
    began = 60.0 * MINUTES
    for tick in range(2):
        for second in range(60):
            vitals.failed(began + 60 * tick + second, "KeyError at strategy.py:88", 60.0)
        at = began + 60 * (tick + 1)
        now = start + timedelta(seconds=at)
        health = judge(card, vitals.snapshot(at), Thresholds(), now, health)
    found = {each.what for each in health.findings}
    assert "errors" in found, card.name
    assert health.is_slow, card.name
    for tick in itertools.count(2):
        at = began + 60 * (tick + 1)
        now = start + timedelta(seconds=at)
        health = judge(card, vitals.snapshot(at), Thresholds(), now, health)
        if health.status is Status.OFFLINE:
            break
        assert tick < 20, card.name
