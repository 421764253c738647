"""The leak corpus: every planted cheat is caught, and no honest twin is accused."""

from __future__ import annotations

import types
from typing import Final

import numpy as np
import pytest

from tests.leak_corpus import (
    bars_ahead,
    calls,
    data_cases,
    peers,
    remembered,
    session_ahead,
    whole_sample,
)
from tests.leak_corpus.kit import Case, Pair, play
from tools.backtester.leaks.check import leak_check
from tools.backtester.leaks.findings import Detector, LeakReport

ROOMS: Final = (
    bars_ahead,
    session_ahead,
    whole_sample,
    calls,
    remembered,
    peers,
    data_cases,
)
SEED: Final = 20_240_108
FEWEST: Final = 40


def pairs_of(room: types.ModuleType) -> tuple[Pair, ...]:
    pairs: tuple[Pair, ...] = room.PAIRS
    return pairs


def checked(case: Case) -> LeakReport:
    return leak_check(
        case.request,
        play=case.play or play,
        rng=np.random.default_rng(SEED),
        beside=case.beside,
    )


def names(detectors: tuple[Detector, ...]) -> str:
    return ", ".join(detectors) or "-"


def thirds() -> list[object]:
    """Every room in parts, so that the corpus can be run side by side."""
    return [
        pytest.param(room, part, id=f"{room.__name__.rpartition('.')[2]}-{part}")
        for room in ROOMS
        for part in range(3)
    ]


@pytest.mark.parametrize(("room", "part"), thirds())
def test_cheats_are_caught_and_honest_twins_are_not_accused(
    room: types.ModuleType, part: int
) -> None:
    print(f"seed {SEED}\n{'idea':42} {'cheat caught by':58} honest twin accused by")
    missed, accused = [], []
    for pair in pairs_of(room)[part::3]:
        cheat, honest = checked(pair.cheat()), checked(pair.honest())
        print(f"{pair.name:42} {names(cheat.caught_by):58} {names(honest.caught_by)}")
        missed += [] if cheat.suspected else [pair.name]
        accused += [f"{pair.name}: {each.text}" for each in honest.suspected]
    assert (missed, accused) == ([], [])


def test_the_corpus_holds_forty_cheats_with_an_honest_twin_each() -> None:
    ideas = [pair.name for room in ROOMS for pair in pairs_of(room)]
    print(f"{len(ideas)} pairs")
    assert len(set(ideas)) == len(ideas) >= FEWEST
