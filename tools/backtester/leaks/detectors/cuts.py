"""Where to cut a tape: there is no time for every bar, so the telling ones come first.

A leak of one bar shows only when the tape ends at that very bar, so entries and exits are cut at;
a leak of a day shows anywhere inside that day, so many days are visited; one that waits for a long
run shows only when the whole run is cut. Short stretches of the tape are as good as the whole for
the first two and cost a hundredth: what must not change is the past of the same stretch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from roboinvest.core.market.bars import Ints
from roboinvest.core.market.session_bars import SessionBars
from roboinvest.core.signals import Signals


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A piece of one symbol's rows, and where to end it."""

    symbol: str
    first: int  # row where the piece begins: warm-up and a little more before `asked`
    asked: int  # row from which decisions are compared
    last: int  # row behind the piece
    cuts: tuple[int, ...]  # rows that are the last known ones, first < cut < last - 1


_LEAST_BEFORE: Final = 40  # rows
_AHEAD: Final = 30  # rows, on bars of a day


def whole_cuts(
    bars: SessionBars, signals: Signals, first: int, wanted: int, rng: np.random.Generator
) -> list[int]:
    """Return rows to cut the whole run at: some at entries, spread from early to late."""
    n = len(bars)
    if n - first < 3 or wanted < 1:
        return []
    entries = np.flatnonzero(signals.entry[: n - 1])
    found = [n - 2]
    edges = np.linspace(first, n - 1, wanted + 1)
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        within = entries[(entries >= low) & (entries < high)]
        if number % 2 == 0 and len(within):
            found.append(int(rng.choice(within)))
        else:
            found.append(int(rng.integers(int(low), max(int(low) + 1, int(high)))))
    return sorted({row for row in found if first <= row < n - 1})


def stretches(
    bars: SessionBars,
    signals: Signals,
    first: int,
    warm_up: int,
    wanted: int,
    cuts: int,
    rng: np.random.Generator,
) -> Iterator[Stretch]:
    """Yield pieces of a run, those with entries first, spread over its length."""
    edges = _session_edges(bars)
    if len(bars) - first < 3:
        return
    if len(edges) - 1 > 0.8 * len(bars):
        yield from _of_days(bars, signals, first, warm_up, wanted, rng)
        return
    sessions = [at for at in range(len(edges) - 1) if edges[at + 1] > max(first, warm_up)]
    for at in _spread(sessions, edges, signals, wanted, rng):
        begin, end = int(edges[at]), int(edges[at + 1])
        rows = _telling(bars, signals, max(begin, first), end, cuts, rng)
        earlier = int(edges[max(at - 1, 0)])
        start = _start(edges, min(earlier, begin - max(2 * warm_up, _LEAST_BEFORE)))
        last = int(edges[min(at + 2, len(edges) - 1)])
        kept = tuple(row for row in rows if start < row < last - 1)
        if kept:
            yield Stretch(
                symbol=bars.symbol, first=start, asked=max(begin, first), last=last, cuts=kept
            )


def walk(stretch: Stretch, rows: int) -> range:
    """Return rows in turn, around the first cut of a piece."""
    begin = max(stretch.asked, stretch.cuts[0] - rows // 3, stretch.first + 1)
    return range(begin, min(begin + rows, stretch.last - 1))


def _of_days(
    bars: SessionBars,
    signals: Signals,
    first: int,
    warm_up: int,
    wanted: int,
    rng: np.random.Generator,
) -> Iterator[Stretch]:
    """Yield pieces on bars of a day, where every row is a session."""
    n, begin = len(bars), max(first, min(warm_up, len(bars) - 3))
    moved = np.flatnonzero((signals.entry != 0) | signals.leave)
    moved = moved[(moved >= begin) & (moved < n - 1)]
    some = rng.permutation(moved)[: (wanted + 1) // 2]
    others = rng.integers(begin, n - 1, size=max(wanted - len(some), 1))
    for row in dict.fromkeys((*some.tolist(), *others.tolist())):
        start = max(0, row - max(2 * warm_up, _LEAST_BEFORE))
        if row > start:
            yield Stretch(
                symbol=bars.symbol,
                first=start,
                asked=max(start, row - 10),
                last=min(n, row + _AHEAD),
                cuts=(row,),
            )


def _session_edges(bars: SessionBars) -> Ints:
    changes = np.flatnonzero(bars.day[1:] != bars.day[:-1]) + 1
    return np.concatenate(([0], changes, [len(bars)])).astype(np.int64)


def _start(edges: Ints, row: int) -> int:
    """Return the session start at or before a row."""
    return int(edges[max(int(np.searchsorted(edges, max(row, 0), side="right")) - 1, 0)])


def _spread(
    sessions: list[int],
    edges: Ints,
    signals: Signals,
    wanted: int,
    rng: np.random.Generator,
) -> list[int]:
    """Return some sessions; two of three have entries where there are enough of those."""
    if len(sessions) <= wanted:
        return [int(at) for at in rng.permutation(sessions)]
    busy = [at for at in sessions if signals.entry[edges[at] : edges[at + 1]].any()]
    some = rng.permutation(busy)[: 2 * wanted // 3].tolist()
    rest = [at for at in rng.permutation(sessions).tolist() if at not in set(some)]
    return [int(at) for at in (*some, *rest)][:wanted]


def _telling(
    bars: SessionBars,
    signals: Signals,
    begin: int,
    end: int,
    wanted: int,
    rng: np.random.Generator,
) -> list[int]:
    """Return rows of one session at which to end the tape, the most telling first."""
    if end - begin < 2:
        return [begin] if end > begin else []
    entries = begin + np.flatnonzero(signals.entry[begin:end])
    left = begin + np.flatnonzero(signals.leave[begin:end])
    high = begin + int(np.argmax(bars.high[begin:end]))
    low = begin + int(np.argmin(bars.low[begin:end]))
    middle = int(rng.integers(begin + (end - begin) // 4, max(end - 1, begin + 1)))
    found = [*rng.permutation(entries)[:1].tolist(), middle]
    found += [max(high - 1, begin), *rng.permutation(left)[:1].tolist(), max(low - 1, begin)]
    found += [begin, end - 1, *rng.permutation(entries)[1:wanted].tolist()]
    return [int(row) for row in dict.fromkeys(found)][:wanted]
