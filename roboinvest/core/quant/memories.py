"""A setup that was seen, and what came of it: the material that similar setups are judged by.

Every candidate setup is remembered, traded or not. A traded one gets the outcome of its trade, the
others that of the same bracket walked over the bars that followed (`OutcomeKind.SHADOW`), so that
an expert that stops trading still learns when it was wrong to stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from roboinvest.core.orders import Action


class OutcomeKind(StrEnum):
    """How an outcome was measured."""

    TRADE = "trade"
    SHADOW = "shadow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a setup came to."""

    kind: OutcomeKind
    r_multiple: float  # profit over the initial risk
    closed_at: datetime  # UTC
    how: str  # "stop", "target", "exit", "horizon", ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One setup of one agent."""

    memory_id: str  # "<tick id>/<agent>/<symbol>"
    agent_id: str
    revision_id: str
    symbol: str
    seen_at: datetime  # UTC
    action: Action
    vector: tuple[float, ...]  # the setup vector, see quant.features
    conviction: float  # in [-1, 1], before calibration
    entry: Decimal  # USD per share, the mark when it was seen
    stop: Decimal
    target: Decimal
    expires_at: datetime  # UTC; an untraded setup is closed at the first bar from here
    text: str  # one sentence for a reader and for recall
    order_id: str | None = None  # the entry order, when it was traded
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationCell:
    """Outcomes of one agent's setups whose conviction fell into one bucket."""

    agent_id: str
    bucket: int  # see quant.calibration
    wins: int
    losses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarSetup:
    """A resolved memory near the one at hand."""

    memory_id: str
    distance: float  # Euclidean, in setup-vector units
    r_multiple: float
