"""Differences between two runs, in words."""

from __future__ import annotations

import numpy as np

from roboinvest.core.market.bars import from_ns
from tools.backtester.leaks.findings import Detector, Finding, Verdict, What
from tools.backtester.leaks.known import Difference
from tools.backtester.leaks.tapes import Going, Tape, closed
from tools.backtester.leaks.trial import Trial


def moment(instant: int) -> str:
    """Return an instant (ns since the epoch) as a person reads it."""
    return f"{from_ns(instant):%Y-%m-%d %H:%M} UTC"


def accuse(
    trial: Trial,
    detector: Detector,
    found: Difference,
    tape: Tape,
    instant: int,
    how: Going | None,
) -> Finding:
    """Return the accusation that a difference at or before `instant` is; `tape` is what was cut."""
    row, at = _place(trial, found, tape)
    thing = f"{found.what} {found.name!r}" if found.name else str(found.what)
    where = f" of {found.symbol}" if found.symbol else ""
    world = "the bars end there" if how is None else f"the tape {how} after it"
    if detector is Detector.PEERS:
        world = f"the other symbols' {world.replace('the tape', 'tape')}"
    return Finding(
        detector=detector,
        verdict=Verdict.SUSPECTED,
        text=(
            f"{thing}{where} at the close of {moment(at)} is {found.ours}, but "
            f"{found.theirs} where only what closed by {moment(instant)} is the same and {world}"
        ),
        what=found.what,
        name=found.name,
        symbol=found.symbol,
        row=row,
        at=at,
    )


def fails(trial: Trial, detector: Detector, symbol: str, instant: int, why: str) -> Finding:
    """Return the accusation that failing where the tape ends is."""
    bars = trial.tape[symbol]
    row = closed(bars, instant) - 1
    return Finding(
        detector=detector,
        verdict=Verdict.SUSPECTED,
        text=f"it fails where the bars end at {moment(instant)}, as if it missed later ones: {why}",
        what=What.ERROR,
        symbol=symbol,
        row=row,
        at=instant,
    )


def _place(trial: Trial, found: Difference, tape: Tape) -> tuple[int, int]:
    """Return the row of the whole run, and the close of that bar."""
    if not found.symbol:
        instants = np.unique(np.concatenate([bars.closes_at for bars in tape.values()]))
        at = int(instants[min(found.row, len(instants) - 1)])
        return found.row, at
    bars = tape[found.symbol]
    row = min(found.row, len(bars) - 1)
    return int(np.searchsorted(trial.tape[found.symbol].ts, bars.ts[row])), int(bars.closes_at[row])
