"""Positions on their way: why they are left, how stops trail, what splits and neighbours do."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.orders import Leg
from roboinvest.core.quant.conditions import crosses_above, crosses_below
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import (
    Calculator,
    Dollars,
    Execution,
    Held,
    Moment,
    Percent,
    Plan,
    Scan,
    Shares,
)
from tests.fakes.tapes import minute_tape, session_on, tape, weekdays
from tests.tools.backtester.simulator.stages import (
    FREE,
    money,
    only,
    played,
    signals,
    stage,
    tale,
)
from tools.backtester.contract import Part, Stage, Terms
from tools.backtester.simulator.simulator import play

FLAT = (100.0, 100.0, 100.0, 100.0)


def test_reasons_to_leave_are_told_in_their_order() -> None:
    bars, short = tape([FLAT] * 5), Execution(size=Shares(100), max_bars=2)
    assert tale(played(bars, {0: 1}, leave=[2], late=[2], execution=short))[1][3] == "close"
    assert tale(played(bars, {0: 1}, leave=[2], execution=short))[1] == (
        3,
        "-100",
        "100.0000",
        "time",
    )
    assert tale(played(bars, {0: 1}, leave=[2]))[1] == (3, "-100", "100.0000", "signal")


def test_whoever_turns_round_is_flat_for_a_bar() -> None:
    bars = tape([FLAT] * 6)
    told = tale(played(bars, {0: 1, 1: -1, 2: -1, 3: -1}, leave=[1]))
    assert told == [
        (1, "100", "100.0000", "scan"),
        (2, "-100", "100.0000", "signal"),
        (3, "-100", "100.0000", "scan"),
    ]


def test_an_exits_call_sees_closed_bars_and_the_position() -> None:
    seen: list[tuple[float, Held]] = []

    def leave(now: Moment, held: Held) -> bool:
        seen.append((now("close"), held))
        return held.bars == 3

    rows = [FLAT, (100.0, 103.0, 99.0, 101.0), (101.0, 102.0, 98.0, 102.0), FLAT, FLAT]
    bars = tape(rows)
    wants = signals(bars, {0: 1}, stop={0: 90.0})
    one = stage({"SPY": (bars, wants)}, Execution(size=Shares(100), exit=leave))
    assert tale(play(one, FREE))[1] == (4, "-100", "100.0000", "signal")
    assert [held.bars for _, held in seen] == [1, 2, 3]  # asked once about each close
    close, held = seen[1]
    assert (close, held.entry_price, held.bars) == (102.0, 100.0, 2)
    assert (held.best, held.worst, held.stop) == (103.0, 98.0, 90.0)


def test_an_exits_call_that_answers_neither_yes_nor_no_is_refused() -> None:
    bars = tape([FLAT] * 4)
    how = Execution(size=Shares(1), exit=lambda now, held: "yes")  # type: ignore[arg-type,return-value]
    with pytest.raises(BadInput, match="exit's call answered 'yes' at SPY 2024-01-02 14:31"):
        play(stage({"SPY": (bars, signals(bars, {0: 1}))}, how), FREE)


def test_an_exits_call_sees_bars_from_before_a_split_on_the_scale_after_it() -> None:
    seen: list[tuple[float, float]] = []

    def leave(now: Moment, held: Held) -> bool:
        seen.append((now("close", 1), held.entry_price))
        return False

    bars = tape([(700.0,) * 4] * 2 + [(100.0,) * 4] * 2, minutes=2)
    wants = signals(bars, {0: 1})
    how = Execution(size=Shares(10), exit=leave)
    play(stage({"SPY": (bars, wants)}, how, actions=[_split("7")]), FREE)
    assert seen == [(700.0, 700.0), (pytest.approx(100.0), 100.0), (100.0, 100.0)]


def test_an_exit_as_a_call_leaves_where_the_same_condition_leaves() -> None:
    def falls(now: Moment, held: Held) -> bool:
        return now("fast") < now("slow") and now("fast", 1) >= now("slow", 1)

    ways = (
        Execution(size=Shares(300), stop=Percent(0.002), target=Percent(0.003)),
        Execution(size=Shares(300), trail=Percent(0.002)),
        Execution(size=Shares(300), max_bars=9),
        Execution(size=Shares(300), flat_before_close_min=5.0),
    )
    for number, way in enumerate(ways):
        bars = minute_tape(number, days=4, missing=0.05)
        told = [
            play(_crossing(bars, replace(way, exit=leave)), FREE).fills
            for leave in (crosses_below("fast", "slow"), falls)
        ]
        assert len(told[0]) > 60
        assert told[0] == told[1]


def _crossing(bars: SessionBars, execution: Execution) -> Stage:
    plan = Plan(
        columns={"fast": _mean(4), "slow": _mean(11)},
        scan=Scan(long=crosses_above("fast", "slow")),
        execution=execution,
    )
    wants = signals_of(plan, bars, Timeframe.MINUTE)
    part = Part(bars=bars, signals=wants, first_row=0)
    return Stage(plan=plan, timeframe=Timeframe.MINUTE, parts={"SPY": part})


def _mean(period: int) -> Calculator:
    def compute(bars: SessionBars) -> np.ndarray:
        means = np.full(len(bars), np.nan)
        sums = np.cumsum(np.concatenate(([0.0], bars.close)))
        means[period - 1 :] = (sums[period:] - sums[:-period]) / period
        return means

    return Calculator(name="mean", warm_up=period, compute=compute)


def test_a_short_earns_what_the_price_falls_and_its_stop_is_above() -> None:
    bars = tape([FLAT, FLAT, (95.0, 95.0, 95.0, 95.0), FLAT, (100.0, 102.0, 100.0, 101.0)])
    won = played(bars, {0: -1}, leave=[1])
    assert money(won.equity[-1]) == Decimal(100_500)
    assert tale(played(bars, {0: -1}, stop={0: 101.0}))[1] == (4, "100", "101.0000", "stop")


def test_a_short_is_refused_where_the_account_may_not() -> None:
    result = played(tape([FLAT, FLAT]), {0: -1}, Terms(rules=FRICTIONLESS))
    assert (result.fills, result.refused) == ((), {"short": 1})


def test_an_entry_of_no_share_is_refused() -> None:
    result = played(tape([FLAT, FLAT]), {0: 1}, execution=Execution(size=Dollars(99.0)))
    assert (result.fills, result.refused, result.signals) == ((), {"quantity": 1}, 1)


def test_a_trailing_stop_follows_the_best_price_from_the_next_bar_on() -> None:
    rows = [
        FLAT,
        (100.0, 101.0, 99.6, 100.8),  # best 101: the stop goes to 100.00
        (100.8, 103.004, 100.5, 102.5),  # best 103.004: to 102.00, rounded down to the tick
        (102.4, 102.5, 101.0, 101.0),
    ]
    result = played(tape(rows), {0: 1}, stop={0: 99.5}, trail={0: 1.0})
    assert tale(result)[1] == (3, "-100", "102.0000", "trail")


def test_a_trailing_stop_of_a_short_rounds_up_and_never_moves_away() -> None:
    rows = [
        FLAT,
        (100.0, 100.2, 97.004, 98.0),  # best 97.004: the stop goes to 98.01
        (98.0, 98.0, 97.5, 97.6),
        (97.6, 98.5, 97.6, 98.5),
    ]
    result = played(tape(rows), {0: -1}, stop={0: 101.0}, trail={0: 1.0})
    assert tale(result)[1] == (3, "100", "98.0100", "trail")


def test_a_stop_that_was_never_moved_is_no_trailing_stop_whatever_came_before() -> None:
    rows = [FLAT, (100.0, 102.0, 100.0, 102.0), (102.0, 102.0, 100.5, 101.0), FLAT]
    rows.append((100.0, 100.0, 98.0, 98.5))
    result = played(tape(rows), {0: 1, 3: 1}, stop={0: 99.0, 3: 99.0}, trail={0: 1.0, 3: 1.0})
    assert [told[3] for told in tale(result)] == ["scan", "trail", "scan", "stop"]


def test_every_part_of_an_entry_carries_the_stop_that_its_risk_was_measured_by() -> None:
    rows = [(*FLAT, 1e6), (100.0, 103.0, 100.0, 103.0, 400.0), (103.0, 103.0, 103.0, 103.0, 1e6)]
    terms = replace(FREE, rules=replace(FRICTIONLESS, volume_share=Decimal("0.1")))
    result = played(tape(rows), {0: 1}, terms, stop={0: 99.0}, trail={0: 1.0})
    assert [(int(fill.qty), fill.stop) for fill in result.fills] == [
        (40, Decimal(99)),
        (60, Decimal(99)),
    ]


def test_a_close_beyond_where_the_stop_would_go_is_left_at_the_next_open() -> None:
    rows = [FLAT, (100.0, 105.0, 99.8, 101.0), (101.5, 101.5, 101.5, 101.5)]
    result = played(tape(rows), {0: 1}, stop={0: 98.0}, trail={0: 2.0})
    assert tale(result)[1] == (2, "-100", "101.5000", "trail")
    assert result.fills[1].leg is Leg.EXIT


def test_a_trailing_stop_that_was_touched_is_not_moved_any_more() -> None:
    rows = [
        (*FLAT, 1e6),
        (*FLAT, 1e6),
        (100.0, 104.0, 99.0, 103.0, 300.0),  # touched, with volume for 30
        (103.0, 106.0, 103.0, 106.0, 300.0),
        (106.0, 106.0, 106.0, 106.0, 1e6),
    ]
    terms = replace(FREE, rules=replace(FRICTIONLESS, volume_share=Decimal("0.1")))
    result = played(tape(rows), {0: 1}, terms, stop={0: 99.5}, trail={0: 5.0})
    assert tale(result)[1:] == [
        (2, "-30", "99.5000", "stop"),
        (3, "-30", "103.0000", "stop"),
        (4, "-40", "106.0000", "stop"),
    ]


def _split(ratio: str, day: int = 1) -> CorporateAction:
    return CorporateAction(
        symbol="SPY", kind=ActionKind.SPLIT, ex_date=weekdays(9)[day], ratio=Decimal(ratio)
    )


def test_a_split_rescales_the_position_and_its_legs_and_costs_nothing() -> None:
    rows = [(700.0,) * 4] * 2 + [(100.0,) * 4, (100.0, 100.0, 98.0, 99.0)]
    result = played(
        tape(rows, minutes=2), {0: 1}, actions=[_split("7")], stop={0: 693.0}, target={0: 770.0}
    )
    assert tale(result) == [(1, "100", "700.0000", "scan"), (3, "-700", "99.0000", "stop")]
    assert [money(units) for units in result.equity] == [100_000, 100_000, 100_000, 99_300]


def test_a_split_rescales_an_entry_that_is_on_its_way() -> None:
    rows = [(700.0,) * 4] * 2 + [(100.0,) * 4, (100.0, 112.0, 100.0, 110.0)]
    result = played(
        tape(rows, minutes=2), {1: 1}, actions=[_split("7")], stop={1: 693.0}, target={1: 770.0}
    )
    assert tale(result) == [(2, "700", "100.0000", "scan"), (3, "-700", "110.00", "target")]


def test_a_reverse_split_may_leave_parts_of_a_share_and_equity_stays_exact() -> None:
    rows = [(10.0,) * 4] * 2 + [(30.0,) * 4, (31.0,) * 4]
    third = Decimal(1) / 3
    result = played(tape(rows, minutes=2), {0: 1}, actions=[_split(str(third))])
    assert [money(units) for units in result.equity] == [
        Decimal(100_000),
        Decimal(100_000),
        Decimal(100_000),
        Decimal("100033.3333"),
    ]


def test_parts_of_a_unit_are_rounded_once_and_halves_to_even() -> None:
    rows = [(15.0,) * 4] * 2 + [(10.0001,) * 4, (10.0003,) * 4]
    result = played(
        tape(rows, minutes=2), {0: 1}, execution=Execution(size=Shares(1)), actions=[_split("1.5")]
    )
    # 1.5 shares are worth 15.00015 and 15.00045 USD
    assert [int(units) - 1_000_000_000 for units in result.equity] == [0, 0, 2, 4]


def test_a_dividend_is_paid_to_the_long_and_by_the_short() -> None:
    paid = CorporateAction(
        symbol="SPY", kind=ActionKind.DIVIDEND, ex_date=weekdays(2)[1], cash=Decimal("0.755")
    )
    bars = tape([FLAT] * 4, minutes=2)
    for side, amount in ((1, "75.50"), (-1, "-75.50")):
        result = played(bars, {0: side}, actions=[paid])
        (flow,) = result.flows
        assert flow.amount == Decimal(amount)
        assert flow.at == session_on(weekdays(2)[1]).opens_at
        assert money(result.equity[-1]) == Decimal(100_000) + Decimal(amount)
    assert played(bars, {1: 1}, actions=[paid]).flows == ()


def test_two_symbols_that_want_the_same_cash_get_it_in_their_order() -> None:
    parts = {}
    for symbol in ("BBB", "AAA"):
        bars = tape([FLAT, FLAT, FLAT], symbol=symbol)
        parts[symbol] = (bars, signals(bars, {0: 1}))
    result = play(stage(parts, Execution(size=Dollars(60_000.0))), FREE)
    assert [(f.symbol, int(f.qty)) for f in result.fills] == [("AAA", 600), ("BBB", 400)]
    assert result.unaffordable == 1


def test_what_one_symbol_sells_at_an_open_another_buys_with_at_the_same_open() -> None:
    first, second = (tape([FLAT] * 4, symbol=symbol) for symbol in ("AAA", "BBB"))
    parts = {
        "AAA": (first, signals(first, {1: 1})),
        "BBB": (second, signals(second, {0: 1}, leave=[1])),
    }
    result = play(stage(parts, Execution(size=Dollars(100_000.0))), FREE)
    assert [(f.symbol, f.row, int(f.qty)) for f in result.fills] == [
        ("BBB", 1, 1000),
        ("BBB", 2, -1000),
        ("AAA", 2, 1000),
    ]


def test_rows_before_the_first_one_decide_nothing() -> None:
    bars = tape([FLAT] * 5)
    one = stage({"SPY": (bars, signals(bars, {0: 1, 3: 1}))}, first_row=2)
    result = play(one, FREE)
    assert [fill.row for fill in result.fills] == [4]
    assert len(result.instants) == 3


def test_a_stage_without_bars_comes_to_nothing() -> None:
    bars = only(tape([FLAT]), [])
    result = play(stage({"SPY": (bars, signals(bars, {}))}), FREE)
    assert (result.fills, len(result.equity)) == ((), 0)


@pytest.mark.parametrize("symbols", [("AAA",), ("AAA", "BBB")])
def test_equity_is_told_after_every_close_of_any_symbol(symbols: tuple[str, ...]) -> None:
    holes = {"AAA": [0, 1, 3], "BBB": [0, 2, 3]}
    parts = {}
    for symbol in symbols:
        bars = only(tape([FLAT] * 4, symbol=symbol), holes[symbol])
        parts[symbol] = (bars, signals(bars, {}))
    assert len(play(stage(parts), FREE).instants) == (3 if len(symbols) == 1 else 4)
