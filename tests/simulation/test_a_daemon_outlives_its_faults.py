"""The whole daemon, days of it, over a broker that errs: killed anywhere, it goes on.

The real house trades under virtual time, with its real store and order journal. Every failure
prints `seed=..`; `live(story_of(seed))` lives that story again.
"""

from __future__ import annotations

import pytest

from roboinvest.core.journal import JournalState
from tests.fakes.venues import CALM
from tests.simulation.daemon import DaemonWorld, Story, live, month_of, story_of, violations

BATCH = 4
SOAK_BATCH = 20


@pytest.mark.parametrize(
    "batch", [0, 3, *(pytest.param(each, marks=pytest.mark.campaign) for each in (1, 2, 4))]
)
def test_i_ord_i_rec_and_risk_hold_for_a_daemon_that_is_killed(batch: int) -> None:
    first = batch * BATCH
    assert violations([story_of(seed) for seed in range(first, first + BATCH)]) == []


def states_of(world: DaemonWorld) -> set[JournalState]:
    """Return the states in which the intents of a world ended."""
    entries = world.checker.disk.entries_now(frozenset(JournalState), timeout_s=1)
    return {entry.state for entry in entries}


def test_a_seed_tells_one_story_and_the_story_is_not_idle() -> None:
    one, again = (live(story_of(3)) for _ in range(2))
    assert one.venue.books.executions == again.venue.books.executions
    assert one.told == again.told
    assert one.checker.posts > len(one.venue.books.bookings) > 8, "requests were lost"
    assert "killed" in one.ends
    assert len(one.venue.books.executions) > 20


def test_a_calm_day_needs_no_second_request() -> None:
    world = live(Story(seed=1))
    assert (world.checker.found, world.ends) == ([], ["exit 0"])
    assert world.checker.posts == len(world.venue.books.bookings) > 8
    assert world.story.faults == CALM


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(10))
def test_i_ord_i_rec_and_risk_hold_for_two_hundred_daemons(batch: int) -> None:
    first = 1_000 + batch * SOAK_BATCH
    assert violations([story_of(seed) for seed in range(first, first + SOAK_BATCH)]) == []


@pytest.mark.soak
def test_thirty_days_are_lived_through() -> None:
    world = live(month_of(7))
    for finding in world.checker.found:
        print(f"{world.story.in_words()}: {finding}")
    assert world.checker.found == []
    assert len(world.ends) > 30
