"""A bar that reached stop and target is told by shorter bars, where there are any."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Leg
from roboinvest.core.quant.conditions import above
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import Execution, Percent, Plan, Scan, Shares
from tests.fakes.tapes import tape
from tools.backtester.contract import Part, Played, Stage, Terms
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator

PLAN = Plan(
    columns={},
    scan=Scan(long=above("volume", 1_500_000)),
    execution=Execution(size=Shares(10), stop=Percent(0.02), target=Percent(0.02)),
)
WILD = (100.0, 103.0, 97.0, 100.0)  # reaches both 98 and 102
QUIET = (100.0, 100.0, 100.0, 100.0)


def five_minutes(minutes: SessionBars) -> SessionBars:
    """Return bars of five minutes made of minutes."""
    begins = np.arange(0, len(minutes), 5)
    return SessionBars(
        symbol="SPY",
        ts=minutes.ts[begins],
        closes_at=minutes.closes_at[begins + 4],
        day=minutes.day[begins],
        open=minutes.open[begins],
        high=np.maximum.reduceat(minutes.high, begins),
        low=np.minimum.reduceat(minutes.low, begins),
        close=minutes.close[begins + 4],
        volume=np.add.reduceat(minutes.volume, begins),
        opens=minutes.opens[begins],
        ends=minutes.ends[begins],
    )


def played(second: list[tuple[float, float, float, float]], *, finer: bool) -> Played:
    """Play five quiet minutes with the signal, then five that are given."""
    first = [(*QUIET, 400_000.0)] * 5
    minutes = tape([*first, *((*row, 1_000.0) for row in second)], minutes=10)
    bars = five_minutes(minutes)
    part = Part(
        bars=bars,
        signals=signals_of(PLAN, bars, Timeframe.MINUTES_5),
        first_row=0,
        finer=minutes if finer else None,
    )
    stage = Stage(plan=PLAN, timeframe=Timeframe.MINUTES_5, parts={"SPY": part})
    return simulator.play(stage, Terms(rules=replace(FRICTIONLESS, volume_share=None)))


UP, DOWN = (100.0, 103.0, 100.0, 101.0), (101.0, 101.0, 97.0, 98.5)


@pytest.mark.parametrize(
    ("order", "leg", "price"),
    [
        ([QUIET, UP, DOWN, QUIET, QUIET], Leg.TARGET, 102),
        ([QUIET, DOWN, UP, QUIET, QUIET], Leg.STOP, 98),
    ],
)
def test_the_level_that_was_reached_first_counts(
    order: list[tuple[float, float, float, float]], leg: Leg, price: int
) -> None:
    run = played(order, finer=True)
    last = run.fills[-1]
    assert (last.leg, last.price, last.ambiguous) == (leg, Decimal(price), False)
    assert (run.ambiguous, run.resolved) == (0, 1)


def test_without_finer_bars_the_worst_is_assumed_and_counted() -> None:
    run = played([QUIET, UP, DOWN, QUIET, QUIET], finer=False)
    assert (run.fills[-1].leg, run.fills[-1].ambiguous) == (Leg.STOP, True)
    assert (run.ambiguous, run.resolved) == (1, 0)


def test_finer_bars_that_cannot_tell_either_leave_the_worst() -> None:
    run = played([QUIET, WILD, QUIET, QUIET, QUIET], finer=True)
    assert (run.fills[-1].leg, run.fills[-1].ambiguous) == (Leg.STOP, True)
    assert (run.ambiguous, run.resolved) == (1, 0)


def test_the_kernel_leaves_runs_with_finer_bars_to_the_simulator() -> None:
    minutes = tape([(*QUIET, 400_000.0)] * 10, minutes=10)
    bars = five_minutes(minutes)
    signals = signals_of(PLAN, bars, Timeframe.MINUTES_5)
    part = Part(bars=bars, signals=signals, first_row=0, finer=minutes)
    stage = Stage(plan=PLAN, timeframe=Timeframe.MINUTES_5, parts={"SPY": part})
    assert "finer bars" in (kernel.refusal(stage, Terms()) or "")
