"""Rows of a walk tell a moment in the box what a closed bar tells out of it, and nothing sooner."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.signals import ClosedBar
from roboinvest.core.strategy import Moment
from tests.fakes.tapes import minute_tape
from tools.boxed_strategies.inside.driver import ASKED, CARRIED
from tools.boxed_strategies.inside.moments import GrowingMoment
from tools.boxed_strategies.rows import rows_of, unasked

NAMES = ("open", "high", "low", "close", "volume", "odd")


def bars_of(seed: int) -> tuple[SessionBars, dict[str, Floats]]:
    rng = np.random.default_rng(seed)
    missing = (0.0, 0.1, 0.6)[seed % 3]
    tapes = {
        symbol: minute_tape(
            seed + at, days=2, symbol=symbol, minutes=40, missing=missing if at != 1 else 0.3
        )
        for at, symbol in enumerate(("AAA", "BBB", "CCC", "DDD")[: 1 + seed % 4])
    }
    bars = among(tapes)["AAA"]
    columns = {name: getattr(bars, name) for name in NAMES[:-1]}
    odd = rng.normal(size=len(bars))
    odd[rng.random(len(bars)) < 0.3] = np.nan
    return bars, {**columns, "odd": odd}


def same(ours: float, theirs: float) -> bool:
    return ours == theirs or (math.isnan(ours) and math.isnan(theirs))


def assert_alike(ours: GrowingMoment, theirs: ClosedBar, backs: Sequence[int]) -> None:
    for back in backs:
        for name in NAMES:
            assert same(ours(name, back), theirs(name, back)), (name, back)
        for symbol in theirs.bars.others:
            assert same(ours.other(symbol, back), theirs.other(symbol, back)), (symbol, back)


@pytest.mark.parametrize("seed", range(12))
def test_a_growing_moment_is_a_closed_bar_at_every_bar(seed: int) -> None:
    bars, columns = bars_of(seed)
    rng = np.random.default_rng(seed)
    given = int(rng.integers(0, len(bars)))  # bars that it is given at once
    rows = rows_of(bars, columns, len(bars))
    moment = GrowingMoment("AAA", NAMES, list(bars.others))
    moment.remember(unasked(rows.before(given), rows.table.shape[1] + 6))
    if given:
        assert_alike(moment, ClosedBar(bars, columns, given - 1), (0, 1, 2))
    for row in range(given, len(bars)):
        new = rows.of(range(row, row + 1))
        assert (new[:, 0] == ASKED).nonzero()[0].tolist() == [len(new) - 1]
        for each in new.tolist():
            moment.take(tuple(each))
        back = int(rng.integers(0, len(bars) + 5))
        assert_alike(moment, ClosedBar(bars, columns, row), (0, 1, back))


def test_nothing_stands_in_a_row_that_was_not_known_at_its_bar() -> None:
    bars, columns = bars_of(7)
    rows = rows_of(bars, columns, len(bars))
    for row in range(len(bars)):
        until = rows_of(bars.until(row), {k: v[: row + 1] for k, v in columns.items()}, row + 1)
        assert np.array_equal(until.table, rows.table[: len(until.table)], equal_nan=True)


def test_rows_that_carry_closes_come_only_where_several_came_in_between() -> None:
    bars, columns = bars_of(3)  # which lacks no minute, so that nothing comes in between
    assert (rows_of(bars, columns, len(bars)).table[:, 0] == ASKED).all()
    bars, columns = bars_of(11)  # which lacks more than half of them
    rows = rows_of(bars, columns, len(bars))
    carried = rows.table[rows.table[:, 0] == CARRIED]
    assert len(carried) > 0
    assert np.isnan(carried[:, 1 : 1 + len(NAMES)]).all()
    assert not np.isnan(carried[:, 1 + len(NAMES) :]).all(axis=1).any()
    closes = rows.table[:, 1 + len(NAMES) :]
    for at, other in enumerate(bars.others.values()):
        told = closes[:, at][~np.isnan(closes[:, at])]
        known = np.searchsorted(other.closes_at, bars.closes_at[-1], side="right")
        assert np.array_equal(told, other.close[:known])


def test_a_moment_refuses_what_a_closed_bar_refuses() -> None:
    bars, columns = bars_of(1)
    rows = rows_of(bars, columns, len(bars))
    moment = GrowingMoment("AAA", NAMES, list(bars.others))
    moment.remember(unasked(rows.table, rows.table.shape[1]))
    closed = ClosedBar(bars, columns, len(bars) - 1)
    asks: list[Callable[[Moment], float]] = [
        lambda now: now("nothing"),
        lambda now: now("close", -1),
        lambda now: now.other("ZZZ"),
        lambda now: now.other("BBB", -1),
    ]
    for ask in asks:
        told = []
        each: Moment
        for each in (moment, closed):
            with pytest.raises(BadInput) as error:
                ask(each)
            told.append(str(error.value))
        assert told[0] == told[1]


def test_a_long_history_is_kept_in_little_and_told_alike() -> None:
    bars = minute_tape(4, days=14, symbol="AAA")
    columns = {name: getattr(bars, name) for name in NAMES[:-1]} | {"odd": bars.close * 2.0}
    rows = rows_of(bars, columns, len(bars))
    moment = GrowingMoment("AAA", NAMES, ())
    rng = np.random.default_rng(2)
    for row, each in enumerate(rows.table.tolist()):
        moment.take(tuple(each))
        if row % 97 == 0 or 2_040 < row < 2_060:
            backs = [0, 1, *rng.integers(0, row + 3, size=3).tolist(), row, 1_023, 1_024, 1_025]
            assert_alike(moment, ClosedBar(bars, columns, row), backs)
