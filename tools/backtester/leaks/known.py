"""What a run knows bar by bar, and where two runs that share their past first disagree.

Columns, signals, levels, fills and cash are all compared: a leak that does not change a trade
today changes one tomorrow. Decisions must be equal to the last bit; columns to a relative 1e-9,
because a sum over a window may be rounded otherwise in an array of another length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats
from roboinvest.core.market.rows import Flags
from roboinvest.core.signals import Signals
from tools.backtester.contract import Played, SimFill
from tools.backtester.leaks.findings import What

TOLERANCE: Final = 1e-9
_SIGNALS: Final = ("entry", "leave", "late")
_LEVELS: Final = ("stop", "target", "trail", "mark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a strategy made of a tape."""

    signals: Mapping[str, Signals]  # by symbol
    played: Played | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of one symbol that two runs are compared on."""

    first: int  # decisions before it were not asked for; columns are compared from 0 on
    known: int  # rows before it are known
    whole: bool = False  # the tapes are the same to the end, so the last row's `late` counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first thing that two runs disagree about."""

    what: What
    name: str
    symbol: str
    row: int
    ours: str
    theirs: str


def wishes_differ(
    ours: Signals, theirs: Signals, symbol: str, rows: Rows, *, columns: bool = True
) -> Difference | None:
    """Return the first difference among the rows; of one row, decisions come before columns."""
    found: Difference | None = None
    for what, names in ((What.SIGNAL, _SIGNALS), (What.LEVEL, _LEVELS)):
        for name in names:
            mine, other = getattr(ours, name), getattr(theirs, name)
            end = max(rows.known - (1 if name == "late" and not rows.whole else 0), 0)
            unequal = mine[rows.first : end] != other[rows.first : end]
            found = _earlier(found, what, name, symbol, unequal, rows.first, mine, other)
    if columns:
        for name in ours.columns:
            mine, other = ours.columns[name], theirs.columns[name]
            unequal = ~close_to(mine[: rows.known], other[: rows.known])
            found = _earlier(found, What.COLUMN, name, symbol, unequal, 0, mine, other)
    return found


def played_differ(
    ours: Played, theirs: Played, known: Mapping[str, int], instant: int
) -> Difference | None:
    """Return the first difference among fills in known rows, and equity up to `instant`."""
    mine = [fill for fill in ours.fills if fill.row < known[fill.symbol]]
    other = [fill for fill in theirs.fills if fill.row < known[fill.symbol]]
    for number in range(max(len(mine), len(other))):
        left = mine[number] if number < len(mine) else None
        right = other[number] if number < len(other) else None
        if left != right:
            first = min((f for f in (left, right) if f is not None), key=lambda f: f.at)
            return Difference(
                what=What.FILL,
                name=str(first.leg),
                symbol=first.symbol,
                row=first.row,
                ours=_fill(left),
                theirs=_fill(right),
            )
    return _cash_differs(ours, theirs, instant)


def close_to(ours: Floats, theirs: Floats) -> Flags:
    """Return where two columns of shape (n,) agree; NaN agrees with NaN alone."""
    same: Flags = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if same.all():
        return same
    with np.errstate(invalid="ignore"):
        size = np.maximum(np.abs(ours), np.abs(theirs))
        usual = float(np.nanmedian(size)) if np.isfinite(size).any() else 0.0
        near: Flags = np.abs(ours - theirs) <= TOLERANCE * np.maximum(size, usual)
    return near | same


def _earlier(
    found: Difference | None,
    what: What,
    name: str,
    symbol: str,
    unequal: Flags,
    offset: int,
    mine: np.ndarray,
    other: np.ndarray,
) -> Difference | None:
    if not unequal.any():
        return found
    row = offset + int(np.argmax(unequal))
    if found is not None and found.row <= row:
        return found
    return Difference(
        what=what,
        name=name,
        symbol=symbol,
        row=row,
        ours=_text(mine[row]),
        theirs=_text(other[row]),
    )


def _cash_differs(ours: Played, theirs: Played, instant: int) -> Difference | None:
    mine = ours.equity[ours.instants <= instant]
    other = theirs.equity[theirs.instants <= instant]
    shared = min(len(mine), len(other))
    unequal = mine[:shared] != other[:shared]
    if not unequal.any() and len(mine) == len(other):
        return None
    row = int(np.argmax(unequal)) if unequal.any() else shared
    return Difference(
        what=What.CASH,
        name="equity",
        symbol="",
        row=row,
        ours=_text(mine[row]) if row < len(mine) else "none",
        theirs=_text(other[row]) if row < len(other) else "none",
    )


def _text(value: object) -> str:
    return f"{float(value):.10g}" if isinstance(value, np.floating) else str(value)


def _fill(fill: SimFill | None) -> str:
    return "none" if fill is None else f"{fill.qty} at {fill.price} ({fill.cause})"
