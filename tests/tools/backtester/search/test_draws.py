"""Random rows and stretches: every choice is possible, equally likely, and nothing else changes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from tools.backtester.search.draws import Rows, Stretches, distinct

DRAWS = 3_000


def column(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def is_even(counts: Counter[tuple[int, ...]], kinds: int) -> bool:
    """Whether the counts are those of equally likely kinds (chi-square, far in the tail)."""
    expected = DRAWS / kinds
    chi = sum((count - expected) ** 2 / expected for count in counts.values())
    return len(counts) == kinds and chi < kinds - 1 + 6 * (2 * (kinds - 1)) ** 0.5


def test_every_choice_of_rows_is_equally_likely() -> None:
    rng = np.random.default_rng(1)
    allowed = np.array([True, True, False, True, True, True, True, False], dtype=np.bool_)
    groups = column([5, 5, 5, 5, 3, 3, 3, 3])
    draws = Rows(column([0, 3, 5]), allowed, groups).drawn(rng)
    counts = Counter(tuple(next(draws).tolist()) for _ in range(DRAWS))
    assert is_even(counts, 9)  # 2 of rows 0, 1, 3 and 1 of rows 4, 5, 6
    assert all(len({*rows[:2]} & {0, 1, 3}) == 2 and rows[2] in {4, 5, 6} for rows in counts)


def test_every_choice_is_equally_likely_where_numbers_come_twice() -> None:
    rng = np.random.default_rng(2)
    for count, size, kinds in ((2, 5, 10), (4, 5, 5), (3, 6, 20)):
        draws = Counter(
            tuple(distinct(column([count]), column([size]), column([0]), rng).tolist())
            for _ in range(DRAWS)
        )
        assert is_even(draws, kinds), (count, size)


def test_every_place_of_stretches_is_equally_likely() -> None:
    rng = np.random.default_rng(3)
    held = np.array([1, 0, 1, 1, 0, 0, 0], dtype=np.bool_)  # 1 and 2 long, among 4 free rows
    dealt = Stretches(held, None).dealt(rng)
    counts = Counter[tuple[int, ...]]()
    for _ in range(DRAWS):
        starts, lengths = next(dealt)
        counts[(*starts.tolist(), *lengths.tolist())] += 1
    assert is_even(counts, 20)  # 5 slots, 2 of them, in 2 orders


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=1, max_size=40), st.integers()
)
def test_stretches_keep_their_lengths_their_group_and_their_distance(
    cells: list[tuple[bool, int]], seed: int
) -> None:
    cells = sorted(cells, key=lambda cell: cell[1])
    held = np.array([cell[0] for cell in cells], dtype=np.bool_)
    groups = column([cell[1] for cell in cells])
    kept: dict[int, list[int]] = {}
    for group in range(3):
        runs = "".join("x" if each else " " for each in held[groups == group]).split()
        kept[group] = sorted(len(run) for run in runs)
    starts, lengths = next(Stretches(held, groups).dealt(np.random.default_rng(abs(seed))))
    found: dict[int, list[int]] = {group: [] for group in range(3)}
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        assert len({*groups[start : start + length].tolist()}) == 1
        found[int(groups[start])].append(length)
    assert {group: sorted(each) for group, each in found.items()} == kept
    spans = list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))
    for (before, end), (after, _) in pairwise(spans):
        assert after > end or groups[before] != groups[after]
        assert after >= end


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("taf"), st.integers(0, 3)), min_size=1, max_size=40))
def test_rows_keep_their_count_in_each_group_and_stay_where_entries_are_allowed(
    cells: list[tuple[str, int]],
) -> None:
    cells = sorted(cells, key=lambda cell: -cell[1])
    allowed = np.array([kind != "f" for kind, _ in cells], dtype=np.bool_)
    taken = np.flatnonzero([kind == "t" for kind, _ in cells])
    groups = column([group for _, group in cells])
    drawn = next(Rows(taken, allowed, groups).drawn(np.random.default_rng(4)))
    assert allowed[drawn].all()
    assert len(np.unique(drawn)) == len(taken)
    assert groups[drawn].tolist() == groups[taken].tolist()
    assert drawn.tolist() == sorted(drawn.tolist())


def test_an_entry_where_none_is_allowed_is_refused() -> None:
    with pytest.raises(BadInput, match="where none is allowed"):
        Rows(column([1]), np.array([True, False]), None)
