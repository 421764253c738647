"""Exact search for the resolved setups nearest to the one at hand.

Decisions rest on this search and not on a vector database: it reads every memory of the agent, so
that the same memories always give the same neighbours, whatever was added first and whichever
store is away. Distances are summed column by column, in one order, without matrix products, and
rounded; equal ones are ordered by memory id.
A setup vector of another length belongs to another version of the features and is never compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roboinvest.core.quant.memories import Memory, SimilarSetup

_DIGITS: Final = 6
_FIRST_CAPACITY: Final = 64


class SetupIndex:
    """The resolved memories of every agent, ready to be searched."""

    def __init__(self, memories: Iterable[Memory] = ()) -> None:
        self._shelves: dict[tuple[str, int], _Shelf] = {}
        for memory in memories:
            self.add(memory)

    def __len__(self) -> int:
        return sum(len(shelf.ids) for shelf in self._shelves.values())

    def add(self, memory: Memory) -> None:
        """Add a resolved memory, or replace the one of the same id; others are left out."""
        if memory.outcome is None or not memory.vector:
            return
        key = (memory.agent_id, len(memory.vector))
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf(dimensions=len(memory.vector))
        shelf.put(memory.memory_id, memory.vector, memory.outcome.r_multiple)

    def nearest(
        self, agent_id: str, vector: tuple[float, ...], k: int = 12
    ) -> tuple[SimilarSetup, ...]:
        """Return the `k` nearest of this agent's setups, nearest first; fewer if it has fewer."""
        shelf = self._shelves.get((agent_id, len(vector)))
        if shelf is None or k < 1:
            return ()
        return shelf.nearest(vector, k)


class _Shelf:
    """Setups of one agent and one vector length, one column each."""

    def __init__(self, dimensions: int) -> None:
        self.ids: list[str] = []
        self._r_multiples: list[float] = []
        self._column_of: dict[str, int] = {}
        self._vectors: NDArray[np.float64] = np.zeros((dimensions, _FIRST_CAPACITY))

    def put(self, memory_id: str, vector: tuple[float, ...], r_multiple: float) -> None:
        column = self._column_of.get(memory_id, len(self.ids))
        if column == len(self.ids):
            self._grow(column)
            self._column_of[memory_id] = column
            self.ids.append(memory_id)
            self._r_multiples.append(r_multiple)
        self._vectors[:, column] = vector
        self._r_multiples[column] = r_multiple

    def nearest(self, vector: tuple[float, ...], k: int) -> tuple[SimilarSetup, ...]:
        gaps = self._vectors[:, : len(self.ids)] - np.array(vector)[:, np.newaxis]
        gaps *= gaps
        total = gaps[0].copy()
        for squares in gaps[1:]:  # not a reduction, whose order of summing depends on the shape
            total += squares
        distances = np.round(np.sqrt(total), _DIGITS)
        columns = np.arange(len(self.ids))
        if k < len(self.ids):
            columns = np.flatnonzero(distances <= np.partition(distances, k - 1)[k - 1])
        ranked = sorted((float(distances[c]), self.ids[c], int(c)) for c in columns)[:k]
        return tuple(
            SimilarSetup(
                memory_id=memory_id, distance=distance, r_multiple=self._r_multiples[column]
            )
            for distance, memory_id, column in ranked
        )

    def _grow(self, need: int) -> None:
        capacity = self._vectors.shape[1]
        if need >= capacity:
            self._vectors = np.pad(self._vectors, ((0, 0), (0, capacity)))
