"""Whether an answer is the expected one: arithmetic on numbers that came out of the box.

Each function returns the category of the first thing that is wrong. Categories are few and say
nothing of the expected values, because they are what an author is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from meta_agents.evolution.suites.forms import NumbersExpected, TradesExpected
from roboinvest.core.market.bars import Floats
from roboinvest.core.orders import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One entry of a strategy, and how it ended."""

    symbol: str
    row: int  # whose close decided it
    side: Side
    price: Decimal  # USD per share
    stop: Decimal | None
    exit_row: int  # of the last bar, where it was still held then
    overnight: bool  # held from one session into another


def faults_of_numbers(expect: NumbersExpected, signals: Floats) -> str | None:
    """Return the category of what is wrong with a transform's answer, or None."""
    if not np.isfinite(signals).all():
        return "finite"
    if expect.values is not None:
        wanted = np.array(expect.values, dtype=np.float64)
        if signals.shape != wanted.shape:
            return "values"
        near = np.abs(signals - wanted) <= expect.tolerance * np.maximum(1.0, np.abs(wanted))
        if not near.all():
            return "values"
    if expect.low is not None and (signals < expect.low).any():
        return "range"
    if expect.high is not None and (signals > expect.high).any():
        return "range"
    steps = np.diff(signals)
    if expect.monotone == "rising" and (steps < 0).any():
        return "monotone"
    if expect.monotone == "falling" and (steps > 0).any():
        return "monotone"
    return None


def faults_of_trades(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    """Return the category of what is wrong with entries, and words for a person; or None."""
    return (
        _of_rows(expect, taken)
        or _of_sides(expect, taken)
        or _of_counts(expect, taken)
        or _of_stops(expect, taken)
        or _of_nights(expect, taken)
    )


def stop_fault(taken: Sequence[Taken], *, needed: bool) -> str | None:
    """Return words for the first stop that is on the wrong side of its entry, or is missing."""
    for each in taken:
        if each.stop is None:
            if needed:
                return f"the entry of row {each.row} has no stop"
            continue
        if (each.price - each.stop) * each.side.sign <= 0:
            return f"the entry of row {each.row} at {each.price} has its stop at {each.stop}"
    return None


def _of_rows(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    for rows in expect.entries_in:
        sides = [each.side for each in taken if rows.first <= each.row <= rows.last]
        wanted = [side for side in sides if rows.side in (None, _word(side))]
        if not wanted:
            what = f"no {rows.side or ''} entry".replace("  ", " ")
            return "entries", f"{what} in rows {rows.first} to {rows.last}"
    for rows in expect.no_entries_in:
        found = [
            each.row
            for each in taken
            if rows.first <= each.row <= rows.last and rows.side in (None, _word(each.side))
        ]
        if found:
            return "entries", f"an entry in row {found[0]}, where none is expected"
    return None


def _of_sides(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    wrong = [each for each in taken if expect.only not in (None, _word(each.side))]
    return ("side", f"the entry of row {wrong[0].row} is not {expect.only}") if wrong else None


def _of_counts(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    least, most = expect.at_least, expect.at_most
    if (least is not None and len(taken) < least) or (most is not None and len(taken) > most):
        return "count", f"{len(taken)} entries, and {least or 0} to {most or 'any'} are expected"
    return None


def _of_stops(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    fault = stop_fault(taken, needed=True) if expect.stops else None
    return None if fault is None else ("stop", fault)


def _of_nights(expect: TradesExpected, taken: Sequence[Taken]) -> tuple[str, str] | None:
    held = [each for each in taken if each.overnight] if expect.flat_by_close else []
    return ("overnight", f"the entry of row {held[0].row} is held over night") if held else None


def _word(side: Side) -> str:
    return "long" if side is Side.BUY else "short"
