"""The playbook: setups that were seen, what they came to, and how far conviction can be trusted.

Search and calibration live in memory and are rebuilt from the table at start; the table is the
truth. A setup that was traded is judged by its trade. One that was not is walked over the bars
that followed from its mark, with the same bracket and the same fill rules, so that not trading
teaches as much as trading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from roboinvest.core.fills import FillRules, bar_prices, resolve_bracket
from roboinvest.core.ledger import Trade
from roboinvest.core.market.values import Bar
from roboinvest.core.orders import Leg, Order, OrderState, Side, to_price
from roboinvest.core.quant.calibration import Calibration
from roboinvest.core.quant.memories import (
    CalibrationCell,
    Memory,
    Outcome,
    OutcomeKind,
    SimilarSetup,
)
from roboinvest.core.quant.similar import SetupIndex
from roboinvest.core.records import canonical_json

_DEAD_ENTRY = frozenset({OrderState.EXPIRED, OrderState.CANCELLED, OrderState.REJECTED})


class Playbook:
    """Memories of one house: open ones by symbol, resolved ones by likeness."""

    def __init__(
        self,
        resolved: Iterable[Memory],
        unresolved: Iterable[Memory],
        cells: Iterable[CalibrationCell],
        *,
        rules: FillRules,
        partial_results: str | None = None,
    ) -> None:
        self._rules = rules
        self._index = SetupIndex(resolved)
        self._calibration = Calibration(cells)
        self._open = {memory.memory_id: memory for memory in unresolved}
        self._results = _read_results(partial_results)
        self._changed: dict[str, Memory] = {}
        self._cells: dict[tuple[str, int], CalibrationCell] = {}

    def __len__(self) -> int:
        return len(self._index) + len(self._open)

    def similar(self, agent_id: str, vector: tuple[float, ...]) -> tuple[SimilarSetup, ...]:
        """Return resolved setups of `agent_id` near `vector`, nearest first."""
        return self._index.nearest(agent_id, vector) if vector else ()

    def cells(self, agent_id: str) -> tuple[CalibrationCell, ...]:
        """Return the calibration of one agent."""
        return tuple(c for c in self._calibration.cells() if c.agent_id == agent_id)

    def watches(self, agent_id: str, symbol: str) -> bool:
        """Return whether an unresolved setup of the agent stands in `symbol` already."""
        return any(m.agent_id == agent_id and m.symbol == symbol for m in self._open.values())

    def remember(self, memory: Memory) -> None:
        """Add a setup whose outcome is not known yet."""
        self._open[memory.memory_id] = memory
        self._changed[memory.memory_id] = memory

    def learn(
        self, *, trades: Iterable[Trade], orders: Iterable[Order], bars: Iterable[Bar]
    ) -> tuple[Memory, ...]:
        """Resolve setups by what happened since the last tick; return them, oldest first."""
        resolved = [*self._learn_from_trades(trades)]
        self._release_unfilled(orders)
        resolved += self._walk(tuple(bars))
        return tuple(sorted(resolved, key=lambda m: m.memory_id))

    def take_changes(self) -> tuple[tuple[Memory, ...], tuple[CalibrationCell, ...]]:
        """Return what changed since the last call, for the store."""
        memories, cells = tuple(self._changed.values()), tuple(self._cells.values())
        self._changed, self._cells = {}, {}
        return memories, cells

    def document(self) -> str:
        """Return the results of entries that are closed in part."""
        return canonical_json(self._results)

    def _learn_from_trades(self, trades: Iterable[Trade]) -> Iterable[Memory]:
        by_order = {m.order_id: m for m in self._open.values() if m.order_id}
        closing = dict[str, Trade]()  # the last of each entry: one fill in parts closes in parts
        for trade in trades:
            if trade.entry_order_id not in by_order:
                continue
            qty, pnl = self._results.get(trade.entry_order_id, (Decimal(0), Decimal(0)))
            self._results[trade.entry_order_id] = (qty + trade.qty, pnl + trade.pnl)
            if trade.closes_entry:
                closing[trade.entry_order_id] = trade
        for order_id, trade in closing.items():
            yield self._close_traded(by_order[order_id], trade)

    def _close_traded(self, memory: Memory, trade: Trade) -> Memory:
        qty, pnl = self._results.pop(trade.entry_order_id)
        risk = abs(qty) * abs(memory.entry - memory.stop)
        how = {Leg.STOP: "stop", Leg.TARGET: "target"}.get(trade.exit_leg, "exit")
        r_multiple = round(float(pnl / risk), 6)
        return self._resolve(memory, OutcomeKind.TRADE, r_multiple, trade.closed_at, how)

    def _release_unfilled(self, orders: Iterable[Order]) -> None:
        """Judge a setup by the bars when its entry died without a share."""
        dead = {
            o.client_order_id
            for o in orders
            if o.leg is Leg.ENTRY and o.state in _DEAD_ENTRY and not o.filled_qty
        }
        for memory in [m for m in self._open.values() if m.order_id in dead]:
            self.remember(replace(memory, order_id=None))

    def _walk(self, bars: tuple[Bar, ...]) -> list[Memory]:
        waiting = [m for m in self._open.values() if m.order_id is None]
        resolved = list[Memory]()
        for memory in waiting:
            for bar in bars:
                if bar.symbol != memory.symbol or bar.ts < memory.seen_at:
                    continue
                ended = shadow_exit(memory, bar, self._rules)
                if ended is not None:
                    price, how = ended
                    r_multiple = _r_of(memory, price)
                    kind = OutcomeKind.SHADOW
                    resolved.append(self._resolve(memory, kind, r_multiple, bar.closes_at, how))
                    break
        return resolved

    def _resolve(
        self, memory: Memory, kind: OutcomeKind, r_multiple: float, at: datetime, how: str
    ) -> Memory:
        outcome = Outcome(kind=kind, r_multiple=r_multiple, closed_at=at, how=how)
        text = f"{memory.text} Outcome {r_multiple:+.2f} R by {how} ({kind})."
        done = replace(memory, outcome=outcome, text=text)
        self._open.pop(memory.memory_id)
        self._changed[memory.memory_id] = done
        self._index.add(done)
        cell = self._calibration.record(memory.agent_id, memory.conviction, won=r_multiple > 0)
        self._cells[cell.agent_id, cell.bucket] = cell
        return done


def shadow_exit(memory: Memory, bar: Bar, rules: FillRules) -> tuple[Decimal, str] | None:
    """Return where a bracket that nobody placed would have ended in `bar`, and how."""
    prices = bar_prices(bar, rules)
    ended = resolve_bracket(Side.SELL, memory.stop, memory.target, prices, rules)
    if ended.leg is not None and ended.price is not None:
        return ended.price, ended.leg.value
    if bar.closes_at >= memory.expires_at:
        return to_price(bar.close), "horizon"
    return None


def _r_of(memory: Memory, price: Decimal) -> float:
    return round(float((price - memory.entry) / (memory.entry - memory.stop)), 6)


def _read_results(text: str | None) -> dict[str, tuple[Decimal, Decimal]]:
    raw: Mapping[str, list[str]] = json.loads(text) if text else {}
    return {order: (Decimal(qty), Decimal(pnl)) for order, (qty, pnl) in raw.items()}
