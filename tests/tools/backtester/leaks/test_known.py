"""Where two runs that share their past first disagree."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.conditions import crosses_above
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Scan
from tests.leak_corpus.kit import Case, on, play, strategy, walk
from tools.backtester.contract import Played
from tools.backtester.leaks.findings import What
from tools.backtester.leaks.known import Rows, played_differ, wishes_differ

ALL = Rows(first=0, known=200)


def case() -> Case:
    made = strategy("cross", {"slow": sma(20)}, Scan(long=crosses_above("close", "slow")))
    return on(walk(sessions=4), made)


def signals() -> Signals:
    request = case().request
    return signals_of(request.strategy.plan({}), request.bars["AAA"], request.timeframe)


def changed(made: Signals, name: str, row: int, value: Any) -> Signals:
    array = getattr(made, name).copy()
    array[row] = value
    return replace(made, **{name: array})


def with_column(made: Signals, row: int, value: float) -> Signals:
    column = made.columns["slow"].copy()
    column[row] = value
    return replace(made, columns={**made.columns, "slow": column})


def test_equal_runs_do_not_differ_and_nan_agrees_with_nan() -> None:
    assert np.isnan(signals().columns["slow"][:19]).all()
    assert wishes_differ(signals(), signals(), "AAA", ALL) is None


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("entry", What.SIGNAL),
        ("leave", What.SIGNAL),
        ("late", What.SIGNAL),
        ("stop", What.LEVEL),
        ("target", What.LEVEL),
        ("trail", What.LEVEL),
        ("mark", What.LEVEL),
    ],
)
def test_a_decision_that_differs_by_the_least_is_named(name: str, what: What) -> None:
    ours = signals()
    theirs = changed(ours, name, 150, getattr(ours, name)[150] + 1)
    if name in ("leave", "late"):
        theirs = changed(ours, name, 150, not getattr(ours, name)[150])
    found = wishes_differ(ours, theirs, "AAA", ALL)
    assert found is not None
    assert (found.what, found.name, found.row) == (what, name, 150)
    assert wishes_differ(ours, theirs, "AAA", Rows(first=0, known=150)) is None
    assert wishes_differ(ours, theirs, "AAA", Rows(first=151, known=200)) is None


def test_whether_it_is_late_hangs_on_the_next_bar_and_is_left_out_of_the_last_row() -> None:
    ours = signals()
    theirs = changed(ours, "late", 199, not ours.late[199])
    assert wishes_differ(ours, theirs, "AAA", ALL) is None
    assert wishes_differ(ours, theirs, "AAA", replace(ALL, whole=True)) is not None


def test_a_column_may_be_rounded_otherwise_and_no_more() -> None:
    ours = signals()
    value = float(ours.columns["slow"][100])
    assert wishes_differ(ours, with_column(ours, 100, value * (1 + 1e-12)), "AAA", ALL) is None
    found = wishes_differ(ours, with_column(ours, 100, value * (1 + 1e-7)), "AAA", ALL)
    assert found is not None
    assert (found.what, found.name, found.row) == (What.COLUMN, "slow", 100)
    assert wishes_differ(ours, with_column(ours, 100, np.nan), "AAA", ALL) is not None


def test_columns_are_compared_before_the_first_row_with_decisions_too() -> None:
    ours = signals()
    found = wishes_differ(ours, with_column(ours, 30, 1.0), "AAA", Rows(first=100, known=200))
    assert found is not None
    assert found.row == 30


def test_the_earliest_row_is_named_and_of_one_row_the_decision() -> None:
    ours = signals()
    both = with_column(changed(ours, "entry", 120, 5), 90, 1.0)
    found = wishes_differ(ours, both, "AAA", ALL)
    assert found is not None
    assert (found.name, found.row) == ("slow", 90)
    same_row = with_column(changed(ours, "entry", 90, 5), 90, 1.0)
    found = wishes_differ(ours, same_row, "AAA", ALL)
    assert found is not None
    assert found.name == "entry"


def played() -> Played:
    return play(case().request)


def differ(ours: Played, theirs: Played, known: int = 10_000) -> What | None:
    end = int(ours.instants[-1])
    found = played_differ(ours, theirs, {"AAA": known}, end)
    return None if found is None else found.what


def test_a_fill_that_is_missing_or_another_is_named() -> None:
    ours = played()
    fill = ours.fills[3]
    other = replace(fill, price=fill.price + 1)
    assert differ(ours, ours) is None
    assert differ(ours, replace(ours, fills=ours.fills[:3] + ours.fills[4:])) is What.FILL
    another = replace(ours, fills=(*ours.fills[:3], other, *ours.fills[4:]))
    assert differ(ours, another) is What.FILL
    assert differ(ours, another, known=fill.row) is None


def test_cash_that_differs_by_the_least_is_named_up_to_the_cut_only() -> None:
    ours = played()
    equity = ours.equity.copy()
    equity[50] += 1
    theirs = replace(ours, equity=equity)
    assert differ(ours, theirs) is What.CASH
    before = int(ours.instants[49])
    assert played_differ(ours, theirs, {"AAA": 10_000}, before) is None
