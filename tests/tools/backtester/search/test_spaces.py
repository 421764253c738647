"""What a search may try: grids, and what optuna's sampler asks for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.strategy import Param
from tests.fakes.processes import REPOSITORY, environment
from tests.fakes.searches import hill_strategy
from tools.backtester.search.grid import grid_of
from tools.backtester.search.space import axis_of
from tools.backtester.search.tpe import BATCH, tpe_of

WHOLE = Param(name="fast", default=10, low=1, high=40, step=5)
PART = Param(name="width", default=0.5, low=0.1, high=1.0)


@pytest.mark.parametrize(
    ("param", "text", "values"),
    [
        (WHOLE, "", (1, 6, 11, 16, 21, 26, 31, 36)),
        (WHOLE, "10:20:4", (10, 14, 18)),
        (WHOLE, "10:20", (10, 15, 20)),
        (WHOLE, "20,5,20", (5, 20)),
        (WHOLE, "7", (7,)),
        (WHOLE, "7:7", (7,)),
        (PART, "0.1:0.3:0.1", (0.1, 0.2, 0.3)),
        (PART, "0.25", (0.25,)),
    ],
)
def test_an_axis_is_a_range_or_a_list(param: Param, text: str, values: tuple[float, ...]) -> None:
    found = axis_of(param, text)
    assert found == values
    assert {type(each) for each in found} == {type(param.default)}


def test_a_range_without_a_step_has_twenty_one_values() -> None:
    assert len(axis_of(PART)) == 21


@pytest.mark.parametrize(
    ("param", "text", "why"),
    [
        (WHOLE, "1:x", "'x' is not a number"),
        (WHOLE, "1:nan", "'nan' is not a number"),
        (WHOLE, "1:2:3:4", "is no range"),
        (WHOLE, "20:10", "runs upwards"),
        (WHOLE, "10:20:0", "runs upwards"),
        (WHOLE, "1:4:0.5", "is not a whole number"),
        (WHOLE, "0:4", "outside 1 to 40"),
        (PART, "0.5,2", "outside 0.1 to 1"),
        (PART, "0.1:1:0.000001", "at most 100000"),
    ],
)
def test_a_wrong_axis_is_one_sentence(param: Param, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        axis_of(param, text)


@given(st.integers(1, 40), st.integers(0, 39), st.integers(1, 10))
def test_the_values_of_a_range_start_at_its_low_end_and_stay_inside(
    low: int, more: int, step: int
) -> None:
    high = min(40, low + more)
    values = axis_of(WHOLE, f"{low}:{high}:{step}")
    assert list(values) == list(range(low, high + 1, step))


def test_a_grid_holds_every_combination_once() -> None:
    grid = grid_of(hill_strategy(), {"fast": "5,10", "slow": "20:40:10"})
    walk = grid.start()
    asked = list(walk.ask())
    assert (grid.size, len(asked), grid.names) == (6, 6, ("fast", "slow"))
    assert asked[0] == {"fast": 5, "slow": 20}
    assert len({tuple(each.items()) for each in asked}) == 6
    assert walk.ask() == ()
    assert list(grid.start().ask()) == asked


def test_what_is_fixed_is_not_searched() -> None:
    grid = grid_of(hill_strategy(), fixed={"slow": 50})
    assert grid.names == ("fast",)
    assert {each["slow"] for each in grid.start().ask()} == {50}


@pytest.mark.parametrize(
    ("ranges", "fixed", "why"),
    [
        ({"speed": "1:2"}, {}, "hill has no parameter speed; it has fast, slow"),
        ({"fast": "1:2"}, {"fast": 3}, "fast is given a value and a range"),
        ({"fast": "1:2"}, {"speed": 3}, "has no parameter speed"),
        ({}, {"fast": 1, "slow": 2}, "no parameter to search"),
    ],
)
def test_a_wrong_grid_is_one_sentence(
    ranges: dict[str, str], fixed: dict[str, int], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        grid_of(hill_strategy(), ranges, fixed)


def score(values: dict[str, float]) -> float:
    return -abs(values["fast"] - 10.0) - abs(values["slow"] - 30.0)


def asked_by(seed: int, trials: int = 40) -> list[dict[str, float]]:
    walk = tpe_of(hill_strategy(), trials=trials, seed=seed).start()
    found = []
    while batch := walk.ask():
        assert len(batch) <= BATCH
        walk.tell([(values, score(dict(values))) for values in batch])
        found += [dict(values) for values in batch]
    return found


def test_the_sampler_asks_the_same_for_the_same_seed_and_learns() -> None:
    first = asked_by(3)
    assert first == asked_by(3)
    assert first != asked_by(4)
    assert len(first) == 40
    early, late = first[:10], first[-10:]
    assert sum(map(score, late)) > sum(map(score, early))
    assert all(isinstance(each["fast"], int) and 1 <= each["fast"] <= 36 for each in first)


def test_the_sampler_bears_combinations_that_come_to_nothing() -> None:
    walk = tpe_of(hill_strategy(), {"fast": "1:40:1"}, trials=12, seed=1).start()
    asked = 0
    while batch := walk.ask():
        walk.tell([(values, None) for values in batch])
        asked += len(batch)
    assert asked == 12


@pytest.mark.parametrize(
    ("ranges", "trials", "why"),
    [({"fast": "1,2,3"}, 5, "lists values"), ({"fast": "1:5"}, 0, "0 trials over 1 parameters")],
)
def test_a_wrong_space_of_the_sampler_is_one_sentence(
    ranges: dict[str, str], trials: int, why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        tpe_of(hill_strategy(), ranges, trials=trials, seed=1)


def test_nobody_loads_optuna_who_does_not_use_it() -> None:
    program = (
        "import sys; import tools.backtester.search.tpe; import tools.backtester.search.sweep; "
        "import tools.backtester.search.walk_forward; print('optuna' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert said.stdout.strip() == "False"
