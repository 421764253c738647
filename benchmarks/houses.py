"""Whole houses in this process, on the simulated market, watched from outside.

The market is handed in, so a feed that notes when it is asked is all that is needed to see each
tick go by; nothing of the product is patched or built a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.figures import Moment
from roboinvest.app.house import House
from roboinvest.app.options import Outcome, RunOptions
from roboinvest.core.market.bars import BarSeries
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import DataCounts, MarketUpdate
from roboinvest.core.market.values import Timeframe
from roboinvest.core.ports import Clock, MarketFeed
from roboinvest.runtime.clock import SystemClock
from roboinvest.runtime.configuration.settings import Settings, load_settings
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.recall.recall import RecallState
from roboinvest.runtime.supervision.watchdog import ForcedExit
from roboinvest.runtime.telemetry import Telemetry
from roboinvest.trading.schedule import TickSchedule
from tools.markets import Market, open_market

_LOOK_S: Final = 0.05  # s between two looks whether the text memory is up


def symbols(count: int) -> list[str]:
    """Return so many invented tickers; the first ones are the same for any count."""
    return [f"SYM{number:02d}" for number in range(count)]


@contextlib.contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """Lend a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="roboinvest-bench-", dir=parent) as folder:
        yield Path(folder)


def settings_for(root: Path, universe: int, **more: Any) -> Settings:  # noqa: ANN401 settings
    """Return the defaults on `universe` invented symbols; `more` has `__` where keys have a dot."""
    typed = {key.replace("__", "."): value for key, value in more.items()}
    return load_settings(
        None, {}, {"data_dir": root, "simulated.symbols": symbols(universe), **typed}
    )


def ticks_of_days(market: Market, days: int) -> int:
    """Return how many ticks a market has in its first `days` calendar days."""
    last = (market.starts_at + timedelta(days=days - 1)).date()
    schedule = TickSchedule(market.calendar, market.timeframe, market.starts_at, last)
    return sum(1 for _ in schedule.after(None))


class StampedFeed:
    """A feed that notes when it is asked to advance, once `opens` lets the first tick pass."""

    def __init__(self, feed: MarketFeed, opens: Callable[[], bool]) -> None:
        self._feed = feed
        self._opens = opens
        self.stamps: list[Moment] = []

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the universe."""
        return self._feed.symbols

    @property
    def timeframe(self) -> Timeframe:
        """Return the length of the bars."""
        return self._feed.timeframe

    async def advance(self, at: datetime, session: Session) -> MarketUpdate:
        """Note the moment and advance."""
        while not self.stamps and not self._opens():  # noqa: ASYNC110 the house sets no event
            await asyncio.sleep(_LOOK_S)
        self.stamps.append(Moment.now())
        return await self._feed.advance(at, session)

    async def seek(self, at: datetime) -> None:
        """Take a place in the market."""
        await self._feed.seek(at)

    def window(self, symbol: str, length: int) -> BarSeries:
        """Return the last bars."""
        return self._feed.window(symbol, length)

    def vix(self) -> float | None:
        """Return the last VIX close."""
        return self._feed.vix()

    def counts(self) -> DataCounts:
        """Return what the gate did."""
        return self._feed.counts()


@dataclass(slots=True, kw_only=True)
class Run:
    """One house, ready to live through its ticks, and what was seen of it."""

    settings: Settings
    ticks: int
    market: Market
    folder: DataFolder
    house: House
    in_flight: InFlight  # jobs that only the outside can finish
    feeds: list[StampedFeed] = field(default_factory=list)

    @property
    def stamps(self) -> list[Moment]:
        """Return when each tick began."""
        (feed,) = self.feeds  # two would mean that the trading service was started again
        return feed.stamps

    async def live(self) -> Outcome:
        """Run until the ticks are done; every one must have been committed."""
        unused = ForcedExit(after_s=self.settings.supervisor.forced_exit_s, clock=SystemClock())
        outcome = await self.house.run(unused)  # its thread is not started: this is no daemon
        done = (outcome.summary or {}).get("ticks")
        if outcome.exit_code or done != self.ticks:
            raise RuntimeError(
                f"the house ended with {outcome.exit_code} ({outcome.reason}) "
                f"after {done} ticks, asked for {self.ticks}"
            )
        return outcome


@contextlib.contextmanager
def a_house(
    settings: Settings,
    ticks: int | None = None,
    *,
    days: int = 0,
    clock: Clock | None = None,
    in_flight: InFlight | None = None,
) -> Iterator[Run]:
    """Build a house in its data folder, for so many ticks or calendar days of its market."""
    market, folder = open_market(settings), DataFolder(settings.data_dir)
    real_clock, in_flight = SystemClock(), in_flight or InFlight()
    feeds: list[StampedFeed] = []

    def new_feed() -> MarketFeed:
        feeds.append(StampedFeed(market.new_feed(), lambda: _recall_is_settled(house)))
        return feeds[-1]

    wanted = ticks or ticks_of_days(market, days)
    options = RunOptions(exit_when_done=True, max_ticks=wanted)
    folder.hold()
    telemetry = Telemetry(folder.logs, clock=real_clock, level=settings.logging.level)
    telemetry.start()
    try:
        watched = replace(market, new_feed=new_feed)
        house = House(
            settings, watched, folder, options, clock=clock or real_clock, in_flight=in_flight
        )
        yield Run(
            settings=settings,
            ticks=wanted,
            market=market,
            folder=folder,
            house=house,
            in_flight=in_flight,
            feeds=feeds,
        )
    finally:
        telemetry.close()
        folder.release()


def _recall_is_settled(house: House) -> bool:
    return house.recall()[0] in (RecallState.OFF, RecallState.READY)
