"""The Overseer: knows every agent, feels their pulse, and says who is unwell because of whom.

Whoever works registers with a name and plain metadata, and is from then on looked at with all the
others: judged from what it did lately, its cause named by rules, its root found in the graph of
dependencies. A look at thousands of agents is taken in slices, so that trading never waits for it.
Deliberately absent: hands. Who heals, raises alerts or writes reports is handed what was found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from meta_agents.overseer_evidence import Terms, evidence_of
from roboinvest.core.oversight.agents import AgentCard, Roster, card_of
from roboinvest.core.oversight.causes import Cause, Diagnosis, classify
from roboinvest.core.oversight.fingerprints import fingerprint_of
from roboinvest.core.oversight.health import LATENCY, AgentHealth, Status, judge
from roboinvest.core.oversight.thresholds import Thresholds
from roboinvest.core.oversight.vitals import Vitals, VitalSigns
from roboinvest.core.ports import Clock

SLICE_S: Final = 0.005  # for which a look keeps the loop to itself before others have their turn
SLICE: Final = 100  # agents that are judged before that, on a clock that stands still meanwhile
_AT_ONCE: Final = 10  # between two glances at the clock
_OF_SILENCE: Final = frozenset({"hangs", "ended", "no rule"})  # rules that a quarantine explains
DOWN: Final = frozenset({Status.FAILING, Status.OFFLINE})
GAUGE: Final = "gauge "  # begins what is found of a level
_FAILS: Final = frozenset({"errors", "own errors", "silence", LATENCY})  # its callers, by findings
_OWN_FAULT: Final = frozenset({Cause.OWN_CODE, Cause.BAD_OUTPUT, Cause.CONFIGURATION, Cause.BUDGET})
Sense = Callable[[float], None]  # feels pulses once, before a look; cheap


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPass:
    """What one look at all agents found."""

    at: datetime  # UTC
    cards: Mapping[str, AgentCard]
    healths: Mapping[str, AgentHealth]
    causes: Mapping[str, Diagnosis]  # of those that are not well
    roots: Mapping[str, str]  # of those that are not well: because of whom
    longest_hold_s: float  # for which the look kept the loop to itself

    @property
    def unwell(self) -> tuple[str, ...]:
        """Return who is not well: those that are down first, then by name."""
        names = self.causes
        return tuple(sorted(names, key=lambda name: (self.healths[name].status not in DOWN, name)))

    @property
    def statuses(self) -> Mapping[Status, int]:
        """Return how many agents are in each status, the best first."""
        found = dict.fromkeys(Status, 0)
        for name in self.causes:
            found[self.healths[name].status] += 1
        return {**found, Status.HEALTHY: len(self.healths) - len(self.causes)}


class Breath:
    """Lets others have their turn when one has kept the loop to itself for long enough."""

    def __init__(self, clock: Clock) -> None:
        """Begin to keep it."""
        self._clock = clock
        self._begun, self._longest_s = clock.monotonic(), 0.0

    async def taken(self, number: int) -> None:
        """Let the others have it if the time is used up, or every `SLICE` things."""
        held_s = self._clock.monotonic() - self._begun
        if held_s < SLICE_S and number % SLICE:
            return
        self._longest_s = max(self._longest_s, held_s)
        await asyncio.sleep(0)
        self._begun = self._clock.monotonic()

    def longest_s(self) -> float:
        """Return the longest time for which nobody else had a turn."""
        return max(self._longest_s, self._clock.monotonic() - self._begun)


class Overseer:
    """The roster with a pulse for each agent."""

    def __init__(self, clock: Clock, limits: Thresholds | None = None) -> None:
        """Take the clock; `limits` hold for whoever registers without limits of its own."""
        self._clock = clock
        self._usual = Terms(limits=limits or Thresholds())
        self._roster = Roster()
        self._terms: dict[str, Terms] = {}
        self._vitals: dict[str, Vitals] = {}
        self._senses: list[Sense] = []
        self._counts: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._away: frozenset[str] = frozenset()
        self.blind: tuple[str, ...] = ()  # what the senses of the last look raised, a line each
        self.last: HealthPass | None = None
        self._follows: dict[str, str] = {}  # who was unwell because of which dependency, lastly

    @property
    def roster(self) -> Roster:
        """Return who is watched; register here, not there."""
        return self._roster

    @property
    def terms(self) -> Mapping[str, Terms]:
        """Return how agents are judged."""
        return self._terms

    async def register_agent(
        self, name: str, metadata: Mapping[str, object], terms: Terms | None = None
    ) -> AgentCard:
        """Take an agent by its name and plain metadata; see `card_of`.

        Without terms of its own it is judged as anybody.

        Raises:
            BadInput: the metadata is malformed, the name is another agent's, a dependency is
                unknown, or there would be a circle.
        """
        card = card_of(name, metadata)
        self.register_all((card,), {} if terms is None else {card.name: terms})
        return card

    def register_all(
        self, cards: Iterable[AgentCard], terms: Mapping[str, Terms] | None = None
    ) -> None:
        """Take several agents, which may depend on each other in any order; all or none.

        Raises:
            BadInput: as `register_agent`.
        """
        taken = tuple(cards)
        self._roster.register_all(taken)
        now = self._clock.monotonic()
        for card in taken:
            self._vitals.setdefault(card.name, Vitals(now))
            self._terms.setdefault(card.name, (terms or {}).get(card.name, self._usual))

    def renew(self, card: AgentCard) -> None:
        """Take another card of an agent that is watched, and feel its pulse anew.

        How fast it is supposed to be is known from before: a revision that is slow shows by that.

        Raises:
            BadInput: nobody is called so, a dependency is unknown, or there would be a circle.
        """
        self._roster.replace(card)
        self._vitals[card.name] = self._vitals[card.name].successor(self._clock.monotonic())

    def retire(self, name: str) -> None:
        """Forget an agent.

        Raises:
            BadInput: nobody is called so.
            Refused: others depend on it.
        """
        self._roster.retire(name)
        del self._vitals[name], self._terms[name]

    def sense(self, sense: Sense) -> None:
        """Let somebody feel pulses before each look, with the time (s, `Clock.monotonic`)."""
        self._senses.append(sense)

    def put_away(self, names: Iterable[str]) -> None:
        """Take note of who is kept from working by a quarantine: its silence is no news."""
        self._away = frozenset(names)

    def vitals(self, name: str) -> Vitals:
        """Return the pulse of an agent.

        Raises:
            BadInput: nobody is called so.
        """
        found = self._vitals.get(name)
        return found if found is not None else self._vitals[self._roster.card(name).name]

    def pulse(self, name: str) -> Vitals | None:
        """Return the pulse of an agent; None: nobody is called so."""
        return self._vitals.get(name)

    def limits_of(self, name: str) -> Thresholds:
        """Return by which limits an agent is judged."""
        return self._terms.get(name, self._usual).limits

    def count(self, name: str, by: int = 1) -> None:
        """Count something of the house for the hourly review and for graphs: "insights"."""
        self._counts[name] = self._counts.get(name, 0) + by
        self._totals[name] = self._totals.get(name, 0) + by

    async def look(self) -> HealthPass:
        """Judge everybody once, and return what was found."""
        now, at = self._clock.now(), self._clock.monotonic()
        self.blind = tuple([fingerprint_of(each) for each in await _troubles(self._senses, at)])
        before = self.last.healths if self.last is not None else {}
        cards, breath = dict(self._roster.cards), Breath(self._clock)
        healths: dict[str, AgentHealth] = {}
        for number, card in enumerate(cards.values(), start=1):
            vitals = self._vitals.get(card.name)
            if vitals is not None:  # it may have been retired meanwhile
                limits, old = self.limits_of(card.name), before.get(card.name)
                healths[card.name] = judge(card, vitals.snapshot(at), limits, now, old)
            if number % _AT_ONCE == 0:
                await breath.taken(number)
        unwell = [name for name, each in healths.items() if each.status is not Status.HEALTHY]
        causes: dict[str, Diagnosis] = {}
        for number, name in enumerate(unwell, start=1):
            seen = evidence_of(cards[name], healths[name], self._terms, healths)
            causes[name] = self._known(name, classify(seen))
            if number % _AT_ONCE == 0:
                await breath.taken(number)
        await breath.taken(len(unwell))
        self.last = HealthPass(
            at=now,
            cards=cards,
            healths=healths,
            causes=causes,
            roots=self._roots(unwell, healths, causes),
            longest_hold_s=breath.longest_s(),
        )
        return self.last

    def signs(self) -> Mapping[str, VitalSigns]:
        """Return the signs of every agent, by the last look."""
        healths = self.last.healths if self.last is not None else {}
        return {name: each.signs for name, each in healths.items()}

    def statuses(self) -> Mapping[str, int]:
        """Return how many agents are in each status, by the last look."""
        found = dict.fromkeys(Status, 0) if self.last is None else self.last.statuses
        return {status.value: count for status, count in found.items()}

    def gauges(self) -> Mapping[str, float]:
        """Return every gauge of the machine and the process, by the last look."""
        found: dict[str, float] = {}
        for name in MACHINES:
            health = self.last.healths.get(name) if self.last is not None else None
            for gauge in health.signs.gauges if health is not None else ():
                found[gauge.name] = gauge.value
        return found

    def totals(self) -> Mapping[str, int]:
        """Return what was counted since the process began."""
        return dict(self._totals)

    def take_counts(self) -> Mapping[str, int]:
        """Return what was counted since the last time, and begin anew."""
        found, self._counts = self._counts, {}
        return found

    def _known(self, name: str, found: Diagnosis) -> Diagnosis:
        """Return the cause; who was put away is silent by that, and ill of what it was before."""
        before = self.last.causes.get(name) if self.last is not None else None
        is_news = name not in self._away or before is None or found.rule not in _OF_SILENCE
        return found if is_news or before is None else before

    def _roots(
        self,
        unwell: Iterable[str],
        healths: Mapping[str, AgentHealth],
        causes: Mapping[str, Diagnosis],
    ) -> dict[str, str]:
        """Return because of whom each is unwell.

        Only what is down pulls others down, or what begins to fail or is slow, those whose calls
        say that they wait for it; who is to blame itself is its own root, whatever else is away.
        While both get over it, one sooner than the other, one still follows from the other.
        """
        found: dict[str, str] = {}
        before, self._follows = self._follows, {}
        for name in unwell:
            chain, at = [name], name
            while at not in found:
                above = self._above(at, healths, causes, before.get(at))
                if above is None:
                    break
                self._follows[at] = above
                chain.append(above)
                at = above
            found.update(dict.fromkeys(chain, found.get(at, at)))
        return found

    def _above(
        self,
        name: str,
        healths: Mapping[str, AgentHealth],
        causes: Mapping[str, Diagnosis],
        before: str | None,
    ) -> str | None:
        """Return the dependency because of which an agent is unwell; None: there is none."""
        cause = causes[name].cause
        if cause in _OWN_FAULT:
            return None
        needs = [each for each in self._roster.card(name).dependencies if each in causes]
        waits = cause in (Cause.DEPENDENCY, Cause.PROVIDER, Cause.RESOURCE)
        is_short = cause is Cause.RESOURCE  # of what a machine below it has none of
        down = (each for each in needs if healths[each].status in DOWN)
        bad = (each for each in needs if waits and _fails_others(healths[each], is_short))
        return next(down, None) or next(bad, None) or (before if before in needs else None)


def _fails_others(health: AgentHealth, is_short: bool) -> bool:
    is_full = is_short and any(found.what.startswith(GAUGE) for found in health.findings)
    return is_full or any(found.what in _FAILS for found in health.findings)


async def _troubles(senses: Iterable[Sense], at: float) -> list[BaseException]:
    """Let every sense feel, and return what those came to that have a bug."""
    left, troubles = iter(tuple(senses)), list[BaseException]()
    while True:
        # gathered, because a sense with a bug blinds us on what it feels, and on nobody else
        (error,) = await asyncio.gather(_felt(left, at), return_exceptions=True)
        if error is None:
            return troubles
        troubles.append(error)


async def _felt(left: Iterator[Sense], at: float) -> None:
    for sense in left:
        sense(at)


MACHINES: Final = ("process", "data folder")
