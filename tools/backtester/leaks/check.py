"""The leak check: every detector, on one strategy and one run.

No figure of a strategy is shown as valid before this. What it needs of an engine is one function
that plays a request; what it needs of chance is a generator, so that a check can be repeated.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from tools.backtester.contract import Played, Request
from tools.backtester.leaks.detectors.again import run_again
from tools.backtester.leaks.detectors.ahead import look_ahead
from tools.backtester.leaks.detectors.data import Feed, faults_in_data, feeds
from tools.backtester.leaks.detectors.fills import fills_in_bars
from tools.backtester.leaks.detectors.history import adjusted_prices, warm_up
from tools.backtester.leaks.detectors.luck import blind, lag
from tools.backtester.leaks.detectors.reach import memory, reach_of, tables
from tools.backtester.leaks.detectors.source import faults_in, faults_of, tables_in
from tools.backtester.leaks.effort import QUICK, Effort
from tools.backtester.leaks.findings import (
    Detector,
    Finding,
    LeakReport,
    clean,
    not_applicable,
    suspected,
)
from tools.backtester.leaks.known import Known
from tools.backtester.leaks.trial import Failed, Play, Trial

_READ_ONLY = "read-only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is known of a run beside its bars."""

    source: str | None = None  # text of the strategy's file; None: its functions' own source
    universe_as_of: Mapping[str, date] = field(default_factory=dict)  # since when each is a choice
    feeds: tuple[Feed, ...] = ()


def leak_check(
    request: Request,
    *,
    play: Play,
    rng: np.random.Generator,
    effort: Effort = QUICK,
    beside: Beside | None = None,
    played: Played | None = None,
) -> LeakReport:
    """Return what all detectors say of a strategy on a run; `played` saves playing it once more.

    Raises:
        BadInput: the strategy refuses the run itself, as `engine.prepare` would.
    """
    known, trial = beside or Beside(), Trial(request=request, play=play)
    data = faults_in_data(trial, known.universe_as_of or None)
    unordered = any(np.any(np.diff(bars.ts) <= 0) for bars in trial.tape.values())
    if unordered:  # nothing can be cut by time
        return _report(trial, effort, data)
    carried, static = _looked_at(trial, known)
    before = memory(reach_of(("the strategy", request.strategy)))
    base = _first_run(trial)
    if isinstance(base, Finding):
        return _report(trial, effort, (base, *data, carried, static))
    ours = trial.played(trial.tape) if played is None else played
    base = Known(signals=base.signals, played=None if isinstance(ours, Failed) else ours)
    findings = (
        *look_ahead(trial, base, effort, rng),
        lag(trial, base, rng),
        blind(trial, base, base.played, rng),
        warm_up(trial, base, effort, rng),
        *run_again(trial, base),
        _remembered(request, before, carried),
        static,
        adjusted_prices(trial, base),
        feeds(trial, known.feeds, effort, rng),
        *data,
        fills_in_bars(request, base.played),
    )
    return _report(trial, effort, findings)


def _first_run(trial: Trial) -> Known | Finding:
    """Return the run itself, or the accusation that the strategy writes into its bars."""
    try:
        return trial.wishes(trial.tape)
    except ValueError as error:
        if _READ_ONLY not in str(error):
            raise
        return suspected(Detector.REPEAT, f"it tries to change the bars that it is given ({error})")


def _looked_at(trial: Trial, known: Beside) -> tuple[Finding, Finding]:
    """Return what its data and its source speak of."""
    reach = reach_of(("the strategy", trial.strategy), ("its plan", trial.plan()))
    declared = tuple(array for feed in known.feeds for array in (feed.known_at, feed.values))
    texts = [text for text in reach.texts if text]
    data = [*tables(reach, declared), *itertools.chain.from_iterable(map(tables_in, texts))]
    carried = (
        suspected(
            Detector.CARRIED,
            f"{data[0]}, more than settings need; a strategy learns from bars, and other data "
            "must be declared as a feed with the times it was known at",
        )
        if data
        else clean(Detector.CARRIED, "it brings no data along")
    )
    source = texts[0] if texts and known.source is None else known.source
    return carried, _read(reach_faults=faults_of(reach), source=source)


def _read(reach_faults: list[str], source: str | None) -> Finding:
    faults = reach_faults
    if source is not None:
        try:
            faults = [*faults_in(source), *reach_faults]
        except SyntaxError as error:
            return not_applicable(Detector.STATIC, f"its source is no Python: {error.msg}")
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return suspected(Detector.STATIC, f"its source {faults[0]}{more}")
    return clean(Detector.STATIC, "its source asks for nothing suspicious")


def _remembered(request: Request, before: Mapping[str, str], carried: Finding) -> Finding:
    after = memory(reach_of(("the strategy", request.strategy)))
    changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    if not changed:
        return carried
    what = changed[0].partition(" #")[0]
    return suspected(
        Detector.CARRIED,
        f"{what} changed while it ran, so it remembers one run in the next",
    )


def _report(trial: Trial, effort: Effort, findings: tuple[Finding, ...]) -> LeakReport:
    return LeakReport(
        strategy=trial.strategy.stamp,
        effort=effort.name,
        findings=findings,
        runs=trial.runs,
        rows=trial.rows,
    )
