"""Decisions and the length of history, and decisions and the scale of prices.

Warm-up (T4): with the history that a plan asks for, and with three times as much, it must come to
the same columns within a hundredth of their spread; a difference counts where it changes a
decision, because a sum since the first bar differs by a constant and hurts nobody.

Adjusted prices: a price that a later split divided was never on the tape. Whoever decides by its
level knows the split, so all prices times two and times four must lead to the same decisions.
Multiplying by powers of two is exact, so no rounding can excuse a difference in both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.signals import Signals
from tools.backtester.leaks.effort import Effort
from tools.backtester.leaks.findings import (
    Detector,
    Finding,
    What,
    clean,
    not_applicable,
    suspected,
)
from tools.backtester.leaks.known import Known
from tools.backtester.leaks.sentences import moment
from tools.backtester.leaks.tapes import between, rescaled
from tools.backtester.leaks.trial import Failed, Trial

TOLERANCE: Final = 0.01  # of a column's spread
_BLOCK: Final = 80  # rows compared, at least
_SCALES: Final = (2.0, 4.0)


def warm_up(trial: Trial, base: Known, effort: Effort, rng: np.random.Generator) -> Finding:
    """Return whether more history than is asked for would change decisions."""
    asked, compared = trial.plan().warm_up, 0
    for symbol in trial.symbols:
        bars = trial.tape[symbol]
        for row in _anchors(bars, base.signals[symbol], asked, effort, rng):
            found = _histories(trial, symbol, row, asked)
            compared += found is not None
            if isinstance(found, Finding):
                return found
    if not compared:
        return not_applicable(Detector.WARM_UP, f"no bar has three times {asked} rows before it")
    return clean(
        Detector.WARM_UP,
        f"{compared} times, three times the {asked} rows of warm-up changed no decision",
    )


def adjusted_prices(trial: Trial, base: Known) -> Finding:
    """Return whether decisions hang on the level of prices that later splits explain."""
    symbols = frozenset(trial.request.adjusted) & frozenset(trial.tape)
    if not symbols:
        return not_applicable(Detector.ADJUSTED, "the prices are raw")
    differing: list[dict[str, set[int]]] = []
    for times in _SCALES:
        theirs = trial.tried(rescaled(trial.tape, times, symbols))
        if isinstance(theirs, Failed):
            return not_applicable(
                Detector.ADJUSTED,
                f"it could not be asked at {times:g} times the price: {theirs.text}",
            )
        differing.append(
            {name: _unlike(base.signals[name], theirs.signals[name]) for name in trial.symbols}
        )
    for symbol in trial.symbols:
        both = differing[0][symbol] & differing[1][symbol]
        if both:
            return _place(
                trial,
                symbol,
                min(both),
                Detector.ADJUSTED,
                "is another one when all adjusted prices are twice or four times as high, so it "
                "hangs on a level that only a later split explains",
            )
    return clean(Detector.ADJUSTED, "decisions are the same at two and four times the price")


def _anchors(
    bars: SessionBars, signals: Signals, asked: int, effort: Effort, rng: np.random.Generator
) -> list[int]:
    """Return rows with enough history, some of them with an entry."""
    low = 3 * asked + _BLOCK
    if len(bars) <= low + 1:
        return []
    entries = np.flatnonzero(signals.entry)
    entries = entries[entries >= low]
    wanted = max(2, effort.cuts)
    some = rng.permutation(entries)[:wanted].tolist()
    return [int(row) for row in (*some, *rng.integers(low, len(bars), size=wanted).tolist())]


def _histories(trial: Trial, symbol: str, row: int, asked: int) -> Finding | bool | None:
    """Return an accusation, True where both histories agree, None where they are the same."""
    bars = trial.tape[symbol]
    begin = max(row - _BLOCK // 2, 0)
    end = min(begin + _BLOCK, len(bars))
    short = _session_start(bars, begin - asked)
    long = _session_start(bars, min(begin - 3 * asked, short - 1))
    if long >= short or len(trial.tape[symbol]) == 0:
        return None
    made: list[Signals] = []
    for start in (short, long):
        tape = between(trial.tape, int(bars.ts[start]), int(bars.closes_at[end - 1]))
        known = trial.tried(tape, symbols=(symbol,), from_row=begin - start)
        if isinstance(known, Failed):
            return None
        made.append(_tail(known.signals[symbol], end - begin))
    decided = _unlike(*made)
    columns = [
        name for name in made[0].columns if _apart(made[0].columns[name], made[1].columns[name])
    ]
    if not decided or not columns:
        return True
    return _place(
        trial,
        symbol,
        begin + min(decided),
        Detector.WARM_UP,
        f"changes with more history, and so does {columns[0]!r}: the {asked} rows of warm-up that "
        "it declares are too few, or it depends on where the tape begins",
    )


def _tail(signals: Signals, rows: int) -> Signals:
    cut = {
        name: getattr(signals, name)[-rows:]
        for name in ("entry", "leave", "late", "stop", "target", "trail", "mark")
    }
    return Signals(**cut, columns={name: each[-rows:] for name, each in signals.columns.items()})


def _apart(short: Floats, long: Floats) -> bool:
    """Return whether two columns differ by more than the tolerance where both have a value."""
    there = np.isfinite(short) & np.isfinite(long)
    if not there.any():
        return False
    spread = float(np.std(long[there])) or float(np.max(np.abs(long[there])))
    return bool(np.max(np.abs(short[there] - long[there])) > TOLERANCE * spread)


def _unlike(ours: Signals, theirs: Signals) -> set[int]:
    unequal = (ours.entry != theirs.entry) | (ours.leave != theirs.leave)
    return set(np.flatnonzero(unequal).tolist())


def _session_start(bars: SessionBars, row: int) -> int:
    """Return the first row of the session that a row lies in; 0 before the first."""
    return int(np.searchsorted(bars.day, bars.day[max(row, 0)]))


def _place(trial: Trial, symbol: str, row: int, detector: Detector, text: str) -> Finding:
    at = int(trial.tape[symbol].closes_at[row])
    return replace(
        suspected(detector, f"the decision for {symbol} at the close of {moment(at)} {text}"),
        what=What.SIGNAL,
        name="entry",
        symbol=symbol,
        row=row,
        at=at,
    )
