"""The same days lived twice, on true and on disguised inputs: what differs, and what it is worth.

Four cells: true and disguised, up to the cut-off and after it. Memory shows as a result that is
there in one cell only, true inputs up to the cut-off. The days after the cut-off are the control:
what differs between the two runs there is the disguise itself, and a model that does not answer
the same question the same way twice.

Compared are decisions that a model made in both runs. After the first difference the books differ
too, so later decisions may differ because of what is held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from roboinvest.core.performance import Proportion, wilson_interval
from roboinvest.runtime.llm.hindsight.contamination import Contamination, contamination, model_of
from roboinvest.runtime.llm.hindsight.decay import Decay, Floats, decay, ratio
from roboinvest.runtime.llm.hindsight.lived import Lived

ACTIONS: Final = ("BUY", "SELL", "HOLD")
DEFINITION: Final = (
    "decay = 1 - S(without memory) / S(with memory), where S is the mean of the returns per tick "
    "over their standard deviation, not annualised; 0: nothing is lost, 1: all of it was memory"
)
_HOLD: Final = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run over one side of the cut-off."""

    sessions: int
    ticks: int
    decisions: Mapping[str, int]  # by action
    by_model: int  # decisions that a model made
    total_return: float  # fraction
    mean_tick: float | None  # return per tick, fraction
    deviation_tick: float | None
    ratio_tick: float | None  # mean over deviation, not annualised
    trades: int  # entries with nothing left open
    wins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionShare:
    """What became, in disguise, of one action that was taken on true inputs."""

    count: int
    differing: int
    share: Proportion | None  # of those that differ, with its 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """Decisions on one side of the cut-off, true against disguised."""

    compared: int  # made by a model in both runs
    differing: int
    agreement: Proportion | None  # share of equal actions
    acting: Proportion | None  # the same, where either run bought or sold
    by_action: Mapping[str, ActionShare]  # by the action on true inputs
    left_out: int  # made by rules in at least one of the runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that two runs say about memory. `None`: the days have no such side."""

    contamination: Contamination
    first: date
    last: date
    true_before: Cell | None
    true_after: Cell | None
    disguised_before: Cell | None
    disguised_after: Cell | None
    differences_before: Differences | None
    differences_after: Differences | None
    decay_in_disguise: Decay | None  # up to the cut-off: disguised against true
    control: Decay | None  # the same after the cut-off, where memory cannot help
    decay_after_cutoff: Decay | None  # true inputs: after against before
    definition: str = DEFINITION


def compare(
    true: Lived, disguised: Lived, *, model: str, cutoff: date | None, chance: np.random.Generator
) -> Comparison:
    """Return what the two runs say; neither may be empty.

    Without a known cut-off every day counts as one that the model may remember.
    """
    days = sorted({tick.day for tick in true.ticks} & {tick.day for tick in disguised.ticks})
    before = [day for day in days if cutoff is None or day <= cutoff]
    after = days[len(before) :]
    with_names, without = _by_session(true), _by_session(disguised)

    def lost(
        kept: Mapping[date, Floats], left: Mapping[date, Floats], on: Sequence[date]
    ) -> Decay | None:
        if not on:
            return None
        return decay([kept[d] for d in on], [left[d] for d in on], paired=True, chance=chance)

    crossing = None
    if before and after:
        sides = [[with_names[day] for day in side] for side in (before, after)]
        crossing = decay(*sides, paired=False, chance=chance)
    return Comparison(
        contamination=contamination(model, cutoff, days[0], days[-1]),
        first=days[0],
        last=days[-1],
        true_before=_cell(true, before),
        true_after=_cell(true, after),
        disguised_before=_cell(disguised, before),
        disguised_after=_cell(disguised, after),
        differences_before=_differences(true, disguised, before),
        differences_after=_differences(true, disguised, after),
        decay_in_disguise=lost(with_names, without, before),
        control=lost(with_names, without, after),
        decay_after_cutoff=crossing,
    )


def _by_session(run: Lived) -> dict[date, Floats]:
    """Return the returns per tick of each session; the first one counts from the start."""
    equity = np.array([run.start_equity, *(tick.equity for tick in run.ticks)])
    returns = equity[1:] / equity[:-1] - 1.0
    found = dict[date, list[float]]()
    for tick, value in zip(run.ticks, returns, strict=True):
        found.setdefault(tick.day, []).append(float(value))
    return {day: np.array(values) for day, values in found.items()}


def _cell(run: Lived, days: Sequence[date]) -> Cell | None:
    if not days:
        return None
    lived, sessions = set(days), _by_session(run)
    returns = np.concatenate([sessions[day] for day in days])
    choices = [c for tick in run.ticks if tick.day in lived for c in tick.choices.values()]
    counted = Counter(choice.action for choice in choices)
    trades = [trade for trade in run.trades if trade.day in lived]
    enough = len(returns) > 1
    return Cell(
        sessions=len(days),
        ticks=len(returns),
        decisions={action: counted[action] for action in ACTIONS},
        by_model=sum(model_of(choice.source) is not None for choice in choices),
        total_return=float(np.prod(1.0 + returns) - 1.0),
        mean_tick=float(returns.mean()) if enough else None,
        deviation_tick=float(returns.std(ddof=1)) if enough else None,
        ratio_tick=ratio(returns),
        trades=len(trades),
        wins=sum(trade.pnl > 0 for trade in trades),
    )


def _differences(true: Lived, disguised: Lived, days: Sequence[date]) -> Differences | None:
    if not days:
        return None
    lived = set(days)
    others = {tick.tick_id: tick.choices for tick in disguised.ticks}
    pairs, left_out = list[tuple[str, str]](), 0
    for tick in true.ticks:
        if tick.day not in lived:
            continue
        beside = others.get(tick.tick_id, {})
        for symbol, choice in tick.choices.items():
            other = beside.get(symbol)
            if other is None or model_of(choice.source) is None or model_of(other.source) is None:
                left_out += 1
            else:
                pairs.append((choice.action, other.action))
    acting = [pair for pair in pairs if pair != (_HOLD, _HOLD)]
    return Differences(
        compared=len(pairs),
        differing=_count(pairs, _differ),
        agreement=_share(pairs, _same),
        acting=_share(acting, _same),
        by_action={action: _of_action(pairs, action) for action in ACTIONS},
        left_out=left_out,
    )


Pair = tuple[str, str]  # the action on true inputs, and in disguise


def _of_action(pairs: Sequence[Pair], action: str) -> ActionShare:
    taken = [pair for pair in pairs if pair[0] == action]
    return ActionShare(
        count=len(taken), differing=_count(taken, _differ), share=_share(taken, _differ)
    )


def _count(pairs: Sequence[Pair], counts: Callable[[Pair], bool]) -> int:
    return sum(map(counts, pairs))


def _share(pairs: Sequence[Pair], counts: Callable[[Pair], bool]) -> Proportion | None:
    return wilson_interval(_count(pairs, counts), len(pairs))


def _same(pair: Pair) -> bool:
    return pair[0] == pair[1]


def _differ(pair: Pair) -> bool:
    return pair[0] != pair[1]
