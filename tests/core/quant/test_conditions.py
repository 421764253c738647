"""Conditions hold by the row they are asked about and those before it, and NaN meets none."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats
from roboinvest.core.quant.conditions import (
    Condition,
    Operand,
    above,
    at_least,
    at_most,
    below,
    crosses_above,
    crosses_below,
    either,
    every,
    once_a_session,
    was,
)

NAN = math.nan
SIMPLE: list[tuple[Callable[[Operand, Operand], Condition], Callable[[float, float], bool]]] = [
    (above, lambda a, b: a > b),
    (below, lambda a, b: a < b),
    (at_least, lambda a, b: a >= b),
    (at_most, lambda a, b: a <= b),
]
values = st.one_of(st.just(NAN), st.integers(-2, 2).map(float))
pairs = st.lists(st.tuples(values, values, st.integers(0, 1)), min_size=1, max_size=30)
operands = st.one_of(st.sampled_from(["a", "b"]), st.integers(-2, 2).map(float))
leaves = st.builds(
    lambda make, left, right: make(left, right),
    st.sampled_from([above, below, at_least, at_most, crosses_above, crosses_below]),
    operands,
    operands,
)
trees = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.lists(parts, min_size=1, max_size=3).map(lambda chosen: every(*chosen)),
        st.lists(parts, min_size=1, max_size=3).map(lambda chosen: either(*chosen)),
        parts.map(once_a_session),
        st.builds(was, parts, st.integers(1, 3)),
    ),
    max_leaves=6,
)


def table(drawn: list[tuple[float, float, int]]) -> dict[str, Floats]:
    """Return columns of drawn rows; the third value says where a new session begins."""
    rows = np.array(drawn, dtype=np.float64)
    return {"a": rows[:, 0], "b": rows[:, 1], "session": np.cumsum(rows[:, 2])}


def columns(a: list[float], b: list[float] | None = None) -> dict[str, Floats]:
    right = [0.0] * len(a) if b is None else b
    return {"a": np.array(a), "b": np.array(right), "session": np.zeros(len(a))}


def held(condition: Condition, of: dict[str, Floats]) -> list[int]:
    """Return the rows in which a condition holds."""
    return np.flatnonzero(condition.of(of)).tolist()


@pytest.mark.parametrize(("make", "plain"), SIMPLE)
@given(drawn=pairs)
def test_a_comparison_compares_what_stands_in_the_same_row(
    make: Callable[[Operand, Operand], Condition],
    plain: Callable[[float, float], bool],
    drawn: list[tuple[float, float, int]],
) -> None:
    expected = [row for row, (a, b, _) in enumerate(drawn) if plain(a, b)]
    assert held(make("a", "b"), table(drawn)) == expected
    against = [row for row, (a, _, _) in enumerate(drawn) if plain(a, 1.0)]
    assert held(make("a", 1.0), table(drawn)) == against


@given(pairs)
def test_a_crossing_comes_from_the_other_side_or_from_the_line(
    drawn: list[tuple[float, float, int]],
) -> None:
    up, down = [], []
    for row in range(1, len(drawn)):
        (a, b, _), (now_a, now_b, _) = drawn[row - 1], drawn[row]
        up += [row] if a <= b and now_a > now_b else []
        down += [row] if a >= b and now_a < now_b else []
    of = table(drawn)
    assert held(crosses_above("a", "b"), of) == up
    assert held(crosses_below("a", "b"), of) == down
    assert held(crosses_below("b", "a"), of) == up


def test_a_line_that_is_touched_and_left_on_the_same_side_is_crossed_again() -> None:
    of = columns([-1.0, 1.0, 0.0, 1.0, -1.0])
    assert held(crosses_above("a", 0.0), of) == [1, 3]
    assert held(crosses_below("a", 0.0), of) == [4]


def test_nothing_crosses_in_the_first_row_or_out_of_nothing() -> None:
    of = columns([1.0, NAN, 1.0, -1.0, NAN, 1.0])
    assert held(crosses_above("a", 0.0), of) == []
    assert held(crosses_below("a", 0.0), of) == [3]


def test_nan_meets_no_condition_nor_its_opposite() -> None:
    of = columns([NAN, NAN], [0.0, NAN])
    for make in (above, below, at_least, at_most, crosses_above, crosses_below):
        assert held(make("a", "b"), of) == []
        assert held(make("b", "a"), of) == []
        assert held(make("a", NAN), of) == []


def test_all_parts_must_hold_or_any() -> None:
    of = columns([1.0, 2.0, 3.0, 4.0])
    over, under = above("a", 1.5), below("a", 3.5)
    assert held(every(over, under), of) == [1, 2]
    assert held(every(over), of) == [1, 2, 3]
    assert held(either(above("a", 3.5), below("a", 1.5)), of) == [0, 3]


@pytest.mark.parametrize("make", [every, either])
def test_a_condition_of_no_parts_is_refused(make: Callable[..., Condition]) -> None:
    with pytest.raises(BadInput, match="a condition of no parts says nothing; name at least one"):
        make()


def test_once_a_session_is_the_first_time_in_each() -> None:
    of = {
        "a": np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        "session": np.array([7.0, 7.0, 7.0, 8.0, 8.0, 9.0, 9.0, 12.0, 12.0]),
    }
    assert held(once_a_session(above("a", 0.5)), of) == [1, 4, 8]
    assert held(once_a_session(above("a", 5.0)), of) == []
    assert once_a_session(above("a", 0.5)).names == {"a", "session"}


def test_what_was_is_read_from_rows_before_in_the_same_session() -> None:
    of = {
        "a": np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        "session": np.array([7.0, 7.0, 7.0, 8.0, 8.0, 8.0]),
    }
    assert held(was(above("a", 0.5)), of) == [1, 4]
    assert held(was(above("a", 0.5), 2), of) == [2, 5]
    assert held(was(above("a", 0.5), 9), of) == []
    assert was(above("a", 0.5)).names == {"a", "session"}


@pytest.mark.parametrize("bars", [0, -1])
def test_what_will_be_cannot_be_asked(bars: int) -> None:
    with pytest.raises(BadInput, match="looks at a bar that has not closed; give 1 or more"):
        was(above("a", 0.5), bars)


def test_a_condition_names_the_columns_it_asks_about() -> None:
    condition = every(above("close", "sma"), either(below("rsi", 30.0), crosses_above("a", "b")))
    assert condition.names == {"close", "sma", "rsi", "a", "b"}


def test_an_unknown_column_is_named_with_those_there_are() -> None:
    message = "'vwap' is no column of this strategy; it has a, b, session"
    for condition in (above("vwap", 1.0), crosses_below(1.0, "vwap"), every(below("a", "vwap"))):
        with pytest.raises(BadInput, match=message):
            condition.of(columns([1.0]))


def test_numbers_are_the_same_in_every_row() -> None:
    of = columns([5.0, 6.0, 7.0])
    assert held(above(2.0, 1.0), of) == [0, 1, 2]
    assert held(above(6, "a"), of) == [0]


def test_two_numbers_never_cross() -> None:
    assert held(crosses_above(2.0, 1.0), columns([1.0, 2.0])) == []


@pytest.mark.parametrize("make", [above, crosses_above])
def test_a_condition_of_no_rows_holds_nowhere(
    make: Callable[[Operand, Operand], Condition],
) -> None:
    nothing = columns([])
    assert make("a", "b").of(nothing).shape == (0,)
    assert once_a_session(make("a", 0.0)).of(nothing).shape == (0,)


@given(trees, pairs, st.integers(0, 29))
def test_what_holds_in_a_row_does_not_change_with_what_follows(
    condition: Condition, drawn: list[tuple[float, float, int]], row: int
) -> None:
    whole = condition.of(table(drawn))
    assert whole.dtype == np.bool_
    part = condition.of(table(drawn[: row + 1]))
    np.testing.assert_array_equal(part, whole[: row + 1])


def test_conditions_do_not_change_the_columns() -> None:
    of = columns([1.0, -1.0, 1.0])
    for column in of.values():
        column.setflags(write=False)
    condition = once_a_session(every(at_least("a", "b"), either(crosses_above("a", "b"))))
    assert held(condition, of) == [2]


def test_equal_conditions_are_equal() -> None:
    assert every(above("a", 1.0), below("b", "a")) == every(above("a", 1.0), below("b", "a"))
    assert above("a", 1.0) != at_least("a", 1.0)
    assert crosses_above("a", "b") != crosses_below("a", "b")
