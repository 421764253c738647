"""The kernel: plays signal arrays in compiled integer arithmetic, to the unit as the simulator.

Whatever it cannot play that way it refuses with the reason, before the run where that can be known,
and else by raising. To import this module compiles nothing, nor imports what compiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING

from roboinvest.core.errors import Refused
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.market.values import Timeframe
from roboinvest.core.strategy import Plan
from tools.backtester.contract import Part, Played, Stage, Terms
from tools.backtester.kernel.ratios import figures_of

if TYPE_CHECKING:
    from tools.backtester.kernel.outcome import FastOutcome


def refusal(stage: Stage, terms: Terms) -> str | None:
    """Return why the kernel cannot play a stage on these terms; None where it can."""
    leave = stage.plan.execution.exit
    if leave is not None and getattr(leave, "of", None) is None:
        return "its exit is a call, and only a condition is known before the run"
    if terms.protections is not None:
        return "protections look at closed trades while the run goes on"
    split = sorted({action.symbol for action in stage.actions} & set(stage.parts))
    if split:
        return f"{', '.join(split)} had splits or dividends"
    asked = sorted(symbol for symbol, part in stage.parts.items() if _asks_finer_bars(part))
    if asked:
        return f"finer bars tell what those of {', '.join(asked)} cannot"
    try:
        figures_of(terms, stage.plan.execution, stage.timeframe)
    except Refused as fault:
        return str(fault)
    return None


def _asks_finer_bars(part: Part) -> bool:
    """Return whether a bar may hold both levels of a position, and finer ones can tell."""
    signals = part.signals
    return part.finer is not None and bool(((signals.stop > 0) & (signals.target > 0)).any())


def play(stage: Stage, terms: Terms) -> Played:
    """Return what a strategy's orders came to.

    Raises:
        Refused: see `refusal`; or a price, a volume or the account outgrew 64-bit arithmetic.
    """
    from tools.backtester.kernel import outcome, setup

    run = setup.run_of(stage, terms)
    book = setup.finished(run, noting=True)
    return outcome.played(book, run, terms.rules)


def equity_only(stage: Stage, terms: Terms) -> FastOutcome:
    """Return what a strategy's orders came to, in numbers alone.

    Raises:
        Refused: as of `play`.
    """
    from tools.backtester.kernel import outcome, setup

    run = setup.run_of(stage, terms)
    return outcome.fast_outcome(setup.finished(run, noting=False), run, terms.rules)


def play_many(stages: Iterable[Stage], terms: Terms) -> Iterator[FastOutcome]:
    """Yield `equity_only` of each stage; stages in a row that hold the same bars share them.

    Raises:
        Refused: as of `play`.
    """
    from tools.backtester.kernel import outcome, setup

    run = None
    for stage in stages:
        run = setup.run_of(stage, terms, run)
        yield outcome.fast_outcome(setup.finished(run, noting=False), run, terms.rules)


def sweep(
    plans: Iterable[Plan],
    bars: Mapping[str, SessionBars],
    timeframe: Timeframe,
    terms: Terms,
    *,
    first_rows: Mapping[str, int] | None = None,
) -> Iterator[FastOutcome]:
    """Yield what each plan comes to on the same bars, from `first_rows` on (by symbol, else 0).

    Columns that plans share are computed once. The plans must not be refused; see `refusal`.

    Raises:
        BadInput: a plan's levels make no sense; see `core.signals.signals_of`.
        Refused: as of `play`.
    """
    from tools.backtester.kernel import outcome, setup
    from tools.backtester.kernel.shared import SharedSignals

    def signals(symbol: str) -> SharedSignals:
        return SharedSignals(bars[symbol], timeframe, first_row=rows.get(symbol, 0))

    symbols, rows, ahead = sorted(bars), first_rows or {}, iter(plans)
    course = setup.course_of([bars[s] for s in symbols], [rows.get(s, 0) for s in symbols], terms)
    at_first = list(islice(ahead, 2))
    # A lone plan shares with nobody: a symbol's signals go as soon as its wishes are known.
    shared = list(map(signals, symbols)) if len(at_first) > 1 else None
    run = None
    for plan in chain(at_first, ahead):
        parts = (each.part(plan) for each in shared or map(signals, symbols))
        run = setup.run_on(course, plan, timeframe, terms, parts, run)
        yield outcome.fast_outcome(setup.finished(run, noting=False), run, terms.rules)
