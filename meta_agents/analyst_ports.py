"""What the PerformanceAnalystAgent looks at: the living agents, and the books of trading.

Everything that is not known is left out, and nothing is put in its place.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, Protocol

from roboinvest.core.errors import RoboInvestError, TryLater
from roboinvest.core.ledger import Trade
from roboinvest.core.oversight.trade_groups import TradeOutcome, outcomes_of
from roboinvest.core.oversight.vitals import VitalSigns
from roboinvest.runtime.folder import DataFolder
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.spend.reads import SpendPart, between
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.storage.reads import StoreReader

NO_REGIME: Final = "not on record"
MOST_REGIMES: Final = 5_000  # that are remembered
LOOKED_UP: Final = 200  # regimes that are read from the store in one go


class Senses(Protocol):
    """The agents as they are now; cheap, asked once an hour."""

    def signs(self) -> Mapping[str, VitalSigns]:
        """Return the vital signs of every agent, by name."""

    def statuses(self) -> Mapping[str, int]:
        """Return how many agents are in each status."""

    def gauges(self) -> Mapping[str, float]:
        """Return gauges of the process, by name: "rss_mb", "loop_lag_s"."""

    def take_counts(self) -> Mapping[str, int]:
        """Return what was counted since the last time, by name ("insights"); and begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourOfTrading:
    """What was decided and paid within a span of time."""

    decisions: int  # buys, sells and holds
    fills: int
    pnl_usd: Mapping[str, float]  # by agent, of round trips that ended in it
    spend: tuple[SpendPart, ...] = ()


class TradingBooks(Protocol):
    """The books of trading."""

    async def hour(self, start: datetime, end: datetime) -> HourOfTrading:
        """Return what happened from `start` to before `end`.

        Raises:
            TryLater, BadSettings: the books cannot be read.
        """

    async def round_trips(self, start: datetime, end: datetime) -> tuple[TradeOutcome, ...]:
        """Return the round trips that ended within a span, as they ended.

        Raises:
            TryLater, BadSettings: the books cannot be read.
        """

    async def regimes(self, entries: Mapping[str, str]) -> Mapping[str, str]:
        """Return the regime at each entry, by its order id; those not on record are left out.

        Args:
            entries: order id -> symbol.
        """


@dataclass(slots=True)
class StoredTrading:
    """The books in a data folder."""

    folder: DataFolder
    in_flight: InFlight
    threads: Threads
    _regimes: OrderedDict[str, str] = field(default_factory=OrderedDict)

    async def hour(self, start: datetime, end: datetime) -> HourOfTrading:
        """Return what happened from `start` to before `end`."""
        reader = await self._open()
        try:
            ticks = await reader.ticks_between(start, end)
            trades = await reader.trades_between(start, end)
        finally:
            await reader.close()
        read = partial(between, self.folder.llm, start, end)
        spend = await self.threads.do("reading what models cost", read)
        return HourOfTrading(
            decisions=sum(tick.buys + tick.sells + tick.holds for tick in ticks),
            fills=sum(tick.fills for tick in ticks),
            pnl_usd=_by_agent(trades),
            spend=spend or (),
        )

    async def round_trips(self, start: datetime, end: datetime) -> tuple[TradeOutcome, ...]:
        """Return the round trips that ended within a span, as they ended."""
        reader = await self._open()
        try:
            return outcomes_of(await reader.trades_between(start, end))
        finally:
            await reader.close()

    async def regimes(self, entries: Mapping[str, str]) -> Mapping[str, str]:
        """Return the regime at each entry; what was looked up once is remembered."""
        unknown = [name for name in entries if name not in self._regimes][:LOOKED_UP]
        if unknown:
            try:
                reader = await self._open()
            except TryLater:
                return {}
            try:
                for name in unknown:
                    self._regimes[name] = await _regime(reader, name, entries[name])
            finally:
                await reader.close()
        while len(self._regimes) > MOST_REGIMES:
            self._regimes.popitem(last=False)
        found = {name: self._regimes.get(name, NO_REGIME) for name in entries}
        return {name: regime for name, regime in found.items() if regime != NO_REGIME}

    async def _open(self) -> StoreReader:
        return await StoreReader.open_read_only(self.folder.database, in_flight=self.in_flight)


async def _regime(reader: StoreReader, order_id: str, symbol: str) -> str:
    try:
        order = await reader.order(order_id)
        tick = None if order is None else await reader.tick(order.tick_id)
    except RoboInvestError:
        return NO_REGIME
    if tick is None or tick.body is None:
        return NO_REGIME
    try:
        regime = json.loads(tick.body)["observations"][symbol]["regime"]
        return f"{regime['trend']}_{regime['volatility']}"
    except (KeyError, TypeError, ValueError):
        return NO_REGIME


def _by_agent(trades: tuple[Trade, ...]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for trade in trades:
        sums[trade.agent_id] = sums.get(trade.agent_id, 0.0) + float(trade.pnl)
    return sums
