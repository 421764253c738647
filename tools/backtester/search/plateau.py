"""How much the best combination stands alone.

A peak whose neighbours are poor is where noise was highest; a good neighbourhood may be an effect.
Neighbours of a combination differ from it in one parameter, by the next value that was tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roboinvest.core.strategy import Number
from tools.backtester.search.tried import Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Plateau:
    """The best combination beside its neighbours."""

    best: float  # its score
    neighbours: int
    mean: float  # of their scores
    worst: float
    share: float | None  # mean over best; None where the best is not above 0


def plateau_of(tried: Sequence[Tried], best: Tried) -> Plateau | None:
    """Return it, or None where the best has no score, or no neighbour with one."""
    if best.score is None:
        return None
    steps = {name: sorted({each.values[name] for each in tried}) for name in best.values}
    scores = [
        each.score
        for each in tried
        if each.score is not None and _is_next(best.values, each.values, steps)
    ]
    if not scores:
        return None
    mean = sum(scores) / len(scores)
    return Plateau(
        best=best.score,
        neighbours=len(scores),
        mean=mean,
        worst=min(scores),
        share=mean / best.score if best.score > 0.0 else None,
    )


def _is_next(
    one: Mapping[str, Number], other: Mapping[str, Number], steps: Mapping[str, list[Number]]
) -> bool:
    apart = [name for name in steps if one[name] != other[name]]
    if len(apart) != 1:
        return False
    values = steps[apart[0]]
    return abs(values.index(one[apart[0]]) - values.index(other[apart[0]])) == 1
