"""Tapes to try a strategy on: the past stays, the future is another, and both are possible."""

from __future__ import annotations

import numpy as np
import pytest

from tests.leak_corpus.kit import walk
from tools.backtester.leaks.tapes import (
    ARRAYS,
    Going,
    Tape,
    between,
    closed,
    going_on,
    other_world,
    read_only,
    rescaled,
    until,
)

SEED = 3


def tape() -> Tape:
    return read_only({"AAA": walk(1, sessions=4), "BBB": walk(2, symbol="BBB", sessions=4)})


def same_past(left: Tape, right: Tape, instant: int) -> bool:
    return all(
        np.array_equal(
            getattr(left[symbol], name)[: closed(left[symbol], instant)],
            getattr(right[symbol], name)[: closed(left[symbol], instant)],
        )
        for symbol in left
        for name in ARRAYS
    )


def possible(one: Tape) -> bool:
    return all(
        (bars.low <= np.minimum(bars.open, bars.close)).all()
        and (bars.high >= np.maximum(bars.open, bars.close)).all()
        and (bars.low > 0.0).all()
        and (bars.volume >= 0.0).all()
        and (np.diff(bars.ts) > 0).all()
        and (bars.closes_at > bars.ts).all()
        and (bars.ends >= bars.closes_at).all()
        for bars in one.values()
    )


@pytest.mark.parametrize("row", [0, 77, 78, 130, 300])
@pytest.mark.parametrize("how", list(Going))
def test_a_tape_that_goes_on_otherwise_has_the_same_past(how: Going, row: int) -> None:
    whole, chance = tape(), np.random.default_rng(SEED)
    instant = int(whole["AAA"].closes_at[row])
    other = going_on(whole, instant, how, chance)
    assert same_past(whole, other, instant)
    assert possible(other)
    known = closed(whole["AAA"], instant)
    assert len(other["AAA"]) != len(whole["AAA"]) or any(
        not np.array_equal(getattr(other["AAA"], name)[known:], getattr(whole["AAA"], name)[known:])
        for name in ("high", "low", "close", "volume")
    )


def test_one_symbol_may_stay_as_it_is() -> None:
    whole = tape()
    instant = int(whole["AAA"].closes_at[100])
    other = going_on(whole, instant, Going.MIRRORED, np.random.default_rng(SEED), but="AAA")
    assert np.array_equal(other["AAA"].close, whole["AAA"].close)
    assert not np.array_equal(other["BBB"].close, whole["BBB"].close)


def test_a_bar_that_has_not_closed_is_future() -> None:
    whole = tape()
    ends = until(whole, int(whole["AAA"].closes_at[10]) - 1)
    assert [len(bars) for bars in ends.values()] == [10, 10]


def test_a_stretch_begins_and_ends_where_it_is_told() -> None:
    whole = tape()
    bars = whole["AAA"]
    piece = between(whole, int(bars.ts[78]), int(bars.closes_at[155]))["AAA"]
    assert np.array_equal(piece.close, bars.close[78:156])


def test_tapes_cannot_be_written_to() -> None:
    bars = tape()["AAA"]
    with pytest.raises(ValueError, match="read-only"):
        bars.close[0] = 1.0


def test_another_world_has_the_same_times_and_other_prices() -> None:
    whole = tape()
    other = other_world(whole, np.random.default_rng(SEED))
    assert np.array_equal(other["AAA"].ts, whole["AAA"].ts)
    assert not np.array_equal(other["AAA"].close[:20], whole["AAA"].close[:20])
    assert possible(other)


def test_a_scale_is_exact_and_only_for_those_named() -> None:
    whole = tape()
    twice = rescaled(whole, 2.0, frozenset({"AAA"}))
    assert np.array_equal(twice["AAA"].close, 2.0 * whole["AAA"].close)
    assert np.array_equal(twice["AAA"].volume, whole["AAA"].volume / 2.0)
    assert np.array_equal(twice["BBB"].close, whole["BBB"].close)


def test_other_bars_bring_their_own_volume() -> None:
    whole = tape()
    instant = int(whole["AAA"].closes_at[99])
    other = going_on(whole, instant, Going.SHUFFLED, np.random.default_rng(SEED))
    ours, theirs = whole["AAA"].volume[100:], other["AAA"].volume[100:]
    assert not np.array_equal(ours, theirs)
    assert np.array_equal(np.sort(ours), np.sort(theirs))
