"""The stationary bootstrap: blocks of the right length, drawn as its authors say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.statistics.bootstrap import block_length, drawn_rows, foretell, resample
from roboinvest.core.statistics.power import remembering

SEED = 19_941_201


def means(rows: Floats) -> Floats:
    found: Floats = np.mean(rows, axis=-1)
    return found


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_the_block_is_as_long_as_theory_says_for_a_series_with_memory(share: float) -> None:
    """For AR(1) the best length is (2 a / (1 - a^2))^(2/3) n^(1/3): Politis and White 2004."""
    print(f"seed {SEED}")
    n = 4_000
    drawn = remembering(share)(np.random.default_rng(SEED), 30, n)
    best = (2 * share / (1 - share**2)) ** (2 / 3) * n ** (1 / 3)
    assert np.mean([block_length(x) for x in drawn]) == pytest.approx(best, rel=0.15)


def test_the_block_of_a_series_without_memory_is_short() -> None:
    drawn = np.random.default_rng(SEED).standard_normal((50, 1_000))
    assert np.median([block_length(x) for x in drawn]) < 3


def test_the_block_is_the_one_worked_by_hand() -> None:
    """n = 16: one period up, one down. No five correlations are quiet, so that M is the last lag.

    R(k) = (-1)^k (16 - k) / 16 and M = 9 (4 + 5), windowed flat up to 4.5 and linearly after.
    """
    r = [(-1) ** k * (16 - k) / 16 for k in range(10)]
    window = [1.0 if k <= 4.5 else 2 * (1 - k / 9) for k in range(10)]
    slope = 2 * sum(window[k] * r[k] * k for k in range(1, 10))
    level = r[0] + 2 * sum(window[k] * r[k] for k in range(1, 10))
    by_hand = ((2 * slope**2) / (2 * level**2)) ** (1 / 3) * 16 ** (1 / 3)
    expected = min(max(1.0, by_hand), math.ceil(16 / 3))
    assert block_length([1.0, -1.0] * 8) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0], [0.5] * 100])
def test_too_little_to_see_a_memory_in_is_drawn_one_by_one(values: list[float]) -> None:
    assert block_length(values) == 1.0


def test_the_block_never_outgrows_its_series() -> None:
    rising = np.arange(200.0)
    assert block_length(rising) <= math.ceil(min(3 * math.sqrt(200), 200 / 3))


def test_rows_follow_each_other_in_blocks_of_the_mean_length_and_wrap_around() -> None:
    print(f"seed {SEED}")
    n, block = 50, 8.0
    rows = drawn_rows(n, (2_000, 400), block, np.random.default_rng(SEED))
    assert rows.min() == 0
    assert rows.max() == n - 1
    goes_on = rows[:, 1:] == (rows[:, :-1] + 1) % n
    # A new start happens to be the next row once in n.
    assert np.mean(~goes_on) == pytest.approx(1 / block * (1 - 1 / n), rel=0.02)
    assert np.any((rows[:, :-1] == n - 1) & goes_on)
    from_the_last = np.mean(rows[1:, 0] == (rows[:-1, -1] + 1) % n)
    assert from_the_last == pytest.approx(
        1 / n, abs=0.015
    )  # one resample is not the next one's past


def test_every_row_is_drawn_equally_often() -> None:
    rows = drawn_rows(20, (5_000, 20), 4.0, np.random.default_rng(SEED))
    counts = np.bincount(rows.ravel(), minlength=20) / rows.size
    assert counts == pytest.approx(np.full(20, 1 / 20), rel=0.05)
    first = np.bincount(rows[:, 0], minlength=20) / len(rows)
    assert first == pytest.approx(np.full(20, 1 / 20), rel=0.25)


def test_blocks_keep_the_error_of_a_mean_that_single_draws_would_understate() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    n = 2_000
    true = math.sqrt((1 + 0.5) / (1 - 0.5) / n)
    x = remembering(0.5)(rng, 1, n)[0]
    blocks = np.std(resample(x, means, samples=1_000, block=block_length(x), rng=rng))
    single = np.std(resample(x, means, samples=1_000, block=1.0, rng=rng))
    assert blocks == pytest.approx(true, rel=0.25)
    assert single < 0.7 * true


def test_what_is_foretold_varies_by_both_kinds_of_not_knowing() -> None:
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal(400)
    foretold = np.std(foretell(x, means, length=400, samples=4_000, block=1.0, rng=rng))
    assert foretold == pytest.approx(math.sqrt(2 / 400), rel=0.1)
    shorter = np.std(foretell(x, means, length=100, samples=4_000, block=1.0, rng=rng))
    assert shorter == pytest.approx(math.sqrt(1 / 400 + 1 / 100), rel=0.1)


def test_many_resamples_come_in_batches_and_none_is_lost() -> None:
    x = np.arange(5_000.0)
    found = resample(x, means, samples=431, block=3.0, rng=np.random.default_rng(SEED))
    assert found.shape == (431,)
    assert len(np.unique(found)) == 431


def test_the_same_seed_gives_the_same_resamples() -> None:
    x = np.arange(100.0)
    first, again = (
        resample(x, means, samples=10, block=5.0, rng=np.random.default_rng(SEED)) for _ in "ab"
    )
    assert np.array_equal(first, again)


@pytest.mark.parametrize(("n", "samples", "block"), [(0, 1, 1.0), (5, 0, 1.0), (5, 5, 0.5)])
def test_nothing_to_draw_is_refused(n: int, samples: int, block: float) -> None:
    rng = np.random.default_rng(SEED)
    with pytest.raises(BadInput, match="must be 1 at least"):
        resample(np.zeros(n), means, samples=samples, block=block, rng=rng)


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(BadInput, match="Value 1 of 2 is nan"):
        block_length([1.0, math.nan])
