"""Does a row continue what came before? The part of the gate that looks back.

Two rules compare a row with the last good close. A price about ten times off is a spike: the row
is set aside and the next one is compared afresh. A session that opens a split away from the last
close, with no split known, suspends the symbol: from there nothing can be told from its price
until a corporate action explains it, or until the price itself comes back within days, which
shows that the jump was a bad print.

Only earlier rows are looked at, so that a verdict never changes when more data arrives. Almost
all rows are cleared at once with arrays; the step-by-step rule runs where something is suspicious.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.rows import Flags
from roboinvest.core.market.values import CorporateAction

SPIKE: Final = 9.0  # times the last good close, "about ten" allowing for the bar's own move
BACK_IN_LINE: Final = 0.15  # fraction of the last good close
TAKEN_BACK_DAYS: Final = 4  # calendar days, a weekend included

# 5:4 and 4:3 are left out on purpose: shares do fall by a fifth or a quarter overnight.
USUAL_SPLITS: Final = (
    (3, 2), (2, 1), (5, 2), (3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1), (9, 1), (10, 1),
    (12, 1), (15, 1), (20, 1), (25, 1), (30, 1), (35, 1), (40, 1), (50, 1),
)  # fmt: skip
SPLIT_TOLERANCE: Final = 0.04  # the market moves on the day of a split, too
_SPLIT_RATIOS: Final = np.array([n / m for n, m in USUAL_SPLITS])
_SMALLEST_JUMP: Final = float(_SPLIT_RATIOS[0]) * (1 - SPLIT_TOLERANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Why a symbol's price is not trusted."""

    ts_ns: int  # the bar that jumped, its open
    price: float  # its open
    before: float  # the last good close
    split: str  # the usual split it looks like, for example "7:1"

    def sentence(self, symbol: str) -> str:
        """Return the reason with its figures and what to do next."""
        return (
            f"{symbol} opened at {self.price:g} after a last good close of {self.before:g}, "
            f"like a {self.split} split, and no corporate action explains it; "
            f"give the action to trade {symbol} again."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuity:
    """What the gate remembers of one symbol between rows; frozen, so that it can be kept."""

    last_close: float | None = None  # of the last good row, on today's side of every split
    last_day: int = 0  # exchange day of the last good row, ordinal
    scaled_to: int = 0  # exchange day up to which actions are in `last_close`, ordinal
    alone: bool = False  # whether `last_close` rests on one row only
    rival: float | None = None  # the close of a spike that disputes a `last_close` resting on one
    suspension: Suspension | None = None
    recheck_until: int = 0  # last exchange day on which a suspended price may come back, ordinal

    @property
    def is_settled(self) -> bool:
        """Return whether the next row can be judged by its distance from `last_close` alone."""
        return self.suspension is None and self.rival is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A suspension that begins or ends with a row."""

    index: int
    suspension: Suspension | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The rows to be judged: sound in themselves, oldest first, one per instant."""

    ts: Ints
    day: Ints  # exchange day, ordinal
    open: Floats
    close: Floats
    top: Floats  # the highest of the four prices
    bottom: Floats  # the lowest of them


def split_like(price: float, before: float) -> str | None:
    """Return the usual split that a change from `before` to `price` looks like, as "n:m"."""
    forward = before >= price
    ratio = before / price if forward else price / before
    off = np.abs(ratio / _SPLIT_RATIOS - 1.0)
    nearest = int(off.argmin())
    if off[nearest] > SPLIT_TOLERANCE:
        return None
    n, m = USUAL_SPLITS[nearest] if forward else USUAL_SPLITS[nearest][::-1]
    return f"{n}:{m}"


class Walk:
    """One pass over rows; `spikes` and `jumped` are the positions it set aside."""

    def __init__(
        self,
        rows: Columns,
        start: Continuity,
        actions: Sequence[CorporateAction],
        *,
        can_split: bool = True,
    ) -> None:
        """Start after `start`; `actions` are this symbol's, sorted by ex-date."""
        self._rows = rows
        self._can_split = can_split
        self._actions = actions
        self._dates = [action.ex_date.toordinal() for action in actions]
        self.state = start
        self.spikes: list[tuple[int, float]] = []  # position, the close it was compared with
        self.jumped = np.zeros(len(rows.ts), np.bool_)
        self.changes: list[Change] = []
        self._was_set_aside = False  # whether the row before was, so that arrays do not apply

    def run(self) -> None:
        """Judge every row."""
        n = len(self._rows.ts)
        marks = np.flatnonzero(self._suspicious())
        at = 0
        while at < n:
            if self.state.is_settled and not self._was_set_aside:
                place = int(np.searchsorted(marks, at))
                upto = int(marks[place]) if place < len(marks) else n
                self._accept_through(at, upto)
                if upto == n:
                    return
                at = upto
            at = self._step(at)

    def _suspicious(self) -> Flags:
        """Return rows that may break a rule if the row before them is the last good one."""
        rows = self._rows
        if not len(rows.ts):
            return np.zeros(0, np.bool_)
        known = self.state.last_close
        before = np.empty_like(rows.close)
        before[0] = rows.close[0] if known is None else known
        before[1:] = rows.close[:-1]
        marked: Flags = (rows.top >= before * SPIKE) | (rows.bottom * SPIKE <= before)
        opens = np.ones(len(rows.ts), np.bool_)  # whether a row is the first of its session
        opens[0] = rows.day[0] != self.state.last_day
        opens[1:] = rows.day[1:] != rows.day[:-1]
        ratio = rows.open / before
        marked |= opens & ((ratio >= _SMALLEST_JUMP) | (ratio * _SMALLEST_JUMP <= 1.0))
        marked[0] &= known is not None
        for day in self._dates:
            first_row = int(np.searchsorted(rows.day, day))
            if first_row < len(marked) and day > self.state.scaled_to:
                marked[first_row] = True
        return marked

    def _accept_through(self, start: int, end: int) -> None:
        if start == end:
            return
        self._was_set_aside = False
        day = int(self._rows.day[end - 1])
        self.state = Continuity(
            last_close=float(self._rows.close[end - 1]),
            last_day=day,
            scaled_to=day,
            alone=self.state.last_close is None and end - start == 1,
        )

    def _step(self, at: int) -> int:
        """Judge the row at `at` in full and return the position to go on from."""
        self._was_set_aside = True
        day = int(self._rows.day[at])
        self._apply_actions(day)
        state = self.state
        if state.last_close is None:
            self._accept_through(at, at + 1)
        elif state.suspension is not None:
            return self._step_suspended(at, day, state.last_close)
        elif day != state.last_day and self._jumps(at, state.last_close):
            self._suspend(at, day, state.last_close)
        elif self._spikes(at, state.last_close):
            self._dispute(at, state.last_close)
        else:
            self._accept_through(at, at + 1)
        return at + 1

    def _step_suspended(self, at: int, day: int, before: float) -> int:
        if day > self.state.recheck_until:
            end = self._next_action_row(at)
            self.jumped[at:end] = True
            return end
        rows = self._rows
        apart = max(abs(float(rows.open[at]) / before - 1), abs(float(rows.close[at]) / before - 1))
        if apart <= BACK_IN_LINE:
            self._accept_through(at, at + 1)
            self.changes.append(Change(index=at, suspension=None))
        else:
            self.jumped[at] = True
        return at + 1

    def _suspend(self, at: int, day: int, before: float) -> None:
        price = float(self._rows.open[at])
        suspension = Suspension(
            ts_ns=int(self._rows.ts[at]),
            price=price,
            before=before,
            split=split_like(price, before) or "",
        )
        self.jumped[at] = True
        self.changes.append(Change(index=at, suspension=suspension))
        self.state = replace(
            self.state, suspension=suspension, rival=None, recheck_until=day + TAKEN_BACK_DAYS
        )

    def _dispute(self, at: int, before: float) -> None:
        """Set a spike aside; two that agree overrule a first row that stands alone."""
        close, rival = float(self._rows.close[at]), self.state.rival
        if rival is not None and abs(close / rival - 1) <= BACK_IN_LINE:
            self._accept_through(at, at + 1)
            return
        self.spikes.append((at, before))
        self.state = replace(self.state, rival=close if self.state.alone else None)

    def _jumps(self, at: int, before: float) -> bool:
        return self._can_split and split_like(float(self._rows.open[at]), before) is not None

    def _spikes(self, at: int, before: float) -> bool:
        rows = self._rows
        return bool(rows.top[at] >= before * SPIKE or rows.bottom[at] * SPIKE <= before)

    def _apply_actions(self, day: int) -> None:
        """Put the last good close on the scale of `day`; an action reopens a suspension."""
        state = self.state
        due = [
            action
            for ex_day, action in zip(self._dates, self._actions, strict=True)
            if state.scaled_to < ex_day <= day
        ]
        if not due or state.last_close is None:
            return
        close = state.last_close
        for action in due:
            close = max(close - float(action.cash), 0.01 * close) / float(action.ratio)
        self.state = replace(
            state, last_close=close, scaled_to=day, recheck_until=day + TAKEN_BACK_DAYS
        )

    def _next_action_row(self, at: int) -> int:
        later = [day for day in self._dates if day > self._rows.day[at]]
        n = len(self._rows.ts)
        return int(np.searchsorted(self._rows.day, later[0])) if later else n
