"""One alert for each agent that is not well, under the one because of which it is not.

It is raised once, raised again only where it got worse or its root is another one, and resolved by
the agent's recovery alone: what is not known to be well again stays open, over restarts too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from meta_agents.overseer import DOWN, HealthPass
from meta_agents.overseer_evidence import Terms
from roboinvest.core.events import AlertRaised, AlertResolved, Event, Severity
from roboinvest.core.oversight.causes import Cause
from roboinvest.core.oversight.health import RANK, AgentHealth, Status
from roboinvest.core.text.cleaning import clean

PREFIX: Final = "agent."
GETS_OVER: Final = timedelta(minutes=4)  # two minutes of figures, and two looks
KNOWN_AFTER_S: Final = 120.0  # an agent that was watched for less may be well, or unknown
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}
_KINDS: Final = {
    Cause.BUDGET: "budget",
    Cause.DATA_GAP: "data",
    Cause.RESOURCE: "system",
    Cause.CONFIGURATION: "system",
}


@dataclass(frozen=True, slots=True)
class _Covered:
    status: Status  # which may get better, and not worse
    at: datetime  # UTC, of the last look at which its keeper's alert was open


@dataclass(frozen=True, slots=True)
class _Told:
    severity: Severity
    caused_by: str | None


class HealthAlerts:
    """What is told of the health of agents."""

    def __init__(
        self,
        publish: Callable[[Event], None],
        *,
        left_open: Iterable[str] = (),
        raised_as: Callable[[str], str | None] = lambda _: None,
        healed_by: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        """Take who is told.

        Args:
            publish: hears of the alerts.
            left_open: agents whose alert an earlier process raised, and nothing resolved.
            raised_as: the key of an open alert that an agent's own keeper raised for it; None:
                there is none.
            healed_by: what was measured to have healed an agent, in words; None: nothing was.
        """
        self._publish, self._raised_as = publish, raised_as
        self._healed_by = healed_by
        self._told: dict[str, _Told | None] = dict.fromkeys(left_open)
        self._covered: dict[str, _Covered] = {}  # unwell, and told by their own keepers

    @property
    def open(self) -> frozenset[str]:
        """Return the agents whose alert is open."""
        return frozenset(self._told)

    def key_of(self, name: str) -> str:
        """Return the key of the alert that is told of an agent: its keeper's, or ours."""
        own = None if name in self._told else self._raised_as(name)
        return own or PREFIX + name

    def tell(self, found: HealthPass, terms: Mapping[str, Terms]) -> None:
        """Compare what a look found with what was told before."""
        unwell = set(found.unwell)
        weights = _weights(found, terms)
        self._covered = {name: each for name, each in self._covered.items() if name in unwell}
        for name in sorted(unwell, key=lambda each: (found.roots[each] != each, each)):
            if not self._is_covered(name, found):
                self._raise(name, found, weights[name])
        for name in sorted(set(self._told) - unwell):
            health = found.healths.get(name)
            if health is None:
                self._resolve(found, name, f"{name} is no part of the house any more")
            elif _is_known_well(health):
                by = self._healed_by(name) or "by itself"
                self._resolve(found, name, f"{name} is healthy again, {by}")

    def _is_covered(self, name: str, found: HealthPass) -> bool:
        """Return whether its own keeper tells of it, or did, and it only gets over it."""
        if name in self._told or found.roots[name] != name:
            return False
        status, at = found.healths[name].status, found.at
        if self._raised_as(name) is not None:
            self._covered[name] = _Covered(status, at)
            return True
        last = self._covered.get(name)
        if last is None or RANK[status] > RANK[last.status]:
            return False
        self._covered[name] = _Covered(status, last.at)
        # Its last minutes hold what its keeper knows to be over; what lasts longer is news.
        return status not in DOWN or at - last.at < GETS_OVER

    def _raise(self, name: str, found: HealthPass, severity: Severity) -> None:
        health, root = found.healths[name], found.roots[name]
        is_root_told = root in self._told or self._raised_as(root) is not None
        caused_by = self.key_of(root) if root != name and is_root_told else None
        told = self._told.get(name)
        no_worse = told is not None and _RANK[told.severity] <= _RANK[severity]
        # Where what it follows from recovered first, the board knows what to do.
        if told is not None and no_worse and caused_by in (None, told.caused_by):
            return
        self._told[name] = _Told(severity, caused_by)
        diagnosis = found.causes[name]
        reason = health.reasons[0] if health.reasons else ""
        text = f"{name} is {health.status}: {reason}; cause: {diagnosis.cause.words}"
        # A reason that repeats the figure above says nothing new to somebody who was woken up.
        if not diagnosis.reason.startswith(reason.split(",")[0]):
            text = f"{text}: {diagnosis.reason}"
        is_slow = health.is_slow and health.status not in DOWN
        kind = "performance" if is_slow else _KINDS.get(diagnosis.cause, "agent")
        self._publish(
            AlertRaised(
                at=found.at,
                key=PREFIX + name,
                severity=severity,
                kind=kind,
                message=clean(text, 600),
                caused_by=caused_by,
            )
        )

    def _resolve(self, found: HealthPass, name: str, text: str) -> None:
        del self._told[name]
        self._publish(AlertResolved(at=found.at, key=PREFIX + name, message=text))


def _is_known_well(health: AgentHealth) -> bool:
    return health.status is Status.HEALTHY and health.signs.age_s >= KNOWN_AFTER_S


def _weights(found: HealthPass, terms: Mapping[str, Terms]) -> dict[str, Severity]:
    """Return how much each matters: a root as much as the worst of those that fail with it."""
    weights: dict[str, Severity] = {}
    for name in found.unwell:
        health, root = found.healths[name], found.roots[name]
        weight = Severity.MEDIUM
        if health.status in DOWN:
            weight = Severity.CRITICAL if terms[name].is_vital else Severity.HIGH
        for each in (name, root):
            known = weights.get(each, weight)
            weights[each] = min(known, weight, key=lambda severity: _RANK[severity])
    return weights
