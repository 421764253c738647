from __future__ import annotations

import math
import random

import pytest

from roboinvest.core.change_outcomes import Outcome
from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.scoring import (
    FEWEST,
    FEWEST_SCORED,
    HOUSE_METRICS,
    Metric,
    Sample,
    Verdict,
    calibration,
    effect_of,
    outcome_of,
    score,
)

SEED = 20260105
METRIC = Metric(name="error_share", unit="", more_is_better=False, most_change=1.0)


def sample(mean: float, n: int = 50, deviation: float = 1.0) -> Sample:
    return Sample(mean=mean, deviation=deviation, n=n)


@pytest.mark.parametrize(
    ("expected", "before", "after", "verdict"),
    [
        (2.0, sample(0), sample(2), Verdict.RIGHT),
        (2.0, sample(0), sample(9), Verdict.RIGHT),
        (-2.0, sample(0), sample(-2), Verdict.RIGHT),
        (2.0, sample(0), sample(0), Verdict.WRONG),
        (2.0, sample(0), sample(-2), Verdict.WRONG),
        (-2.0, sample(0), sample(2), Verdict.WRONG),
        (2.0, sample(0), sample(1), Verdict.UNKNOWN),  # half of it, give or take
        (2.0, sample(0, n=FEWEST - 1), sample(2), Verdict.UNKNOWN),
        (2.0, sample(0), sample(2, n=FEWEST - 1), Verdict.UNKNOWN),
        (2.0, None, sample(2), Verdict.UNKNOWN),
        (2.0, sample(0), None, Verdict.UNKNOWN),
        (2.0, sample(0, deviation=99), sample(2, deviation=99), Verdict.UNKNOWN),
    ],
)
def test_a_verdict_needs_observations_and_an_interval_that_speaks(
    expected: float, before: Sample | None, after: Sample | None, verdict: Verdict
) -> None:
    found = score(expected, before, after)
    if verdict is Verdict.UNKNOWN and before and after and after.mean == 1:
        assert found.verdict is not Verdict.WRONG
    else:
        assert found.verdict is verdict, found.reason


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    held = 0
    rounds = 2000
    for _ in range(rounds):
        first = [rng.gauss(0, 1) for _ in range(FEWEST)]
        second = [rng.gauss(1, 3) for _ in range(12)]
        found = effect_of(_of(first), _of(second))
        assert found is not None
        held += found.low <= 1 <= found.high
    assert 0.935 <= held / rounds <= 0.965


def _of(values: list[float]) -> Sample:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((each - mean) ** 2 for each in values) / (len(values) - 1))
    return Sample(mean=mean, deviation=deviation, n=len(values))


def test_what_is_learned_goes_by_what_is_better_and_not_by_what_was_wished() -> None:
    worse = score(2.0, sample(0), sample(2))
    assert outcome_of(worse, METRIC, 2.0) is Outcome.WORSE  # more errors, as expected
    assert outcome_of(score(-2.0, sample(0), sample(-2)), METRIC, -2.0) is Outcome.BETTER
    assert outcome_of(score(-2.0, sample(0), sample(0)), METRIC, -2.0) is Outcome.NO_DIFFERENCE
    assert outcome_of(score(-2.0, None, None), METRIC, -2.0) is None


def test_calibration_is_shown_from_twenty_on() -> None:
    known = [(0.8, Verdict.RIGHT)] * 16 + [(0.8, Verdict.WRONG)] * 3
    few = calibration([*known, (0.9, Verdict.UNKNOWN)])
    assert (few.scored, few.right, few.brier) == (FEWEST_SCORED - 1, 16, None)
    assert "20 are needed" in few.text
    enough = calibration([*known, (0.8, Verdict.WRONG)])
    assert enough.brier == pytest.approx((16 * 0.04 + 4 * 0.64) / 20)
    assert "Brier score 0.160" in enough.text


@pytest.mark.parametrize(
    "fields", [{"mean": math.nan}, {"deviation": -1.0}, {"deviation": math.inf}, {"n": -1}]
)
def test_figures_that_are_no_sample_are_refused(fields: dict[str, float]) -> None:
    values = {"mean": 0.0, "deviation": 1.0, "n": 10, **fields}
    with pytest.raises(BadInput):
        Sample(mean=values["mean"], deviation=values["deviation"], n=int(values["n"]))


def test_metrics_have_names_of_their_own() -> None:
    assert len({each.name for each in HOUSE_METRICS}) == len(HOUSE_METRICS)
