"""The same run, once more: whoever remembers, rolls dice or reads the clock answers otherwise.

The calls of a scan or an exit are also watched while they are asked: a moment has a symbol, columns
and other symbols' closes, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from roboinvest.core.strategy import (
    Held,
    Moment,
    Plan,
    ScanCall,
    Strategy,
    Values,
    asks_elsewhere,
)
from tools.backtester.leaks.findings import (
    Detector,
    Finding,
    Verdict,
    clean,
    not_applicable,
    suspected,
)
from tools.backtester.leaks.known import Known, Rows, played_differ, wishes_differ
from tools.backtester.leaks.sentences import accuse
from tools.backtester.leaks.tapes import Tape, between
from tools.backtester.leaks.trial import Failed, Trial, asks_on_exit

_TOLD: Final = frozenset({"symbol", "other", "__class__"})
_PLAYED_ROWS: Final = 800  # of each symbol, at the run's end


class Watched:
    """A moment that notes whatever is asked of it beyond what a moment tells."""

    __slots__ = ("_moment", "_seen")

    def __init__(self, now: Moment, seen: set[str]) -> None:
        self._moment = now
        self._seen = seen

    def __call__(self, name: str, back: int = 0) -> float:
        """Return a column's value."""
        now = cast(Moment, object.__getattribute__(self, "_moment"))
        return now(name, back)

    def __getattribute__(self, name: str) -> object:
        if name not in _TOLD:
            cast(set[str], object.__getattribute__(self, "_seen")).add(name)
        return getattr(object.__getattribute__(self, "_moment"), name)


def run_again(trial: Trial, base: Known) -> tuple[Finding, ...]:
    """Return the findings of asking once more, and of watching the calls meanwhile."""
    seen = set[str]()
    watched = replace(trial.strategy, build=_watching(trial.strategy.build, seen))
    plan = watched.plan(trial.request.values)
    has_call = callable(plan.scan) or asks_on_exit(plan)
    again = trial.wishes(trial.tape, plan=plan)
    backwards = trial.wishes(trial.tape, plan=plan, symbols=trial.symbols[::-1])
    recent = _recent(trial)
    repeated = (
        _differs(trial, base, again)
        or _differs(trial, again, backwards)
        or _plays_differ(trial, recent, watched)
        or clean(Detector.REPEAT, "asked again, and in another order, it answered the same")
    )
    return repeated, _moment_finding(has_call, seen)


def _moment_finding(has_call: bool, seen: set[str]) -> Finding:
    if not has_call:
        return not_applicable(Detector.MOMENT, "its scan and exit are conditions, not calls")
    if seen:
        return suspected(
            Detector.MOMENT,
            f"a call reaches for {', '.join(sorted(seen))} of its moment, which only tells "
            "columns, the symbol and other symbols' closes; ask for declared columns",
        )
    return clean(Detector.MOMENT, "its calls ask for what a moment may tell")


def _differs(trial: Trial, ours: Known, theirs: Known) -> Finding | None:
    for symbol in trial.symbols:
        bars = trial.tape[symbol]
        rows = Rows(first=0, known=len(bars), whole=True)
        found = wishes_differ(ours.signals[symbol], theirs.signals[symbol], symbol, rows)
        if found is not None:
            told = accuse(trial, Detector.REPEAT, found, trial.tape, int(bars.closes_at[-1]), None)
            return replace(
                told,
                text=(
                    f"{found.what} {found.name!r} of {symbol} in bar {told.row} was {found.ours} "
                    f"and, asked again about the same bars, is {found.theirs}"
                ),
            )
    return None


def _plays_differ(trial: Trial, tape: Tape, watched: Strategy) -> Finding | None:
    ours, theirs = trial.played(tape, watched), trial.played(tape)
    if isinstance(ours, Failed) or isinstance(theirs, Failed):
        return None
    known = {symbol: len(bars) for symbol, bars in tape.items()}
    end = max(int(bars.closes_at[-1]) for bars in tape.values())
    found = played_differ(ours, theirs, known, end)
    if found is None:
        return None
    told = accuse(trial, Detector.REPEAT, found, tape, end, None)
    return replace(
        told,
        verdict=Verdict.SUSPECTED,
        text=f"the same run played twice gave first {found.ours}, then {found.theirs}",
    )


def _recent(trial: Trial) -> Tape:
    """Return the end of the run, long enough to warm up on."""
    rows = max(_PLAYED_ROWS, 3 * trial.plan().warm_up)
    begin = min(int(bars.ts[max(len(bars) - rows, 0)]) for bars in trial.tape.values())
    return between(trial.tape, begin, max(int(bars.closes_at[-1]) for bars in trial.tape.values()))


def _watching(build: Callable[[Values], Plan], seen: set[str]) -> Callable[[Values], Plan]:
    def watched(values: Values) -> Plan:
        plan = build(values)
        how = plan.execution
        if asks_elsewhere(plan):  # its moments are made in another process, of columns alone
            return plan
        if callable(plan.scan):
            plan = replace(plan, scan=_watched_scan(plan.scan, seen))
        if asks_on_exit(plan):
            plan = replace(plan, execution=replace(how, exit=_watched_exit(how.exit, seen)))
        return plan

    return watched


def _watched_scan(scan: ScanCall, seen: set[str]) -> ScanCall:
    return lambda now: scan(cast(Moment, Watched(now, seen)))


def _watched_exit(leave: object, seen: set[str]) -> Callable[[Moment, Held], bool]:
    call = cast(Callable[[Moment, Held], bool], leave)
    return lambda now, held: call(cast(Moment, Watched(now, seen)), held)
