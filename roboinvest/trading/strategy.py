"""SimpleOrganicStrategyAgent: asks the strategy task and turns its views into decisions.

The agent itself has no opinion. It gathers what the task may know (observations, what is held,
similar past setups and their outcomes), asks once for the whole universe, and hands on typed
decisions. A model's influence ends here: sizes and prices of orders are the executor's.

No word and no figure of the news is asked about here, so that a headline can neither buy nor sell;
the last reason of a decision says whether there was any, at no weight.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from roboinvest.core.orders import (
    HOUSE_AGENT,
    HOUSE_REVISION,
    Action,
    Decision,
    Leg,
    Reason,
    to_tick,
)
from roboinvest.core.ports import LanguageModel
from roboinvest.core.quant.expert import StrategyInputs, StrategyReply, SymbolBrief, View
from roboinvest.core.risk import RiskLimits
from roboinvest.core.tasks import Answer
from roboinvest.trading.account_book import AccountBook
from roboinvest.trading.playbook import Playbook
from roboinvest.trading.state import Strategy, TickInput, TickState, World
from roboinvest.trading.strategy_task import STRATEGY_TASK


class SimpleOrganicStrategyAgent:
    """Decides BUY, SELL or HOLD for every symbol of the universe."""

    def __init__(
        self,
        model: LanguageModel,
        account: AccountBook,
        playbook: Playbook,
        *,
        limits: RiskLimits,
        bar_length: timedelta,
        cooldown_bars: int,
    ) -> None:
        self._model = model
        self._account = account
        self._playbook = playbook
        self._limits = limits
        self._bar_length = bar_length
        self._cooldown = cooldown_bars * bar_length

    async def __call__(self, state: TickState) -> TickState:
        """Return the `strategy` of this tick."""
        tick, world = state["tick"], state["world"]
        briefs = tuple(self._brief(symbol, tick, world) for symbol in world.observations)
        inputs = StrategyInputs(at=tick.at, agent_id=HOUSE_AGENT, briefs=briefs)
        answer = await self._model.ask(STRATEGY_TASK, inputs, about=tick.tick_id)
        views = tuple(map(_sane, answer.output.views))
        decisions = tuple(_decision(view, tick, world, answer, len(views)) for view in views)
        strategy = Strategy(
            decisions=decisions, views=views, source=answer.source, cost_usd=answer.cost_usd
        )
        return {"strategy": strategy}

    def _brief(self, symbol: str, tick: TickInput, world: World) -> SymbolBrief:
        observation = world.observations[symbol]
        mark = world.marks.get(symbol, Decimal(0))
        position = self._account.ledger.position(symbol, mark, HOUSE_AGENT)
        lots = self._account.ledger.lots(symbol, HOUSE_AGENT)
        held = tick.at - lots[0].opened_at if lots else timedelta(0)
        cooling = self._account.cooling_down(symbol, tick.session, tick.at, self._cooldown)
        return SymbolBrief(
            observation=observation,
            position_qty=position.qty if position else Decimal(0),
            entry_price=position.avg_price if position else None,
            bars_held=held // self._bar_length,
            similar=self._playbook.similar(HOUSE_AGENT, observation.vector),
            cells=self._playbook.cells(HOUSE_AGENT),
            time_left_min=tick.session.time_left(tick.at).total_seconds() / 60,
            cooling_down=cooling,
            blocked=self._blocked(symbol, tick, world),
        )

    def _blocked(self, symbol: str, tick: TickInput, world: World) -> str | None:
        """Return why no entry is wanted in a symbol, or None."""
        if symbol in tick.update.suspended:
            return tick.update.suspended[symbol]
        age = world.bar_age[symbol]
        if age is None or age > self._limits.stale_after:
            return "no bar yet" if age is None else f"last bar is {age.total_seconds():.0f} s old"
        if self._account.working(symbol, Leg.ENTRY):
            return "an entry order is working"
        return None


def _sane(view: View) -> View:
    """Return the view; one with a level that is no price wants nothing, and says so."""
    for name, level in (("stop", view.stop), ("target", view.target)):
        if level is not None and not (math.isfinite(level) and level > 0):
            return replace(
                view,
                action=Action.HOLD,
                stop=None,
                target=None,
                is_candidate=False,
                summary=f"HOLD {view.symbol}: the {name} {level} is not a price.",
            )
    return view


def _on_news(symbol: str, world: World) -> tuple[Reason, ...]:
    """Return what news had to do with the decision on a symbol that was warm."""
    if symbol not in world.observations or not world.observations[symbol].warm:
        return ()
    text = "News may lean on the size of an entry only."
    if symbol not in world.news:
        text = "No recent news."
    return (Reason(name="sentiment", score=0.0, weight=0.0, text=text),)


def _decision(
    view: View, tick: TickInput, world: World, answer: Answer[StrategyReply], views: int
) -> Decision:
    is_buy = view.action is Action.BUY
    return Decision(
        tick_id=tick.tick_id,
        agent_id=HOUSE_AGENT,
        revision_id=HOUSE_REVISION,
        symbol=view.symbol,
        action=view.action,
        conviction=view.conviction,
        confidence=view.confidence,
        stop=to_tick(view.stop) if is_buy and view.stop is not None else None,
        target=to_tick(view.target) if is_buy and view.target is not None else None,
        reasons=(*view.reasons, *_on_news(view.symbol, world)),
        summary=view.summary,
        source=answer.source,
        similar_setups=view.similar_setups,
        similar_mean_r=view.similar_mean_r,
        cost_usd=answer.cost_usd / views,
        latency_ms=answer.latency_ms / views,
    )
