"""Every strategy of the library, on many tapes: it plays, it declares itself, it sees no future."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from roboinvest.core.errors import BadInput
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.market.values import Timeframe
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import Number, Strategy, Timeframes
from tests.fakes.tapes import daily_tape, minute_tape
from tools.backtester.contract import Part, RoundTrip, Stage, Terms
from tools.backtester.simulator import simulator
from tools.backtester.trades import round_trips
from tools.strategies.shelf import MAKERS, find, strategies

NAMES = sorted(maker.__name__ for maker in MAKERS)
INTRADAY = {
    "gap_and_go",
    "gap_fade",
    "opening_range_breakout",
    "overnight_momentum",
    "vwap_bounce",
    "vwap_reclaim",
}
NO_STOP = {"buy_and_hold", "random_entry"}


def tapes(strategy: Strategy, seed: int) -> Iterator[tuple[SessionBars, Timeframe]]:
    """Yield tapes of a kind that the strategy is for: dear and cheap, calm and wild, with holes."""
    for start, deviation in ((100.0, 0.0006), (412.0, 0.002), (3.0, 0.003), (1.0, 0.002)):
        bars = minute_tape(seed, days=6, start=start, deviation=deviation)
        yield beside(bars, seed, strategy), Timeframe.MINUTE
    still = minute_tape(seed, days=2, start=20.0, deviation=0.0)
    yield beside(still, seed, strategy), Timeframe.MINUTE
    yield beside(adjusted(minute_tape(seed, days=6)), seed, strategy), Timeframe.MINUTE
    yield beside(minute_tape(seed, days=8, missing=0.3), seed, strategy), Timeframe.MINUTE
    yield beside(minute_tape(seed, days=8, minutes=210), seed, strategy), Timeframe.MINUTE
    if strategy.timeframe is not Timeframes.INTRADAY:
        for start, deviation in ((100.0, 0.012), (2.0, 0.05)):
            bars = daily_tape(seed, days=600, start=start, deviation=deviation)
            yield beside(bars, seed, strategy), Timeframe.DAY


def adjusted(bars: SessionBars) -> SessionBars:
    """Scale prices as a vendor does for later splits and dividends: off the cents."""
    columns = {name: getattr(bars, name) * 0.0771 for name in ("open", "high", "low", "close")}
    return replace(bars, **columns)


def beside(bars: SessionBars, seed: int, strategy: Strategy) -> SessionBars:
    """Give a tape a companion, where the strategy needs one."""
    if strategy.symbols == 1:
        return bars
    rng = np.random.default_rng(seed + 1000)
    noise = np.exp(rng.normal(0.0, 0.01, len(bars)))
    close = np.round(bars.close * noise, 2)
    other = replace(
        bars,
        symbol="TWIN",
        close=close,
        high=np.maximum(bars.high, close),
        low=np.minimum(bars.low, close),
    )
    return among({bars.symbol: bars, "TWIN": other})[bars.symbol]


def wishes(
    strategy: Strategy,
    bars: SessionBars,
    timeframe: Timeframe,
    given: Mapping[str, Number] | None = None,
) -> Signals:
    return signals_of(strategy.plan(strategy.values(given or {})), bars, timeframe)


def played(strategy: Strategy, bars: SessionBars, timeframe: Timeframe) -> tuple[RoundTrip, ...]:
    """Play a strategy alone, or beside the companion of its tape."""
    plan = strategy.plan(strategy.values({}))
    everyone = among({bars.symbol: bars, **bars.others})
    stage = Stage(
        plan=plan,
        timeframe=timeframe,
        parts={
            name: Part(bars=each, signals=signals_of(plan, each, timeframe), first_row=0)
            for name, each in sorted(everyone.items())
        },
    )
    return round_trips(simulator.play(stage, Terms(allow_short=strategy.shorts)), stage)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(5))
def test_a_strategy_never_wants_what_a_broker_would_refuse(name: str, seed: int) -> None:
    strategy = find(name)
    for bars, timeframe in tapes(strategy, seed):
        signals = wishes(strategy, bars, timeframe)
        assert len(signals) == len(bars)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [11, 12])
def test_what_a_strategy_wanted_does_not_change_with_the_bars_that_follow(
    name: str, seed: int
) -> None:
    strategy = find(name)
    rng = np.random.default_rng(seed)
    for bars, timeframe in tapes(strategy, seed):
        whole = wishes(strategy, bars, timeframe)
        for row in rng.integers(1, len(bars) - 1, 3):
            part = wishes(strategy, bars.until(int(row)), timeframe)
            for column in ("entry", "leave", "stop", "target", "trail"):
                known = getattr(whole, column)[: row + 1]
                np.testing.assert_array_equal(getattr(part, column), known, err_msg=column)


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_trades_with_its_defaults(name: str) -> None:
    strategy = find(name)
    timeframe = Timeframe.MINUTE
    if name in INTRADAY:
        bars = gapping_tape(seed=5)
    else:
        bars, timeframe = daily_tape(5, days=1500), Timeframe.DAY
    trades = played(strategy, beside(bars, 5, strategy), timeframe)
    assert trades
    if name not in {"buy_and_hold", "pairs"}:
        assert any(not trade.is_open for trade in trades)
    if name == "pairs":
        assert {trade.qty > 0 for trade in trades} == {True, False}


def gapping_tape(seed: int) -> SessionBars:
    """Give minute bars whose sessions open away from the close before, up and down."""
    bars = minute_tape(seed, days=60, deviation=0.0008)
    jumps = np.random.default_rng(seed).choice([-0.01, -0.005, 0.0, 0.03], 60)
    _, number = np.unique(bars.day, return_inverse=True)
    scale = np.exp(np.cumsum(jumps))[number]
    moved = {
        name: np.round(getattr(bars, name) * scale, 2) for name in ("open", "high", "low", "close")
    }
    return replace(bars, **moved)


@pytest.mark.parametrize("name", sorted(INTRADAY - {"overnight_momentum"}))
@pytest.mark.parametrize("seed", [21, 22])
def test_an_intraday_strategy_is_flat_over_night(name: str, seed: int) -> None:
    bars = gapping_tape(seed)
    trades = played(find(name), bars, Timeframe.MINUTE)
    assert trades
    for trade in trades:
        assert bars.day[trade.entry_row] == bars.day[trade.exit_row]


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_overnight_momentum_holds_from_the_last_minutes_to_the_first(missing: float) -> None:
    bars = minute_tape(31, days=80, deviation=0.0008, missing=missing)
    trades = played(find("overnight_momentum"), bars, Timeframe.MINUTE)
    closed = [trade for trade in trades if not trade.is_open]
    assert len(closed) > 10
    for trade in closed:
        entry, leave = trade.entry_row, trade.exit_row
        assert bars.ends[entry] - bars.ts[entry] <= 15 * 60_000_000_000
        days = np.unique(bars.day)
        assert np.searchsorted(days, bars.day[leave]) - np.searchsorted(days, bars.day[entry]) == 1
        if trade.cause == "signal":
            assert bars.ts[leave] - bars.opens[leave] <= 15 * 60_000_000_000


def test_overnight_momentum_sends_nothing_that_would_wait_for_the_next_open() -> None:
    for missing in (0.0, 0.3):
        bars = minute_tape(32, days=80, missing=missing)
        signals = wishes(find("overnight_momentum"), bars, Timeframe.MINUTE)
        left = (bars.ends - bars.closes_at)[signals.entry != 0]
        assert len(left) > 10
        assert left.min() > 0


def test_the_vwap_bounce_is_no_gambler() -> None:
    bars = minute_tape(41, days=60)
    trades = played(find("vwap_bounce"), bars, Timeframe.MINUTE)
    a_day = np.bincount([int(bars.day[trade.entry_row] - bars.day[0]) for trade in trades])
    assert 10 < len(trades) < 120
    assert a_day.max() <= 5


@pytest.mark.parametrize("strategy", strategies(), ids=lambda each: each.name)
def test_a_strategy_says_what_it_is(strategy: Strategy) -> None:
    assert strategy.name in NAMES
    assert strategy.idea.endswith(".")
    assert strategy.source
    assert strategy.version
    assert (strategy.timeframe is Timeframes.INTRADAY) == (strategy.name in INTRADAY)
    assert strategy.timeframe.suits(Timeframe.MINUTE)
    assert strategy.timeframe.suits(Timeframe.DAY) is (strategy.name not in INTRADAY)
    assert strategy.shorts is (strategy.name == "pairs")
    assert strategy.symbols == (2 if strategy.name == "pairs" else 1)


@pytest.mark.parametrize("strategy", strategies(), ids=lambda each: each.name)
def test_a_strategy_protects_what_it_buys(strategy: Strategy) -> None:
    how = strategy.plan(strategy.values({})).execution
    assert (how.stop is None) is (strategy.name in NO_STOP)
    if any(param.name == "stop_frac" for param in strategy.params):
        assert strategy.plan(strategy.values({"stop_frac": 0.0})).execution.stop is None
        assert strategy.plan(strategy.values({"stop_frac": 0.05})).execution.stop is not None
    if strategy.name in INTRADAY - {"overnight_momentum"}:
        assert how.flat_before_close_min == 5


@pytest.mark.parametrize("strategy", strategies(), ids=lambda each: each.name)
def test_a_parameter_has_a_range_around_its_default_and_says_its_unit(strategy: Strategy) -> None:
    for param in strategy.params:
        assert param.low <= param.default <= param.high
        assert param.low < param.high
        assert param.step is not None
        assert 0 < param.step <= param.high - param.low
        assert param.text
        if isinstance(param.default, int):
            assert isinstance(param.low, int)
            assert isinstance(param.high, int)


def refusal(strategy: Strategy, given: Mapping[str, Number]) -> str:
    """Give the sentence with which a plan is refused, or nothing."""
    try:
        strategy.plan(strategy.values(given))
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_every_corner_of_the_parameters_is_a_plan_or_a_contradiction_in_words(name: str) -> None:
    strategy = find(name)
    axes = [[(param.name, param.low), (param.name, param.high)] for param in strategy.params]
    refusals = [
        said for corner in itertools.product(*axes) if (said := refusal(strategy, dict(corner)))
    ]
    for said in refusals:
        assert " must be below " in said
        assert "change one of them" in said
    contradictions = {"sma_crossover", "ema_crossover", "macd", "gap_and_go", "gap_fade", "pairs"}
    assert bool(refusals) is (name in contradictions)


@pytest.mark.parametrize("name", NAMES)
def test_every_corner_of_the_parameters_plays(name: str) -> None:
    strategy = find(name)
    axes = [[(param.name, param.low), (param.name, param.high)] for param in strategy.params]
    corners = [dict(corner) for corner in itertools.product(*axes)]
    made, chance = list(tapes(strategy, 8)), np.random.default_rng(8)
    plans = [given for given in corners if not refusal(strategy, given)]
    assert plans
    for given in plans:
        for number in chance.choice(len(made), 3, replace=False):
            bars, timeframe = made[number]
            signals = wishes(strategy, bars, timeframe, given)
            assert len(signals) == len(bars), given


def test_bars_of_a_day_are_too_coarse_to_leave_before_the_close() -> None:
    for name in INTRADAY - {"overnight_momentum"}:
        with pytest.raises(BadInput, match="give bars of 1m to 1h"):
            wishes(find(name), daily_tape(1, days=30), Timeframe.DAY)


def test_pairs_is_refused_without_a_companion() -> None:
    with pytest.raises(BadInput, match="two symbols"):
        wishes(find("pairs"), daily_tape(1, days=100), Timeframe.DAY)


def test_half_days_end_early_for_a_strategy_too() -> None:
    whole, half = gapping_tape(51), minute_tape(51, days=60, deviation=0.0008, minutes=210)
    for bars in (whole, half):
        trades = played(find("opening_range_breakout"), bars, Timeframe.MINUTE)
        assert trades
        for trade in trades:
            assert bars.ends[trade.exit_row] >= bars.closes_at[trade.exit_row]
            assert date.fromordinal(int(bars.day[trade.exit_row])).weekday() < 5


@pytest.mark.parametrize("strategy", strategies(), ids=lambda each: each.name)
def test_two_plans_of_the_same_values_declare_equal_columns(strategy: Strategy) -> None:
    values = strategy.values({})
    assert strategy.plan(values).columns == strategy.plan(values).columns
