"""A language model that answers what a test scripted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from roboinvest.core.orders import Action
from roboinvest.core.quant.expert import StrategyInputs, StrategyReply, SymbolBrief, View
from roboinvest.core.tasks import RULES, Answer, Task


def hold(symbol: str) -> View:
    """Return a view that wants nothing."""
    return view(symbol, Action.HOLD)


def view(
    symbol: str,
    action: Action,
    *,
    stop: float | None = None,
    target: float | None = None,
    conviction: float = 0.5,
) -> View:
    """Return a view with the figures a test cares for."""
    return View(
        symbol=symbol,
        action=action,
        conviction=conviction,
        confidence=0.5,
        stop=stop,
        target=target,
        reasons=(),
        summary=f"{action} {symbol}: scripted.",
        is_candidate=action is Action.BUY,
        similar_setups=0,
        similar_mean_r=0.0,
    )


class ScriptedModel:
    """Answers the strategy task by a function of each symbol's brief, any other by its rule."""

    def __init__(self, script: Callable[[StrategyInputs, SymbolBrief], View]) -> None:
        self._script = script
        self.asked: list[StrategyInputs] = []

    async def ask(self, task: Task[Any, Any], inputs: Any, *, about: str = "") -> Answer[Any]:
        if not isinstance(inputs, StrategyInputs):
            ruled = task.rule(inputs)
            return Answer(output=ruled, source=RULES, cost_usd=Decimal(0), latency_ms=0.0)
        self.asked.append(inputs)
        views = tuple(self._script(inputs, brief) for brief in inputs.briefs)
        output = StrategyReply(views=views)
        return Answer(output=output, source="scripted", cost_usd=Decimal(0), latency_ms=0.0)
