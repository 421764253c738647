"""What a decision came to is written to the question that it came from."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from roboinvest.core.events import TickCompleted
from roboinvest.core.ledger import Trade
from roboinvest.core.orders import Order
from roboinvest.runtime.in_flight import InFlight
from roboinvest.runtime.llm.outcomes import OutcomeLinker
from tests.fakes.clocks import START
from tests.fakes.llm_gateways import NUMBER, Question, ScriptedProvider, gateway_desk
from tests.fakes.records import order, trade
from tests.fakes.virtual_time import run_virtual

EVENT = TickCompleted(at=START, tick_id="later", tick_at=START)


@dataclass(slots=True)
class Table:
    """Trades and orders as the store tells them."""

    trades: list[Trade] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)

    async def recent_trades(self, limit: int) -> tuple[Trade, ...]:
        return tuple(reversed(self.trades))[:limit]

    async def order(self, client_order_id: str) -> Order | None:
        return self.orders.get(client_order_id)

    def close(self, entry: Order, name: str, pnl: str) -> None:
        """Close a trade of an entry."""
        self.orders[entry.client_order_id] = entry
        made = trade("made")
        self.trades.append(
            replace(made, trade_id=name, entry_order_id=entry.client_order_id, pnl=Decimal(pnl))
        )


def counts_in(path: Path, version: str) -> dict[str, int]:
    """Return what a registry that is closed has counted for a version."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "SELECT outcome, n FROM counts WHERE version = ?", (version,)
        ).fetchall()
    return dict(found)


def test_results_are_linked_to_the_ask_and_counted_for_its_prompt_once(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> None:
        async with gateway_desk(tmp_path, ScriptedProvider(), in_flight=in_flight) as desk:
            table = Table()
            entry = order("entry")
            linker = OutcomeLinker(table, desk.ledger, desk.prompts, task=NUMBER.name)
            await linker.receive(EVENT)
            await desk.gateway.ask(NUMBER, Question(text="buy?"), about=entry.tick_id)
            await desk.gateway.ask(NUMBER, Question(text="and now?"), about="another tick")
            table.close(entry, "first", "12.50")
            await linker.receive(EVENT)
            table.close(entry, "second", "-2.00")
            await linker.receive(EVENT)
            await linker.receive(EVENT)
            (ask,) = await desk.ledger.asks_about(entry.tick_id)
            assert ask.outcome is not None
            first, second = ask.outcome.split("; ")
            assert "+12.50 USD" in first
            assert "-2.00 USD" in second
            (other,) = await desk.ledger.asks_about("another tick")
            assert other.outcome is None
            await desk.prompts.flush()
            version = desk.prompts.current(NUMBER.prompt).version
        counted = counts_in(tmp_path / "registry.db", version)
        assert (counted["wins"], counted["losses"]) == (1, 1)

    run_virtual(main, in_flight)


def test_what_was_closed_before_is_left_as_it_is(tmp_path: Path) -> None:
    in_flight = InFlight()

    async def main() -> None:
        async with gateway_desk(tmp_path, ScriptedProvider(), in_flight=in_flight) as desk:
            table = Table()
            entry = order("entry")
            await desk.gateway.ask(NUMBER, Question(text="buy?"), about=entry.tick_id)
            table.close(entry, "old", "5")
            linker = OutcomeLinker(table, desk.ledger, desk.prompts, task=NUMBER.name)
            await linker.receive(EVENT)
            (ask,) = await desk.ledger.asks_about(entry.tick_id)
            assert ask.outcome is None

    run_virtual(main, in_flight)
