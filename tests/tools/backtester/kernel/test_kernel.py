"""What the kernel says no to, what it costs nobody, and that a sweep is its runs one by one."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.fills import FRICTIONLESS, FillRules
from roboinvest.core.market.grid import price_units, to_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, CorporateAction, Timeframe
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.quant.calculators.averages import ema, sma
from roboinvest.core.quant.calculators.session import session_vwap
from roboinvest.core.quant.conditions import (
    above,
    below,
    crosses_above,
    crosses_below,
    every,
    once_a_session,
)
from roboinvest.core.risk import RiskLimits
from roboinvest.core.signals import signals_of
from roboinvest.core.strategy import (
    Calculator,
    Dollars,
    EquityShare,
    Execution,
    Percent,
    Plan,
    Reward,
    RiskShare,
    Scan,
    Shares,
    Size,
    requested_shares,
)
from tests.fakes.tapes import daily_tape, minute_tape
from tools.backtester.contract import Part, Stage, Terms
from tools.backtester.kernel import kernel
from tools.backtester.kernel.machine.compiled import stamp
from tools.backtester.kernel.machine.decide import requested
from tools.backtester.kernel.ratios import figures_of
from tools.backtester.kernel.shared import SharedSignals
from tools.backtester.simulator import simulator

pytestmark = pytest.mark.timeout(300)  # the first to play compiles the kernel

CROSS = Plan(
    columns={"fast": sma(5), "slow": sma(20)},
    scan=Scan(long=crosses_above("fast", "slow")),
    execution=Execution(exit=crosses_below("fast", "slow")),
)
SPLIT = CorporateAction(
    symbol="SPY", kind=ActionKind.SPLIT, ex_date=date(2024, 1, 3), ratio=Decimal(2)
)


def _stage(plan: Plan = CROSS) -> Stage:
    tape = minute_tape(7, days=3)
    wants = signals_of(plan, tape, Timeframe.MINUTE)
    part = Part(bars=tape, signals=wants, first_row=0)
    return Stage(plan=plan, timeframe=Timeframe.MINUTE, parts={"SPY": part})


def _with_finer_bars() -> Stage:
    how = Execution(stop=Percent(0.01), target=Percent(0.01))
    stage = _stage(replace(CROSS, execution=how))
    part = stage.parts["SPY"]
    return replace(stage, parts={"SPY": replace(part, finer=part.bars)})


def _leaving_by_call() -> Stage:
    how = replace(CROSS.execution, exit=lambda moment, held: held.bars > 3)
    return replace(_stage(), plan=replace(CROSS, execution=how))


@pytest.mark.parametrize(
    ("stage", "terms", "said"),
    [
        (_leaving_by_call(), Terms(), "its exit is a call"),
        (replace(_stage(), actions=(SPLIT,)), Terms(), "SPY had splits or dividends"),
        (_with_finer_bars(), Terms(), "finer bars tell what those of SPY cannot"),
        (_stage(), Terms(limits=RiskLimits(), protections=ProtectionRules()), "protections look"),
        (_stage(), Terms(cash=Decimal("100.00001")), "cash has parts of a hundredth of a cent"),
        (_stage(), Terms(cash=Decimal(10) ** 14), "63 bits"),
        (_stage(), Terms(rules=FillRules(taf_cap_usd=Decimal("0.00001"))), "taf_cap_usd"),
        (
            _stage(),
            Terms(rules=FillRules(slippage_bps=Decimal("0.123456789123456789"))),
            "slippage_bps of 0.0000123456789123456789 has more digits",
        ),
    ],
)
def test_what_integers_cannot_play_is_refused_with_its_reason(
    stage: Stage, terms: Terms, said: str
) -> None:
    assert said in str(kernel.refusal(stage, terms))


def test_what_is_told_after_the_last_bar_is_no_reason() -> None:
    other = replace(SPLIT, symbol="QQQ")
    assert kernel.refusal(replace(_stage(), actions=(other,)), Terms()) is None


def test_an_account_that_outgrows_its_arithmetic_is_refused_and_not_wrapped() -> None:
    plan = replace(CROSS, execution=Execution(size=Shares(10**15)))
    terms = Terms(rules=FRICTIONLESS)
    stage = _stage(plan)
    assert kernel.refusal(stage, terms) is None
    with pytest.raises(Refused, match="outgrow 64-bit arithmetic; play it with the simulator"):
        kernel.play(stage, terms)


@pytest.mark.parametrize(("column", "value"), [("close", 0.0), ("high", 2e6), ("low", np.nan)])
def test_a_price_that_is_none_is_refused(column: str, value: float) -> None:
    stage = _stage()
    bars = stage.parts["SPY"].bars
    prices = getattr(bars, column).copy()
    prices[11] = value
    part = replace(stage.parts["SPY"], bars=replace(bars, **{column: prices}))
    with pytest.raises(Refused, match="prices of SPY go from"):
        kernel.play(replace(stage, parts={"SPY": part}), Terms())


def test_to_import_the_kernel_imports_no_compiler() -> None:
    code = (
        "import sys\nimport roboinvest.cli.main\nimport tools.backtester.kernel.kernel\n"
        "print(sorted({'numba', 'llvmlite'} & set(sys.modules)))"
    )
    imported = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert imported.stdout == "[]\n"


def test_kept_code_is_told_by_a_stamp_of_all_files_of_the_package() -> None:
    assert stamp() == stamp()
    assert 0 < stamp() < 2**56


def test_the_list_of_fills_grows_with_the_run() -> None:
    """Entries that a thin market fills share by share make far more fills than wishes."""
    stage = _stage(replace(CROSS, execution=Execution(size=Shares(5_000))))
    part = stage.parts["SPY"]
    bars = replace(part.bars, volume=np.full(len(part.bars), 30.0))
    entry = np.zeros(len(bars), np.int8)
    entry[100] = 1
    part = replace(part, bars=bars, signals=replace(part.signals, entry=entry))
    stage, terms = replace(stage, parts={"SPY": part}), Terms(cash=Decimal(10_000_000))
    played = kernel.play(stage, terms)
    assert len(played.fills) > 100
    assert played.fills == simulator.play(stage, terms).fills


@pytest.mark.parametrize(
    "size",
    [
        Shares(7),
        Dollars(1234.565),
        Dollars(0.1),
        EquityShare(1.0),
        EquityShare(1 / 3),
        EquityShare(2.5),
        RiskShare(0.0025),
        RiskShare(0.9999999),
    ],
)
def test_shares_asked_for_are_those_of_the_contract(size: Size) -> None:
    terms = figures_of(Terms(), Execution(size=size), Timeframe.MINUTE).terms
    rng = np.random.default_rng(3)
    for _ in range(300):
        equity, mark = int(rng.integers(-10, 10**13)), int(rng.integers(1, 10**7))
        stop = max(mark - int(rng.integers(1, 500)), 0)
        wanted = requested_shares(
            size,
            Decimal(equity) / 10_000,
            Decimal(mark) / 10_000,
            Decimal(stop) / 10_000 if stop else None,
        )
        assert requested(equity, mark, stop, terms) == wanted


def _plans() -> Iterator[Plan]:
    how = Execution(
        size=EquityShare(0.5),
        stop=Percent(0.002),
        target=Reward(2.0),
        exit=below("close", "vwap"),
        max_bars=30,
        flat_before_close_min=5.0,
        no_entry_before_close_min=20.0,
    )
    vwap = Plan(
        columns={"vwap": session_vwap()}, scan=Scan(long=above("low", "vwap")), execution=how
    )
    for fast in (3, 8):
        for slow in (20, 55):
            columns = {"fast": sma(fast), "slow": sma(slow), "high": sma(slow, "high")}
            up, down = crosses_above("fast", "slow"), crosses_below("fast", "slow")
            yield replace(CROSS, columns=columns)
            yield Plan(
                columns=columns, scan=Scan(long=up, short=down), execution=replace(how, exit=None)
            )
            yield replace(vwap, columns={**vwap.columns, "own": ema(fast)})
            yield replace(vwap, scan=Scan(short=once_a_session(below("close", "vwap"))))
    yield replace(CROSS, scan=Scan(long=crosses_above("close", 100.0)))
    yield replace(CROSS, scan=lambda now: now("fast") > now("slow"))
    yield replace(vwap, scan=Scan(long=every(above("minutes_open", 30.0), above("volume", 1e5))))
    mean = Calculator(name="mean", warm_up=9, compute=lambda bars: np.sqrt(bars.close * bars.open))
    yield replace(CROSS, columns={"fast": mean, "slow": sma(20)})


@pytest.mark.parametrize("first_row", [0, 400])
def test_shared_signals_are_the_signals(first_row: int) -> None:
    bars = minute_tape(11, days=4, missing=0.02)
    shared = SharedSignals(bars, Timeframe.MINUTE, first_row=first_row)
    for plan in _plans():
        mine = shared.signals(plan)
        other = signals_of(plan, bars, Timeframe.MINUTE, from_row=first_row)
        for name in ("entry", "leave", "late", "stop", "target", "trail", "mark"):
            assert np.array_equal(getattr(mine, name), getattr(other, name)), name
        assert mine.columns.keys() == other.columns.keys()
        for name, column in mine.columns.items():
            assert np.array_equal(column, other.columns[name], equal_nan=True), name


def test_shared_signals_find_the_same_faults() -> None:
    shared = SharedSignals(daily_tape(1, days=60), Timeframe.DAY)
    late = replace(CROSS, execution=Execution(flat_before_close_min=5.0))
    with pytest.raises(BadInput, match="the bars are a day long"):
        shared.signals(late)
    broken = Calculator(name="half", warm_up=0, compute=lambda bars: bars.close[::2])
    with pytest.raises(BadInput, match="calculator half gave an array of shape"):
        shared.signals(replace(CROSS, columns={"fast": broken, "slow": sma(20)}))


@pytest.mark.parametrize("limits", [None, RiskLimits(allow_short=True)])
def test_a_sweep_is_its_runs_one_by_one(limits: RiskLimits | None) -> None:
    bars = {
        "QQQ": minute_tape(4, days=3, symbol="QQQ", missing=0.05),
        "SPY": minute_tape(5, days=4),
    }
    terms = Terms(allow_short=True, limits=limits)
    plans = [plan for plan in _plans() if isinstance(plan.scan, Scan)]
    rows = {"SPY": 390}
    swept = kernel.sweep(plans, bars, Timeframe.MINUTE, terms, first_rows=rows)
    for plan, outcome in zip(plans, swept, strict=True):
        parts = {
            symbol: Part(
                bars=each,
                signals=signals_of(plan, each, Timeframe.MINUTE, from_row=rows.get(symbol, 0)),
                first_row=rows.get(symbol, 0),
            )
            for symbol, each in bars.items()
        }
        played = simulator.play(Stage(plan=plan, timeframe=Timeframe.MINUTE, parts=parts), terms)
        assert outcome.final_equity == played.equity[-1]
        assert outcome.fills == len(played.fills)
        ends = np.flatnonzero(np.diff(played.instants // 86_400_000_000_000, append=1 << 40))
        assert np.array_equal(outcome.daily_equity[1:], played.equity[ends])
        assert np.array_equal(outcome.daily_gross[1:], played.gross[ends])
        closing = sum(
            fill.qty * (fill.price - _close(bars[fill.symbol].close)) + fill.fee
            for fill in played.at_end
        )
        assert outcome.liquidated == played.equity[-1] - to_units(Decimal(closing))


def test_a_plan_alone_comes_to_what_it_comes_to_among_others() -> None:
    bars = {"QQQ": minute_tape(4, days=3, symbol="QQQ", missing=0.05), "SPY": minute_tape(5)}
    plans, terms = [plan for plan in _plans() if isinstance(plan.scan, Scan)][:4], Terms()
    among = kernel.sweep(plans, bars, Timeframe.MINUTE, terms)
    for plan, outcome in zip(plans, among, strict=True):
        (alone,) = kernel.sweep([plan], bars, Timeframe.MINUTE, terms)
        assert alone.fills == outcome.fills
        assert np.array_equal(alone.daily_equity, outcome.daily_equity)
    assert list(kernel.sweep([], bars, Timeframe.MINUTE, terms)) == []


def test_a_plan_alone_keeps_the_columns_of_no_symbol_that_it_is_done_with() -> None:
    computed, alive = list[weakref.ref[np.ndarray]](), list[int]()

    def mean(bars: SessionBars) -> np.ndarray:
        alive.append(sum(each() is not None for each in computed))
        column = np.sqrt(bars.high * bars.low)
        computed.append(weakref.ref(column))
        return column

    plan = replace(
        CROSS, columns={"fast": Calculator(name="mean", warm_up=0, compute=mean), "slow": sma(20)}
    )
    bars = {name: minute_tape(seed, days=1, symbol=name) for seed, name in enumerate("ABCDE")}
    (outcome,) = kernel.sweep([plan], bars, Timeframe.MINUTE, Terms())
    assert outcome.fills > 0
    assert len(alive) == len(bars)
    assert max(alive) <= 1  # the one before is still in hand while the next is made


def test_limits_are_asked_as_of_the_row() -> None:
    """Quiet hours before the close hold wherever the row lies in its session."""
    stage = _stage(replace(CROSS, execution=Execution(stop=Percent(0.01))))
    none = Terms(limits=RiskLimits(no_entry_last=timedelta(minutes=390)))
    played = kernel.play(stage, none)
    assert played.fills == ()
    assert played.refused == {"session": played.signals}


def _close(prices: np.ndarray) -> Decimal:
    return Decimal(int(price_units(prices[-1:])[0])) / 10_000
