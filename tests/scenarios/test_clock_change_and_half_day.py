"""The exchange's clock rules: a change to summer time over a weekend, and a day that ends at one.

Instants are UTC, so the same wall clock in New York is another hour on Monday, and a half day is a
session that closes earlier. Nothing but the calendar may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from roboinvest.core.orders import Action, Leg, OrderState
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from roboinvest.runtime.configuration.settings import load_settings
from roboinvest.trading.schedule import TickSchedule
from tests.fakes.models import ScriptedModel, hold, view
from tests.fakes.town import Town, books_in
from tests.fakes.worlds import recorded
from tools.markets import Market


def buying(symbol: str, *instants: datetime) -> ScriptedModel:
    """Return a model that buys at some instants."""

    def script(inputs: StrategyInputs, brief: SymbolBrief) -> View:
        if inputs.at not in instants:
            return hold(symbol)
        close = brief.observation.close
        return view(symbol, Action.BUY, stop=close * 0.97, target=close * 1.03)

    return ScriptedModel(script)


def ticks_by_day(town: Town) -> Mapping[date, list[datetime]]:
    found: dict[date, list[datetime]] = {}
    for commit in town.commits:
        found.setdefault(commit.record.session_day, []).append(commit.record.at)
    return found


async def test_the_session_moves_by_an_hour_when_new_york_changes_its_clock(
    data_pack: Path, tmp_path: Path
) -> None:
    market = recorded(data_pack, "SPY", "pyalgotrade-ninjatrader", "2011-03-11", "2011-03-14")
    schedule = TickSchedule(market.calendar, market.timeframe, market.starts_at, market.last_day)
    planned = [at for _, at in schedule.after(None)]
    assert len(planned) == 2 * 390
    assert (planned[0], planned[389]) == (utc(2011, 3, 11, 14, 31), utc(2011, 3, 11, 21, 0))
    assert (planned[390], planned[-1]) == (utc(2011, 3, 14, 13, 31), utc(2011, 3, 14, 20, 0))

    late = replace(market, starts_at=planned[360])
    town = Town(market=late, folder=tmp_path, until=planned[419])
    await town.live()
    assert [commit.record.at for commit in town.commits] == planned[360:420]
    for commit, state in zip(town.commits, town.states, strict=True):
        assert all(bar.closes_at <= commit.record.at for bar in state["tick"].update.bars)
    opening = town.states[30]["tick"].update.bars
    assert [bar.ts for bar in opening] == [utc(2011, 3, 14, 13, 30)], "no bar of the hour before"


async def test_a_half_day_has_its_own_count_of_ticks(data_pack: Path, tmp_path: Path) -> None:
    market = recorded(data_pack, "GOOG", "lean", "2015-12-24", "2015-12-24")
    town = Town(market=market, folder=tmp_path)
    await town.live()
    (ticks,) = ticks_by_day(town).values()
    assert (len(ticks), ticks[-1]) == (210, utc(2015, 12, 24, 18, 0))
    assert town.states[-1]["tick"].session.is_half_day
    rows = books_in(town.database)["sessions"]
    assert [row["ticks"] for row in rows] == [210]


@pytest.mark.parametrize(
    ("day", "close"),
    [("2015-12-23", (2015, 12, 23, 21, 0)), ("2015-12-24", (2015, 12, 24, 18, 0))],
)
async def test_a_day_order_that_cannot_fill_dies_at_the_real_close(
    data_pack: Path, tmp_path: Path, day: str, close: tuple[int, ...]
) -> None:
    closes_at = utc(*close)
    asked_at = closes_at - timedelta(minutes=1)
    market = recorded(data_pack, "GOOG", "lean", day, day)
    market = replace(market, starts_at=closes_at - timedelta(minutes=10))
    settings = load_settings(None, {}, {"risk.no_entry_last_min": 0})
    town = Town(
        market=without_the_last_minute(market, asked_at),
        folder=tmp_path,
        model=buying("GOOG", asked_at),
        settings=settings,
    )
    await town.live()
    orders = {row["leg"]: row for row in books_in(town.database)["orders"]}
    entry = orders[Leg.ENTRY.value]
    assert entry["state"] == OrderState.EXPIRED.value
    assert entry["created_at"].startswith(f"{asked_at:%Y-%m-%d %H:%M:%S}")
    assert entry["updated_at"].startswith(f"{closes_at:%Y-%m-%d %H:%M:%S}")
    assert orders[Leg.STOP.value]["state"] in ("expired", "cancelled")
    assert books_in(town.database)["fills"] == []


def without_the_last_minute(market: Market, begins_at: datetime) -> Market:
    """Return the market with no bar from an instant on, so that nothing can fill."""

    class Thin:
        def __init__(self) -> None:
            self._feed = market.new_feed()

        def __getattr__(self, name: str) -> object:
            return getattr(self._feed, name)

        async def advance(self, at: datetime, session: object) -> object:
            update = await self._feed.advance(at, session)  # type: ignore[arg-type]
            return replace(update, bars=tuple(b for b in update.bars if b.ts < begins_at))

    return replace(market, new_feed=Thin)  # type: ignore[arg-type]


def utc(*figures: int) -> datetime:
    return datetime(*figures, tzinfo=UTC)  # type: ignore[arg-type,misc]
