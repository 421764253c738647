"""Both executors trade as backtesting.py does where its rules are ours (T1); see `oracle`.

Same bars, prices and shares, trade by trade, by exact equality; so is the money, to a float's
rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.fills import FRICTIONLESS
from roboinvest.core.market.grid import UNITS_PER_USD, price_units, tick_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.orders import Leg
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.calculators.session import session_vwap
from roboinvest.core.quant.conditions import above, at_most, crosses_above, crosses_below, every
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Execution, Percent, Plan, Reward, Scan, Shares
from tests.fakes.tapes import minute_tape, tape
from tests.tools.backtester.kernel.oracle import OracleTrade, play_oracle
from tools.backtester.contract import Part, Played, SimFill, Stage, Terms
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator
from tools.backtester.trades import round_trips

pytestmark = pytest.mark.timeout(300)  # the first to play compiles the kernel

SHARES = 100
CASH = Decimal(10_000_000)  # nothing is too dear
PER_SHARE = Decimal("0.0035")
FREE = Terms(cash=CASH, rules=FRICTIONLESS, allow_short=True)
PAID = replace(FREE, rules=replace(FRICTIONLESS, commission_per_share_usd=PER_SHARE))
EXECUTORS: dict[str, Callable[[Stage, Terms], Played]] = {
    "simulator": simulator.play,
    "kernel": kernel.play,
}
SMA_CROSS = Plan(
    columns={"fast": sma(5), "slow": sma(20)},
    scan=Scan(long=crosses_above("fast", "slow")),
    execution=Execution(size=Shares(SHARES), exit=crosses_below("fast", "slow")),
)
SMA_BOTH_WAYS = replace(
    SMA_CROSS,
    scan=Scan(long=crosses_above("fast", "slow"), short=crosses_below("fast", "slow")),
    execution=Execution(size=Shares(SHARES), stop=Percent(0.001), target=Reward(1.5), max_bars=12),
)
VWAP_BRACKET = Plan(
    columns={"vwap": session_vwap()},
    scan=Scan(long=every(above("close", "vwap"), at_most("low", "vwap"))),
    execution=Execution(
        size=Shares(SHARES),
        stop=Percent(0.0012),
        target=Percent(0.0018),
        flat_before_close_min=5.0,
        no_entry_before_close_min=30.0,
    ),
)
PLANS = {"sma cross": SMA_CROSS, "both ways": SMA_BOTH_WAYS, "vwap bracket": VWAP_BRACKET}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_seeded_minutes_are_traded_as_the_oracle_trades_them(
    plan: Plan, seed: int, executor: str
) -> None:
    bars = minute_tape(seed, days=8, minutes=210 if seed == 2 else 390)  # half days too
    wants = signals_of(plan, bars, Timeframe.MINUTE)
    terms = PAID if seed == 1 else FREE
    compared = _compare(_stage(bars, wants, plan.execution), terms, executor)
    print(f"seed {seed}: {compared} trades, 0 differences")
    assert compared >= 30


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("seed", range(4))
def test_adversarial_bars_are_traded_as_the_oracle_trades_them(seed: int, executor: str) -> None:
    """Gaps through both levels, bars of one tick, stop and target in one bar, no volume."""
    rng = np.random.default_rng(seed)
    bars = _adversarial(rng, 3_000)
    how = Execution(size=Shares(SHARES), max_bars=(None, 7)[seed % 2])
    compared = _compare(_stage(bars, _near_levels(rng, bars), how), FREE, executor)
    print(f"seed {seed}: {compared} trades, 0 differences")
    assert compared >= 300


ROWS_BEFORE = [(100.0, 100.0, 100.0, 100.0)] * 2
GAP_DOWN = (97.0, 97.5, 96.5, 97.2)
GAP_UP = (103.0, 103.5, 102.5, 103.2)
BOTH = (100.0, 102.5, 98.5, 100.0)
TICK = (100.0, 100.0, 100.0, 100.0)
ON_STOP = (100.0, 100.5, 99.0, 100.2)
HIGHER = (100.0, 102.0, 99.5, 100.2)
STILL = (100.0, 100.2, 99.8, 100.0, 0.0)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("rows", "long", "short"),
    [
        pytest.param([TICK, GAP_DOWN, GAP_UP], (3, 97.0), (3, 97.0), id="a gap down past a level"),
        pytest.param([TICK, GAP_UP, GAP_DOWN], (3, 103.0), (3, 103.0), id="a gap up past a level"),
        pytest.param([TICK, BOTH, TICK], (3, 99.0), (3, 101.0), id="stop and target in one bar"),
        pytest.param([BOTH, TICK], (2, 99.0), (2, 101.0), id="stopped out in the entry's own bar"),
        pytest.param([GAP_DOWN, TICK], (2, 97.0), (2, 97.0), id="entered beyond a level, below"),
        pytest.param([GAP_UP, TICK], (2, 103.0), (2, 103.0), id="entered beyond a level, above"),
        pytest.param([TICK, TICK, ON_STOP, HIGHER], (4, 99.0), (5, 101.0), id="bars of one tick"),
        pytest.param([STILL, STILL, BOTH], (4, 99.0), (4, 101.0), id="bars without volume"),
    ],
)
def test_a_hard_bar_is_traded_as_the_oracle_trades_it(
    rows: list[tuple[float, float, float, float]],
    long: tuple[int, float],
    short: tuple[int, float],
    side: int,
    executor: str,
) -> None:
    bars = tape([*ROWS_BEFORE, *rows, TICK, TICK])
    entry = np.zeros(len(bars), np.int8)
    entry[1] = side
    wants = _signals(bars, entry, stop=100.0 - side, target=100.0 + 2 * side)
    stage = _stage(bars, wants, Execution(size=Shares(SHARES)))
    trades = _trades(stage, FREE, executor)
    assert trades == _by_the_oracle(stage)
    assert [(one.exit_row, one.exit_price) for one in trades] == [long if side > 0 else short]


def test_an_order_of_the_last_bar_of_a_half_day_waits_for_the_next_session() -> None:
    bars = minute_tape(5, days=3, minutes=210)
    entry = np.zeros(len(bars), np.int8)
    entry[209] = 1
    wants = _signals(bars, entry, stop=1.0, target=1_000.0)
    wants.leave[419] = True
    stage = _stage(bars, wants, Execution(size=Shares(SHARES)))
    theirs = _by_the_oracle(stage)
    assert [(trade.entry_row, trade.exit_row) for trade in theirs] == [(210, 420)]
    for executor in EXECUTORS:
        assert _trades(stage, FREE, executor) == theirs


def test_where_the_open_is_past_the_target_and_the_stop_is_touched_later_we_differ() -> None:
    """The difference that the comparison leaves out, so that it is known and stays what it is."""
    bars = tape([*ROWS_BEFORE, TICK, (103.0, 103.5, 98.5, 100.0), TICK])
    entry = np.zeros(len(bars), np.int8)
    entry[1] = 1
    stage = _stage(bars, _signals(bars, entry, 99.0, 102.0), Execution(size=Shares(SHARES)))
    theirs = _by_the_oracle(stage)
    assert [trade.exit_price for trade in theirs] == [99.0]
    for executor in EXECUTORS:
        assert [trade.exit_price for trade in _trades(stage, FREE, executor)] == [103.0]


def _by_the_oracle(stage: Stage) -> list[OracleTrade]:
    part, cash = stage.parts["SPY"], float(CASH)
    return play_oracle(part, SHARES, cash, max_bars=None, per_share=Decimal(0))[0]


def _compare(stage: Stage, terms: Terms, executor: str) -> int:
    """Compare all trades of a stage, and return how many there were."""
    stage = _without_differing_rules(stage, terms)
    part, how = stage.parts["SPY"], stage.plan.execution
    per_share = terms.rules.commission_per_share_usd
    theirs, equity = play_oracle(
        part, SHARES, float(CASH), max_bars=how.max_bars, per_share=per_share
    )
    ours = _trades(stage, terms, executor)
    for mine, other in zip(ours, theirs, strict=False):
        assert mine == other
    assert len(ours) == len(theirs)
    played = EXECUTORS[executor](stage, terms)
    if not played.at_end:  # the oracle books the commission of an open trade at once, as we do
        assert played.equity[-1] / UNITS_PER_USD == pytest.approx(equity, rel=1e-12)
    return len(ours)


def _without_differing_rules(stage: Stage, terms: Terms) -> Stage:
    """Drop the wishes whose trade meets the one bar that the two read differently."""
    part = stage.parts["SPY"]
    signals = replace(part.signals, entry=part.signals.entry.copy())
    signals.entry[0] = 0
    while True:
        stage = replace(stage, parts={"SPY": replace(part, signals=signals)})
        differing = [
            fill.signal_row
            for fill in simulator.play(stage, terms).fills
            if fill.leg is Leg.TARGET and _reaches_stop(stage.parts["SPY"], fill)
        ]
        if not differing:
            return stage
        signals.entry[differing] = 0


def _reaches_stop(part: Part, fill: SimFill) -> bool:
    """Return whether the bar in which a target was filled comes to the stop as well."""
    signals, bars, row = part.signals, part.bars, slice(fill.row, fill.row + 1)
    stop = int(signals.stop[fill.signal_row])
    if signals.entry[fill.signal_row] > 0:
        return bool(price_units(bars.low[row])[0] <= stop)
    return bool(price_units(bars.high[row])[0] >= stop > 0)


def _trades(stage: Stage, terms: Terms, executor: str) -> list[OracleTrade]:
    played = EXECUTORS[executor](stage, terms)
    trips = [
        OracleTrade(
            entry_row=trip.entry_row,
            exit_row=trip.exit_row,
            shares=int(trip.qty),
            entry_price=float(trip.entry_price),
            exit_price=float(trip.exit_price),
            fees=float(trip.fees),
        )
        for trip in round_trips(played, stage)
        if not trip.is_open
    ]
    return sorted(trips, key=lambda one: (one.exit_row, one.entry_row))


def _stage(bars: SessionBars, wants: Signals, how: Execution) -> Stage:
    plan = Plan(columns={}, scan=Scan(long=above("close", 0.0)), execution=how)
    parts = {"SPY": Part(bars=bars, signals=wants, first_row=0)}
    return Stage(plan=plan, timeframe=Timeframe.MINUTE, parts=parts)


def _signals(bars: SessionBars, entry: np.ndarray, stop: float, target: float) -> Signals:
    n = len(bars)
    return Signals(
        entry=entry,
        leave=np.zeros(n, np.bool_),
        late=np.zeros(n, np.bool_),
        stop=np.where(entry != 0, round(stop * UNITS_PER_USD), 0).astype(np.int64),
        target=np.where(entry != 0, round(target * UNITS_PER_USD), 0).astype(np.int64),
        trail=np.zeros(n, np.int64),
        mark=price_units(bars.close),
        columns={},
    )


def _adversarial(rng: np.random.Generator, n: int) -> SessionBars:
    steps = rng.integers(-6, 7, (n, 2)) * (rng.random((n, 2)) < 0.6)
    path = 10_000 + np.cumsum(steps.ravel()).reshape(n, 2)
    reach = rng.integers(0, 8, (n, 2)) * (rng.random((n, 2)) < 0.6)
    high, low = path.max(axis=1) + reach[:, 0], path.min(axis=1) - reach[:, 1]
    volume = rng.choice([0.0, 100.0], n)
    prices = np.round(np.stack([path[:, 0], high, low, path[:, 1]]) / 100.0, 2)
    return tape([(*row, v) for row, v in zip(prices.T.tolist(), volume, strict=True)], minutes=210)


def _near_levels(rng: np.random.Generator, bars: SessionBars) -> Signals:
    n = len(bars)
    entry = rng.choice([-1, 0, 1], n, p=[0.15, 0.7, 0.15]).astype(np.int8)
    leave = rng.random(n) < 0.04
    entry[leave] = 0
    away = rng.integers(1, 9, (2, n)) / 100.0
    return Signals(
        entry=entry,
        leave=leave,
        late=rng.random(n) < 0.01,
        stop=tick_units(bars.close - entry * away[0]) * (entry != 0) * (rng.random(n) < 0.9),
        target=tick_units(bars.close + entry * away[1]) * (entry != 0) * (rng.random(n) < 0.9),
        trail=np.zeros(n, np.int64),
        mark=price_units(bars.close),
        columns={},
    )
