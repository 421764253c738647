"""What was learned of rungs: how often each healed which cause, by what was measured.

A Beta(1, 1) prior and a half-life of 30 days: a rung that failed long ago is tried again some day.
Only what was measured counts; refusals and unknown ends say nothing of a rung. A heal that did not
last an hour is counted as none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.healing_record import HealAttempt, Rung, Verdict

HALF_LIFE: Final = timedelta(days=30)
LASTED: Final = timedelta(hours=1)  # a heal that held for longer was one
FEWEST_TRIES: Final = 20  # before a rung is switched off
WORST_RATE: Final = 0.10
FEWEST_TO_SORT: Final = 5  # tries before a rung changes its place
_PRIOR: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of one rung against one cause."""

    healed: float = 0.0  # decayed
    failed: float = 0.0  # decayed
    tries: int = 0  # measured ones, as they were

    @property
    def rate(self) -> float:
        """Return the posterior mean of success."""
        return (1.0 + self.healed) / (2.0 + self.healed + self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Success by cause and rung."""

    tallies: Mapping[tuple[Cause, Rung], Tally] = field(default_factory=dict)

    def tally(self, cause: Cause, rung: Rung) -> Tally:
        """Return what is known; an empty tally where nothing is."""
        return self.tallies.get((cause, rung), Tally())

    def standing(self, cause: Cause, rung: Rung) -> float:
        """Return the rate by which neighbours are sorted: the prior's until there is evidence."""
        tally = self.tally(cause, rung)
        return tally.rate if tally.tries >= FEWEST_TO_SORT else _PRIOR

    def is_switched_off(self, cause: Cause, rung: Rung) -> bool:
        """Return whether a rung failed too often against a cause to go on with it."""
        tally = self.tally(cause, rung)
        return tally.tries >= FEWEST_TRIES and tally.rate < WORST_RATE


def learn(attempts: Iterable[HealAttempt], now: datetime) -> Learned:
    """Return what attempts teach by now."""
    tallies: dict[tuple[Cause, Rung], Tally] = {}
    next_at: dict[str, datetime] = {}  # of an agent: the attempt after the one that is looked at
    for each in sorted(attempts, key=lambda each: each.at, reverse=True):
        ended, relapsed_at = each.settled_at or each.at, next_at.get(each.agent)
        next_at[each.agent] = each.at
        if each.verdict not in (Verdict.HEALED, Verdict.NOT_HEALED):
            continue
        lasted = relapsed_at is None or relapsed_at - ended > LASTED
        is_healed = each.verdict is Verdict.HEALED and lasted
        weight = 0.5 ** (max(now - ended, timedelta(0)) / HALF_LIFE)
        known = tallies.get((each.cause, each.rung), Tally())
        tallies[each.cause, each.rung] = Tally(
            healed=known.healed + weight * is_healed,
            failed=known.failed + weight * (not is_healed),
            tries=known.tries + 1,
        )
    return Learned(tallies=tallies)
