"""The search over setups is exact, private to an agent, and settles ties by id."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from roboinvest.core.orders import Action
from roboinvest.core.quant.memories import Memory, Outcome, OutcomeKind
from roboinvest.core.quant.similar import SetupIndex

AT = datetime(2024, 3, 4, 15, tzinfo=UTC)


def memory(
    memory_id: str, vector: Sequence[float], r: float | None = 1.0, agent_id: str = "house"
) -> Memory:
    outcome = None
    if r is not None:
        outcome = Outcome(kind=OutcomeKind.SHADOW, r_multiple=r, closed_at=AT, how="target")
    return Memory(
        memory_id=memory_id,
        agent_id=agent_id,
        revision_id="built-in",
        symbol="SPY",
        seen_at=AT,
        action=Action.BUY,
        vector=tuple(vector),
        conviction=0.3,
        entry=Decimal(100),
        stop=Decimal(99),
        target=Decimal(102),
        expires_at=AT,
        text="",
        outcome=outcome,
    )


def by_brute_force(
    memories: Sequence[Memory], vector: tuple[float, ...], k: int
) -> list[tuple[float, str]]:
    found = []
    for one in memories:
        total = 0.0
        for mine, theirs in zip(vector, one.vector, strict=True):
            total += (theirs - mine) * (theirs - mine)
        found.append((float(np.round(math.sqrt(total), 6)), one.memory_id))
    return sorted(found)[:k]


coordinates = st.integers(-12, 12).map(lambda step: step / 4)  # coarse, so that ties are common


@given(
    st.lists(st.tuples(coordinates, coordinates, coordinates), min_size=1, max_size=90),
    st.tuples(coordinates, coordinates, coordinates),
    st.integers(1, 15),
    st.randoms(use_true_random=False),
)
def test_the_neighbours_are_those_of_a_brute_force_search_in_any_order_of_adding(
    vectors: list[tuple[float, float, float]],
    wanted: tuple[float, float, float],
    k: int,
    shuffler: object,
) -> None:
    memories = [memory(f"m{row:03d}", vector) for row, vector in enumerate(vectors)]
    shuffled = list(memories)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    found = SetupIndex(shuffled).nearest("house", wanted, k)
    assert [(s.distance, s.memory_id) for s in found] == by_brute_force(memories, wanted, k)


def test_many_setups_of_full_length_are_searched_exactly() -> None:
    rng = np.random.default_rng(7)
    memories = [
        memory(f"{row:04d}", v.round(6).tolist())
        for row, v in enumerate(rng.normal(size=(700, 16)))
    ]
    wanted = tuple(rng.normal(size=16).round(6).tolist())
    found = SetupIndex(memories).nearest("house", wanted)
    assert [(s.distance, s.memory_id) for s in found] == by_brute_force(memories, wanted, 12)


def test_equally_near_setups_are_ordered_by_id_and_cut_by_it() -> None:
    index = SetupIndex(memory(name, (1.0, 1.0)) for name in ("d", "a", "c", "b"))
    assert [s.memory_id for s in index.nearest("house", (0.0, 0.0), 3)] == ["a", "b", "c"]


def test_a_setup_without_an_outcome_is_not_searched_until_it_has_one() -> None:
    index = SetupIndex([memory("open", (0.0,), r=None)])
    assert len(index) == 0
    index.add(memory("open", (0.0,), r=-1.0))
    assert [(s.memory_id, s.r_multiple) for s in index.nearest("house", (0.0,))] == [("open", -1.0)]


def test_a_setup_added_twice_is_kept_once_with_its_last_outcome() -> None:
    index = SetupIndex([memory("m", (0.0,), r=1.0)])
    index.add(memory("m", (2.0,), r=-0.5))
    assert len(index) == 1
    (found,) = index.nearest("house", (0.0,))
    assert (found.distance, found.r_multiple) == (2.0, -0.5)


def test_agents_never_see_the_setups_of_another() -> None:
    index = SetupIndex([memory("mine", (0.0,)), memory("theirs", (0.0,), agent_id="other")])
    assert [s.memory_id for s in index.nearest("house", (0.0,))] == ["mine"]
    assert index.nearest("nobody", (0.0,)) == ()


def test_setups_of_other_features_are_not_compared() -> None:
    index = SetupIndex([memory("old", (0.0, 0.0)), memory("now", (0.0,))])
    assert len(index) == 2
    assert [s.memory_id for s in index.nearest("house", (0.0,))] == ["now"]
    assert SetupIndex([replace(memory("cold", (0.0,)), vector=())]).nearest("house", ()) == ()
