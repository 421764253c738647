"""The deflated test under simulation: what it calls where nobody has skill, and what it finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.statistics.power import (
    Noise,
    Power,
    Worlds,
    alike,
    fat_tailed,
    gaussian,
    power,
    remembering,
)

SEED = 20_141_005
THREE_YEARS, TEN_YEARS = 756, 2_520
ALLOWED = 0.05


def run(worlds: Worlds, label: str, noise: Noise = gaussian) -> Power:
    found = power(worlds, np.random.default_rng(SEED), noise=noise)
    print(
        f"seed {SEED} | {label:<42} | {worlds.count} worlds x {worlds.trials} trials x "
        f"{worlds.periods} days, Sharpe {worlds.annual_sharpe:g}, variance "
        f"{'of the trials' if worlds.known_variance else 'assumed'} | "
        f"called {found.called:.1%}, rightly {found.found:.1%}"
    )
    return found


@pytest.mark.parametrize("known", [True, False], ids=["variance known", "variance assumed"])
def test_a_thousand_worlds_without_skill_are_hardly_ever_called(known: bool) -> None:
    worlds = Worlds(count=1000, trials=100, periods=THREE_YEARS, known_variance=known)
    assert run(worlds, "no skill").called <= ALLOWED


@pytest.mark.parametrize("known", [True, False], ids=["variance known", "variance assumed"])
@pytest.mark.parametrize(("sharpe", "periods"), [(3.0, THREE_YEARS), (2.0, TEN_YEARS)])
def test_a_strong_edge_among_a_hundred_is_found_in_most_worlds(
    sharpe: float, periods: int, known: bool
) -> None:
    worlds = Worlds(
        count=300, trials=100, periods=periods, annual_sharpe=sharpe, known_variance=known
    )
    assert run(worlds, f"one Sharpe of {sharpe:g}").found > 0.5


def test_a_sharpe_of_two_over_three_years_is_missed_more_often_than_found() -> None:
    """Printed because it is the price: the test refuses it about four times in five."""
    planted = Worlds(count=1000, trials=100, periods=THREE_YEARS, annual_sharpe=2.0)
    known = run(planted, "one Sharpe of 2")
    assumed = run(replace(planted, known_variance=False), "one Sharpe of 2")
    assert 0.1 < known.found < assumed.found < 0.4


def test_fewer_trials_leave_more_power_but_their_winner_widens_their_variance() -> None:
    few = Worlds(count=300, trials=5, periods=THREE_YEARS, annual_sharpe=2.0)
    known = run(few, "one Sharpe of 2 among five")
    assumed = run(replace(few, known_variance=False), "one Sharpe of 2 among five")
    assert 0.2 < known.found < 0.5 < assumed.found


# Where the theory's assumptions do not hold. The last is a known fault and not a promise: with the
# assumed variance a memory of 0.3 breaks the level, and the docstring of `deflated_sharpe` says so.
@pytest.mark.parametrize(
    ("label", "noise", "known", "low", "high"),
    [
        ("Student with 3 degrees", fat_tailed(3), True, 0.0, ALLOWED),
        ("Student with 3 degrees", fat_tailed(3), False, 0.0, ALLOWED),
        ("trials alike by 0.9", alike(0.9), True, 0.0, ALLOWED),
        ("trials alike by 0.9, Student with 4", alike(0.9, fat_tailed(4)), True, 0.0, ALLOWED),
        ("each return keeps 0.3 of the last", remembering(0.3), True, 0.0, ALLOWED),
        ("each return keeps 0.3 of the last", remembering(0.3), False, ALLOWED, 0.2),
    ],
)
def test_the_level_where_returns_are_not_normal_or_not_independent(
    label: str, noise: Noise, known: bool, low: float, high: float
) -> None:
    worlds = Worlds(count=300, trials=100, periods=THREE_YEARS, known_variance=known)
    assert low <= run(worlds, label, noise).called <= high


@pytest.mark.parametrize("noise", [gaussian, fat_tailed(5), remembering(0.5), alike(0.5)])
def test_noise_has_a_deviation_of_one_and_no_drift(noise: Noise) -> None:
    drawn = noise(np.random.default_rng(SEED), 200, 1000)
    assert drawn.shape == (200, 1000)
    assert np.mean(drawn) == pytest.approx(0.0, abs=0.06)
    assert np.std(drawn) == pytest.approx(1.0, abs=0.03)


def test_noise_remembers_and_resembles_as_much_as_it_says() -> None:
    rng = np.random.default_rng(SEED)
    one = remembering(0.5)(rng, 1, 50_000)[0]
    assert np.corrcoef(one[1:], one[:-1])[0, 1] == pytest.approx(0.5, abs=0.02)
    two = alike(0.7)(rng, 2, 50_000)
    assert np.corrcoef(two[0], two[1])[0, 1] == pytest.approx(0.7, abs=0.02)


def test_the_same_seed_gives_the_same_power() -> None:
    worlds = Worlds(count=50, trials=10, periods=500, annual_sharpe=2.0)
    first, again = (power(worlds, np.random.default_rng(SEED)) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(("count", "trials", "periods"), [(0, 1, 2), (1, 0, 2), (1, 1, 1)])
def test_a_world_of_nothing_is_refused(count: int, trials: int, periods: int) -> None:
    with pytest.raises(BadInput, match="worlds of"):
        power(Worlds(count=count, trials=trials, periods=periods), np.random.default_rng(SEED))
