"""Plays a case on one of our executors, as a process of its own, and prints what `peers` prints.

A round is what a person waits for: the file is read, columns and signals are computed, the case is
played, and daily equity with its basic figures is made of it. `memory` leaves out the file and the
columns: the kernel alone, beside one plain pass over the same arrays.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.backtests.cases import (
    CASH,
    FAST,
    FLAT_MIN,
    NO_ENTRY_MIN,
    SLIPPAGE_BPS,
    SLOW,
    STOP_FRAC,
    SWEEP,
    TARGET_FRAC,
)
from roboinvest.core.fills import FillRules
from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.grid import UNITS_PER_USD
from roboinvest.core.market.rows import exchange_days
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import Timeframe
from roboinvest.core.performance import figures
from roboinvest.core.quant.calculators.averages import sma
from roboinvest.core.quant.calculators.session import session_vwap
from roboinvest.core.quant.conditions import (
    above,
    at_most,
    crosses_above,
    crosses_below,
    every,
    was,
)
from roboinvest.core.strategy import (
    EquityShare,
    Execution,
    Percent,
    Plan,
    Scan,
    Strategy,
    Timeframes,
)
from tools.backtester.contract import Request, Stage, Terms
from tools.backtester.engine import by_day, prepare
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator
from tools.calendar import ExchangeCalendar

if TYPE_CHECKING:
    from tools.backtester.kernel.outcome import FastOutcome

COLUMNS: Final = ("ts", "open", "high", "low", "close", "volume")
TERMS: Final = Terms(
    cash=Decimal(int(CASH)),
    rules=FillRules(
        slippage_bps=Decimal(str(SLIPPAGE_BPS)),
        volume_share=None,
        sec_fee_rate=Decimal(0),
        taf_per_share_usd=Decimal(0),
    ),
)
Outcome = tuple[int, float]  # trades, final equity in USD


def sma_plan(fast: int = FAST, slow: int = SLOW, symbols: int = 1) -> Plan:
    """Return the crossing of two averages."""
    return Plan(
        columns={"fast": sma(fast), "slow": sma(slow)},
        scan=Scan(long=crosses_above("fast", "slow")),
        execution=Execution(size=EquityShare(0.99 / symbols), exit=crosses_below("fast", "slow")),
    )


def vwap_plan() -> Plan:
    """Return the bounce off the session's VWAP, with a bracket and an exit before the close."""
    return Plan(
        columns={"vwap": session_vwap()},
        scan=Scan(
            long=every(was(above("close", "vwap")), at_most("low", "vwap"), above("close", "vwap"))
        ),
        execution=Execution(
            size=EquityShare(0.99),
            stop=Percent(STOP_FRAC),
            target=Percent(TARGET_FRAC),
            flat_before_close_min=FLAT_MIN,
            no_entry_before_close_min=NO_ENTRY_MIN,
        ),
    )


@functools.cache
def sessions_of(timeframe: Timeframe) -> tuple[Session, ...]:
    """Return the sessions that the files were made of: a calendar is built once a process."""
    first = date(2014 if timeframe is Timeframe.DAY else 2024, 1, 1)
    return tuple(ExchangeCalendar().sessions(first, date(2024, 12, 31)))


def read(path: Path, timeframe: Timeframe) -> SessionBars:
    """Return the bars of a file beside their sessions."""
    table = pq.read_table(path, columns=list(COLUMNS), use_threads=False)
    columns: dict[str, Any] = {name: table.column(name).to_numpy().copy() for name in COLUMNS}
    days = exchange_days(columns["ts"])
    length = int(timeframe.length.total_seconds()) * 1_000_000_000
    series = BarSeries(symbol=path.stem, closes_at=columns["ts"] + length, day=days, **columns)
    bars = SessionBars.of(series, sessions_of(timeframe))
    closes = bars.ends if timeframe is Timeframe.DAY else np.minimum(bars.closes_at, bars.ends)
    return replace(bars, closes_at=closes)


def stage_of(plan: Plan, bars: Sequence[SessionBars], timeframe: Timeframe) -> Stage:
    """Return what an executor plays, as the engine prepares it."""
    strategy = Strategy(
        name="bench",
        version="1",
        idea="None.",
        source="this file",
        timeframe=Timeframes.ANY,
        params=(),
        build=lambda _values: plan,
        symbols=len(bars),  # the plan's share of the account is meant as it stands
    )
    return prepare(
        Request(
            strategy=strategy,
            values={},
            bars={each.symbol: each for each in bars},
            timeframe=timeframe,
            terms=TERMS,
        )
    )


def by_simulator(stage: Stage) -> Outcome:
    """Play with the simulator, figures included."""
    played = simulator.play(stage, TERMS)
    _, equity, gross = by_day(stage, played, TERMS.cash)
    figures((equity / UNITS_PER_USD).tolist(), (), gross=(gross / UNITS_PER_USD).tolist())
    ended = sum(fill.leg == "entry" for fill in played.fills) - len(played.at_end)
    return ended, float(played.equity[-1]) / UNITS_PER_USD


def by_kernel(stage: Stage) -> Outcome:
    """Play with the kernel, figures included."""
    return _summed(kernel.equity_only(stage, TERMS))


def _summed(outcome: FastOutcome) -> Outcome:
    figures((outcome.daily_equity / UNITS_PER_USD).tolist(), ())
    return outcome.trades, float(outcome.daily_equity[-1]) / UNITS_PER_USD


def round_of(engine: str, case: str, folder: Path) -> Callable[[], Outcome]:
    """Return what one round of a case does."""
    paths = {
        "daily_sma": [folder / "daily.parquet"],
        "symbols_sma": sorted(folder.glob("minute_*.parquet")),
    }.get(case, [folder / "minute_00.parquet"])
    timeframe = Timeframe.DAY if case == "daily_sma" else Timeframe.MINUTE
    plan = vwap_plan() if case == "minute_vwap" else sma_plan(symbols=len(paths))
    play = by_simulator if engine == "simulator" else by_kernel
    if case == "sweep_sma":
        return lambda: _sweep(engine, read(paths[0], timeframe))
    if engine == "memory":
        stage = stage_of(plan, [read(path, timeframe) for path in paths], timeframe)
        return lambda: play(stage)
    if engine == "kernel" and len(paths) > 1:  # in numbers alone: no symbol's wishes are kept
        return lambda: _together(plan, [read(path, timeframe) for path in paths], timeframe)
    return lambda: play(stage_of(plan, [read(path, timeframe) for path in paths], timeframe))


def _together(plan: Plan, bars: Sequence[SessionBars], timeframe: Timeframe) -> Outcome:
    (outcome,) = kernel.sweep([plan], {each.symbol: each for each in bars}, timeframe, TERMS)
    return _summed(outcome)


def _sweep(engine: str, bars: SessionBars) -> Outcome:
    plans = (sma_plan(fast, slow) for fast, slow in SWEEP)
    if engine == "simulator":
        results = [by_simulator(stage_of(plan, [bars], Timeframe.MINUTE)) for plan in plans]
    else:
        found = kernel.sweep(plans, {bars.symbol: bars}, Timeframe.MINUTE, TERMS)
        results = [_summed(outcome) for outcome in found]
    return sum(trades for trades, _ in results), sum(equity for _, equity in results)


def plain_pass(folder: Path, rounds: int) -> list[float]:
    """Return the CPU seconds of one look at each value of the arrays that the kernel reads."""
    bars = read(folder / "minute_00.parquet", Timeframe.MINUTE)
    arrays = [np.ascontiguousarray(getattr(bars, name)) for name in COLUMNS[1:]]
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(20):
            for column in arrays:
                column.sum()
        spent.append((time.process_time() - began) / 20)
    return spent


def peak_mb() -> float:
    """Return the most memory that was resident; `ru_maxrss` would count who forked us as well."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Play the rounds that were asked for."""
    pa.set_memory_pool(pa.system_memory_pool())  # gives back what a file took to be read
    engine, case, folder, rounds = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
    play = round_of(engine, case, folder)
    outcome = play()
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        outcome = play()
        spent.append(time.process_time() - began)
    result = {
        "cpu_s": spent,
        "trades": outcome[0],
        "equity": outcome[1],
        "rss_mb": peak_mb(),
        "pass_s": plain_pass(folder, rounds) if engine == "memory" else [],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
