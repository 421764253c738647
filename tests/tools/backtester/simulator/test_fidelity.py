"""The fidelity rules as sentences, each on a tape that a person can work out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Leg
from roboinvest.core.risk import RiskLimits
from roboinvest.core.strategy import EquityShare, Execution
from tests.fakes.tapes import FIRST_DAY, daily_tape, session_on, tape
from tests.tools.backtester.simulator.stages import (
    FREE,
    Levels,
    money,
    only,
    played,
    tale,
)
from tools.backtester.contract import Terms

FLAT = (100.0, 100.0, 100.0, 100.0)
SLIPPED = Terms(rules=replace(FRICTIONLESS, slippage_bps=Decimal(10)), allow_short=True)
A_TENTH = Terms(rules=replace(FRICTIONLESS, volume_share=Decimal("0.1")), allow_short=True)
STOP: Levels = {0: 99.0}
TARGET: Levels = {0: 102.0}


def test_f1_an_entry_fills_at_the_open_after_its_signal_and_slips_against_us() -> None:
    bars = tape([FLAT, (101.0, 103.0, 100.5, 102.0), FLAT])
    assert tale(played(bars, {0: 1}, SLIPPED)) == [(1, "100", "101.1010", "scan")]
    assert tale(played(bars, {0: -1}, SLIPPED)) == [(1, "-100", "100.8990", "scan")]


def test_f1_the_bar_of_the_signal_itself_fills_nothing() -> None:
    bars = tape([FLAT, (98.0, 98.0, 98.0, 98.0)])
    (fill,) = played(bars, {0: 1}).fills
    assert (fill.row, fill.signal_row, fill.price) == (1, 0, Decimal("98.0000"))
    assert fill.at == to_ns(session_on(FIRST_DAY).opens_at + timedelta(minutes=1))


def test_f1_a_signal_on_the_last_bar_fills_nothing() -> None:
    result = played(tape([FLAT, FLAT]), {1: 1})
    assert (result.fills, result.signals, result.expired) == ((), 1, 0)


def test_f2_levels_stay_where_the_signal_put_them_whatever_the_entry_cost() -> None:
    bars = tape([FLAT, (101.0, 101.5, 100.8, 101.0), (101.0, 102.5, 101.0, 102.0)])
    result = played(bars, {0: 1}, stop=STOP, target=TARGET)
    assert tale(result)[1] == (2, "-100", "102.0000", "target")
    assert (result.fills[0].stop, result.fills[0].target) == (Decimal(99), Decimal(102))


def test_f3_a_gap_through_the_stop_fills_at_the_open_and_slips() -> None:
    bars = tape([FLAT, FLAT, (97.0, 98.0, 96.0, 98.0)])
    assert tale(played(bars, {0: 1}, SLIPPED, stop=STOP))[1] == (2, "-100", "96.9030", "stop")


def test_f3_a_gap_through_the_target_fills_at_the_open_without_slippage() -> None:
    bars = tape([FLAT, FLAT, (103.0, 104.0, 101.0, 101.0)])
    told = tale(played(bars, {0: 1}, SLIPPED, stop=STOP, target=TARGET))
    assert told[1] == (2, "-100", "103.0000", "target")


def test_f3_a_bar_that_touches_both_levels_is_a_stop_and_says_that_it_cannot_tell() -> None:
    bars = tape([FLAT, FLAT, (100.0, 102.5, 98.5, 101.0)])
    result = played(bars, {0: 1}, stop=STOP, target=TARGET)
    exit_fill = result.fills[1]
    assert tale(result)[1] == (2, "-100", "99.0000", "stop")
    assert (result.ambiguous, exit_fill.ambiguous) == (1, True)
    assert exit_fill.kindest == Decimal("102.0000")


def test_f3_the_bar_of_the_entry_counts_for_its_stop() -> None:
    bars = tape([FLAT, (100.0, 100.5, 98.0, 100.0), FLAT])
    assert tale(played(bars, {0: 1}, stop=STOP)) == [
        (1, "100", "100.0000", "scan"),
        (1, "-100", "99.0000", "stop"),
    ]


def test_f3_an_entry_that_opens_beyond_its_stop_is_stopped_at_that_open() -> None:
    bars = tape([FLAT, (98.0, 98.5, 97.0, 98.0), FLAT])
    assert tale(played(bars, {0: 1}, SLIPPED, stop=STOP)) == [
        (1, "100", "98.0980", "scan"),
        (1, "-100", "97.9020", "stop"),
    ]


def test_a_bar_of_one_price_fills_a_market_order_and_still_costs() -> None:
    bars = tape([FLAT, FLAT, FLAT])
    told = tale(played(bars, {0: 1}, SLIPPED, leave=[1]))
    assert told == [(1, "100", "100.1000", "scan"), (2, "-100", "99.9000", "signal")]


def test_f4_a_target_needs_the_market_to_trade_through_it() -> None:
    strict = Terms(rules=replace(FRICTIONLESS, limit_needs_trade_through=True))
    touched = [FLAT, FLAT, (100.0, 102.0, 100.0, 101.0), (101.0, 102.01, 101.0, 102.0)]
    told = tale(played(tape(touched), {0: 1}, strict, target=TARGET))
    assert told[1] == (3, "-100", "102.0000", "target")
    assert tale(played(tape(touched), {0: 1}, target=TARGET))[1][0] == 2


def test_f5_an_entry_takes_its_share_of_the_volume_and_the_rest_waits() -> None:
    bars = tape([FLAT, (*FLAT, 400.0), (*FLAT, 0.0), (*FLAT, 350.0), (*FLAT, 1e6), FLAT])
    assert tale(played(bars, {0: 1}, A_TENTH)) == [
        (1, "40", "100.0000", "scan"),
        (3, "35", "100.0000", "scan"),
        (4, "25", "100.0000", "scan"),
    ]


def test_f5_a_bar_without_volume_fills_nothing_and_a_touched_stop_fills_at_the_next_opens() -> None:
    bars = tape(
        [
            FLAT,
            FLAT,
            (100.0, 102.5, 98.0, 101.0, 0.0),
            (103.0, 103.0, 103.0, 103.0, 600.0),
            (104.0, 104.0, 104.0, 104.0),
        ]
    )
    result = played(bars, {0: 1}, A_TENTH, stop=STOP, target=TARGET)
    assert tale(result)[1:] == [(3, "-60", "103.0000", "stop"), (4, "-40", "104.0000", "stop")]
    assert result.ambiguous == 1


def test_f5_what_is_left_of_an_entry_dies_at_the_sessions_end() -> None:
    thin = (*FLAT, 300.0)
    bars = tape([FLAT, thin, thin, FLAT, FLAT], minutes=3)
    result = played(bars, {0: 1}, A_TENTH)
    assert tale(result) == [(1, "30", "100.0000", "scan"), (2, "30", "100.0000", "scan")]
    assert result.expired == 1


def test_f5_a_bracket_that_starts_to_exit_stops_entering() -> None:
    bars = tape([FLAT, (*FLAT, 400.0), (100.0, 100.0, 98.0, 99.0, 400.0), FLAT, FLAT])
    told = tale(played(bars, {0: 1}, A_TENTH, stop=STOP))
    # the open of bar 2 buys 40 more and uses the volume up: the touched stop waits for bar 3
    assert told[2:] == [(3, "-80", "100.0000", "stop")]


def test_f6_both_sides_pay_commission_and_a_sale_pays_the_regulators() -> None:
    terms = Terms(
        rules=FillRules(slippage_bps=Decimal(0), commission_per_share_usd=Decimal("0.01"))
    )
    result = played(tape([FLAT, FLAT, FLAT]), {0: 1}, terms, leave=[1])
    # 1.00 commission; 10,000 x 0.0000206 and 100 x 0.000195, each rounded up to the cent
    assert [fill.fee for fill in result.fills] == [Decimal("1.00"), Decimal("1.23")]
    assert money(result.equity[-1]) == Decimal("99997.77")


def test_f7_cash_is_looked_at_at_the_fill_and_what_it_cannot_pay_is_given_up() -> None:
    bars = tape([FLAT, (110.0, 110.0, 110.0, 110.0), FLAT, FLAT])
    result = played(bars, {0: 1}, execution=Execution(size=EquityShare(1.0)))
    assert tale(result) == [(1, "909", "110.0000", "scan")]
    assert (result.unaffordable, result.expired) == (1, 0)


def test_f7_a_cover_that_cash_cannot_pay_waits_for_the_next_bar() -> None:
    bars = tape([FLAT, FLAT, (250.0,) * 4, (6.0,) * 4, (5.0,) * 4, FLAT])
    terms = replace(FREE, cash=Decimal(10_100))
    result = played(bars, {0: -1}, terms, stop={0: 101.0})
    assert tale(result) == [
        (1, "-100", "100.0000", "scan"),
        (2, "80", "250.0000", "stop"),
        (3, "16", "6.0000", "stop"),
    ]
    assert {fill.leg for fill in result.fills[1:]} == {Leg.STOP}
    assert result.unaffordable > 2  # asked for again at every open
    assert [end.qty for end in result.at_end] == [4]
    assert money(result.equity[-1]) == Decimal(4 - 400)


def test_f8_an_open_position_is_marked_and_what_selling_it_would_cost_is_told() -> None:
    result = played(tape([FLAT, FLAT, (105.0, 105.0, 105.0, 105.0)]), {0: 1}, SLIPPED)
    (end,) = result.at_end
    assert money(result.equity[-1]) == Decimal(100_000) - Decimal("10010") + Decimal("10500")
    assert (end.price, end.qty, end.cause.value) == (Decimal("104.8950"), Decimal(-100), "end")


def test_f9_equal_stages_give_equal_results() -> None:
    bars = tape([FLAT, FLAT, (100.0, 102.5, 98.5, 101.0), FLAT])
    one, two = (played(bars, {0: 1, 2: -1}, stop={0: 99.0, 2: 102.0}) for _ in range(2))
    assert one.fills == two.fills
    assert one.equity.tolist() == two.equity.tolist()


def test_f10_with_limits_nothing_is_sent_at_the_sessions_close() -> None:
    limits = RiskLimits(max_position_frac=Decimal(1), no_entry_last=timedelta(0))
    bars = tape([FLAT] * 8, minutes=4)
    limited = played(bars, {3: 1}, replace(FREE, limits=limits))
    assert (limited.fills, limited.refused) == ((), {"session": 1})
    assert tale(played(bars, {3: 1})) == [(4, "100", "100.0000", "scan")]
    kept = played(bars, {0: 1}, replace(FREE, limits=limits), leave=[3, 4])
    assert tale(kept)[1] == (5, "-100", "100.0000", "signal")


def test_f10_on_day_bars_risk_is_asked_as_of_the_next_sessions_open() -> None:
    limits = RiskLimits(max_position_frac=Decimal(1), max_trades_per_day=1)
    result = played(
        daily_tape(1, days=6),
        {0: 1, 5: 1},
        Terms(limits=limits),
        timeframe=Timeframe.DAY,
        leave=[2],
    )
    assert [fill.row for fill in result.fills] == [1, 3]
    assert result.refused == {"session": 1}  # the last bar: no session follows


def test_an_order_of_a_half_day_dies_at_its_early_close() -> None:
    bars = tape([FLAT, (*FLAT, 0.0), FLAT], minutes=2)
    result = played(bars, {0: 1}, A_TENTH)
    assert (result.fills, result.expired) == ((), 1)


def test_an_entry_at_a_close_lives_through_the_next_session() -> None:
    bars = tape([FLAT, FLAT, (*FLAT, 0.0), FLAT], minutes=2)
    assert tale(played(bars, {1: 1}, A_TENTH)) == [(3, "100", "100.0000", "scan")]


def test_an_exit_whose_bars_are_missing_dies_and_the_position_gets_its_stop_back() -> None:
    falls = (100.0, 100.0, 98.0, 98.5)
    bars = only(tape([FLAT, FLAT, FLAT, FLAT, FLAT, FLAT, falls], minutes=4), [0, 1, 4, 5, 6])
    # rows: 0, 1 of the first day (its last two are missing), then 2, 3, 4 of the second
    result = played(bars, {0: 1}, stop=STOP, late=[1])
    assert tale(result) == [(1, "100", "100.0000", "scan"), (4, "-100", "99.0000", "stop")]
    assert result.fills[1].leg is Leg.STOP


def test_a_position_without_a_stop_that_opens_beyond_it_is_left_at_the_market() -> None:
    low = (98.0, 98.0, 98.0, 98.0)
    bars = only(tape([FLAT, FLAT, FLAT, FLAT, low, low, low], minutes=4), [0, 1, 4, 5, 6])
    result = played(bars, {0: 1}, stop=STOP, late=[1])
    assert tale(result)[1] == (3, "-100", "98.0000", "stop")
    assert result.fills[1].leg is Leg.EXIT
