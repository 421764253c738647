"""Recall feeds the index from the table and answers questions, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from roboinvest.core.errors import BadInput, TryLater
from roboinvest.runtime.recall.recall import RecallState
from tests.fakes.chroma import make_memory
from tests.fakes.recall_house import PATIENCE_S, House

READY = RecallState.READY


async def test_every_row_of_the_table_is_fed_and_found(house: House) -> None:
    house.table.write(make_memory(n) for n in range(35))
    async with house.running():
        await house.until(READY)
        assert set(house.chroma.held) == set(house.table.rows)
        asked = house.table.rows["20110103T143100017/organic/SPY"].memory.text
        hits = await house.recall.query(asked, 3)
    assert hits[0].memory_id == "20110103T143100017/organic/SPY"
    assert hits[0].distance == pytest.approx(0.0, abs=1e-4)
    assert hits[0].text == asked
    assert len(hits) == 3
    assert [hit.distance for hit in hits] == sorted(hit.distance for hit in hits)


async def test_an_empty_table_is_ready_and_answers_nothing(house: House) -> None:
    async with house.running():
        await house.until(READY)
        assert await house.recall.query("breakout", 5) == ()


async def test_a_changed_row_is_sent_again_and_replaces_the_old_words(house: House) -> None:
    house.table.write(make_memory(n) for n in range(3))
    async with house.running():
        await house.until(READY)
        house.table.marked.clear()
        house.table.reword("20110103T143100001/organic/SPY", "a lesson about dividends")
        async with asyncio.timeout(PATIENCE_S):
            await house.table.marked.wait()
        (hit,) = await house.recall.query("lesson about dividends", 1)
    assert hit.text == "a lesson about dividends"
    assert len(house.chroma.held) == 3
    assert house.times(READY) == 1


async def test_a_query_can_be_held_to_one_agent(house: House) -> None:
    house.table.write(make_memory(n, agent_id="organic") for n in range(5))
    house.table.write(make_memory(n, agent_id="gap-fader") for n in range(5, 8))
    async with house.running():
        await house.until(READY)
        of_one = await house.recall.query("SPY near support", 20, "gap-fader")
        of_all = await house.recall.query("SPY near support", 20)
    assert {hit.memory_id.split("/")[1] for hit in of_one} == {"gap-fader"}
    assert len(of_one) == 3
    assert len(of_all) == 8


async def test_equal_distances_are_ordered_and_cut_by_memory_id(house: House) -> None:
    house.table.write(make_memory(n, text="the same words") for n in (4, 2, 9, 7, 1))
    async with house.running():
        await house.until(READY)
        hits = await house.recall.query("the same words", 3)
    assert [hit.memory_id[13:18] for hit in hits] == ["00001", "00002", "00004"]


@pytest.mark.parametrize(("text", "k"), [("", 5), ("   ", 5), ("gap", 0), ("gap", 201)])
async def test_a_question_without_words_or_with_a_bad_number_is_bad_input(
    house: House, text: str, k: int
) -> None:
    with pytest.raises(BadInput, match="k="):
        await house.recall.query(text, k)


async def test_a_query_before_the_start_says_why_there_is_no_answer(house: House) -> None:
    with pytest.raises(TryLater, match=r"recall is off .* trading goes on without it"):
        await house.recall.query("gap", 5)
