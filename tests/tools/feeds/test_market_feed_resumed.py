"""A replay that stops and goes on: the same world, whatever happened and whatever comes later."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roboinvest.core.errors import TryLater
from roboinvest.core.market.bars import to_ns
from roboinvest.core.market.rows import RawRows
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.values import CorporateAction, Timeframe
from tests.fakes.replays import (
    CALENDAR,
    SPLIT,
    TUESDAY,
    WEEK,
    altered,
    feed_of,
    look,
    packed,
    ticks,
    troubled,
)
from tools.feeds.file_source import MemorySource
from tools.feeds.market_feed import SessionFeed


class FlakySource(MemorySource):
    """A source that is away for every other session it is asked for."""

    asked = 0

    async def session_rows(self, session: Session) -> Mapping[str, RawRows]:
        self.asked += 1
        if self.asked % 2:
            raise TryLater("the source is away; try again")
        return await super().session_rows(session)


async def test_a_source_that_is_away_moves_nothing_and_the_next_try_goes_on() -> None:
    rows = troubled(Timeframe.MINUTE)
    flaky = SessionFeed(
        FlakySource(rows, Timeframe.MINUTE), CALENDAR, first=TUESDAY.day, warm_up_sessions=1
    )
    steady = feed_of(rows)
    for session, at in ticks(Timeframe.MINUTE)[::30]:
        seen = None
        while seen is None:
            before = flaky.counts()
            try:
                seen = await look(flaky, session, at)
            except TryLater:
                assert flaky.counts() == before
        assert seen == await look(steady, session, at)


@pytest.mark.parametrize("timeframe", list(Timeframe))
async def test_a_resumed_run_sees_what_an_uninterrupted_one_saw(timeframe: Timeframe) -> None:
    options = {"actions": [SPLIT], "vix": {day.day: float(n) for n, day in enumerate(WEEK)}}
    plan = ticks(timeframe)
    whole = feed_of(troubled(timeframe), timeframe, **options)  # type: ignore[arg-type]
    expected = [await look(whole, session, at) for session, at in plan]
    stops = sorted({0, len(plan) // 3, len(plan) // 2, len(plan) - 2, *range(1, len(plan), 197)})
    for stop in stops:
        resumed = feed_of(troubled(timeframe), timeframe, **options)  # type: ignore[arg-type]
        await resumed.seek(plan[stop][1])
        assert resumed.counts() == expected[stop].counts
        assert resumed.vix() == expected[stop].vix
        windows = tuple(packed(resumed.window(symbol, 500)) for symbol in resumed.symbols)
        assert windows == expected[stop].windows
        for place in range(stop + 1, min(stop + 4, len(plan))):
            assert await look(resumed, *plan[place]) == expected[place]


async def test_seeking_moves_a_feed_that_has_already_run() -> None:
    feed = feed_of(troubled(Timeframe.MINUTE), actions=[SPLIT])
    plan = ticks(Timeframe.MINUTE)
    expected = [await look(feed, session, at) for session, at in plan[:800]]
    await feed.seek(plan[395][1])
    assert await look(feed, *plan[396]) == expected[396]


GARBAGE = st.sampled_from([0.0, -1.0, 1e4, 0.01, 50.0, float("nan"), float("inf")])


@settings(max_examples=40, deadline=None)
@given(
    stop=st.integers(0, 25),
    gone=st.sets(st.integers(0, 34)),
    changed=st.dictionaries(st.tuples(st.integers(0, 34), st.integers(0, 4)), GARBAGE),
    copied=st.sets(st.integers(0, 34)),
    actions=st.sampled_from([[], [SPLIT]]),
)
async def test_rows_after_an_instant_never_change_what_was_seen_up_to_it(
    stop: int,
    gone: set[int],
    changed: dict[tuple[int, int], float],
    copied: set[int],
    actions: list[CorporateAction],
) -> None:
    timeframe, rows = Timeframe.HOUR, troubled(Timeframe.HOUR)
    plan = ticks(timeframe)
    cut = to_ns(plan[stop][1])
    other = {}
    for symbol, each in rows.items():
        closes = np.array([_close(ts) for ts in each.ts.tolist()])
        later = np.flatnonzero(closes > cut)
        edits = {cell: value for cell, value in changed.items() if cell[0] in later}
        kept = [n for n in range(len(each)) if n not in gone or n not in later]
        copies = [n for n in sorted(copied) if n in later]
        both = altered(each, edits)
        other[symbol] = RawRows.of(
            np.concatenate([both.ts[kept], each.ts[copies]]),
            np.concatenate([both.values[:, kept], each.values[:, copies] * 1.5], axis=1),
        )
    one, two = feed_of(rows, timeframe, actions=actions), feed_of(other, timeframe, actions=actions)
    for session, at in plan[: stop + 1]:
        assert await look(one, session, at) == await look(two, session, at)


def _close(ts: int) -> int:
    """Return when the hour bar that opens at `ts` is closed."""
    ends = [to_ns(session.closes_at) for session in WEEK]
    return min([ts + 3_600_000_000_000, *(end for end in ends if end > ts)])
