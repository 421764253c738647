"""A model that trades often and leans on all it is told, so that a lost memory changes a digest."""

from __future__ import annotations

from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief, View
from tests.fakes.models import ScriptedModel, hold, view

HOLDS_FOR = 6  # bars; over a night where the close comes first
EVERY = 4  # minutes between two chances to enter


def gambler() -> ScriptedModel:
    """Return the model; it keeps nothing between two ticks."""
    return ScriptedModel(_gamble)


def _gamble(inputs: StrategyInputs, brief: SymbolBrief) -> View:
    seen = brief.observation
    learned = sum(setup.r_multiple for setup in brief.similar)
    trust = sum(cell.wins - cell.losses for cell in brief.cells)
    conviction = round(max(-1.0, min(1.0, 0.3 + 0.05 * learned + 0.01 * trust)), 6)
    if brief.position_qty:
        is_due = brief.bars_held >= HOLDS_FOR and brief.time_left_min > HOLDS_FOR
        return view(seen.symbol, Action.SELL if is_due else Action.HOLD, conviction=conviction)
    minute = int(inputs.at.timestamp()) // 60 + sum(seen.symbol.encode())
    if brief.blocked or brief.cooling_down or minute % EVERY:
        return hold(seen.symbol)
    stop, target = seen.close * 0.99, seen.close * 1.004
    return view(seen.symbol, Action.BUY, stop=stop, target=target, conviction=conviction)
