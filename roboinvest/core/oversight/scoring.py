"""Whether a decision did what it promised: measured before and after, and never told.

A sample is what the house's own books say of a metric over a span. An effect is the difference of
two, with its interval; a verdict needs enough observations on both sides and an interval that
speaks. Confidence is held against verdicts by the Brier score, from twenty of them on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite, sqrt
from typing import Final

from roboinvest.core.change_outcomes import Effect, Outcome
from roboinvest.core.errors import BadInput

FEWEST: Final = 8  # observations on each side
FEWEST_SCORED: Final = 20  # before calibration is shown
PART: Final = 0.5  # of what was expected, that has to be there
_TAIL: Final = 1.96  # two-sided 95 %, of many observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Something the house measures."""

    name: str
    unit: str
    more_is_better: bool | None  # None: neither
    most_change: float  # a larger effect is not credible


HOUSE_METRICS: Final = (  # by the names that whoever measures them uses
    Metric(name="error_share", unit="of calls", more_is_better=False, most_change=1.0),
    Metric(name="latency_s", unit="s", more_is_better=False, most_change=3_600.0),
    Metric(name="bad_reply_share", unit="of answers", more_is_better=False, most_change=1.0),
    Metric(name="insights_per_day", unit="a day", more_is_better=True, most_change=1_000.0),
    Metric(name="insights_per_usd", unit="per USD", more_is_better=True, most_change=1_000.0),
    Metric(name="drawdown_frac", unit="of equity", more_is_better=False, most_change=1.0),
    Metric(name="expectancy_r", unit="R", more_is_better=True, most_change=5.0),
    Metric(name="llm_cap_usd", unit="USD a day", more_is_better=None, most_change=1_000.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Observations of a metric over a span."""

    mean: float
    deviation: float  # sample standard deviation, 0 or more
    n: int

    def __post_init__(self) -> None:
        """Raise BadInput for figures that are no sample."""
        if not (isfinite(self.mean) and isfinite(self.deviation)):
            raise BadInput("a sample is of finite figures")
        if self.deviation < 0 or self.n < 0:
            raise BadInput("a sample has 0 observations or more, and spreads by 0 or more")


class Verdict(StrEnum):
    """What came of an expectation."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A verdict with its figures."""

    verdict: Verdict
    effect: Effect | None
    reason: str  # one sentence


def effect_of(before: Sample, after: Sample) -> Effect | None:
    """Return after minus before with its 95 % interval; None: too few observations."""
    if min(before.n, after.n) < FEWEST:
        return None
    parts = [each.deviation**2 / each.n for each in (before, after)]
    error = sqrt(sum(parts))
    half = _quantile(parts, before.n, after.n) * error
    mean = after.mean - before.mean
    if not (isfinite(mean) and isfinite(half)):
        return None
    return Effect(mean=mean, low=mean - half, high=mean + half, n=before.n + after.n)


def score(expected: float, before: Sample | None, after: Sample | None) -> Score:
    """Return whether at least half of what was expected came true."""
    effect = None if before is None or after is None else effect_of(before, after)
    if effect is None or before is None or after is None:
        counts = " and ".join(str(0 if each is None else each.n) for each in (before, after))
        reason = f"{counts} observations before and after; {FEWEST} of each are needed"
        return Score(verdict=Verdict.UNKNOWN, effect=None, reason=reason)
    sign = 1.0 if expected > 0 else -1.0
    low, high = sorted((sign * effect.low, sign * effect.high))
    wanted = abs(expected) * PART
    came = f"{effect.mean:+.4g} ({effect.low:+.4g} to {effect.high:+.4g}), expected {expected:+.4g}"
    if low > 0 and sign * effect.mean >= wanted:
        return Score(verdict=Verdict.RIGHT, effect=effect, reason=f"it came to {came}")
    if high < wanted:
        return Score(verdict=Verdict.WRONG, effect=effect, reason=f"it came to {came}")
    reason = f"it came to {came}: the interval says neither"
    return Score(verdict=Verdict.UNKNOWN, effect=effect, reason=reason)


def outcome_of(score: Score, metric: Metric, expected: float) -> Outcome | None:
    """Return what is learned of a change; None: nothing."""
    effect = score.effect
    if effect is None:
        return None
    better = metric.more_is_better
    sign = (1 if better else -1) if better is not None else (1 if expected > 0 else -1)
    if effect.low <= 0 <= effect.high:
        return Outcome.NO_DIFFERENCE
    return Outcome.BETTER if sign * effect.mean > 0 else Outcome.WORSE


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How good the confidence of past decisions was."""

    scored: int  # right or wrong
    right: int
    brier: float | None  # 0 is perfect, 0.25 is a coin; None: too few

    @property
    def text(self) -> str:
        """Return it as a sentence."""
        if self.brier is None:
            return f"{self.scored} decisions are scored; {FEWEST_SCORED} are needed to judge"
        return f"{self.right} of {self.scored} decisions were right; Brier score {self.brier:.3f}"


def calibration(scored: Iterable[tuple[float, Verdict]]) -> Calibration:
    """Return the calibration of confidences and verdicts; unknown ones count for nothing."""
    known = [(p, 1.0 if v is Verdict.RIGHT else 0.0) for p, v in scored if v is not Verdict.UNKNOWN]
    right = int(sum(hit for _, hit in known))
    brier = sum((p - hit) ** 2 for p, hit in known) / len(known) if known else None
    enough = len(known) >= FEWEST_SCORED
    return Calibration(scored=len(known), right=right, brier=brier if enough else None)


def _quantile(parts: list[float], first: int, second: int) -> float:
    """Return Student's 97.5 % point at Welch's degrees of freedom, by Fisher's expansion."""
    total = sum(parts)
    if total == 0:
        return _TAIL
    degrees = total**2 / sum(
        part**2 / (n - 1) for part, n in zip(parts, (first, second), strict=True)
    )
    z = _TAIL
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )
