"""Tests against chance: how often does what is random do as well?

A p-value counts the observed value among the random ones, (1 + #{random >= observed}) / (1 + N):
Davison and Hinkley 1997, "Bootstrap methods and their application", eq. 4.11; Phipson and Smyth
2010, "Permutation p-values should never be zero". It is never 0, and right for any N.

"Better than random entry" draws what the strategy could have done without its idea: as many
entries, or as much time in the market in as many pieces, elsewhere. `groups` says what must be
kept: with the exchange day of each row every day keeps its count, so that what is tested is the
minute; with the minute of the day, what is tested is the day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from roboinvest.core.errors import BadInput
from roboinvest.core.market.bars import Floats, Ints
from roboinvest.core.market.rows import Flags
from roboinvest.core.statistics.samples import finite


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstChance:
    """An observed figure beside the same figure of random ones."""

    observed: float
    p_value: float  # one-sided: small when the observed is large for chance
    draws: int
    mean: float  # of the random ones
    low: float  # their 5 % quantile
    high: float  # their 95 % quantile


def p_value(observed: float, chance: Sequence[float] | Floats) -> float:
    """Return the share of values at least as large as the observed one, that one counted in.

    Raises:
        BadInput: a value is not finite.
    """
    drawn = finite(chance, "Random value")
    (value,) = finite((observed,), "Observed value")
    return float(1 + np.count_nonzero(drawn >= value)) / (1 + len(drawn))


def against_chance(
    observed: float, draw: Callable[[], float], *, draws: int = 999
) -> AgainstChance:
    """Return how an observed figure stands among `draws` random ones.

    `draw` makes one random figure; larger is better. Give figures that are always defined, such as
    a profit: one that is missing for some draws cannot be ranked.

    Raises:
        BadInput: no draws, or a figure that is not finite.
    """
    if draws < 1:
        raise BadInput(f"{draws} random draws cannot judge a figure; give 99 or more.")
    chance = finite([draw() for _ in range(draws)], "Random value")
    low, high = np.quantile(chance, (0.05, 0.95))
    return AgainstChance(
        observed=observed,
        p_value=p_value(observed, chance),
        draws=draws,
        mean=float(np.mean(chance)),
        low=float(low),
        high=float(high),
    )


def random_entries(
    entries: Flags,
    rng: Generator,
    *,
    allowed: Flags | None = None,
    groups: ArrayLike | None = None,
) -> Iterator[Flags]:
    """Yield without end as many entries at random rows, every choice equally likely.

    `entries` has shape (n,), and so has what is yielded. `allowed` are the rows an entry may stand
    in (past the warm-up, say); None: all. `groups` (n,) keeps the count within each group.

    Raises:
        BadInput: another length, or an entry in a row that is not allowed.
    """
    rows = np.arange(len(entries)) if allowed is None else np.flatnonzero(allowed)
    if allowed is not None:
        _same_length(len(entries), len(allowed), "rows that are allowed")
        if np.any(entries & ~allowed):
            at = int(np.argmax(entries & ~allowed))
            raise BadInput(
                f"The entry in row {at} stands where none is allowed; allow every row that the "
                "strategy could enter in."
            )
    group = _numbered(groups, len(entries))[rows]
    order = np.argsort(group, kind="stable")
    group, rows = group[order], rows[order]
    counts = np.bincount(group, weights=entries[rows]).astype(np.int64)
    first = np.searchsorted(group, np.arange(len(counts)))
    chosen = np.flatnonzero(np.arange(len(group)) - first[group] < counts[group])
    return _entries(len(entries), rows, group, chosen, rng)


def random_exposure(
    held: Flags, rng: Generator, *, groups: ArrayLike | None = None
) -> Iterator[Flags]:
    """Yield without end the same stretches in the market, at random places and in random order.

    `held` (n,) is True where there was a position. Each stretch keeps its length and stays apart
    from the others, so that exposure and the number of entries are kept. `groups` (n,), such as the
    exchange day of each row, keeps both within each group; its rows must stand together, and a
    stretch that reaches over its edge counts as two.

    Raises:
        BadInput: another length, or the rows of a group are apart.
    """
    group = _numbered(groups, len(held))
    edges = np.flatnonzero(np.diff(group) != 0)
    if len(edges) != len(np.unique(group)) - 1 and len(held):
        raise BadInput(
            f"{len(np.unique(group))} groups change {len(edges)} times; the rows of one group must "
            "stand together, in the order of time."
        )
    # Each group gets one free cell more at its end, and each stretch takes the free cell after it
    # along. Pieces may then stand in any order, and never touch.
    lasts = np.append(edges, len(held) - 1)[: len(held)] + 1
    cells = np.insert(held, lasts, False)
    homes = np.insert(group, lasts, group[lasts - 1])
    follows = np.concatenate(([False], cells[:-1]))[: len(cells)]
    starts = np.flatnonzero(~follows)
    lengths = np.diff(np.append(starts, len(cells)))
    kept = np.ones(len(cells), np.bool_)
    kept[lasts + np.arange(len(lasts))] = False
    return _stretches(lengths, homes[starts], kept, rng)


def _entries(n: int, rows: Ints, group: Ints, chosen: Ints, rng: Generator) -> Iterator[Flags]:
    """Shuffle the rows of each group, and take as many of the first as there were entries."""
    while True:
        drawn = np.zeros(n, np.bool_)
        order = np.lexsort((rng.random(len(rows)), group))
        drawn[rows[order[chosen]]] = True
        yield drawn


def _stretches(lengths: Ints, group: Ints, kept: Flags, rng: Generator) -> Iterator[Flags]:
    """Shuffle the pieces of each group; a piece of m cells is m - 1 held ones and a free one."""
    while True:
        pieces = lengths[np.lexsort((rng.random(len(lengths)), group))]
        cells = np.ones(len(kept), np.bool_)
        cells[np.cumsum(pieces) - 1] = False
        yield cells[kept]


def _numbered(groups: ArrayLike | None, n: int) -> Ints:
    """Return the number of each row's group, in the order in which the groups first appear."""
    if groups is None:
        return np.zeros(n, np.int64)
    labels = np.asarray(groups)
    _same_length(n, len(labels), "groups")
    _, first, numbers = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    result: Ints = rank[numbers]
    return result


def _same_length(rows: int, others: int, what: str) -> None:
    if rows != others:
        raise BadInput(f"There are {rows} rows and {others} {what}; give one for each row.")
