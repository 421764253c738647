"""The probability of overfitting: about a half for luck, hardly any for skill, and by hand."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.statistics.overfit import overfit

SEED = 20_150_827


def by_hand(returns: Floats, blocks: int) -> tuple[float, float, float, list[float]]:
    """Work the paper's recipe with loops: probability, share of losses, slope, ranks."""
    size = len(returns) // blocks
    returns = returns[len(returns) - size * blocks :]
    parts = np.split(returns, blocks)
    logits, pairs, ranks = [], [], []
    for chosen in combinations(range(blocks), blocks // 2):
        past = np.concatenate([parts[i] for i in chosen])
        other = np.concatenate([parts[i] for i in range(blocks) if i not in chosen])
        before = past.mean(axis=0) / past.std(axis=0, ddof=1)
        best = int(np.argmax(before))
        sharpes = other.mean(axis=0) / other.std(axis=0, ddof=1)
        rank = 1 + int(np.sum(sharpes < sharpes[best]))
        share = rank / (len(sharpes) + 1)
        logits.append(math.log(share / (1 - share)))
        pairs.append((before[best], sharpes[best]))
        ranks.append((rank - 1) / (len(sharpes) - 1))
    chosen_before, reached = np.array(pairs).T
    slope = float(np.polyfit(chosen_before, reached, 1)[0])
    return float(np.mean(np.array(logits) <= 0)), float(np.mean(reached < 0)), slope, ranks


@pytest.mark.parametrize("edge", [0.0, 0.01])
@pytest.mark.parametrize("trials", [2, 3, 7, 8])
def test_it_is_the_recipe_of_the_paper(trials: int, edge: float) -> None:
    """With an edge as large as the deviation too, where mean and second moment differ much."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED + 2)
    returns = rng.uniform(0.005, 0.02, trials) * rng.standard_normal((103, trials)) + edge
    found = overfit(returns, blocks=6)
    probability, losses, slope, ranks = by_hand(returns, 6)
    assert found is not None
    assert found.probability == pytest.approx(probability)
    assert found.loss_probability == pytest.approx(losses)
    assert found.slope == pytest.approx(slope)
    assert found.median_rank == pytest.approx(np.median(ranks))
    assert (found.halves, found.trials) == (20, trials)


def test_luck_alone_gives_about_a_half() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    drawn = [overfit(rng.standard_normal((500, 40)), blocks=8) for _ in range(150)]
    shares = [each.probability for each in drawn if each is not None]
    print(f"mean probability over {len(shares)} worlds without skill: {np.mean(shares):.3f}")
    assert np.mean(shares) == pytest.approx(0.5, abs=0.08)


def test_one_trial_with_skill_among_many_is_chosen_and_holds() -> None:
    returns = 0.01 * np.random.default_rng(SEED).standard_normal((756, 50))
    returns[:, 7] += 0.003
    found = overfit(returns)
    assert found is not None
    assert found.probability < 0.02
    assert found.loss_probability < 0.02
    assert found.median_rank == 1.0
    assert found.halves == math.comb(16, 8)


def test_what_shone_once_and_paid_for_it_is_overfit() -> None:
    """Each trial wins in one block of its own, and pays it back in the others."""
    rng = np.random.default_rng(SEED)
    returns = 0.001 * rng.standard_normal((400, 8))
    for trial in range(8):
        returns[:, trial] -= 0.001
        returns[50 * trial : 50 * trial + 50, trial] += 0.008
    found = overfit(returns, blocks=8)
    assert found is not None
    assert found.probability > 0.9
    assert found.slope is not None
    assert found.slope < 0.0


def test_many_trials_in_batches_come_to_the_same_and_ties_share_their_ranks() -> None:
    """12,870 halves of 400 trials need several batches; each choice has 199 copies beside it."""
    returns = np.random.default_rng(SEED).standard_normal((160, 2))
    few = overfit(returns)
    many = overfit(np.repeat(returns, 200, axis=1))
    assert few is not None
    assert many is not None
    assert many.halves == few.halves
    assert many.loss_probability == pytest.approx(few.loss_probability)
    assert many.probability == pytest.approx(few.probability)
    below = 0.0 if few.median_rank == 0.0 else 200.0
    assert many.median_rank == pytest.approx((below + 199 / 2) / 399)


def test_a_trial_that_never_trades_is_ranked_as_one_of_zero() -> None:
    rng = np.random.default_rng(SEED)
    losing = 0.01 * rng.standard_normal((320, 5)) - 0.01
    found = overfit(np.hstack([losing, np.zeros((320, 1))]), blocks=8)
    assert found is not None
    assert (found.probability, found.median_rank, found.loss_probability) == (0.0, 1.0, 0.0)
    assert found.slope is None  # the choice never varied


@pytest.mark.parametrize("shape", [(100, 1), (100, 0), (31, 5), (0, 3)])
def test_too_little_to_choose_from_or_to_cut_has_no_probability(shape: tuple[int, int]) -> None:
    assert overfit(np.random.default_rng(SEED).standard_normal(shape)) is None


def test_trials_that_never_move_have_no_probability() -> None:
    assert overfit(np.zeros((100, 4))) is None


def test_bad_input_is_refused() -> None:
    returns = np.zeros((100, 2))
    for blocks in (0, 3, 22):
        with pytest.raises(BadInput, match=f"{blocks} blocks"):
            overfit(returns, blocks=blocks)
    returns[40, 1] = math.nan
    with pytest.raises(BadInput, match="period 40 of trial 1 is nan"):
        overfit(returns)
    with pytest.raises(BadInput, match="periods by trials"):
        overfit(np.zeros(100))
