"""One tick from end to end: settle, run the graph, and turn all of it into one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from roboinvest.core.market.sessions import Session
from roboinvest.core.orders import Action, OrderIntent
from roboinvest.core.ports import Broker, MarketFeed
from roboinvest.core.records import (
    EMPTY_DIGEST,
    TickCommit,
    TickRecord,
    chain_digest,
    plain_json,
    to_plain,
)
from roboinvest.trading.books import Books
from roboinvest.trading.gate import TradingGate
from roboinvest.trading.graph import TICK_TIMEOUT_S, TickGraph
from roboinvest.trading.state import TickInput, TickState


def tick_id(at: datetime) -> str:
    """Return the name of the tick at `at`."""
    return f"{at:%Y%m%dT%H%M%SZ}"


class TickRunner:
    """Everything one account needs to live through a tick."""

    def __init__(
        self,
        *,
        feed: MarketFeed,
        broker: Broker,
        gate: TradingGate,
        graph: TickGraph,
        books: Books,
        digest: str = EMPTY_DIGEST,
        broker_document: str = "paper_broker",
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Take the parts.

        Args:
            feed: in its place in the market.
            broker: with the books that belong to that place.
            gate: what may be done with money.
            graph: the five agents.
            books: of the account.
            digest: of the last committed tick.
            broker_document: the name under which the broker's snapshot is stored.
            before: awaited before orders are settled: a real broker's books are compared.
        """
        self._feed = feed
        self._broker = broker
        self._gate = gate
        self._graph = graph
        self.books = books
        self._digest = digest
        self._broker_document = broker_document
        self._before = before

    async def run(self, session: Session, at: datetime) -> tuple[TickState, TickCommit]:
        """Return what the tick came to and what must be stored; nothing is stored here.

        Raises:
            TimeoutError: the market, the broker or the nodes took longer than `TICK_TIMEOUT_S`.
        """
        async with asyncio.timeout(TICK_TIMEOUT_S):
            tick = await self._open(session, at)
        state = await self._graph.run({"tick": tick})
        self.books.benchmark.follow(tick.update)
        return state, self._commit(state)

    async def _open(self, session: Session, at: datetime) -> TickInput:
        update = await self._feed.advance(at, session)
        if self._before is not None:
            await self._before()
        trading_state, reason = self._gate.look()
        self.books.account.begin(update)
        settlement = await self._broker.settle(update)
        trades = self.books.account.settle(settlement)
        return TickInput(
            tick_id=tick_id(at),
            at=at,
            session=session,
            update=update,
            settlement=settlement,
            trades=trades,
            trading_state=trading_state,
            state_reason=reason,
        )

    def _commit(self, state: TickState) -> TickCommit:
        tick, execution = state["tick"], state["execution"]
        memories, cells = self.books.playbook.take_changes()
        record = self._record(state)
        self._digest = record.digest
        return TickCommit(
            record=record,
            orders=(*tick.settlement.orders, *execution.orders),
            fills=tick.settlement.fills,
            trades=tick.trades,
            books=self.books.account.ledger.take_touched(),
            memories=memories,
            calibration=cells,
            documents=self.books.changed_documents(self._broker_document, self._broker.snapshot()),
        )

    def _record(self, state: TickState) -> TickRecord:
        tick, execution = state["tick"], state["execution"]
        decisions = state["strategy"].decisions
        marks = state["world"].marks
        ledger = self.books.account.ledger
        actions = [decision.action for decision in decisions]
        body = _body(state)
        return TickRecord(
            tick_id=tick.tick_id,
            at=tick.at,
            session_day=tick.session.day,
            digest=chain_digest(self._digest, _facts(tick.tick_id, body)),
            equity=execution.account.equity,
            cash=execution.account.cash,
            realised_pnl=ledger.realised(),
            open_pnl=ledger.open_pnl(marks),
            buys=actions.count(Action.BUY),
            sells=actions.count(Action.SELL),
            holds=actions.count(Action.HOLD),
            orders=sum(_sent_by(intent) for intent in execution.intents),
            fills=len(tick.settlement.fills),
            rejected=len(execution.rejected),
            body=plain_json(body),
        )


def _sent_by(intent: OrderIntent) -> int:
    """Return how many orders an intent puts at the broker: itself and its protective legs."""
    return 1 + sum(leg is not None for leg in (intent.stop_loss, intent.take_profit))


def _body(state: TickState) -> dict[str, Any]:
    """Return everything the tick knew, decided and did, as a plain tree."""
    tick, world, execution = state["tick"], state["world"], state["execution"]
    tree: dict[str, Any] = to_plain(
        {
            "session": tick.session.day,
            "trading_state": tick.trading_state,
            "state_reason": tick.state_reason,
            "suspended": tick.update.suspended,
            "actions": tick.update.actions,
            "settlement": tick.settlement,
            "trades": tick.trades,
            "observations": world.observations,
            "decisions": state["strategy"].decisions,
            "intents": execution.intents,
            "clamps": execution.clamps,
            "orders": execution.orders,
            "rejected": execution.rejected,
            "account": execution.account,
            "budget": state["budget"],
            "remembered": [memory.memory_id for memory in state["lessons"].remembered],
            "resolved": {m.memory_id: m.outcome for m in state["lessons"].resolved},
        }
    )
    if world.news:
        tree["news"] = to_plain(world.news)
    if world.news_read:
        read: list[dict[str, Any]] = to_plain(world.news_read)
        tree["news_read"] = [{k: v for k, v in r.items() if k != "fingerprint"} for r in read]
    return tree


def _facts(name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two equal runs must agree on."""
    shared = {key: body[key] for key in ("decisions", "clamps", "intents")}
    return {"tick": name, **shared, "fills": body["settlement"]["fills"]}
