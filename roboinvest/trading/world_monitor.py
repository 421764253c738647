"""WorldMonitorAgent: looks at the market and says what it sees, nothing about what to do.

News reach a tick only after their time, because the source is asked for what was published up to
the tick. They stay apart from the observations, which decisions are made of. Between two symbols
the loop gets a turn, so that a wide universe does not hold it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from roboinvest.core.market.bars import from_ns
from roboinvest.core.orders import to_price
from roboinvest.core.ports import Broker, MarketFeed
from roboinvest.core.quant.observation import LOOKBACK, observe
from roboinvest.trading.news_desk import NewsDesk
from roboinvest.trading.state import TickState, World


class WorldMonitorAgent:
    """Collects bars, levels and regime into observations, and news into factors."""

    def __init__(self, feed: MarketFeed, news: NewsDesk, broker: Broker) -> None:
        self._feed = feed
        self._news = news
        self._broker = broker

    async def __call__(self, state: TickState) -> TickState:
        """Return the `world` of this tick."""
        tick = state["tick"]
        news = await self._news.look(tick.at, about=tick.tick_id)
        observations, marks, ages = {}, dict[str, Decimal](), dict[str, timedelta | None]()
        for symbol in self._feed.symbols:
            series = self._feed.window(symbol, LOOKBACK)
            observations[symbol] = observe(
                series, at=tick.at, session=tick.session, vix=self._feed.vix()
            )
            ages[symbol] = tick.at - from_ns(series.closes_at[-1]) if len(series) else None
            if len(series):
                marks[symbol] = to_price(float(series.close[-1]))
            await asyncio.sleep(0)
        account = await self._broker.account({s: float(mark) for s, mark in marks.items()})
        world = World(
            observations=observations,
            marks=marks,
            bar_age=ages,
            account=account,
            news=news.factors,
            news_read=news.read,
        )
        return {"world": world}
