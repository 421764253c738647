"""What has to be known of a run before its figures mean anything, gathered in one place.

Leaks first; then how many were tried before it; then what chance, costs and other periods say. All
of it is computed from the run itself, with a handed-in generator, so that the same run is judged
alike every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.fills import BPS
from roboinvest.core.market.bars import Floats
from roboinvest.core.market.grid import from_units, to_units
from roboinvest.core.performance import simple_returns
from roboinvest.core.statistics.intervals import intervals
from roboinvest.core.statistics.sharpe import (
    Deflated,
    Moments,
    annual,
    deflated_sharpe,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    variance_without_skill,
)
from roboinvest.core.strategy import Execution
from tools.backtester.contract import BacktestResult
from tools.backtester.engine import play_request
from tools.backtester.kernel import kernel
from tools.backtester.leaks.check import Beside, leak_check
from tools.backtester.leaks.effort import QUICK, Effort
from tools.backtester.leaks.findings import LeakReport
from tools.backtester.regimes import regimes_of
from tools.backtester.report.evidence import CostRow, Evidence, FoldRow
from tools.backtester.run_book.values import RunFigures, Standing
from tools.backtester.search.cost_sensitivity import TIMES, AtCost, cost_sensitivity
from tools.backtester.search.engine_play import play_many
from tools.backtester.search.null_tests import entries_against_chance, exposure_against_chance
from tools.backtester.search.walk_forward import FoldRow as WalkedFold
from tools.backtester.search.walk_forward import WalkForwardResult

DRAWS: Final = 499
FEW_DRAWS: Final = 39  # where the kernel cannot play it


def evidence_of(
    result: BacktestResult,
    standing: Standing,
    *,
    rng: Generator,
    source: str | None = None,
    effort: Effort = QUICK,
    walked: WalkForwardResult | None = None,
) -> Evidence:
    """Return what is known about a run beyond itself.

    Args:
        result: the run.
        standing: of its lineage in the run book, this run included.
        rng: draws samples, cuts and random entries.
        source: text of the strategy's file; None: one of the library.
        effort: how much the leak check may cost.
        walked: the walk-forward of the same strategy, where there is one.
    """
    leaks = check_leaks(result, rng=rng, source=source, effort=effort)
    returns = daily_returns(result)
    shape = moments(returns) if len(returns) else None
    deflated = None if shape is None else _deflated(shape, standing)
    needed = None if shape is None else minimum_track_record(shape)
    closed = [float(trip.pnl) for trip in result.round_trips if not trip.is_open]
    p, draws = against_chance(result, rng)
    held_p, held_draws = exposure_by_chance(result, rng)
    return Evidence(
        leaks=leaks.findings,
        trials=standing.trials,
        probabilistic_sharpe=None if shape is None else probabilistic_sharpe(shape),
        deflated_sharpe=None if deflated is None else deflated.probability,
        minimum_track_record=None if needed is None else int(np.ceil(needed)),
        permutation_p=p,
        permutations=draws,
        exposure_p=held_p,
        exposures=held_draws,
        intervals=intervals(returns, closed, rng) if len(returns) else None,
        folds=() if walked is None else tuple(map(_fold, walked.rows)),
        costs=_costs(result),
        regimes=_regimes(result),
    )


def _deflated(shape: Moments, standing: Standing) -> Deflated | None:
    """Return the Sharpe ratio after all trials, whose spread is no less than that of no skill."""
    known = standing.sharpe_variance
    floor = variance_without_skill(shape.periods)
    variance = None if known is None else max(known, floor)
    return deflated_sharpe(shape, max(standing.trials, 1), variance)


def check_leaks(
    result: BacktestResult, *, rng: Generator, source: str | None, effort: Effort
) -> LeakReport:
    """Return what the leak detectors say of a run."""
    return leak_check(
        result.request,
        play=play_request,
        rng=rng,
        effort=effort,
        beside=Beside(source=source),
        played=result.played,
    )


def daily_returns(result: BacktestResult) -> Floats:
    """Return the daily returns; none where the account lost all it had."""
    equity = result.daily_equity
    if not (equity[:-1] > 0).all():
        return np.zeros(0)
    return simple_returns(equity.astype(np.float64).tolist())


def against_chance(result: BacktestResult, rng: Generator) -> tuple[float | None, int | None]:
    """Return the share of random entries that did as well, and how many were drawn."""
    if not result.round_trips:
        return None, None
    stage, terms = result.stage, result.request.terms
    draws = DRAWS if kernel.refusal(stage, terms) is None else FEW_DRAWS
    try:
        found = entries_against_chance(
            stage, terms, result.round_trips, play=play_many, rng=rng, draws=draws
        )
    except BadInput:  # nothing to draw from: every row was an entry, say
        return None, None
    return found.p_value, draws


def exposure_by_chance(result: BacktestResult, rng: Generator) -> tuple[float | None, int | None]:
    """Return the share of as long positions at random times that did as well, and the draws."""
    if not (result.round_trips and _has_elsewhere(result)):
        return None, None
    stage, terms = result.stage, result.request.terms
    # The draws have no exit but the end of their stretch, and no limits: the kernel's own case.
    plain = replace(stage, plan=replace(stage.plan, execution=Execution()))
    free = replace(terms, limits=None, protections=None)
    draws = DRAWS if kernel.refusal(plain, free) is None else FEW_DRAWS
    try:
        found = exposure_against_chance(
            stage, terms, result.round_trips, play=play_many, rng=rng, draws=draws
        )
    except BadInput:  # its draws cannot be played
        return None, None
    return found.p_value, draws


def _has_elsewhere(result: BacktestResult) -> bool:
    """Return whether positions like those of a run could have been held at other times."""
    stage, free = result.stage, False
    for symbol, part in stage.parts.items():
        out = np.ones(len(part.bars), np.bool_)
        for trip in result.round_trips:
            if trip.symbol == symbol:
                out[trip.signal_row : trip.exit_row + 1] = False
        free |= bool(out[max(part.first_row, stage.plan.warm_up) :].any())
    return free


def _costs(result: BacktestResult) -> tuple[CostRow, ...]:
    if not result.round_trips:
        return ()
    stage, terms = result.stage, result.request.terms
    times = [each for each in TIMES if terms.rules.slippage_bps * each < BPS]
    found = cost_sensitivity(stage, terms, play=play_many, times=times, break_even=False)
    return tuple(_cost(row, result) for row in found.rows)


def _cost(row: AtCost, result: BacktestResult) -> CostRow:
    cash = result.request.terms.cash
    label = "no costs" if not row.times else f"{row.times}x costs, {row.slippage_bps} bp slippage"
    return CostRow(
        label=label,
        total_return=row.figures.total_return,
        sharpe=_annual(row.figures),
        trades=row.figures.trades,
        pnl=from_units(to_units(row.figures.final_equity) - to_units(cash)),
    )


def _fold(row: WalkedFold) -> FoldRow:
    return FoldRow(
        train_first=row.train[0],
        train_last=row.train[1],
        test_first=row.test[0],
        test_last=row.test[1],
        values=row.values or {},
        train_sharpe=_annual(row.in_sample),
        test_sharpe=_annual(row.out_of_sample),
        test_return=row.out_of_sample.total_return,
        test_trades=row.out_of_sample.trades,
    )


def _annual(figures: RunFigures | None) -> float | None:
    return None if figures is None or figures.sharpe is None else annual(figures.sharpe)


def _regimes(result: BacktestResult) -> Mapping[date, str]:
    """Return the regime of each day by the run's first symbol."""
    parts: Sequence[str] = sorted(result.stage.parts)
    return regimes_of(result.stage.parts[parts[0]].bars, result.request.actions)
