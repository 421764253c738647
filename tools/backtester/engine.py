"""One backtest from a request to its figures.

`prepare` turns a strategy and bars into signal arrays, an executor plays them, and what it came to
is summed up. Nothing here writes, and equal requests give equal results with equal digests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import version
from typing import Final, Literal

import numpy as np

from roboinvest.core.errors import BadInput
from roboinvest.core.ledger import Trade
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import UNITS_PER_USD, from_units, to_units
from roboinvest.core.market.session_bars import SessionBars, among
from roboinvest.core.performance import PerformanceFigures, drawdown, figures
from roboinvest.core.protections import ProtectionRules
from roboinvest.core.quant.conditions import above
from roboinvest.core.records import canonical_json, to_plain
from roboinvest.core.risk import limits_snapshot
from roboinvest.core.signals import Signals, signals_of
from roboinvest.core.strategy import EquityShare, Execution, Plan, Scan
from tools.backtester.bars import digest_of
from tools.backtester.contract import (
    BacktestResult,
    Part,
    Played,
    Request,
    Stage,
    Terms,
)
from tools.backtester.kernel import kernel
from tools.backtester.simulator import simulator
from tools.backtester.trades import ledger_trades, round_trips

Executor = Literal["auto", "simulator", "kernel"]
_LIBRARIES: Final = ("numpy", "TA-Lib", "numba")


def prepare(request: Request) -> Stage:
    """Return what an executor plays.

    Raises:
        BadInput: the bars are none, too few or of the wrong length for the strategy, or one of its
            levels makes no sense; the message says where.
    """
    strategy = request.strategy
    if not strategy.timeframe.suits(request.timeframe):
        raise BadInput(
            f"{strategy.stamp} is for {strategy.timeframe} bars, and these are of "
            f"{request.timeframe}; give others"
        )
    if len(request.bars) < strategy.symbols:
        raise BadInput(
            f"{strategy.stamp} needs {strategy.symbols} symbols and the run has "
            f"{len(request.bars)}; name them with --symbols"
        )
    plan = strategy.plan(request.values, len(request.bars))
    bars = among(request.bars)
    parts = dict[str, Part]()
    for symbol in sorted(bars):
        first = _first_row(bars[symbol], request.first)
        if len(bars[symbol]) <= max(first, plan.warm_up):
            raise BadInput(
                f"{symbol} has {len(bars[symbol])} bars, of which {first} come before the first "
                f"day, and {strategy.stamp} warms up on {plan.warm_up}; give more bars"
            )
        wishes = signals_of(plan, bars[symbol], request.timeframe, request.actions, from_row=first)
        if not asks_at_exit(plan):
            wishes = replace(wishes, columns={})  # nobody asks again, and they are most of it
        finer = request.finer.get(symbol)
        parts[symbol] = Part(bars=bars[symbol], signals=wishes, first_row=first, finer=finer)
    return Stage(plan=plan, timeframe=request.timeframe, parts=parts, actions=request.actions)


def asks_at_exit(plan: Plan) -> bool:
    """Return whether the exit is a call, which is asked while a run goes on."""
    leave = plan.execution.exit
    return leave is not None and not hasattr(leave, "of")


def play(stage: Stage, terms: Terms, executor: Executor = "auto") -> tuple[Played, str]:
    """Return what a stage came to, and which executor played it.

    Raises:
        BadInput: the kernel was asked for and cannot play it.
    """
    if executor != "kernel":  # alone, a run is over before the kernel is compiled
        return simulator.play(stage, terms), "simulator"
    why_not = kernel.refusal(stage, terms)
    if why_not is not None:
        raise BadInput(f"the kernel cannot play this: {why_not}; use the simulator")
    return kernel.play(stage, terms), "kernel"


def play_request(request: Request) -> Played:
    """Return what a request comes to, unsummed: what leak detectors compare."""
    return simulator.play(prepare(request), request.terms)


def run_backtest(request: Request, *, executor: Executor = "auto") -> BacktestResult:
    """Return one run with its figures.

    Raises:
        BadInput: see `prepare` and `play`.
    """
    stage = prepare(request)
    played, by = play(stage, request.terms, executor)
    days, daily, gross = by_day(stage, played, request.terms.cash)
    kept, kept_gross = _kept(stage, request.terms)
    trades = ledger_trades(played, stage)
    marks = {symbol: part.signals.mark for symbol, part in stage.parts.items()}
    return BacktestResult(
        request=request,
        stage=stage,
        played=played,
        executor=by,
        round_trips=round_trips(played, stage),
        trades=trades,
        days=days,
        daily_equity=daily,
        benchmark=kept,
        figures=_figures(daily, trades, gross),
        benchmark_figures=_figures(kept, (), kept_gross),
        liquidated=int(daily[-1]) + _reckoning(played, marks),
        digest=run_digest(request),
        warnings=request.notes,
    )


def _kept(stage: Stage, terms: Terms) -> tuple[Ints, Ints]:
    """Return the daily equity and gross of buying and holding, free of limits and volume."""
    free = Terms(cash=terms.cash, rules=replace(terms.rules, volume_share=None))
    kept = simulator.play(buy_and_hold(stage), free)
    return by_day(stage, kept, terms.cash)[1:]


def by_day(stage: Stage, played: Played, cash: Decimal) -> tuple[Ints, Ints, Ints]:
    """Return the exchange days of a run, and equity and gross at the end of each.

    Equity and gross have one point more than there are days: the first is before the first day.
    """
    day_of = np.zeros(len(played.instants), np.int64)  # 0: nobody decides then
    for part in stage.parts.values():  # one by one: all of them would be as large as the bars
        closes = part.bars.closes_at[part.first_row :]
        at = np.searchsorted(played.instants, closes)
        if not np.array_equal(played.instants[np.minimum(at, len(day_of) - 1)], closes):
            raise ValueError("the executor's instants are not those of the bars")
        day_of[at] = part.bars.day[part.first_row :]
    rows = np.flatnonzero(day_of)
    days = day_of[rows]
    ends = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    rows = rows[ends]
    equity = np.concatenate(([to_units(cash)], played.equity[rows]))
    gross = np.concatenate(([0], played.gross[rows]))
    return days[ends], equity, gross


def buy_and_hold(stage: Stage) -> Stage:
    """Return a stage that buys equal parts of every symbol as soon as it can, and keeps them."""
    return replace(
        stage,
        plan=Plan(
            columns={},
            scan=Scan(long=above("close", 0.0)),
            execution=Execution(size=EquityShare(1.0 / len(stage.parts))),
        ),
        parts={
            symbol: replace(part, signals=_always(part)) for symbol, part in stage.parts.items()
        },
    )


def run_digest(request: Request) -> str:
    """Return the sha256 of everything a result depends on: bars, code, values, terms, libraries."""
    terms, strategy = request.terms, request.strategy
    facts = {
        "bars": digest_of(request.bars),
        "finer": digest_of(request.finer),
        "timeframe": request.timeframe,
        "first": request.first,
        "actions": sorted(canonical_json(action) for action in request.actions),  # any order
        "strategy": [strategy.name, strategy.version, strategy.fingerprint],
        "values": dict(request.values),
        "cash": terms.cash,
        "rules": to_plain(terms.rules),
        "allow_short": terms.allow_short,
        "limits": None if terms.limits is None else limits_snapshot(terms.limits),
        "protections": None if terms.protections is None else _plain(terms.protections),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()


def _plain(rules: ProtectionRules) -> dict[str, object]:
    """Return rules by name, times in seconds; equal figures are equal, however they are written."""
    found = {name: getattr(rules, name) for name in ProtectionRules.__dataclass_fields__}
    return {
        name: value.total_seconds() if isinstance(value, timedelta) else value
        for name, value in found.items()
    }


def _always(part: Part) -> Signals:
    """Return signals that want to hold, from the first row with decisions on."""
    n = len(part.bars)
    nothing, never = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    entry = np.zeros(n, np.int8)
    entry[part.first_row :] = 1
    return Signals(
        entry=entry,
        leave=never,
        late=never,
        stop=nothing,
        target=nothing,
        trail=nothing,
        mark=part.signals.mark,
        columns={},
    )


def _reckoning(played: Played, marks: Mapping[str, Ints]) -> int:
    """Return by how many units selling everything at the last close changes the equity."""
    change = Decimal(0)
    for fill in played.at_end:
        mark = from_units(int(marks[fill.symbol][-1]))
        change -= fill.qty * (fill.price - mark) + fill.fee
    return to_units(change)


def _first_row(bars: SessionBars, first: date | None) -> int:
    """Return the first row with decisions."""
    return 0 if first is None else int(np.searchsorted(bars.day, first.toordinal()))


def _figures(equity: Ints, trades: Sequence[Trade], gross: Ints) -> PerformanceFigures:
    curve = (equity / UNITS_PER_USD).tolist()
    if (equity[:-1] > 0).all():
        return figures(curve, trades, gross=(gross / UNITS_PER_USD).tolist())
    # It lost all it had on the way: what is left are the trades, the loss and the fall.
    fall = drawdown(curve)
    return replace(
        figures(curve[:1], trades),
        periods=len(curve) - 1,
        total_return=curve[-1] / curve[0] - 1.0,
        max_drawdown=None if fall is None else fall.depth,
        longest_drawdown=None if fall is None else fall.longest,
    )
