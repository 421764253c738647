"""Who is watched, kept true: services, the agents of a tick, and every active revision.

Each comes in by `Overseer.register_agent`, as anybody may. A revision that is activated while the
daemon runs is watched from the next look on, and one that left is forgotten. Who cannot be taken,
because its name is another's or because it would need itself, is an alert; everybody else is
watched all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from meta_agents.overseer_evidence import Terms
from roboinvest.app.overseeing.parts import Parts, Surroundings
from roboinvest.app.roster import (
    USUAL,
    card_of_revision,
    card_of_strategy,
    cards_of,
    metadata_of,
    terms_of,
)
from roboinvest.core.errors import BadInput, BadSettings, Refused, TryLater
from roboinvest.core.events import Severity
from roboinvest.core.oversight.agents import AgentCard
from roboinvest.core.revisions.lifecycle import Revision
from roboinvest.runtime.revisions.in_force import RevisionsInForce
from roboinvest.runtime.standing_alerts import StandingAlerts

ALERT_PREFIX: Final = "registration."
_GENERATED: Final = Terms(limits=USUAL)


class Registrar:
    """Registers whoever came, and retires whoever left."""

    def __init__(
        self,
        parts: Parts,
        around: Surroundings,
        *,
        remember: Callable[[Sequence[str]], Awaitable[None]] | None = None,
    ) -> None:
        """Take the parts; `remember` hears the names of those that were taken just now."""
        self._parts, self._around, self._remember = parts, around, remember
        self._overseer = parts.overseer
        self._in_force = RevisionsInForce(parts.folder.root)
        self._services: tuple[str, ...] = ()  # when cards were made last
        self._unregistered: dict[str, str] = {}  # services and traders: why not
        self._revisions: dict[str, AgentCard] = {}  # that were taken
        self._alerts = StandingAlerts(
            ALERT_PREFIX,
            kind="agent",
            over="it is watched now, or gone",
            publish=parts.bus.publish,
            severity=Severity.LOW,
        )
        self._alerts.resume(around.board.open_keys(ALERT_PREFIX))
        self._overseer.sense(self._feel)
        self._log = structlog.get_logger("roboinvest.overseer")

    async def look(self) -> None:
        """Compare who is there with who is watched."""
        fresh = await self._take_services()
        self._renew_strategy()
        troubles = dict(self._unregistered)
        try:
            found = await self._parts.threads.do("a look at the revisions", self._in_force.look)
        except (TryLater, BadSettings) as error:
            # Who looks after the file tells of it; who was watched still is.
            self._log.info("revisions_not_seen", trouble=str(error))
        else:
            fresh += await self._take_revisions(found, troubles)
        self._alerts.tell(troubles, self._parts.clock.now())
        if fresh and self._remember is not None:
            await self._remember(fresh)

    async def _take_services(self) -> list[str]:
        tree = self._around.tree()
        names = tree.names()
        if names == self._services:
            return []
        statuses = tree.statuses()
        self._services, self._unregistered = names, {}
        parts, fresh = self._parts, list[str]()
        cards = cards_of(
            statuses,
            parts.installed,
            has_broker=self._around.has_broker,
            asks=parts.asks_models,
        )
        for card in cards:
            if card.name in self._overseer.terms:
                continue
            terms = terms_of(card, statuses)
            if await self._taken(card, terms, self._unregistered):
                fresh.append(card.name)
        return fresh

    async def _take_revisions(
        self, found: Iterable[Revision], troubles: dict[str, str]
    ) -> list[str]:
        """Retire who left, renew who changed, and take who came; return who came."""
        wanted = {each.agent_id: card_of_revision(each) for each in self._not_installed(found)}
        self._retire([name for name in self._revisions if name not in wanted], troubles)
        self._renew(wanted, troubles)
        waiting = {name: card for name, card in wanted.items() if name not in self._revisions}
        fresh = list[str]()
        while ready := [card for card in waiting.values() if not self._missing(card, waiting)]:
            for card in ready:
                del waiting[card.name]
                if await self._taken(card, _GENERATED, troubles):
                    self._revisions[card.name] = card
                    fresh.append(card.name)
        for name in waiting:  # they need each other in a circle, or somebody who is in one
            troubles[name] = self._why_not(name, waiting)
        return fresh

    def _not_installed(self, found: Iterable[Revision]) -> Iterable[Revision]:
        """Leave out the one that decides: it is watched as the strategy that it is."""
        installed = self._parts.installed
        seat = None if installed is None else installed.seat
        runs = installed.revision if installed is not None else ""
        return (
            each
            for each in found
            if not (runs and each.revision_id.startswith(runs))
            and (seat is None or each.agent_id != seat.agent)
        )

    async def _taken(self, card: AgentCard, terms: Terms, troubles: dict[str, str]) -> bool:
        known = self._overseer.terms.get(card.name)
        if known is not None:
            troubles[card.name] = (
                f"{card.name} is the name of somebody else who is watched; give it another name"
            )
            return False
        try:
            await self._overseer.register_agent(card.name, metadata_of(card), terms)
        except BadInput as error:
            troubles[card.name] = f"{card.name} is not watched: {error}"
            return False
        return True

    def _renew_strategy(self) -> None:
        """Feel the pulse of an installed strategy anew where another revision took its place."""
        installed = self._parts.installed
        card = None if installed is None else card_of_strategy(installed)
        if card is None or card == self._overseer.roster.cards.get(card.name, card):
            return
        self._overseer.renew(card)

    def _renew(self, wanted: Mapping[str, AgentCard], troubles: dict[str, str]) -> None:
        for name, card in wanted.items():
            if self._revisions.get(name, card) == card:
                continue
            try:
                self._overseer.renew(card)
            except BadInput as error:
                troubles[name] = f"{name} is watched as it was before: {error}"
            else:
                self._revisions[name] = card

    def _retire(self, gone: Sequence[str], troubles: dict[str, str]) -> None:
        """Retire those that left, whoever calls others first."""
        left, refused = list(gone), dict[str, str]()
        while left:
            refused = {name: why for name in left if (why := self._refusal(name)) is not None}
            if len(refused) == len(left):
                break
            left = list(refused)
        for name in left:
            troubles[name] = f"{name} is not active any more, and is called still: {refused[name]}"

    def _refusal(self, name: str) -> str | None:
        """Retire an agent, or return why it has to stay."""
        try:
            self._overseer.retire(name)
        except Refused as error:
            return str(error)
        del self._revisions[name]
        return None

    def _missing(self, card: AgentCard, waiting: Mapping[str, AgentCard]) -> bool:
        return any(needed in waiting for needed in card.dependencies)

    def _why_not(self, name: str, waiting: Mapping[str, AgentCard]) -> str:
        """Return the circle that an agent is in, or hangs on."""
        path = [name]
        while True:
            needs = waiting[path[-1]].dependencies
            path.append(next(each for each in needs if each in waiting))
            if path[-1] in path[:-1]:
                circle = " -> ".join(path[path.index(path[-1]) :])
                return f"{name} is not watched: agents call each other in a circle ({circle})"

    def _feel(self, at: float) -> None:
        """Grant a wait to those that nobody runs here: they are active, and have nothing to do."""
        for name in self._revisions:
            pulse = self._overseer.pulse(name)
            if pulse is not None:
                pulse.waits(at, at)
