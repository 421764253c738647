"""Data that know later days: bars, the choice of symbols, and what was brought beside the bars.

A strategy cannot be honest on dishonest data, and asking it again does not show that: the leak is
in the past that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import ActionKind, Timeframe
from roboinvest.core.strategy import Strategy
from tools.backtester.leaks.effort import Effort
from tools.backtester.leaks.findings import (
    Detector,
    Finding,
    clean,
    not_applicable,
    suspected,
)
from tools.backtester.leaks.known import Known, Rows, wishes_differ
from tools.backtester.leaks.sentences import accuse, moment
from tools.backtester.leaks.tapes import Tape, closed
from tools.backtester.leaks.trial import Failed, Trial

_NS: Final = 1000  # in a microsecond
_MINUTE_NS: Final = 60_000_000_000
_FEWEST_DAYS: Final = 5
_SPLIT_LIKE: Final = 1.4  # smaller ratios look like an ordinary night


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What a strategy is given beside bars: news scores, ratings, earnings."""

    name: str
    known_at: Ints  # (m,) ns since the epoch, when the value could first be read
    values: Floats  # (m,)
    build: Callable[[Floats], Strategy]  # the strategy with other values at the same times


def faults_in_data(trial: Trial, universe_as_of: Mapping[str, date] | None) -> tuple[Finding, ...]:
    """Return what the bars and the choice of symbols know too early; one finding at least."""
    faults = [
        fault
        for symbol in trial.symbols
        for fault in (
            *_times(trial.tape[symbol]),
            *_closes(trial.tape[symbol], trial.request.timeframe),
            *_splits(trial, symbol),
        )
    ]
    faults += _survivors(trial, universe_as_of)
    if faults:
        return tuple(suspected(Detector.DATA, fault) for fault in faults)
    text = "bars close after what they hold, and are in order"
    if universe_as_of is None and len(trial.tape) > 1:
        text += "; since when the symbols were chosen was not told"
    return (clean(Detector.DATA, text),)


def feeds(trial: Trial, given: Sequence[Feed], effort: Effort, rng: np.random.Generator) -> Finding:
    """Return whether a decision changes with what became known after it."""
    if not given:
        return not_applicable(Detector.FEED, "it was given nothing but bars")
    for feed in given:
        strategy = feed.build(feed.values)
        base = _asked(trial, strategy, trial.tape)
        if isinstance(base, Failed):
            return not_applicable(Detector.FEED, f"it fails with {feed.name}: {base.text}")
        for instant in _instants(trial, feed, effort, rng):
            later = feed.known_at > instant
            values = feed.values.copy()
            values[later] = rng.permutation(values[later])[::-1] * -1.0 - 1.0
            theirs = _asked(trial, feed.build(values), trial.tape)
            found = None if isinstance(theirs, Failed) else _unlike(trial, base, theirs, instant)
            if found is not None:
                return replace(
                    found,
                    text=f"{found.text.partition(' where')[0]} with another later {feed.name}",
                )
    return clean(Detector.FEED, "later values changed no earlier decision")


def _times(bars: SessionBars) -> list[str]:
    steps = np.diff(bars.ts)
    if (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1
        kind = "twice" if steps[at - 1] == 0 else "out of order"
        return [f"{bars.symbol} has the bar of {moment(int(bars.ts[at]))} {kind}"]
    if (np.diff(bars.closes_at) < 0).any():
        return [f"{bars.symbol} has bars that close before earlier ones"]
    return []


def _closes(bars: SessionBars, timeframe: Timeframe) -> list[str]:
    """Return bars that say they closed before their content had ended."""
    length = int(timeframe.length.total_seconds()) * _NS * 1_000_000
    ends = bars.ends if timeframe is Timeframe.DAY else np.minimum(bars.ts + length, bars.ends)
    if _one_a_session(bars):
        ends = bars.ends
    early = bars.closes_at < ends
    if early.any():
        at = int(np.argmax(early))
        return [
            f"{bars.symbol}: the bar of {moment(int(bars.ts[at]))} says it closed at "
            f"{moment(int(bars.closes_at[at]))}, before the {moment(int(ends[at]))} that it holds"
        ]
    spacing = _spacing(bars)
    lasts = bars.closes_at - bars.ts
    if spacing is not None and spacing >= 2 * int(np.max(lasts)):
        return [
            f"{bars.symbol}: bars come every {spacing // _MINUTE_NS} minutes and say they close "
            f"after {int(np.max(lasts)) // _MINUTE_NS}; they look resampled"
        ]
    return []


def _one_a_session(bars: SessionBars) -> bool:
    """Return whether these are bars of a day, whatever the others are."""
    return len(bars) >= _FEWEST_DAYS and bool((np.diff(bars.day) > 0).all())


def _spacing(bars: SessionBars) -> int | None:
    """Return the one distance between bars of a session, where there is only one."""
    inside = np.diff(bars.ts)[bars.day[1:] == bars.day[:-1]]
    if len(inside) < 8:
        return None
    least = int(np.min(inside))
    return least if least > 0 and (inside % least == 0).all() else None


def _splits(trial: Trial, symbol: str) -> list[str]:
    bars, faults = trial.tape[symbol], []
    for action in trial.request.actions:
        if action.kind is not ActionKind.SPLIT or action.symbol != symbol:
            continue
        if symbol in trial.request.adjusted:
            faults.append(
                f"{symbol} is said to be adjusted and comes with the split of {action.ex_date}, "
                "which would count twice; give raw prices or no splits"
            )
            continue
        row = int(np.searchsorted(bars.day, action.ex_date.toordinal()))
        if not 0 < row < len(bars):
            continue
        ratio = float(action.ratio)
        jump = float(bars.open[row] / bars.close[row - 1])
        far = abs(np.log(ratio)) > np.log(_SPLIT_LIKE)
        if far and abs(np.log(jump)) < abs(np.log(jump * ratio)):
            faults.append(
                f"{symbol} is said to be raw, but its price does not move by the split of "
                f"{action.ex_date} ({action.ratio} for one): the past was adjusted by a later split"
            )
    return faults


def _survivors(trial: Trial, universe_as_of: Mapping[str, date] | None) -> list[str]:
    first = _first_day(trial.tape, trial)
    late = {
        symbol: day
        for symbol, day in (universe_as_of or {}).items()
        if symbol in trial.tape and day > first
    }
    if not late:
        return []
    symbol, day = max(late.items(), key=lambda item: item[1])
    return [
        f"{len(late)} of {len(trial.tape)} symbols were chosen after the run begins on {first} "
        f"({symbol} on {day}), so those that failed meanwhile are missing"
    ]


def _first_day(tape: Tape, trial: Trial) -> date:
    first = min(date.fromordinal(int(bars.day[0])) for bars in tape.values() if len(bars))
    return max(first, trial.request.first or first)


def _asked(trial: Trial, strategy: Strategy, tape: Tape) -> Known | Failed:
    asked = Trial(request=replace(trial.request, strategy=strategy), play=trial.play)
    known = asked.tried(tape)
    trial.runs += asked.runs
    trial.rows += asked.rows
    return known


def _instants(trial: Trial, feed: Feed, effort: Effort, rng: np.random.Generator) -> list[int]:
    """Return instants just before a value became known."""
    begin = min(int(bars.closes_at[0]) for bars in trial.tape.values())
    within = feed.known_at[feed.known_at > begin]
    return [int(at) - 1 for at in rng.permutation(within)[: 2 * effort.whole]]


def _unlike(trial: Trial, ours: Known, theirs: Known, instant: int) -> Finding | None:
    for symbol in trial.symbols:
        rows = Rows(first=0, known=closed(trial.tape[symbol], instant))
        found = wishes_differ(ours.signals[symbol], theirs.signals[symbol], symbol, rows)
        if found is not None:
            return accuse(trial, Detector.FEED, found, trial.tape, instant, None)
    return None
