"""The question that the strategy agent asks, and how a model's answer is taken.

The rules expert answers it whole. A model is asked for less: an action, a level to leave at and one
sentence for each symbol. What it may not say, it cannot: confidence is taken from past outcomes,
sizes from risk, and whether a setup is remembered from its bracket. Prices are looked at here for
sense only; risk looks at them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from roboinvest.core.errors import BadReply
from roboinvest.core.orders import Action, Reason
from roboinvest.core.quant.expert import (
    StrategyInputs,
    StrategyReply,
    SymbolBrief,
    View,
    advise,
    confidence_of,
)
from roboinvest.core.tasks import Task, TaskLimits
from roboinvest.trading.strategy_disguise import mask_inputs, unmask_form

MAX_REASON: Final = 300  # characters
_FEATURE_DIGITS: Final = 4
_SHOWN_LEVELS: Final = 6  # the nearest

Price = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]


class SymbolForm(BaseModel):
    """What a model says about one symbol."""

    model_config = ConfigDict(extra="forbid", strict=True)

    symbol: str
    action: Literal["BUY", "SELL", "HOLD"]
    conviction: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    stop: Price | None  # USD per share; of a BUY
    target: Price | None
    reason: Annotated[str, Field(max_length=MAX_REASON)]


class StrategyForm(BaseModel):
    """One view for each symbol, in the order of the question."""

    model_config = ConfigDict(extra="forbid", strict=True)

    views: list[SymbolForm]


def show_inputs(inputs: StrategyInputs) -> Mapping[str, object]:
    """Return the prompt's placeholders: the time, and an object for each symbol."""
    return {
        "at": f"{inputs.at:%Y-%m-%d %H:%M} UTC",
        "symbols": [_shown(brief) for brief in inputs.briefs],
    }


def read_form(inputs: StrategyInputs, form: StrategyForm) -> StrategyReply:
    """Return the views of a filled-in form.

    Raises:
        BadReply: a symbol is missing, doubled or unknown, or a BUY cannot be one.
    """
    asked = [brief.observation.symbol for brief in inputs.briefs]
    said = [view.symbol for view in form.views]
    if said != asked:
        raise BadReply(f"the views are of {said}, asked was for {asked}, in that order")
    pairs = zip(inputs.briefs, form.views, strict=True)
    return StrategyReply(views=tuple(_view(brief, view, inputs.agent_id) for brief, view in pairs))


def hold_everything(inputs: StrategyInputs) -> StrategyReply:
    """Return views that want nothing; what is held keeps its stop."""
    return StrategyReply(views=tuple(_hold(brief, inputs.agent_id) for brief in inputs.briefs))


STRATEGY_TASK: Final = Task(
    name="strategy",
    input_type=StrategyInputs,
    output_type=StrategyReply,
    prompt="strategy/decide",
    rule=advise,
    safe=hold_everything,
    form=StrategyForm,
    show=show_inputs,
    read=read_form,
    mask=mask_inputs,
    unmask=unmask_form,
    limits=TaskLimits(prompt_bytes=256 * 1024, reply_tokens=4_000, deadline_s=20.0),
)


def _shown(brief: SymbolBrief) -> dict[str, object]:
    seen = brief.observation
    nearest = sorted(seen.levels, key=lambda level: abs(level.price - seen.close))[:_SHOWN_LEVELS]
    count = len(brief.similar)
    mean_r = sum(setup.r_multiple for setup in brief.similar) / count if count else 0.0
    return {
        "symbol": seen.symbol,
        "close": seen.close,
        "warm": seen.warm,
        "features": {k: round(v, _FEATURE_DIGITS) for k, v in sorted(seen.features.items())},
        "levels": {level.name: level.price for level in nearest},
        "regime": seen.regime.name,
        "shares_held": str(brief.position_qty),
        "entry_price": None if brief.entry_price is None else str(brief.entry_price),
        "bars_held": brief.bars_held,
        "similar_setups": count,
        "similar_mean_r": round(mean_r, _FEATURE_DIGITS),
        "minutes_to_close": round(brief.time_left_min, 1),
        "cooling_down": brief.cooling_down,
        "no_entry_because": brief.blocked,
    }


def _view(brief: SymbolBrief, said: SymbolForm, agent_id: str) -> View:
    """Return one view as the house speaks of it."""
    action = _possible(brief, said)
    is_entry = action is Action.BUY and not brief.position_qty
    text = " ".join(said.reason.split())
    return replace(
        _hold(brief, agent_id, said.conviction),
        action=action,
        stop=said.stop if is_entry else None,
        target=said.target if is_entry else None,
        reasons=(Reason(name="model", score=said.conviction, weight=1.0, text=text),),
        summary=f"{action} {said.symbol}: {text}",
        is_candidate=is_entry and said.target is not None,
    )


def _possible(brief: SymbolBrief, said: SymbolForm) -> Action:
    """Return the action; one that changes nothing is a HOLD.

    Raises:
        BadReply: an entry without levels around the price.
    """
    action = Action(said.action)
    if action is Action.SELL and brief.position_qty <= 0:
        return Action.HOLD  # SELL closes what is held, and never opens a short position
    if action is not Action.BUY:
        return action
    if brief.position_qty:
        return Action.HOLD  # one position a symbol
    close = brief.observation.close
    if said.stop is None or said.target is None or not said.stop < close < said.target:
        raise BadReply(
            f"{said.symbol}: a BUY at {close:g} has stop {said.stop} and target {said.target}; "
            "the stop must be below the price and the target above it"
        )
    if said.target - close < close - said.stop:
        raise BadReply(
            f"{said.symbol}: a BUY at {close:g} with stop {said.stop:g} and target "
            f"{said.target:g} risks more than it can gain"
        )
    return action


def _hold(brief: SymbolBrief, agent_id: str, conviction: float = 0.0) -> View:
    symbol, count = brief.observation.symbol, len(brief.similar)
    mean_r = sum(setup.r_multiple for setup in brief.similar) / count if count else 0.0
    return View(
        symbol=symbol,
        action=Action.HOLD,
        conviction=conviction,
        confidence=confidence_of(brief.cells, agent_id, conviction),
        stop=None,
        target=None,
        reasons=(),
        summary=f"HOLD {symbol}: the model's answer could not be used.",
        is_candidate=False,
        similar_setups=count,
        similar_mean_r=round(mean_r, 6),
    )
