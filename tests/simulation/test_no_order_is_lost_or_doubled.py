"""Thousands of short trading days with faults and deaths, none of which breaks an invariant.

Every failure prints `seed=.. step=..`; `play(faulty(seed, steps))` plays that day again.
"""

from __future__ import annotations

import random

import pytest

from roboinvest.core.journal import JournalState
from tests.simulation.scenario import Scenario, faulty, hanging, play, violations

BATCH = 360
SWEPT = (11, 12, 15)
ALL_STATES = frozenset(JournalState)


def scenarios_of(first: int, count: int) -> list[Scenario]:
    """Return one scenario for each seed: none, one, two or three deaths, close to each other."""
    found = []
    for seed in range(first, first + count):
        rng = random.Random(seed)
        first_death, deaths = rng.randint(1, 130), rng.choice((0, 1, 2, 3))
        steps, step = list[int](), first_death
        for _ in range(deaths):
            steps.append(step)
            step += rng.randint(1, 15)  # the next life dies while it recovers
        found.append(faulty(seed, tuple(steps)))
    return found


@pytest.mark.parametrize("batch", range(5))
def test_i_ord_and_i_rec_hold_under_faults_and_deaths(batch: int) -> None:
    assert violations(scenarios_of(batch * BATCH, BATCH)) == []


@pytest.mark.parametrize("seed", SWEPT)
def test_a_death_at_any_step_at_all_breaks_nothing(seed: int) -> None:
    steps = play(faulty(seed)).steps.taken
    assert steps > 40
    assert violations([faulty(seed, (step,)) for step in range(1, steps + 1)]) == []


def test_a_second_death_in_the_recovery_from_any_first_one_breaks_nothing() -> None:
    steps = play(faulty(16)).steps.taken
    pairs = [(step, step + 1 + step % 5) for step in range(1, steps, 2)]
    assert violations([faulty(16, pair) for pair in pairs]) == []


def test_the_scenarios_are_not_idle() -> None:
    worlds = [play(scenario) for scenario in scenarios_of(0, 60)]
    entries = [e for w in worlds for e in w.journal.entries_now(ALL_STATES, timeout_s=1)]
    assert sum(world.lives > 1 for world in worlds) > 30
    assert sum(len(world.venue.books.executions) for world in worlds) > 300
    assert sum(entry.sends > 1 for entry in entries) > 5
    assert {"accepted", "closed", "rejected", "expired"} == {str(e.state) for e in entries}


def test_the_same_seed_lives_the_same_life() -> None:
    first, second = (play(faulty(21, (30, 41))) for _ in range(2))
    assert first.journal.events == second.journal.events
    assert first.venue.books.executions == second.venue.books.executions


def test_calls_that_hang_for_ever_stop_nothing_for_long() -> None:
    assert violations([hanging(seed) for seed in range(20)]) == []


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(20))
def test_i_ord_and_i_rec_hold_for_twenty_thousand_scenarios(batch: int) -> None:
    assert violations(scenarios_of(100_000 + batch * 1000, 1000)) == []
