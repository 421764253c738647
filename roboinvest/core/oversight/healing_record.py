"""One attempt to heal as a value, and the one rule by which it is called healed.

An attempt is written before it acts and closed by a measurement. That an action returned says that
it returned: only the metric that gave the agent away, measured after the action, says more. Where
it recovered although the action failed, somebody else healed it, and the rung learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite

from roboinvest.core.oversight.causes import Cause


class Rung(StrEnum):
    """What can be done, the mildest first."""

    RESTART = "restart"
    RECONNECT = "reconnect"  # or clear a cache
    DEGRADE = "degrade"  # rules in place of a model
    PROMPT_ROLLBACK = "prompt_rollback"
    REVISION_ROLLBACK = "revision_rollback"
    QUARANTINE = "quarantine"
    CODE_PROPOSAL = "code_proposal"
    HALT_TRADING = "halt_trading"
    ESCALATE = "escalate"  # the service manager starts a clean process

    @property
    def words(self) -> str:
        """Return what people call it."""
        return self.value.replace("_", " ")


class Verdict(StrEnum):
    """What an attempt came to."""

    HEALED = "healed"  # the metric was measured again, and is well
    NOT_HEALED = "not_healed"  # it was measured again, and is not
    REFUSED = "refused"  # nothing was done
    UNKNOWN = "unknown"  # nobody can say

    @property
    def words(self) -> str:
        """Return what people call it."""
        return "not known" if self is Verdict.UNKNOWN else self.value.replace("_", " ")


class ActionEnd(StrEnum):
    """How an action ended, which is not what it did."""

    UNDER_WAY = "under_way"  # written down; where nobody is at it any more, it was interrupted
    RETURNED = "returned"
    REFUSED = "refused"
    FAILED = "failed"  # raised
    HUNG = "hung"  # did not return within its deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A metric of an agent, measured."""

    value: float  # more is worse
    at: datetime  # UTC
    observations: int = 1  # since the action; 0: nothing happened that could be measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Which metric moves, how far, and by when."""

    metric: str
    target: float  # at most, by the deadline
    text: str  # in words

    def is_met(self, value: float) -> bool:
        """Return whether a value is well; no number is not."""
        return isfinite(value) and value <= self.target


@dataclass(frozen=True, slots=True, kw_only=True)
class HealAttempt:
    """One rung, pulled once."""

    attempt_id: str  # an outside call is repeated under this name, or not at all
    agent: str  # that it was pulled on
    measured: str  # whose metric is looked at
    cause: Cause
    rung: Rung
    systemic: bool
    precondition: str  # in words: what held
    action: str  # in words: what was done, or is about to be
    action_end: ActionEnd
    expected: Expected
    at: datetime  # UTC; it was written down
    deadline: datetime  # UTC; the metric is measured again
    metric_before: float
    metric_after: float | None = None  # None: not measured
    verdict: Verdict | None = None  # None: not measured yet
    reason: str = ""  # of the verdict, one sentence
    settled_at: datetime | None = None  # UTC


def verdict_of(
    attempt: HealAttempt, reading: Reading | None, happened: bool | None
) -> tuple[Verdict, str]:
    """Return what an attempt came to, and why, once its deadline is over.

    Args:
        attempt: that is open.
        reading: the metric now; None: it cannot be measured.
        happened: whether what the action promises is there to be seen; None: nobody can say.
    """
    metric = attempt.expected.metric
    if reading is None:
        return Verdict.UNKNOWN, f"{metric} of {attempt.measured} cannot be measured"
    if not isfinite(reading.value):
        return Verdict.UNKNOWN, f"{metric} of {attempt.measured} is {reading.value}, no figure"
    if reading.at <= attempt.at or reading.observations < 1:
        return Verdict.UNKNOWN, f"{metric} of {attempt.measured} was not measured since the action"
    how = _how(attempt, happened)
    found = f"{metric} of {attempt.measured} is {reading.value:.4g}"
    if not attempt.expected.is_met(reading.value):
        return Verdict.NOT_HEALED, f"{found}, above {attempt.expected.target:.4g}{how}"
    if how:
        return Verdict.UNKNOWN, f"{found}, which is well, but nothing of ours did that{how}"
    return Verdict.HEALED, f"{found}, at most {attempt.expected.target:.4g}"


def _how(attempt: HealAttempt, happened: bool | None) -> str:
    """Return what is to be said of an action that did not do what it should; "": nothing."""
    if attempt.action_end is ActionEnd.UNDER_WAY:
        return "; the process ended before the action was known to return"
    if attempt.action_end is ActionEnd.FAILED:
        return "; the action failed"
    if attempt.action_end is ActionEnd.HUNG:
        return "; the action did not return in time"
    if happened is False:
        return "; the action reported success, and what it reported did not happen"
    return ""
