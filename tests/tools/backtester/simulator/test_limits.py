"""The house's limits over a simulated account: clamps, latches and protections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time, timedelta
from decimal import Decimal

from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.risk import RiskLimits, check_intent, narrowed, size_entry
from roboinvest.core.strategy import Dollars, Execution, RiskShare, Shares
from tests.fakes.mandates import mandate
from tests.fakes.risks import BOOK, BUY
from tests.fakes.tapes import minute_tape, tape
from tests.tools.backtester.simulator.stages import (
    money,
    plain,
    played,
    signals,
    stage,
    tale,
)
from tools.backtester.contract import Played, Terms
from tools.backtester.simulator.simulator import play

FLAT = (100.0, 100.0, 100.0, 100.0)
WIDE = RiskLimits(
    allow_short=True,
    risk_per_trade_frac=Decimal(1),
    max_order_usd=Decimal(10**9),
    max_position_frac=Decimal(1),
    max_gross_frac=Decimal(1),
    max_daily_loss_frac=Decimal(1),
    max_drawdown_frac=Decimal(1),
    max_trades_per_day=100,
    no_entry_last=timedelta(0),
)


def _terms(limits: RiskLimits = WIDE, protections: ProtectionRules | None = None) -> Terms:
    return Terms(rules=FRICTIONLESS, allow_short=True, limits=limits, protections=protections)


def _prices(*closes: float) -> list[tuple[float, float, float, float]]:
    return [(close,) * 4 for close in closes]


def test_an_entry_is_as_large_as_the_houses_risk_lets_it_be() -> None:
    limits = replace(
        WIDE,
        risk_per_trade_frac=Decimal("0.0025"),
        max_order_usd=Decimal(12_000),
        max_position_frac=Decimal("0.20"),
    )
    asked = size_entry(Decimal(100_000), Decimal(100), Decimal(99), limits)
    verdict = check_intent(replace(BUY, qty=asked), BOOK, limits)
    result = played(
        tape([FLAT] * 3), {0: 1}, _terms(limits), Execution(size=Shares(900)), stop={0: 99.0}
    )
    assert plain(asked, verdict.qty) == (250, 120)
    assert [fill.qty for fill in result.fills] == [verdict.qty]
    assert result.clamped == {"risk_per_trade": 1} | {clamp.rule: 1 for clamp in verdict.clamps}


def test_a_small_entry_passes_as_it_is_asked_for() -> None:
    result = played(tape([FLAT] * 3), {0: 1}, _terms(), stop={0: 99.0})
    assert tale(result) == [(1, "100", "100.0000", "scan")]
    assert (result.clamped, result.refused) == ({}, {})


def _after_a_fall(limits: RiskLimits, bars_down: int, *, session: int = 390) -> Played:
    """Hold 500 shares through a fall of 5 USD, leave at 101, and ask again in row 8 and 10."""
    prices = _prices(100.0, 100.0, *[95.0] * bars_down, *[101.0] * 12)
    return played(
        tape(prices, minutes=session),
        {0: 1, 8: 1, 10: 1},
        _terms(limits),
        Execution(size=Shares(500)),
        leave=[5],
    )


def test_three_readings_of_a_days_loss_stop_entries_for_the_day_though_it_recovers() -> None:
    limits = replace(WIDE, max_daily_loss_frac=Decimal("0.02"))
    assert _after_a_fall(limits, 3).refused == {"daily_loss": 2}
    assert [fill.row for fill in _after_a_fall(limits, 3, session=10).fills] == [1, 6, 11]


def test_two_readings_of_a_loss_are_not_believed_once_it_is_over() -> None:
    for limits in (
        replace(WIDE, max_daily_loss_frac=Decimal("0.02")),
        replace(WIDE, max_drawdown_frac=Decimal("0.02")),
    ):
        result = _after_a_fall(limits, 2)
        assert (result.refused, [fill.row for fill in result.fills]) == ({}, [1, 6, 9])


def test_a_confirmed_drawdown_stops_entries_for_good() -> None:
    limits = replace(WIDE, max_drawdown_frac=Decimal("0.02"))
    result = _after_a_fall(limits, 3, session=10)
    assert (result.refused, [fill.row for fill in result.fills]) == ({"drawdown": 2}, [1, 6])


def test_a_peak_that_one_bar_invents_is_no_peak() -> None:
    limits = replace(WIDE, max_drawdown_frac=Decimal("0.04"))
    prices = _prices(100.0, 100.0, 110.0, *[100.5] * 8)
    result = played(
        tape(prices), {0: 1, 6: 1}, _terms(limits), Execution(size=Shares(500)), leave=[4]
    )
    assert (result.refused, len(result.fills)) == ({}, 3)


def test_a_loss_that_is_there_now_stops_an_entry_at_once() -> None:
    limits = replace(WIDE, max_daily_loss_frac=Decimal("0.02"))
    prices = _prices(100.0, 100.0, 95.0, 95.0)
    result = played(
        tape(prices), {0: 1, 3: 1}, _terms(limits), Execution(size=Shares(500)), leave=[2]
    )
    assert result.refused == {"daily_loss": 1}


def test_only_so_many_entries_a_day() -> None:
    limits = replace(WIDE, max_trades_per_day=1)
    result = played(tape([FLAT] * 12, minutes=6), {0: 1, 3: 1, 7: 1}, _terms(limits), leave=[1])
    assert result.refused == {"trades_per_day": 1}
    assert [fill.row for fill in result.fills] == [1, 2, 8]


def test_the_last_minutes_of_a_session_enter_nothing() -> None:
    limits = replace(WIDE, no_entry_last=timedelta(minutes=2))
    result = played(tape([FLAT] * 6, minutes=6), {3: 1, 2: 1}, _terms(limits), leave=[2])
    assert [fill.row for fill in result.fills] == [3]
    late = played(tape([FLAT] * 6, minutes=6), {3: 1}, _terms(limits))
    assert (late.fills, late.refused) == ((), {"session": 1})


def test_protections_count_the_trades_of_the_run() -> None:
    stopped = (100.0, 100.0, 98.0, 100.0)
    rows = [FLAT, stopped, FLAT, FLAT, FLAT, FLAT]
    cooled = ProtectionRules(cooldown=timedelta(minutes=3))
    guarded = ProtectionRules(stop_guard_stops=1, stop_guard_lock=timedelta(minutes=2))
    entries = {0: 1, 2: 1, 4: 1}
    stop: Mapping[int, float] = dict.fromkeys(entries, 99.0)
    for rules, name in ((cooled, "cooldown"), (guarded, "stop_loss_guard")):
        result = played(tape(rows), entries, _terms(protections=rules), stop=stop)
        assert (result.refused, [f.row for f in result.fills]) == ({name: 1}, [1, 1, 5])


def test_what_one_symbols_entry_will_need_another_may_not_spend() -> None:
    parts = {}
    for symbol in ("AAA", "BBB"):
        bars = tape([FLAT] * 3, symbol=symbol)
        parts[symbol] = (bars, signals(bars, {0: 1}))
    terms = _terms(replace(WIDE, max_gross_frac=Decimal(3)))
    result = play(stage(parts, Execution(size=Dollars(80_000.0))), terms)
    assert plain(*(fill.qty for fill in result.fills)) == (800, 200)
    assert (result.clamped, result.unaffordable) == ({"cash": 1}, 0)


def test_a_mandate_narrows_what_may_be_sent_inside_the_limits() -> None:
    agreed = mandate(entries_from=time(9, 32), max_order_usd=Decimal(5_000))
    result = played(tape([FLAT] * 6), {0: 1, 2: 1}, _terms(narrowed(WIDE, agreed)))
    assert result.refused == {"hours": 1}
    assert plain(*(fill.qty for fill in result.fills)) == (50,)
    assert result.clamped == {"order_value": 1, "position": 1}


def test_a_mandates_universe_binds_a_backtest_too() -> None:
    agreed = narrowed(WIDE, mandate(universe=("QQQ",), entries_from=time(9, 30)))
    assert played(tape([FLAT] * 3), {0: 1}, _terms(agreed)).refused == {"universe": 1}


def test_a_share_of_risk_is_what_a_stop_out_costs() -> None:
    rows = [FLAT, FLAT, (100.0, 100.0, 97.0, 98.0)]
    result = played(tape(rows), {0: 1}, _terms(), Execution(size=RiskShare(0.01)), stop={0: 98.0})
    assert money(result.equity[-1]) == Decimal(99_000)


def test_no_limit_is_passed_at_any_instant_of_a_busy_run() -> None:
    limits = RiskLimits(allow_short=True, max_gross_frac=Decimal("0.15"))
    bars = minute_tape(5, days=3)
    entries = {row: 1 - 2 * (row % 2) for row in range(0, len(bars), 3)}
    stop = {row: round(bars.close[row] * (1 - side * 0.002), 2) for row, side in entries.items()}
    leave = list(range(10, len(bars), 17))
    result = played(
        bars, entries, _terms(limits), Execution(size=Shares(5_000)), stop=stop, leave=leave
    )
    assert len(result.fills) > 20
    # what was allowed at the signal's price may be worth a little more at the fill
    assert (result.gross <= result.equity * 0.102).all()
    assert all(abs(fill.qty * fill.price) < 10_100 for fill in result.fills)
