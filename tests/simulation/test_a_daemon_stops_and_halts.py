"""A daemon under virtual time that is told to stop, is halted, or whose journal's disk is full."""

from __future__ import annotations

import random

import pytest

from roboinvest.brokers.desk.desk import OrderDesk
from roboinvest.core.events import TradingState
from tests.simulation.daemon import Fate, Story, live, story_of, violations
from tests.simulation.mutants import NoReconcile, RetryPost, SubmitFirst

FULL_FROM_S, FULL_TO_S = 200.0, 520.0
NO_PAUSES = {"halts": (), "fates": (), "no_positions": (), "by_hand": False}


def stopped(seed: int) -> Story:
    """Return a story in which SIGTERM comes at two steps, whatever is under way."""
    rng = random.Random(seed)
    fates = (Fate(how="stopped at a step", after=rng.randint(1, 120)) for _ in range(2))
    return story_of(seed, fates=tuple(fates))


def halted(seed: int) -> Story:
    """Return a story in which a person halts and resumes three times."""
    rng = random.Random(seed)
    begins = (rng.uniform(200.0 * n + 40.0, 200.0 * n + 140.0) for n in range(3))
    halts = tuple((at, at + rng.uniform(2.0, 90.0)) for at in begins)
    return story_of(seed, halts=halts)


def with_a_full_disk(seed: int, **fields: object) -> Story:
    """Return a story in which the journal's file takes nothing for five minutes."""
    return story_of(seed, **{**NO_PAUSES, "full_disk": ((FULL_FROM_S, FULL_TO_S),), **fields})


def test_i_stop_1_nothing_leaves_after_a_stop_and_the_next_life_needs_nothing() -> None:
    assert violations([stopped(seed) for seed in range(300, 305)]) == []


def test_i_ord_4_nothing_leaves_while_a_person_halts() -> None:
    assert violations([halted(seed) for seed in range(400, 403)]) == []


@pytest.mark.parametrize("seed", [500, 502])
def test_i_dur_2_nothing_leaves_while_the_journal_cannot_be_written_and_all_recovers(
    seed: int,
) -> None:
    story = with_a_full_disk(seed)
    world = live(story)
    print(f"{story.in_words()}: {world.checker.found}")
    assert world.checker.found == []
    assert noticed(world.told) > 0, "somebody tried to write"
    assert relapses(world.told) == []
    assert world.told[-1][1] is TradingState.READY


Told = list[tuple[float, TradingState, str]]


def noticed(told: Told) -> int:
    """Return how often the desk said that the journal cannot be written."""
    return sum("journal could not" in reason for at, _, reason in told if at < FULL_TO_S)


def relapses(told: Told) -> list[float]:
    """Return when a life that knew of the full disk said READY, though it was still full."""
    found, knows = list[float](), False
    for at, state, reason in told:
        if state is TradingState.RECONCILING:
            knows = False  # a new life; it will see when it writes
        knows = knows or "journal could not" in reason
        if knows and state is TradingState.READY and at < FULL_TO_S:
            found.append(at)
    return found


class Guardless(OrderDesk):
    """A desk that asks nobody whether it may act."""

    def __init__(self, *args: object, **fields: object) -> None:
        super().__init__(*args, **{**fields, "may_act": lambda _intent: None})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mutant", "broken"),
    [
        pytest.param({"desk": SubmitFirst}, "I-ORD-3", id="submit_first"),
        pytest.param({"desk": NoReconcile}, "I-ORD-2", id="no_reconcile"),
        pytest.param({"wire": RetryPost}, "I-ORD-3", id="retry_POST"),
    ],
)
def test_a_wrong_design_is_caught_in_the_whole_daemon(
    mutant: dict[str, object], broken: str
) -> None:
    found = violations([story_of(seed, **mutant) for seed in range(600, 602)])
    assert broken in {line.split("]: ", 1)[1].split(" ", 1)[0] for line in found}


def test_a_desk_that_asks_nobody_is_caught_while_halted() -> None:
    found = violations([with_halts_all_day(seed) for seed in range(3)])
    assert any("I-ORD-4" in line for line in found)


def with_halts_all_day(seed: int) -> Story:
    """Return a story in which every tick that trades meets a halt a moment later."""
    rng = random.Random(seed)
    ticks = (20.0 + 60.0 * n for n in range(1, 17))
    moments = tuple((at + rng.uniform(0.6, 0.9), at + 30.0) for at in ticks)
    return story_of(seed, halts=moments, fates=(), desk=Guardless)


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(4))
def test_stops_and_halts_hold_for_many_seeds(batch: int) -> None:
    seeds = range(10_000 + batch * 20, 10_000 + batch * 20 + 20)
    assert violations([make(seed) for seed in seeds for make in (stopped, halted)]) == []
