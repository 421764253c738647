"""Random rows and random stretches, dealt in the time of the entries and not of the bars.

What is dealt is what `core.statistics.permutation` deals, every choice equally likely within each
group. That shuffles whole columns; a thousand draws over a year of minutes cannot afford it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Ints
from roboinvest.core.market.rows import Flags


class Rows:
    """Rows in groups, of which some are drawn."""

    def __init__(self, taken: Ints, allowed: Flags, groups: Ints | None) -> None:
        """Take rows, sorted, and those that could be in their place; groups (n,) stand together.

        Raises:
            BadInput: a row that was taken is not allowed.
        """
        if not allowed[taken].all():
            raise BadInput("an entry stands in a row where none is allowed; allow its row")
        label = np.zeros(len(allowed), np.int64) if groups is None else groups
        self._rows = np.flatnonzero(allowed)
        _, first, sizes = np.unique(label[self._rows], return_index=True, return_counts=True)
        order = np.argsort(first)  # as they stand, whatever they are called
        self._first, self._sizes = first[order], sizes[order]
        at = np.searchsorted(self._rows, taken)
        places = np.searchsorted(self._first, at, side="right") - 1
        self._counts = np.bincount(places, minlength=len(self._first))

    def drawn(self, rng: Generator) -> Iterator[Ints]:
        """Yield without end as many rows in each group, sorted."""
        while True:
            yield self._rows[distinct(self._counts, self._sizes, self._first, rng)]


class Stretches:
    """Stretches of rows, dealt anew within their groups without touching each other."""

    def __init__(self, held: Flags, groups: Ints | None) -> None:
        """Take where there was a position; groups (n,) stand together, and cut stretches."""
        n = len(held)
        label = np.zeros(n, np.int64) if groups is None else groups
        edge = np.ones(n, np.bool_)
        edge[1:] = label[1:] != label[:-1]
        begins = held.copy()
        begins[1:] &= ~held[:-1] | edge[1:]
        ends = held.copy()
        ends[:-1] &= ~held[1:] | edge[1:]
        starts = np.flatnonzero(begins)
        self._lengths = np.flatnonzero(ends) + 1 - starts
        self._first = np.flatnonzero(edge)
        group = np.cumsum(edge) - 1
        self._of = group[starts]
        self._counts = np.bincount(self._of, minlength=len(self._first))
        taken = np.bincount(self._of, weights=self._lengths, minlength=len(self._first))
        sizes = np.bincount(group, minlength=len(self._first))
        self._slots = sizes - taken.astype(np.int64) + 1  # before each free row, and after the last

    def dealt(self, rng: Generator) -> Iterator[tuple[Ints, Ints]]:
        """Yield without end the first rows and the lengths, oldest first."""
        zero = np.zeros(len(self._counts), np.int64)
        before = np.cumsum(self._counts) - self._counts
        while True:
            slots = distinct(self._counts, self._slots, zero, rng)
            lengths = self._lengths[np.lexsort((rng.random(len(self._of)), self._of))]
            run = np.cumsum(lengths) - lengths
            inside = run - run[np.minimum(before, len(run) - 1)][self._of] if len(run) else run
            yield self._first[self._of] + slots + inside, lengths


def distinct(counts: Ints, sizes: Ints, first: Ints, rng: Generator) -> Ints:
    """Return counts[g] distinct numbers from first[g] on, of sizes[g], for each group g, sorted.

    A number that came before is drawn again: no number is treated unlike another, so every choice
    is equally likely. A group of which most is drawn is left to numpy.
    """
    group = np.repeat(np.arange(len(counts)), counts)
    numbers = np.zeros(len(group), np.int64)
    crowded, ends = 2 * counts > sizes, np.cumsum(counts)
    for each in np.flatnonzero(crowded):
        numbers[ends[each] - counts[each] : ends[each]] = rng.choice(
            sizes[each], counts[each], replace=False, shuffle=False
        )
    again = np.flatnonzero(~crowded[group])
    while len(again):
        numbers[again] = (rng.random(len(again)) * sizes[group[again]]).astype(np.int64)
        order = np.lexsort((numbers, group))
        same = (np.diff(numbers[order]) == 0) & (np.diff(group[order]) == 0)
        again = order[1:][same]
    found: Ints = (first[group] + numbers)[np.lexsort((numbers, group))]
    return found
