"""Cells, differences and decay, on runs whose figures are worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pytest

from roboinvest.runtime.llm.hindsight.comparison import Comparison, compare
from roboinvest.runtime.llm.hindsight.decay import MIN_SESSIONS, Decay, Floats, decay, ratio
from roboinvest.runtime.llm.hindsight.lived import Choice, Closed, Lived, LivedTick

FIRST = date(2023, 9, 4)
MODEL = "openai:m"


def chance() -> np.random.Generator:
    return np.random.default_rng(3)


def lived(
    days: Sequence[Sequence[float]],
    actions: Sequence[Sequence[str]] | None = None,
    *,
    source: str = MODEL,
    trades: Sequence[Closed] = (),
) -> Lived:
    """Return a run of one symbol from the returns per tick of each session."""
    equity, ticks = 1000.0, list[LivedTick]()
    for number, returns in enumerate(days):
        for step, value in enumerate(returns):
            equity *= 1.0 + value
            action = actions[number][step] if actions else "HOLD"
            ticks.append(
                LivedTick(
                    tick_id=f"{number}-{step}",
                    day=FIRST + timedelta(days=number),
                    equity=equity,
                    choices={"SPY": Choice(action=action, source=source)},
                )
            )
    return Lived(start_equity=1000.0, ticks=tuple(ticks), trades=tuple(trades))


def said(true: Lived, disguised: Lived, cutoff: date | None) -> Comparison:
    return compare(true, disguised, model="m", cutoff=cutoff, chance=chance())


def test_the_cells_split_at_the_cutoff() -> None:
    first, second = FIRST, FIRST + timedelta(days=1)
    run = lived(
        [[0.01, -0.01], [0.02, 0.0]],
        [["BUY", "HOLD"], ["SELL", "HOLD"]],
        trades=[Closed(day=first, pnl=-1.0), Closed(day=second, pnl=3.0)],
    )
    found = said(run, lived([[0.0, 0.0], [0.0, 0.0]]), first)
    before, after = found.true_before, found.true_after
    assert before is not None
    assert after is not None
    assert (before.sessions, before.ticks, before.trades, before.wins) == (1, 2, 1, 0)
    assert (after.sessions, after.ticks, after.trades, after.wins) == (1, 2, 1, 1)
    assert before.decisions == {"BUY": 1, "SELL": 0, "HOLD": 1}
    assert before.total_return == pytest.approx(1.01 * 0.99 - 1)
    assert after.total_return == pytest.approx(0.02)
    assert after.mean_tick == pytest.approx(0.01)
    assert after.deviation_tick == pytest.approx(0.02 / 2**0.5)
    assert after.ratio_tick == pytest.approx(0.5 * 2**0.5)
    assert found.disguised_before is not None
    assert found.disguised_before.ratio_tick == 0.0
    assert (found.contamination.days_before, found.contamination.days_after) == (1, 1)


def test_a_side_without_days_is_not_there() -> None:
    run = lived([[0.01, 0.0]])
    clean = said(run, run, FIRST - timedelta(days=1))
    assert (clean.true_before, clean.differences_before, clean.decay_in_disguise) == (None,) * 3
    assert clean.true_after is not None
    assert not clean.contamination.marked
    unknown = said(run, run, None)
    assert unknown.true_after is None
    assert unknown.true_before is not None
    assert unknown.decay_after_cutoff is None
    assert unknown.contamination.marked


def test_differences_count_what_a_model_decided_in_both_runs() -> None:
    flat = [[0.0] * 5]
    true = lived(flat, [["BUY", "BUY", "HOLD", "SELL", "HOLD"]])
    other = lived(flat, [["BUY", "HOLD", "HOLD", "SELL", "BUY"]])
    found = said(true, other, FIRST).differences_before
    assert found is not None
    assert (found.compared, found.differing, found.left_out) == (5, 2, 0)
    assert found.agreement is not None
    assert found.agreement.value == pytest.approx(0.6)
    assert found.acting is not None
    assert found.acting.value == pytest.approx(0.5), "HOLD and HOLD agree on nothing"
    assert {k: (v.count, v.differing) for k, v in found.by_action.items()} == {
        "BUY": (2, 1),
        "SELL": (1, 0),
        "HOLD": (2, 1),
    }
    ruled = said(true, lived(flat, [["HOLD"] * 5], source="rules"), FIRST).differences_before
    assert ruled is not None
    assert (ruled.compared, ruled.left_out, ruled.agreement) == (0, 5, None)


def steady(mean: float, sessions: int, seed: int = 1) -> list[Floats]:
    rng = np.random.default_rng(seed)
    print(f"seed {seed}")
    return [rng.normal(mean, 1e-4, 40) for _ in range(sessions)]


def barely(mean: float, sessions: int) -> list[Floats]:
    """Return sessions whose gain is exactly so much, which is one standard error of it."""
    drawn = steady(0.0, sessions)
    return [returns - np.concatenate(drawn).mean() + mean for returns in drawn]


def judged(kept: list[Floats], left: list[Floats], *, paired: bool = True) -> Decay:
    return decay(kept, left, paired=paired, chance=chance())


def test_the_ratio_is_mean_over_deviation_and_zero_where_nothing_moves() -> None:
    assert ratio(np.array([0.01, 0.03])) == pytest.approx(0.02 / 0.0141421356)
    assert ratio(np.zeros(5)) == 0.0
    assert ratio(np.array([0.01])) is None


def test_a_gain_that_is_gone_decays_by_one() -> None:
    found = judged(steady(5e-5, 20), [np.zeros(40)] * 20)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_half_of_a_gain_is_a_decay_of_about_a_half() -> None:
    kept = steady(6e-5, 30)
    found = judged(kept, [returns - 3e-5 for returns in kept])
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
    assert found.high - found.low < 0.2, "the same days are drawn together"
    apart = judged(kept, [returns - 3e-5 for returns in kept], paired=False)
    assert apart.value == found.value
    assert apart.low is not None
    assert apart.high is not None
    assert apart.high - apart.low > 2 * (found.high - found.low)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        kept = [rng.normal(6e-5, 1e-4, 30) for _ in range(25)]
        left = [rng.normal(3e-5, 1e-4, 30) for _ in range(25)]
        found = decay(kept, left, paired=False, chance=rng)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert held >= 52, "of 60, at 95 %"


def test_identical_runs_lost_nothing_even_where_nothing_was_gained() -> None:
    kept = steady(-1e-5, 12)
    found = judged(kept, [returns.copy() for returns in kept])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kept", "left", "why"),
    [
        (steady(5e-5, MIN_SESSIONS - 1), steady(0, MIN_SESSIONS), "too few: 9 and 10 sessions"),
        (steady(5e-5, MIN_SESSIONS), steady(0, MIN_SESSIONS - 1), "too few: 10 and 9 sessions"),
        (steady(-5e-5, 12), steady(5e-5, 12, seed=2), "no gain"),
        (barely(4.6e-6, 12), steady(5e-5, 12, seed=2), "no gain that is clearly above zero"),
        ([np.zeros(40)] * 12, steady(5e-5, 12), "no gain"),
    ],
)
def test_a_figure_that_would_mean_nothing_is_not_said(
    kept: list[Floats], left: list[Floats], why: str
) -> None:
    found = judged(kept, left, paired=False)
    assert (found.value, found.low, found.high) == (None, None, None)
    assert why in found.text


def test_the_same_runs_say_the_same() -> None:
    kept = [list(each) for each in steady(5e-5, 24)]
    other = [list(each) for each in steady(2e-5, 24, seed=2)]
    cutoff = FIRST + timedelta(days=11)
    assert said(lived(kept), lived(other), cutoff) == said(lived(kept), lived(other), cutoff)
