"""Advice: what could be done about a figure, what that should change, and whether it did.

Advice is measured only where somebody took it. Until then it is a guess; where nobody takes it by
its deadline it lapses, and what the figure did meanwhile is not called its effect. A change whose
interval holds zero did not help, whatever its mean says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.oversight.trends import Difference
from roboinvest.core.text.cleaning import clean

_MAX_TEXT: Final = 600  # characters


class AdviceState(StrEnum):
    """How far advice has come."""

    OPEN = "open"
    TAKEN = "taken"  # done, and not measured yet
    MEASURED = "measured"
    LAPSED = "lapsed"  # nobody did it by its deadline


class Aim(StrEnum):
    """Which way the figure should go."""

    LOWER = "lower"
    HIGHER = "higher"


class AdviceVerdict(StrEnum):
    """What advice that was taken came to."""

    HELPED = "helped"
    NO_DIFFERENCE = "no_difference"  # the interval holds zero
    WORSE = "worse"
    UNKNOWN = "unknown"  # too few figures


@dataclass(frozen=True, slots=True)
class Effect:
    """The figure before and after, in its own unit; None where nothing can be said."""

    before: float | None
    after: float | None
    change: float | None
    low: float | None  # of the 95 % interval of the change
    high: float | None
    n_before: int  # hours
    n_after: int
    reason: str  # why nothing can be said; "" where there is a figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One recommendation."""

    advice_id: str
    rule: str  # that gave it
    subject: str  # what it is about: a service, an agent, a task
    text: str  # what to do
    evidence: str  # the figures that it rests on
    metric: str  # name of an hourly figure
    aim: Aim
    expected: float  # change of the metric, in its unit: negative where it should fall
    expected_text: str
    watch_s: float  # for which the figure is watched, before and after it was taken
    made_at: datetime  # UTC
    deadline: datetime  # UTC; while open: to take it, once taken: to measure it
    state: AdviceState = AdviceState.OPEN
    taken_at: datetime | None = None  # UTC
    taken_by: str = ""
    effect: Effect | None = None
    verdict: str = ""
    settled_at: datetime | None = None  # UTC

    def __post_init__(self) -> None:
        """Clean the prose; raise BadInput where what is expected contradicts the aim."""
        for name in ("subject", "text", "evidence", "expected_text", "taken_by"):
            object.__setattr__(self, name, clean(getattr(self, name), _MAX_TEXT))
        if (self.expected < 0.0) is not (self.aim is Aim.LOWER):
            raise BadInput(f"{self.rule} aims {self.aim} and expects {self.expected:+g}")
        if not self.watch_s > 0.0:
            raise BadInput(f"{self.rule} watches for {self.watch_s} s, and a watch is above zero")

    @property
    def watch(self) -> timedelta:
        """Return for how long the figure is watched on each side."""
        return timedelta(seconds=self.watch_s)

    def taken(self, *, by: str, at: datetime) -> Advice:
        """Return it as done; from now on its figure is watched."""
        return replace(
            self, state=AdviceState.TAKEN, taken_at=at, taken_by=by, deadline=at + self.watch
        )

    def measured(self, found: Difference, *, at: datetime) -> Advice:
        """Return it with its effect and verdict.

        Raises:
            BadInput: nobody took it.
        """
        if self.state is not AdviceState.TAKEN:
            raise BadInput(f"advice {self.advice_id} is {self.state}: it had no effect to measure")
        effect = Effect(
            *(found.before, found.after, found.change, found.low, found.high),
            *(found.n_before, found.n_after, found.reason),
        )
        return replace(
            self,
            state=AdviceState.MEASURED,
            effect=effect,
            verdict=verdict_of(found, self.aim).value,
            settled_at=at,
        )

    def lapsed(self, *, at: datetime) -> Advice:
        """Return it as not done by anybody."""
        return replace(self, state=AdviceState.LAPSED, settled_at=at)


def verdict_of(found: Difference, aim: Aim) -> AdviceVerdict:
    """Return what a difference says of advice with this aim."""
    if found.change is None:
        return AdviceVerdict.UNKNOWN
    if not found.is_seen:
        return AdviceVerdict.NO_DIFFERENCE
    return (
        AdviceVerdict.HELPED if (found.change < 0.0) is (aim is Aim.LOWER) else AdviceVerdict.WORSE
    )
