"""Bars and columns as the rows of a walk: what has closed, in the order in which it closed.

A row is (kind, own columns, one close for each symbol beside it). A close of another symbol stands
in the first row of ours that is not before it, NaN where there is no new one; where several came in
between, rows that carry only those come first. What has the same instant as our bar is known with
it, as `core.signals.ClosedBar.other` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.session_bars import SessionBars
from tools.boxed_strategies.inside.driver import ASKED, CARRIED, OWN


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one symbol up to a bar, oldest first."""

    table: Floats  # (m, width)
    places: Ints  # (n,) where each own bar stands in the table

    def before(self, row: int) -> Floats:
        """Return what comes before what bar `row` brings, (k, width)."""
        return self.table[: self._begin(row)]

    def of(self, bars: range) -> Floats:
        """Return what some bars bring, (k, width)."""
        return self.table[self._begin(bars.start) : self._begin(bars.stop)]

    def asked(self, bars: range) -> Ints:
        """Return where in `of(bars)` the own bars stand."""
        return self.places[bars.start : bars.stop] - self._begin(bars.start)

    def _begin(self, row: int) -> int:
        return int(self.places[row - 1]) + 1 if row else 0


def rows_of(bars: SessionBars, columns: Mapping[str, Floats], stop: int) -> Rows:
    """Return the rows of the bars before `stop`, each to be asked about."""
    others = [each.close for each in bars.others.values()]
    seen = [_seen(each, bars, stop) for each in bars.others.values()]
    extra = np.zeros(stop, np.int64)
    for each in seen:
        np.maximum(extra, np.diff(each, prepend=0) - 1, out=extra)
    places: Ints = np.arange(stop) + np.cumsum(extra)
    total = int(places[-1]) + 1 if stop else 0
    table = np.full((total, 1 + len(columns) + len(others)), np.nan)
    table[:, 0] = CARRIED
    table[places, 0] = ASKED
    for at, column in enumerate(columns.values(), 1):
        table[places, at] = column[:stop]
    for at, (closes, known) in enumerate(zip(others, seen, strict=True), 1 + len(columns)):
        table[_rows_of_closes(known, places), at] = closes[: known[-1] if stop else 0]
    return Rows(table, places)


def unasked(rows: Floats, width: int) -> Floats:
    """Return rows of which none is asked about, (n, width), with nothing in what they lack."""
    quiet = np.full((len(rows), width), np.nan)
    quiet[:, : rows.shape[1]] = rows
    quiet[quiet[:, 0] == ASKED, 0] = OWN
    return quiet


def _seen(theirs: SessionBars, mine: SessionBars, stop: int) -> Ints:
    """Return how many of another symbol's bars are known at each of ours."""
    return np.searchsorted(theirs.closes_at, mine.closes_at[:stop], side="right").astype(np.int64)


def _rows_of_closes(known: Ints, places: Ints) -> Ints:
    """Return the row in which each close of another symbol stands."""
    closes = np.arange(known[-1] if len(known) else 0)
    first = np.searchsorted(known, closes, side="right")  # the bar of ours that is not before it
    rows: Ints = places[first] - (known[first] - 1 - closes)
    return rows
