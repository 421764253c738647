"""What can be asked, what is meant by it, and what is said where there is no such thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from roboinvest.core.errors import BadInput, TryLater
from tests.fakes.told import BUY_TICK, ToldFolder, buys_at, lived

# A closed market, and times at which no tick ran


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("2024-03-05T16:30", "No tick ran at 2024-03-05 21:30 UTC, the market was closed (16:30"),
        ("2024-03-09T12:00", "No tick ran at 2024-03-09 17:00 UTC, a Saturday;"),
        ("2024-03-29T12:00", "the market was closed (2024-03-29 is a holiday)"),
        ("2024-07-03T14:00", "the market had closed early"),
        ("2024-03-05T15:00:00Z", "Nothing was decided at 2024-03-05 15:00 UTC: this is the last"),
        ("2024-03-09", "No tick ran on 2024-03-09: the market was closed"),
        ("2024-03-07", "No tick ran on 2024-03-07: the daemon was not running, or had no data"),
    ],
)
async def test_a_time_without_a_tick_says_why_there_was_none(
    tmp_path: Path, folder: ToldFolder, what: str, words: str
) -> None:
    one = await lived(tmp_path, buys_at(99), 2)
    await folder.keep(one.commits)
    story = await folder.story(what)
    assert words in story.answer
    assert story.tick is not None
    assert story.tick.tick_id == BUY_TICK


async def test_a_gap_within_a_session_is_the_daemons(tmp_path: Path, folder: ToldFolder) -> None:
    one = await lived(tmp_path, buys_at(99), 20)
    await folder.keep([one.commits[0], one.commits[1], one.commits[19]])
    story = await folder.story("2024-03-05T14:40:00Z")
    assert story.answer.startswith(
        "No tick ran between 2024-03-05 14:32 UTC and 2024-03-05 14:50 UTC: the daemon was not "
        "running, or had no data."
    )
    soon = await folder.story("2024-03-05T14:49:30Z")
    assert soon.answer.startswith("No tick had run at 2024-03-05 14:49:30 UTC yet")


async def test_a_time_within_a_bar_belongs_to_the_tick_before_it(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 3)
    await folder.keep(one.commits)
    story = await folder.story("2024-03-05T14:32:59+00:00")
    assert story.tick is not None
    assert (story.tick.tick_id, story.notes) == (BUY_TICK, ())
    assert "No tick" not in story.answer


async def test_a_time_without_a_zone_is_new_yorks_and_says_so(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 3)
    await folder.keep(one.commits)
    story = await folder.story("2024-03-05 09:32")
    assert story.tick is not None
    assert story.tick.tick_id == BUY_TICK
    assert story.notes == (
        "no time zone was given: 2024-03-05 09:32 was read as America/New_York (EST), which is "
        "2024-03-05 14:32 UTC",
    )


# What is not there


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("20240305T143230Z", f"there is no tick 20240305T143230Z; the nearest is {BUY_TICK}"),
        ("20240305T143259Z", "the nearest is 20240305T143300Z"),
        ("20300101T000000Z", "there is no tick 20300101T000000Z; the nearest is 20240305T143400Z"),
        (
            "2020-01-01T12:00Z",
            "at or before 2020-01-01 12:00 UTC; the first is 20240305T143100Z",
        ),
        ("QQQ", "nothing was ever decided about QQQ; the last tick looked at SPY"),
        (f"{BUY_TICK}/QQQ", f"tick {BUY_TICK} decided nothing about QQQ; it looked at SPY"),
        ("ri1-nothing", "there is no order ri1-nothing; the nearest is ri1-test-"),
        ("why?", "'why?' is nothing that can be explained; ask for a tick"),
        ("", "'' is nothing that can be explained"),
        ("a/b/c/", "is nothing that can be explained"),
        ("20240231T000000Z", "20240231T000000Z is no instant"),
        ("9999-12-31T23:59", "lies outside of time"),
    ],
)
async def test_what_is_not_there_is_one_sentence_with_the_nearest_that_is(
    tmp_path: Path, folder: ToldFolder, what: str, sentence: str
) -> None:
    one = await lived(tmp_path, buys_at(2))
    await folder.keep(one.commits)
    with pytest.raises(BadInput) as refused:
        await folder.story(what)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("what", ["last", "SPY", BUY_TICK, "2024-03-05T09:32"])
async def test_before_the_first_tick_there_is_nothing_to_tell(
    folder: ToldFolder, what: str
) -> None:
    await folder.keep([])
    with pytest.raises(TryLater, match="no tick was committed yet"):
        await folder.story(what)


async def test_before_the_first_order_there_is_none_to_be_near(
    tmp_path: Path, folder: ToldFolder
) -> None:
    one = await lived(tmp_path, buys_at(99), 1)
    await folder.keep(one.commits)
    with pytest.raises(BadInput, match="there is no order ri1-x; none was sent yet"):
        await folder.story("ri1-x")
