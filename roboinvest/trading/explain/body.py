"""The record of a tick as it was stored, read with patience.

A record may be older than this program and lack things, or newer and hold more. What is missing is
empty; what has another shape is told as a gap, never guessed.
"""

from __future__ import annotations

import json
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from roboinvest.trading.explain.plain import Line
from roboinvest.trading.explain.story import (
    Cut,
    Decided,
    Money,
    NewsFactorSeen,
    NewsItemRead,
    Part,
    Seen,
    Setup,
)


class Action(Part):
    """A split or a dividend."""

    symbol: Line = ""
    kind: Line = ""
    ratio: Decimal = Decimal(1)
    cash: Decimal = Decimal(0)


class Intent(Part):
    """What was sent, at the size that risk allowed."""

    client_order_id: Line
    symbol: Line
    leg: Line
    qty: Decimal


class Body(Part):
    """What a tick knew, decided and did."""

    trading_state: Line | None = None
    state_reason: Line = ""
    suspended: dict[Line, Line] = Field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    observations: dict[Line, Seen] = Field(default_factory=dict)
    news: dict[Line, NewsFactorSeen] = Field(default_factory=dict)
    news_read: tuple[NewsItemRead, ...] = ()
    decisions: tuple[Decided, ...] = ()
    intents: tuple[Intent, ...] = ()
    clamps: tuple[Cut, ...] = ()
    rejected: tuple[Line, ...] = ()
    budget: Money | None = None

    @property
    def bar_minutes(self) -> float:
        """Return the length of its bars; a minute where it is not told."""
        lengths = (seen.features.get("bar_minutes") for seen in self.observations.values())
        return next((length for length in lengths if length), 1.0)

    def decision(self, symbol: str) -> Decided | None:
        """Return what was decided for a symbol."""
        return next((d for d in self.decisions if d.symbol == symbol), None)


class _Named(BaseModel):
    model_config = ConfigDict(extra="ignore")

    symbol: Line


class _Brief(BaseModel):
    """What a question told of one symbol, as far as no other record has it."""

    model_config = ConfigDict(extra="ignore")

    observation: _Named
    position_qty: Decimal | None = None
    similar: tuple[Setup, ...] = ()


class Inputs(BaseModel):
    """The inputs of the strategy's question."""

    model_config = ConfigDict(extra="ignore")

    briefs: tuple[_Brief, ...] = ()

    def setups(self, symbol: str) -> tuple[Setup, ...]:
        """Return the past setups that were compared, nearest first."""
        return next((b.similar for b in self.briefs if b.observation.symbol == symbol), ())

    def held(self, symbol: str) -> Decimal | None:
        """Return the shares held before the decision."""
        found = (b.position_qty for b in self.briefs if b.observation.symbol == symbol)
        return next(found, None)


_News = TypeAdapter(tuple[NewsItemRead, ...])


def body_of(text: str | None) -> tuple[Body, str]:
    """Return what a record holds, and a sentence where it cannot be read."""
    if text is None:
        return Body(), ""
    try:
        return Body.model_validate(json.loads(text)), ""  # pydantic's own takes no half characters
    except ValidationError as error:
        return Body(), f"the record of this tick has a shape of its own ({_first(error)})"
    except ValueError as error:
        return Body(), f"the record of this tick is no JSON ({error})"


def inputs_of(text: str) -> Inputs:
    """Return the inputs of an ask; empty where they were dropped, cut or are another task's."""
    try:
        return Inputs.model_validate(json.loads(text))
    except ValueError:
        return Inputs()


def news_of(document: str | None) -> tuple[NewsItemRead, ...]:
    """Return the records on the news shelf, as the last tick left it."""
    try:
        return _News.validate_python(json.loads(document)) if document else ()
    except ValueError:
        return ()


def _first(error: ValidationError) -> str:
    fault = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}"
