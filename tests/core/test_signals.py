"""Signals are known when a bar has closed, depend on nothing later, and carry sound levels."""

from __future__ import annotations

from dataclasses import fields
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from roboinvest.core.errors import BadInput
from roboinvest.core.market.grid import tick_units, to_units
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.orders import Side, to_tick
from roboinvest.core.quant.conditions import above, below, crosses_above, crosses_below
from roboinvest.core.signals import ClosedBar, Signals, signals_of
from roboinvest.core.strategy import (
    AtColumn,
    Calculator,
    Entry,
    Execution,
    Moment,
    Multiple,
    Percent,
    Plan,
    Reward,
    Scan,
)
from tests.fakes.tapes import daily_tape, minute_tape, tape
from tests.tools.backtester.report.builders import sessions, walked

MINUTE, DAY = Timeframe.MINUTE, Timeframe.DAY


def mean_of(period: int) -> Calculator:
    def compute(bars: SessionBars) -> np.ndarray:
        column = np.full(len(bars), np.nan)
        for row in range(period - 1, len(bars)):
            column[row] = sum(bars.close[row - period + 1 : row + 1].tolist()) / period
        return column

    return Calculator(name="mean", warm_up=period - 1, compute=compute)


CROSS = Plan(
    columns={"fast": mean_of(3), "slow": mean_of(8)},
    scan=Scan(long=crosses_above("fast", "slow")),
    execution=Execution(stop=Percent(0.01), target=Reward(2.0), exit=crosses_below("fast", "slow")),
)


def rows_of(signals: Signals, name: str) -> list[object]:
    return list(getattr(signals, name).tolist())


def without(bars: SessionBars, rows: slice) -> SessionBars:
    """Return bars of which some are missing."""
    kept = np.delete(np.arange(len(bars)), rows)
    columns = {
        each.name: getattr(bars, each.name)[kept]
        for each in fields(bars)
        if each.name not in ("symbol", "others")
    }
    return SessionBars(symbol=bars.symbol, others={}, **columns)


@seed(20260105)
@given(st.integers(0, 2**32 - 1), st.integers(0, 119))
@settings(max_examples=60, deadline=None)
def test_what_is_wanted_at_a_close_does_not_depend_on_later_bars(tape_seed: int, row: int) -> None:
    bars = minute_tape(tape_seed, days=3, minutes=40, missing=0.1)
    row = min(row, len(bars) - 2)
    whole = signals_of(CROSS, bars, MINUTE)
    part = signals_of(CROSS, bars.until(row), MINUTE)
    for name in ("entry", "leave", "stop", "target", "mark"):
        assert rows_of(part, name) == rows_of(whole, name)[: row + 1]


def test_the_newest_row_alone_says_what_the_whole_column_says_there() -> None:
    bars = minute_tape(5, days=2)
    whole = signals_of(CROSS, bars, MINUTE)
    for row in np.flatnonzero(whole.entry)[:10]:
        part = bars.until(int(row))
        newest = signals_of(CROSS, part, MINUTE, from_row=len(part) - 1)
        assert (newest.entry[-1], newest.stop[-1]) == (1, whole.stop[row])


def test_a_call_and_a_condition_that_say_the_same_are_the_same() -> None:
    def scan(now: Moment) -> bool:
        return now("fast") > now("slow") and now("fast", 1) <= now("slow", 1)

    called = Plan(columns=CROSS.columns, scan=scan, execution=CROSS.execution)
    bars = minute_tape(7, days=2)
    one, other = (signals_of(plan, bars, MINUTE) for plan in (CROSS, called))
    assert one.entry.any()
    for name in ("entry", "stop", "target"):
        assert rows_of(one, name) == rows_of(other, name)


def test_nothing_is_wanted_before_the_warm_up_or_before_the_first_row_asked_for() -> None:
    plan = Plan(columns=CROSS.columns, scan=Scan(long=above("close", 0)), execution=Execution())
    bars = minute_tape(1, days=1)
    assert int(np.argmax(signals_of(plan, bars, MINUTE).entry)) == plan.warm_up == 7
    assert int(np.argmax(signals_of(plan, bars, MINUTE, from_row=50).entry)) == 50


def test_a_row_in_which_the_exit_holds_is_no_entry() -> None:
    both = Execution(exit=above("close", 0))
    plan = Plan(columns={}, scan=Scan(long=above("close", 0)), execution=both)
    assert not signals_of(plan, minute_tape(1, days=1), MINUTE).entry.any()


@pytest.mark.parametrize("side", list(Side))
def test_levels_are_tick_sized_and_on_their_side_of_the_close(side: Side) -> None:
    bars = minute_tape(3, days=1)
    condition = above("close", 0)
    plan = Plan(
        columns={"far": Calculator(name="far", warm_up=0, compute=lambda b: b.close * 0.002)},
        scan=Scan(long=condition) if side is Side.BUY else Scan(short=condition),
        execution=Execution(stop=Multiple("far", 1.5), target=Reward(2.0)),
    )
    signals = signals_of(plan, bars, MINUTE)
    for row in range(0, len(bars), 17):
        close = float(bars.close[row])
        stop = close - side.sign * (close * 0.002 * 1.5)
        target = close + side.sign * 2.0 * abs(close - stop)
        assert int(signals.stop[row]) == to_units(to_tick(stop))
        assert int(signals.target[row]) == to_units(to_tick(target))
    assert ((signals.mark - signals.stop) * side.sign > 0).all()


def test_a_declared_distance_is_never_less_than_a_tick() -> None:
    still = tape([(10.0, 10.0, 10.0, 10.005)] * 5)
    plan = Plan(
        columns={},
        scan=Scan(long=above("close", 0)),
        execution=Execution(stop=Percent(1e-9), target=Percent(1e-9)),
    )
    signals = signals_of(plan, still, MINUTE)
    assert (signals.stop < signals.mark).all()
    assert (signals.target > signals.mark).all()


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        (Execution(stop=AtColumn("high")), "the stop of the entry at SPY .* must be below it"),
        (Execution(target=AtColumn("low")), "the target of the entry at SPY .* must be above it"),
        (Execution(stop=AtColumn("none")), "the stop of the entry at SPY .* is nan"),
        (Execution(trail=Multiple("none", 1.0)), "the distance of the entry at SPY .* is nan"),
    ],
)
def test_a_level_that_makes_no_sense_names_the_bar(how: Execution, fault: str) -> None:
    empty = Calculator(name="none", warm_up=0, compute=lambda b: np.full(len(b), np.nan))
    plan = Plan(columns={"none": empty}, scan=Scan(long=above("close", 0)), execution=how)
    with pytest.raises(BadInput, match=fault):
        signals_of(plan, minute_tape(2, days=1), MINUTE)


@pytest.mark.parametrize("stop", [float("nan"), float("inf"), -1.0, 0.0])
def test_a_call_that_gives_no_price_is_refused(stop: float) -> None:
    plan = Plan(columns={}, scan=lambda _now: Entry(stop=stop), execution=Execution())
    with pytest.raises(BadInput, match="the scan gave the level"):
        signals_of(plan, minute_tape(2, days=1), MINUTE)


def test_a_calculator_must_give_one_finite_value_a_bar_or_none() -> None:
    short = Calculator(name="x", warm_up=0, compute=lambda b: b.close[:-1])
    endless = Calculator(name="x", warm_up=0, compute=lambda b: np.full(len(b), np.inf))
    scan = Scan(long=above("x", 0))
    for calculator, fault in ((short, "shape"), (endless, "gave inf at SPY")):
        plan = Plan(columns={"x": calculator}, scan=scan, execution=Execution())
        with pytest.raises(BadInput, match=fault):
            signals_of(plan, minute_tape(2, days=1), MINUTE)


def test_a_moment_shows_the_past_and_nothing_ahead() -> None:
    bars = minute_tape(4, days=1)
    moment = ClosedBar(bars, {"close": bars.close}, 10)
    assert moment("close") == bars.close[10]
    assert moment("close", 3) == bars.close[7]
    assert np.isnan(moment("close", 11))
    with pytest.raises(BadInput, match="back=-1 asks for a bar that has not closed"):
        moment("close", -1)
    with pytest.raises(BadInput, match="'open' is no column"):
        moment("open")


def test_another_symbol_is_seen_up_to_its_last_close_by_now() -> None:
    mine, theirs = minute_tape(4, days=1), minute_tape(9, days=1, symbol="QQQ", missing=0.3)
    bars = among({"SPY": mine, "QQQ": theirs})["SPY"]
    for row in range(5, 200, 13):
        closed = theirs.closes_at <= mine.closes_at[row]
        assert ClosedBar(bars, {}, row).other("QQQ") == theirs.close[closed][-1]
    with pytest.raises(BadInput, match="IBM is not in this run"):
        ClosedBar(bars, {}, 5).other("IBM")


def test_late_is_a_matter_of_the_clock_also_where_bars_are_missing() -> None:
    bars = minute_tape(4, days=1)
    gap = bars.rows(slice(0, 380))  # the last ten minutes have no bar
    plan = Plan(
        columns={},
        scan=Scan(long=above("close", 0)),
        execution=Execution(flat_before_close_min=15.0),
    )
    whole = signals_of(plan, bars, MINUTE)
    assert np.flatnonzero(whole.late).tolist() == list(range(374, 390))
    assert not whole.entry[374:].any()
    holes = without(gap, slice(370, 379))
    assert signals_of(plan, holes, MINUTE).late[369]  # the next bar opens after the time to leave


@pytest.mark.parametrize(("wanted", "held_until"), [(1.0, 1), (15.0, 1), (30.0, 2), (45.0, 3)])
def test_on_long_bars_the_last_close_in_time_is_the_one_to_leave_at(
    wanted: float, held_until: int
) -> None:
    bars = walked(sessions(date(2011, 1, 3), date(2011, 1, 4)))  # 26 bars of 15 minutes a session
    plan = Plan(
        columns={},
        scan=Scan(long=above("close", 0)),
        execution=Execution(flat_before_close_min=wanted),
    )
    late = signals_of(plan, bars, Timeframe.MINUTES_15).late.reshape(2, 26)
    assert late.tolist() == [[row >= 25 - held_until for row in range(26)]] * 2


def test_leaving_before_the_close_has_no_meaning_on_day_bars() -> None:
    plan = Plan(
        columns={},
        scan=Scan(long=below("close", 0)),
        execution=Execution(flat_before_close_min=5.0),
    )
    with pytest.raises(BadInput, match="bars are a day long"):
        signals_of(plan, daily_tape(1, days=30), DAY)


def test_before_a_split_prices_are_raw_and_after_it_history_is_on_the_new_scale() -> None:
    bars = daily_tape(6, days=60)
    split_day = date.fromordinal(int(bars.day[30]))
    raw = bars.series()
    scale = np.where(np.arange(60) < 30, 7.0, 1.0)
    seven = bars.with_series(
        type(raw)(
            **{
                name: getattr(raw, name) * scale
                if name in ("open", "high", "low", "close")
                else getattr(raw, name)
                for name in raw.__dataclass_fields__
            }
        ),
        {},
    )
    split = CorporateAction(
        symbol="SPY", kind=ActionKind.SPLIT, ex_date=split_day, ratio=Decimal(7)
    )
    plan = Plan(
        columns={"mean": mean_of(5)}, scan=Scan(long=above("mean", 0)), execution=Execution()
    )
    column = signals_of(plan, seven, DAY, [split]).columns["mean"]
    adjusted = signals_of(plan, bars, DAY).columns["mean"]
    assert np.allclose(column[30:], adjusted[30:], rtol=1e-12)
    assert np.allclose(column[4:30], 7.0 * adjusted[4:30], rtol=1e-12)


@seed(20260105)
@given(st.lists(st.floats(0.0002, 99_999), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_a_column_of_levels_is_rounded_as_an_order_is(prices: list[float]) -> None:
    assert tick_units(np.array(prices)).tolist() == [to_units(to_tick(price)) for price in prices]
