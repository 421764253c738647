"""T6: strategies that know nothing come to nothing, less what trading costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.grid import to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.strategy import Execution, Shares
from tests.fakes.tapes import daily_tape, minute_tape, tape
from tests.tools.backtester.simulator.stages import FREE, money, played, signals, stage
from tools.backtester.contract import Played, Terms
from tools.backtester.trades import round_trips

SEED = 20261121
COSTS = Terms(rules=FillRules(volume_share=None))


def test_t6_a_round_trip_at_one_price_without_costs_is_nothing() -> None:
    result = played(tape([(100.0,) * 4] * 4), {0: 1}, leave=[1])
    assert money(result.equity[-1]) == FREE.cash
    assert set(result.equity.tolist()) == {to_units(FREE.cash)}


def test_t6_buy_and_hold_without_costs_is_the_price_ratio_exactly() -> None:
    bars = daily_tape(SEED, days=400)
    shares = 1_000
    first, last = (to_units(Decimal(repr(float(p)))) for p in (bars.open[1], bars.close[-1]))
    cash = Decimal(first * shares) / 10_000
    result = played(
        bars,
        {0: 1},
        replace(FREE, cash=cash),
        Execution(size=Shares(shares)),
        timeframe=Timeframe.DAY,
    )
    assert len(result.fills) == 1
    assert int(result.equity[-1]) == last * shares
    assert Decimal(int(result.equity[-1])) / to_units(cash) == Decimal(last) / Decimal(first)


def test_t6_random_entries_lose_about_what_they_cost() -> None:
    print(f"seed {SEED}")
    free, paid = [], []
    for number in range(12):
        bars = minute_tape(SEED + number, days=5)
        free.append(_random_run(bars, number, replace(COSTS, rules=FRICTIONLESS)))
        paid.append(_random_run(bars, number, COSTS))
    for one, other in zip(free, paid, strict=True):
        assert [fill.row for fill in one.fills] == [fill.row for fill in other.fills]
        costs = sum((f.fee for f in other.fills), Decimal(0)) + sum(
            abs(f.qty) * abs(f.price - g.price) for f, g in zip(other.fills, one.fills, strict=True)
        )
        assert one.equity[-1] - other.equity[-1] == to_units(costs)
    outcomes = np.array([int(run.equity[-1]) / 1e4 - 100_000 for run in free])
    assert abs(outcomes.mean()) < 3 * outcomes.std() / np.sqrt(len(outcomes))


def _random_run(bars: SessionBars, number: int, terms: Terms) -> Played:
    rng = np.random.default_rng(number)
    entries = {int(row): 1 for row in np.flatnonzero(rng.random(len(bars) - 1) < 0.02)}
    execution = Execution(size=Shares(100), max_bars=10)
    return played(bars, entries, terms, execution)


def test_t6_what_the_round_trips_earned_is_what_the_account_earned() -> None:
    bars = minute_tape(SEED, days=3)
    rng = np.random.default_rng(SEED)
    entries = {int(row): int(rng.choice((1, -1))) for row in rng.integers(0, len(bars), 60)}
    stop = {row: bars.close[row] * (1 - side * 0.002) for row, side in entries.items()}
    wants = signals(bars, entries, stop={row: round(p, 2) for row, p in stop.items()})
    one = stage({"SPY": (bars, wants)}, Execution(size=Shares(100), max_bars=25))
    result = played(
        bars,
        entries,
        replace(COSTS, allow_short=True),
        one.plan.execution,
        stop={row: round(p, 2) for row, p in stop.items()},
    )
    trips = round_trips(result, one)
    closed = sum((trip.pnl for trip in trips if not trip.is_open), Decimal(0))
    opened = sum((f.qty * f.price + f.fee for f in result.fills), Decimal(0))
    worth = money(result.equity[-1]) - COSTS.cash
    held = sum(
        (-end.qty * Decimal(repr(float(bars.close[-1]))) for end in result.at_end), Decimal(0)
    )
    assert worth == held - opened
    if not result.at_end:
        assert closed == worth
