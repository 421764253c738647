"""No calculator knows a later bar, needs more history than it says, or trips over a dead market."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.quant.calculators.chance import custom
from roboinvest.core.strategy import Calculator
from tests.fakes.calculators import MODULES, hard_tapes, label, library
from tests.fakes.tapes import daily_tape, minute_tape, tape

LIBRARY = library()
TAPES = hard_tapes()
BY_LABEL = pytest.mark.parametrize("calculator", LIBRARY, ids=label)
# the others depend on the rows of a window and on nothing else
RECURSIVE = frozenset(
    {"ema", "rsi", "macd_line", "macd_signal", "macd_histogram", "stoch_rsi", "stoch_rsi_signal"}
    | {"adx", "plus_di", "minus_di", "atr", "keltner_upper", "keltner_middle", "keltner_lower"}
    | {"supertrend", "swing_high", "swing_low"}
)


def differs(calculator: Calculator, bars: SessionBars, whole: Floats, row: int) -> bool:
    """Return whether a value changes when the rows behind `row` are cut off; bit for bit."""
    return calculator.compute(bars.until(row)).tobytes() != whole[: row + 1].tobytes()


def cuts(bars: SessionBars, seed: int) -> list[int]:
    """Return the first rows, those around the sessions' ends, and some by chance."""
    edges = np.flatnonzero(np.diff(bars.day))[:3]
    near = [int(edge) + step for edge in edges for step in (0, 1, 2, 31)]
    chosen = np.random.default_rng(seed).integers(0, len(bars), 12)
    return sorted({0, 1, 2, 30, len(bars) - 1, *near, *map(int, chosen)})


@BY_LABEL
@pytest.mark.parametrize("kind", TAPES)
def test_a_value_is_the_same_to_the_last_bit_whatever_follows(
    calculator: Calculator, kind: str
) -> None:
    bars = TAPES[kind]
    whole = calculator.compute(bars)
    for row in cuts(bars, seed=11):
        assert not differs(calculator, bars, whole, row), row


def test_a_calculator_that_looks_ahead_would_be_found() -> None:
    bars = TAPES["minutes with holes"]
    ahead = custom("ahead", lambda b: np.append(b.close[1:], np.nan), 0)
    scaled = custom("scaled", lambda b: b.close / b.close.mean(), 0)
    for cheat in (ahead, scaled):
        whole = cheat.compute(bars)
        assert any(differs(cheat, bars, whole, row) for row in cuts(bars, seed=11))


@BY_LABEL
def test_the_warm_up_is_all_the_history_that_a_value_needs(calculator: Calculator) -> None:
    spy, qqq = daily_tape(21, days=1500), daily_tape(22, days=1500, symbol="QQQ")
    bars = among({"SPY": spy, "QQQ": qqq})["SPY"]
    scale = spread(calculator.compute(bars))
    rows = calculator.warm_up
    for end in np.random.default_rng(23).integers(3 * rows + 1, len(bars), 12):
        once = newest(calculator, bars, end - rows, end)
        thrice = newest(calculator, bars, end - 3 * rows, end)
        if calculator.name in RECURSIVE:
            assert math.isfinite(once)
            assert once == pytest.approx(thrice, rel=1e-3, abs=1e-3 * scale)
        else:
            assert np.array_equal(once, thrice, equal_nan=True)


def spread(column: Floats) -> float:
    """Return the deviation of the values that there are."""
    known = column[np.isfinite(column)]
    return float(known.std()) if len(known) else 0.0


def newest(calculator: Calculator, bars: SessionBars, start: int, end: int) -> float:
    """Return the value of row `end` with the history from `start` on; of OBV its last change."""
    column = calculator.compute(bars.rows(slice(start, end + 1)))
    return float(column[-1] - column[-2] if calculator.name == "obv" else column[-1])


@BY_LABEL
def test_history_from_two_sessions_before_is_as_good_as_from_five(calculator: Calculator) -> None:
    spy, qqq = minute_tape(31, days=8), minute_tape(32, days=8, symbol="QQQ", missing=0.1)
    bars = among({"SPY": spy, "QQQ": qqq})["SPY"]
    starts = np.flatnonzero(np.diff(bars.day)) + 1
    short = calculator.compute(bars.rows(slice(int(starts[4]), None)))[780:]
    long = calculator.compute(bars.rows(slice(int(starts[1]), None)))[780 + 3 * 390 :]
    if calculator.name == "obv":
        short, long = np.diff(short), np.diff(long)
    if calculator.name in RECURSIVE:
        np.testing.assert_allclose(short, long, rtol=1e-3, atol=1e-3 * spread(long))
    else:
        np.testing.assert_array_equal(short, long)


@BY_LABEL
def test_every_value_comes_after_the_warm_up_in_a_living_market(calculator: Calculator) -> None:
    spy, qqq = minute_tape(41, days=4), minute_tape(42, days=4, symbol="QQQ")
    column = calculator.compute(among({"SPY": spy, "QQQ": qqq})["SPY"])
    late = column[max(calculator.warm_up, 390 * 3) :]
    known = np.isfinite(late)
    if calculator.name.startswith("opening_range"):
        assert known[29:].all()
        assert not known[0]
    elif label(calculator).startswith(("rolling_sortino", "rsi(2,")):
        assert known.mean() > 0.99  # there is none without a loss in the window, or a movement
    else:
        assert known.all()


prices = st.integers(99_00, 99_04)
minutes = st.tuples(prices, prices, prices, prices, st.sampled_from([0, 0, 100, 250]))


@settings(max_examples=60)
@given(st.lists(minutes, min_size=1, max_size=70), st.integers(1, 40), st.integers(0, 69))
def test_ties_zero_volumes_and_short_sessions_give_values_or_nothing(
    drawn: list[tuple[int, int, int, int, int]], session: int, row: int
) -> None:
    rows = [
        (a / 100, max(a, b, c, d) / 100, min(a, b, c, d) / 100, d / 100, float(v))
        for a, b, c, d, v in drawn
    ]
    bars = tape(rows, minutes=session)
    bars = among({"SPY": bars, "QQQ": tape(rows[::-1], minutes=session, symbol="QQQ")})["SPY"]
    for calculator in LIBRARY:
        column = calculator.compute(bars)
        assert column.shape == (len(rows),)
        assert column.dtype == np.float64
        assert not np.isinf(column).any(), label(calculator)
        if row < len(rows):
            assert not differs(calculator, bars, column, row), label(calculator)


@BY_LABEL
def test_no_bars_give_an_empty_column(calculator: Calculator) -> None:
    assert calculator.compute(TAPES["days"].rows(slice(0, 0))).shape == (0,)


def test_the_library_here_is_the_whole_library() -> None:
    written = {
        name
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and function.__annotations__["return"] == "Calculator"
    }
    assert written - {"custom"} == {calculator.name for calculator in LIBRARY}


def test_calculators_of_equal_arguments_are_equal_and_no_others() -> None:
    again = library()
    assert again == LIBRARY
    assert len({hash(each) for each in LIBRARY}) == len(LIBRARY)
    assert all(one != other for at, one in enumerate(LIBRARY) for other in LIBRARY[:at])
