"""RAGPlaybookAgent: turns the tick into memory, and realised outcomes into lessons.

It runs last, so that what a tick decides depends on earlier ticks only.
"""

from __future__ import annotations

from datetime import timedelta

from roboinvest.core.orders import HOUSE_AGENT, HOUSE_REVISION, Action, Leg, to_tick
from roboinvest.core.quant.expert import DEFAULT_SETTINGS, View
from roboinvest.core.quant.memories import Memory
from roboinvest.trading.playbook import Playbook
from roboinvest.trading.state import Lessons, TickInput, TickState, World


class RAGPlaybookAgent:
    """Remembers candidate setups and resolves those whose outcome is known."""

    def __init__(self, playbook: Playbook, bar_length: timedelta) -> None:
        self._playbook = playbook
        self._horizon = DEFAULT_SETTINGS.horizon_bars * bar_length

    async def __call__(self, state: TickState) -> TickState:
        """Return the `lessons` of this tick."""
        tick = state["tick"]
        changed = (*tick.settlement.orders, *state["execution"].orders)
        resolved = self._playbook.learn(trades=tick.trades, orders=changed, bars=tick.update.bars)
        entries = {
            intent.symbol: intent.client_order_id
            for intent in state["execution"].intents
            if intent.leg is Leg.ENTRY
        }
        remembered = list[Memory]()
        for view in state["strategy"].views:
            order_id = entries.get(view.symbol)
            if order_id is None and self._playbook.watches(HOUSE_AGENT, view.symbol):
                continue  # one untraded setup at a time, or every minute would be the same lesson
            if view.is_candidate:
                memory = self._memory(view, tick, state["world"], order_id)
                self._playbook.remember(memory)
                remembered.append(memory)
        return {"lessons": Lessons(remembered=tuple(remembered), resolved=resolved)}

    def _memory(self, view: View, tick: TickInput, world: World, order_id: str | None) -> Memory:
        observation, mark = world.observations[view.symbol], world.marks[view.symbol]
        if view.stop is None or view.target is None:
            raise ValueError(f"{view.symbol}: a candidate setup needs a stop and a target")
        regime, at = observation.regime.name, f"{tick.at:%Y-%m-%d %H:%M} UTC"
        return Memory(
            memory_id=f"{tick.tick_id}/{HOUSE_AGENT}/{view.symbol}",
            agent_id=HOUSE_AGENT,
            revision_id=HOUSE_REVISION,
            symbol=view.symbol,
            seen_at=tick.at,
            action=Action.BUY,
            vector=observation.vector,
            conviction=view.conviction,
            entry=mark,
            stop=to_tick(view.stop),
            target=to_tick(view.target),
            expires_at=min(tick.at + self._horizon, tick.session.closes_at),
            text=f"{view.symbol} at {mark} on {at}, regime {regime}: {view.summary}",
            order_id=order_id,
        )
