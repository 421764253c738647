"""What became of changes: kept as rows, and shown to whoever proposes the next one.

Failures come first, because they are what the next proposal would repeat. What somebody says of
its own change is kept apart for a week and counts for nothing in the rates; everything fades.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.text.cleaning import clean

HALF_LIFE: Final = timedelta(days=30)
QUARANTINE: Final = timedelta(days=7)  # of what was said by whoever made the change
MOST_SHOWN: Final = 10
FEWEST_TRIES: Final = 20  # before a kind of change is switched off
WORST_RATE: Final = 0.10


class Outcome(StrEnum):
    """What a change came to."""

    BETTER = "better"
    NO_DIFFERENCE = "no_difference"  # the interval holds zero
    WORSE = "worse"
    REVERSED = "reversed"  # undone, by the house or a person
    REJECTED = "rejected"  # by a person, before it was made
    GATE_FAILED = "gate_failed"


FAILURES: Final = frozenset(
    {Outcome.WORSE, Outcome.REVERSED, Outcome.REJECTED, Outcome.GATE_FAILED}
)


class Teller(StrEnum):
    """Who says so."""

    HOUSE = "house"  # measured from its own books
    PERSON = "person"
    ITSELF = "itself"  # whoever made the change: not believed for a week, never counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A measured effect, in the unit of the evidence."""

    mean: float
    low: float  # of the interval
    high: float
    n: int  # observations

    def __post_init__(self) -> None:
        """Raise BadInput for figures that are no interval."""
        if not all(map(isfinite, (self.mean, self.low, self.high))) or self.n < 1:
            raise BadInput("an effect is finite figures of one observation or more")
        if not self.low <= self.mean <= self.high:
            raise BadInput(f"the mean {self.mean} lies outside of {self.low} to {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOutcome:
    """A change, what was hoped of it, and what it did."""

    fingerprint: str  # of the proposal
    kind: str  # of the proposal
    target: str  # what was changed
    cause: str  # what it answered to; "": nothing
    hypothesis: str
    evidence_before: str
    effect: Effect | None  # None: it was never made
    outcome: Outcome
    lesson: str  # why, in words
    told_by: Teller
    source: str  # provenance: a name, a digest; what came from it can be revoked together
    cost_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    days_until_reversal: float | None = None
    trials: int = 1  # in the family of the change, this one included
    at: datetime  # UTC

    def __post_init__(self) -> None:
        """Clean the prose; raise BadInput for what is empty or no figure."""
        for name in ("target", "cause", "hypothesis", "evidence_before", "lesson", "source"):
            object.__setattr__(self, name, clean(getattr(self, name), 2000))
        if not (self.target and self.source and self.fingerprint):
            raise BadInput("an outcome needs its target, its source and a fingerprint")
        days = self.days_until_reversal
        if not (self.cost_usd.is_finite() and self.cost_usd >= 0 <= self.cost_tokens):
            raise BadInput("the cost of a change is 0 or more")
        if self.trials < 1 or (days is not None and not (isfinite(days) and days >= 0)):
            raise BadInput("an outcome has 1 trial or more, and a reversal after 0 days or more")
        if self.at.utcoffset() != timedelta(0):
            raise BadInput(f"an outcome is stamped in UTC, and {self.at} is not")

    @property
    def is_failure(self) -> bool:
        """Return whether the next one should not be like it."""
        return self.outcome in FAILURES

    def weight(self, now: datetime) -> float:
        """Return how much it still counts, 1 when it is new; half of it is gone in 30 days."""
        return float(0.5 ** (max(now - self.at, timedelta(0)) / HALF_LIFE))

    def is_quarantined(self, now: datetime) -> bool:
        """Return whether nobody is shown it yet."""
        return self.told_by is Teller.ITSELF and now - self.at < QUARANTINE


def for_the_next(
    outcomes: Iterable[ChangeOutcome], *, target: str, cause: str, now: datetime
) -> tuple[ChangeOutcome, ...]:
    """Return what the next proposal on a target, or against a cause, should know; failures first.

    Among failures, and among the rest: those that share both, then the target, then the cause; and
    the fresh ones first.
    """
    known = [
        each
        for each in outcomes
        if not each.is_quarantined(now)
        and (each.target == target or (cause and each.cause == cause))
    ]

    def place(each: ChangeOutcome) -> tuple[bool, int, float]:
        shared = 2 * (each.target == target) + (bool(cause) and each.cause == cause)
        return (not each.is_failure, -shared, -each.weight(now))

    return tuple(sorted(known, key=place)[:MOST_SHOWN])


def success_rate(outcomes: Iterable[ChangeOutcome]) -> tuple[float, int]:
    """Return the posterior mean of success (Beta(1, 1) before), and of how many tries."""
    tried = [each for each in outcomes if each.told_by is not Teller.ITSELF]
    wins = sum(each.outcome is Outcome.BETTER for each in tried)
    return (1 + wins) / (2 + len(tried)), len(tried)


def is_switched_off(outcomes: Iterable[ChangeOutcome]) -> bool:
    """Return whether changes of one kind against one cause have failed too often to go on."""
    rate, tries = success_rate(outcomes)
    return tries >= FEWEST_TRIES and rate < WORST_RATE
