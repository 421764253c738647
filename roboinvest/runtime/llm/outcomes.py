"""Says of a question what its answer came to, once the trade that it led to is closed.

The record of the ask gets the result, and the version of its prompt a win or a loss. What was
closed before this began is not told again; a kill may lose the last of it, and no money depends on
it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

from roboinvest.core.errors import TryLater
from roboinvest.core.events import TickCompleted
from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Order
from roboinvest.runtime.llm.spend.ledger import SpendLedger
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.prompts.versions import Outcome

LOOKED_AT: Final = 50  # trades, the latest
REMEMBERED: Final = 1_000


class TradeTable(Protocol):
    """What the store tells of trades."""

    async def recent_trades(self, limit: int) -> tuple[Trade, ...]:
        """Return the latest trades, newest first."""

    async def order(self, client_order_id: str) -> Order | None:
        """Return one order."""


class OutcomeLinker:
    """Hears of each tick."""

    def __init__(
        self, table: TradeTable, ledger: SpendLedger, prompts: PromptRegistry, *, task: str
    ) -> None:
        """Take where trades are looked up, where results go, and the task that leads to trades."""
        self._table, self._ledger, self._prompts = table, ledger, prompts
        self._task = task
        self._told: OrderedDict[str, None] | None = None  # trades

    async def receive(self, event: TickCompleted) -> None:  # noqa: ARG002 all new trades are told
        """Tell what was closed since."""
        try:
            trades = await self._table.recent_trades(LOOKED_AT)
            if self._told is None:
                self._told = OrderedDict.fromkeys(trade.trade_id for trade in trades)
                return
            for trade in reversed(trades):
                if trade.trade_id not in self._told:
                    await self._tell(trade)
                    self._told[trade.trade_id] = None
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)
        except TryLater:
            return  # told at the next tick

    async def _tell(self, trade: Trade) -> None:
        entry = await self._table.order(trade.entry_order_id)
        if entry is None:
            return
        asks = await self._ledger.asks_about(entry.tick_id)
        for ask in asks:
            if ask.facts.task != self._task:
                continue
            told = f"{ask.outcome}; {_in_words(trade)}" if ask.outcome else _in_words(trade)
            await self._ledger.link_outcome(told, ask_id=ask.facts.ask_id)
            won = Outcome.WINS if trade.pnl > 0 else Outcome.LOSSES
            self._prompts.count(ask.facts.prompt_version, won)


def _in_words(trade: Trade) -> str:
    """Return a trade's result on one line."""
    multiple = "" if trade.r_multiple is None else f", {trade.r_multiple:+.2f} R"
    return f"{trade.symbol}: {trade.pnl:+.2f} USD{multiple}, closed by {trade.exit_leg}"
