"""What flows through the graph: one key per node, written once, read by the nodes after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypedDict

from roboinvest.core.budget import CapMove
from roboinvest.core.events import Asks, TradingState
from roboinvest.core.ledger import Trade
from roboinvest.core.market.sessions import Session
from roboinvest.core.market.updates import MarketUpdate
from roboinvest.core.news.factor import NewsFactor
from roboinvest.core.news.records import NewsRecord
from roboinvest.core.orders import Account, Decision, Order, OrderIntent, Settlement, Side
from roboinvest.core.quant.expert import View
from roboinvest.core.quant.memories import Memory
from roboinvest.core.quant.observation import Observation
from roboinvest.core.risk import Clamp
from roboinvest.core.strategy import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class TickInput:
    """What had happened by the time a tick began."""

    tick_id: str  # "20110103T143100Z"
    at: datetime  # UTC, market time
    session: Session
    update: MarketUpdate
    settlement: Settlement
    trades: tuple[Trade, ...]  # round trips that the settlement closed
    trading_state: TradingState
    state_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the WorldMonitor saw."""

    observations: Mapping[str, Observation]  # by symbol, sorted
    marks: Mapping[str, Decimal]  # USD per share, last good close
    bar_age: Mapping[str, timedelta | None]  # since the last bar closed; None before the first
    account: Account
    news: Mapping[str, NewsFactor] = field(default_factory=dict)  # only symbols with news; tainted
    news_read: tuple[NewsRecord, ...] = ()  # in this tick, by time then id


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRequest:
    """An entry that is sized by its strategy's own rule; risk still has the last word."""

    side: Side
    size: Size
    stop: Decimal | None  # USD per share
    target: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """What the strategy wants."""

    decisions: tuple[Decision, ...]  # one per symbol, sorted by symbol
    views: tuple[View, ...]  # the same, as the model gave them
    source: str  # "rules", "openai:<model>", or "strategy:<name>@<version>"
    cost_usd: Decimal  # of the answer
    requests: Mapping[str, EntryRequest] = field(default_factory=dict)  # by symbol
    stops: Mapping[str, Decimal] = field(default_factory=dict)  # symbol -> where its stop belongs
    asks: Asks | None = None  # of an installed strategy; None: the house's own agent decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What was sent, and what was cut."""

    intents: tuple[OrderIntent, ...]  # sent, at the size risk allowed
    clamps: tuple[Clamp, ...]
    orders: tuple[Order, ...]  # new and changed
    rejected: tuple[str, ...]  # one sentence for each intent that was refused whole
    account: Account  # after the tick
    refused: tuple[Clamp, ...] = ()  # the clamps that let nothing through, the broker's included


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The language-model budget after this tick."""

    cap_usd: Decimal  # today's
    spent_usd: Decimal  # today
    move: CapMove


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What was remembered, and what earlier setups came to."""

    remembered: tuple[Memory, ...]
    resolved: tuple[Memory, ...]


class TickState(TypedDict, total=False):
    """The state of one graph run; a node returns its own key only."""

    tick: TickInput
    world: World
    strategy: Strategy
    execution: Execution
    budget: Budget
    lessons: Lessons
