"""The strategy task in disguise: which of its inputs would tell a model what and when it is.

Symbols, instants, prices and shares are disguised; what volume alone would tell is rounded; ids and
sentences that name anything are left out. The symbols come in the order of their labels, because
the alphabet would tell tickers apart. Features, which are ratios, stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Protocol, Self, TypeVar

from roboinvest.core.orders import SUB_PENNY_TICK, TICK_SIZE, to_tick
from roboinvest.core.quant.expert import StrategyInputs, SymbolBrief
from roboinvest.core.quant.observation import Observation
from roboinvest.core.tasks import Disguise

BLOCKED: Final = "entries are not possible now"
NOTE: Final = " (figures in disguise)"
_VOLUME_DIGITS: Final = {"rel_volume": 1, "obv_share": 1, "mfi": 0}
_LABEL: Final = re.compile(r"\bS-\d+\b")


class ViewForm(Protocol):
    """What a model says about one symbol: the part that wears the disguise."""

    @property
    def symbol(self) -> str:
        """Return its label."""

    @property
    def stop(self) -> float | None:
        """Return a price (USD per share) in disguise."""

    @property
    def target(self) -> float | None:
        """Return a price (USD per share) in disguise."""

    @property
    def reason(self) -> str:
        """Return the model's sentence."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Return a copy with other values."""


class ViewsForm(Protocol):
    """The views of a filled-in form."""

    @property
    def views(self) -> Sequence[ViewForm]:
        """Return one view for each symbol."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Self:
        """Return a copy with other values."""


ViewT = TypeVar("ViewT", bound=ViewForm)
FormT = TypeVar("FormT", bound=ViewsForm)


def mask_inputs(inputs: StrategyInputs, disguise: Disguise) -> StrategyInputs:
    """Return the question without a true name, date, price or number of shares.

    Raises:
        BadInput: a symbol has no label.
    """
    briefs = [_masked(brief, disguise) for brief in inputs.briefs]
    return replace(
        inputs,
        at=disguise.moment(inputs.at),
        briefs=tuple(sorted(briefs, key=lambda brief: brief.observation.symbol)),
    )


def unmask_form(inputs: StrategyInputs, form: FormT, disguise: Disguise) -> FormT:
    """Return the views in true terms and in the order of `inputs`, the true question.

    A level becomes a price that an order may carry, on the side of the close where it was; a target
    that paid the risk at least still does. The form was read in disguise before, so its symbols are
    the question's.
    """
    closes = {b.observation.symbol: b.observation.close for b in inputs.briefs}
    symbols = {disguise.label(symbol): symbol for symbol in closes}
    said = {symbols[view.symbol]: _unmasked(view, symbols, closes, disguise) for view in form.views}
    return form.model_copy(update={"views": [said[symbol] for symbol in closes]})


def _masked(brief: SymbolBrief, disguise: Disguise) -> SymbolBrief:
    seen = brief.observation
    entry = brief.entry_price
    if entry is not None:
        entry = Decimal(repr(disguise.price(seen.symbol, float(entry))))
    return replace(
        brief,
        observation=_masked_observation(seen, disguise),
        position_qty=disguise.shares(seen.symbol, brief.position_qty),
        entry_price=entry,
        similar=tuple(replace(setup, memory_id="") for setup in brief.similar),
        blocked=None if brief.blocked is None else BLOCKED,
    )


def _masked_observation(seen: Observation, disguise: Disguise) -> Observation:
    features = {
        name: round(value, _VOLUME_DIGITS[name]) if name in _VOLUME_DIGITS else value
        for name, value in seen.features.items()
    }
    levels = (
        replace(level, price=disguise.price(seen.symbol, level.price)) for level in seen.levels
    )
    return replace(
        seen,
        symbol=disguise.label(seen.symbol),
        at=disguise.moment(seen.at),
        bar_ts=None if seen.bar_ts is None else disguise.moment(seen.bar_ts),
        close=disguise.price(seen.symbol, seen.close),
        features=features,
        levels=tuple(levels),
        regime=replace(seen.regime, vix=None),  # a day is known by its VIX
    )


def _unmasked(
    view: ViewT, symbols: Mapping[str, str], closes: Mapping[str, float], disguise: Disguise
) -> ViewT:
    symbol = symbols[view.symbol]
    close, shown = closes[symbol], disguise.price(symbol, closes[symbol])
    stop, target = (
        None
        if level is None
        else _beside(disguise.true_price(symbol, level), close, _side(level, shown))
        for level in (view.stop, view.target)
    )
    if (
        view.stop is not None
        and view.target is not None
        and stop is not None
        and target is not None
    ):
        paid = view.target - shown >= shown - view.stop > 0
        while paid and target - close < close - stop:
            target = _next_tick(target, 1)
    text = _LABEL.sub(lambda found: symbols.get(found.group(), found.group()), view.reason)
    levels = {"stop": stop, "target": target}
    return view.model_copy(update={"symbol": symbol, "reason": text + NOTE, **levels})


def _side(level: float, close: float) -> int:
    return (level > close) - (level < close)


def _beside(price: float, close: float, side: int) -> float:
    """Return the price on the tick, below `close`, at it or above it as `side` says (-1, 0, 1)."""
    if not side:
        return close
    ticked = float(to_tick(price))
    while _side(ticked, close) != side:
        ticked = _next_tick(ticked, side)
    return ticked if ticked > 0 else price


def _next_tick(price: float, side: int) -> float:
    """Return the next price that an order may carry, above or below."""
    exact = Decimal(repr(price))
    step = TICK_SIZE if exact > 1 or (exact == 1 and side > 0) else SUB_PENNY_TICK
    return float(exact + side * step)
