"""From a backtest to the note of it: figures, digests, and when it entered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.grid import from_units
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import CorporateAction
from roboinvest.core.records import canonical_json, to_plain
from roboinvest.core.risk import limits_snapshot
from roboinvest.core.statistics.sharpe import moments
from tools.backtester.bars import digest_of
from tools.backtester.contract import BacktestResult, Stage, Terms
from tools.backtester.run_book.sketch import EntrySketch, sketch_of
from tools.backtester.run_book.values import RunFigures, RunNote

LIBRARY: Final = "library"  # in place of a file


def note_of(
    result: BacktestResult,
    *,
    file: Path | str | None = None,
    data: str | None = None,
    parent: int | None = None,
    sweep: str = "",
    fold: str = "",
    report: Path | None = None,
) -> RunNote:
    """Return the note of a run.

    Args:
        result: the run.
        file: where the strategy's code lies; None: in the library.
        data: `data_digest` of the request, where it is known already.
        parent: the run that this one was made from.
        sweep: the search that it belongs to.
        fold: of a walk-forward.
        report: where its report lies.
    """
    request = result.request
    return RunNote(
        strategy=request.strategy.name,
        version=request.strategy.version,
        fingerprint=request.strategy.fingerprint,
        file=LIBRARY if file is None else str(file),
        values=dict(request.values),
        symbols=tuple(sorted(request.bars)),
        timeframe=request.timeframe,
        first=date.fromordinal(int(result.days[0])),
        last=date.fromordinal(int(result.days[-1])),
        data=data or data_digest(request.bars, request.actions),
        terms=terms_digest(request.terms),
        executor=result.executor,
        figures=run_figures(result.daily_equity, sum(not t.is_open for t in result.round_trips)),
        entries=entry_sketch(result.stage),
        digest=result.digest,
        parent=parent,
        sweep=sweep,
        fold=fold,
        report="" if report is None else str(report),
    )


def run_figures(daily_equity: Ints, trades: int) -> RunFigures:
    """Return the figures of an equity curve (units, the cash before the first day first).

    `trades` is the number of round trips that ended.

    An account that lost all it had has no Sharpe ratio: its returns are not defined.
    """
    equity = daily_equity.astype(np.float64)
    peaks = np.maximum.accumulate(equity)
    returns = equity[1:] / equity[:-1] - 1.0 if (equity[:-1] > 0.0).all() else np.zeros(0)
    shape = moments(returns)
    return RunFigures(
        sharpe=None if shape is None else shape.sharpe,
        skew=None if shape is None else shape.skew,
        kurtosis=None if shape is None else shape.kurtosis,
        days=len(equity) - 1,
        total_return=float(equity[-1] / equity[0] - 1.0),
        max_drawdown=float(np.max(1.0 - equity / peaks)),
        trades=trades,
        final_equity=from_units(int(daily_equity[-1])),
    )


def entry_sketch(stage: Stage) -> EntrySketch:
    """Return when a run wanted to enter: the bar closes at which a wish begins.

    The wish and not the fill, so that other costs, sizes or stops do not make a strategy another.
    """
    at = dict[str, Ints]()
    for symbol, part in stage.parts.items():
        wish = part.signals.entry[part.first_row :]
        begins = wish != 0
        begins[1:] &= wish[1:] != wish[:-1]
        at[symbol] = part.bars.closes_at[part.first_row :][begins]
    return sketch_of(at)


def data_digest(bars: Mapping[str, SessionBars], actions: Sequence[CorporateAction]) -> str:
    """Return the sha256 of everything that a strategy is shown of the market."""
    known = canonical_json(to_plain(tuple(actions)))
    return hashlib.sha256(f"{digest_of(bars)}{known}".encode()).hexdigest()


def terms_digest(terms: Terms) -> str:
    """Return the sha256 of account, costs and limits."""
    facts = {
        "cash": terms.cash,
        "rules": to_plain(terms.rules),
        "allow_short": terms.allow_short,
        "limits": None if terms.limits is None else limits_snapshot(terms.limits),
        "protections": repr(terms.protections),
    }
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()
