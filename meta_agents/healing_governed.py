"""The hands of healing on what is governed: prompts, revisions, proposals, the audit log.

What is changed here was in force, so each change is told in the audit log before and after it is
made. Evidence, history and the storm rule are those of the registries themselves; nothing here
overrides them, because healing is no person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from meta_agents.delegations import CodeRequest, CodeWork, Delegations, DelegationState
from meta_agents.healing_ports import WHO, Order, Supervises
from roboinvest.core.audit import AuditEntry
from roboinvest.core.errors import BadInput, Refused
from roboinvest.core.oversight.healing_record import ActionEnd, Rung
from roboinvest.core.records import canonical_json
from roboinvest.core.revisions.governor import GovernorLimits
from roboinvest.core.revisions.lifecycle import (
    SHORT,
    Actor,
    Alias,
    AliasMove,
    MoveKind,
    rollback_target,
)
from roboinvest.core.revisions.storm import storm
from roboinvest.runtime.governance.file import GovernanceFile
from roboinvest.runtime.oversight.threads import Threads
from roboinvest.runtime.prompts.labels import Cause as Reason
from roboinvest.runtime.prompts.registry import PromptRegistry
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.opening import Revisions
from roboinvest.runtime.supervision.service import ServiceState, ServiceStatus

_FoundT = TypeVar("_FoundT")


class PromptRollbacks:
    """Goes one step back in the words of an agent's prompt."""

    def __init__(self, registry: PromptRegistry, prompts: Mapping[str, str]) -> None:
        """Take the registry, and the name of each agent's prompt."""
        self._registry = registry
        self._prompts = prompts
        self._before: dict[str, str] = {}  # version, by attempt

    async def refusal(self, order: Order) -> str | None:
        """Say no where the agent has no prompt."""
        name = self._prompts.get(order.agent)
        if name is None:
            return f"{order.agent} has no prompt in the registry"
        try:
            self._registry.current(name)
        except BadInput as error:
            return str(error)
        return None

    async def act(self, order: Order) -> str:
        """Move the label.

        Raises:
            Refused: there is nothing to go back to.
            TryLater: the registry is away.
        """
        name = self._prompts.get(order.agent)
        if name is None:
            raise Refused(f"{order.agent} has no prompt; nothing was done")
        before = self._registry.current(name)
        reason = Reason(
            reason=order.words, by=WHO, at=order.at, evidence={"attempt": order.attempt_id}
        )
        self._before = {order.attempt_id: before.version}
        move = await self._registry.rollback(name, reason)
        return f"prompt {name} went back from {before.short} to {(move.after or '')[:12]}"

    async def happened(self, order: Order) -> bool | None:
        """Look whether other words are in force than before."""
        name, before = self._prompts.get(order.agent), self._before.get(order.attempt_id)
        if name is None or before is None:
            return None
        return self._registry.current(name).version != before


class RevisionRollbacks:
    """Goes one step back in what an agent's alias stands at."""

    def __init__(self, revisions: Revisions, threads: Threads) -> None:
        self._revisions = revisions
        self._threads = threads

    async def refusal(self, order: Order) -> str | None:
        """Say no where there is nothing to go back to."""

        def find(book: RevisionBook) -> None:
            states = {each.revision_id: each.state for each in book.revisions(order.agent)}
            rollback_target(book.alias(order.agent), book.moves(order.agent), states)

        try:
            await self._threads.do("a look at the revisions", lambda: _read(self._revisions, find))
        except Refused as error:
            return str(error)
        return None

    async def act(self, order: Order) -> str:
        """Move the alias; asked again under the same id, it is not moved again."""

        def act() -> str:
            alias, mine = _read(self._revisions, lambda book: _alias(book, order))
            if mine is None:
                desk = self._revisions.desk
                mine = desk.rollback(order.agent, alias.sequence, _actor(order))
            return f"{order.agent} went back from {_short(mine.before)} to {_short(mine.after)}"

        return await self._threads.do("a rollback of a revision", act)

    async def happened(self, order: Order) -> bool | None:
        """Look for the move in the history."""
        found = await self._threads.do(
            "a look at the revisions",
            lambda: _read(self._revisions, lambda book: _alias(book, order)),
        )
        return found[1] is not None


class Quarantines:
    """Puts an agent away until a person releases it: its revision, or its service."""

    def __init__(
        self,
        supervisor: Callable[[], Supervises],
        threads: Threads,
        revisions: Revisions | None = None,
        *,
        limits: GovernorLimits | None = None,
    ) -> None:
        """Take who keeps services, and what keeps revisions, if anything does."""
        self._supervisor = supervisor
        self._threads = threads
        self._revisions = revisions
        self._limits = limits or GovernorLimits()

    async def refusal(self, order: Order) -> str | None:
        """Say no for what the house cannot do without, is away already, or in a storm."""
        status = _service(self._supervisor(), order.agent)
        revision, stormy = await self._threads.do(
            "a look at the revisions", lambda: self._now(order)
        )
        if stormy is not None:
            return stormy
        if revision is not None:
            return None
        if status is None:
            return f"{order.agent} is no service and runs no revision: there is nothing to put away"
        if status.essential:
            return f"{order.agent} is essential, and the house cannot do without it"
        if status.state is ServiceState.QUARANTINED:
            return f"{order.agent} is quarantined already"
        return None

    async def act(self, order: Order) -> str:
        """Put it away."""

        def put_away() -> str | None:
            revision, _ = self._now(order)
            if revision is None or self._revisions is None:
                return None
            self._revisions.desk.quarantine(order.agent, revision, _actor(order))
            return f"revision {revision[:SHORT]} of {order.agent} is in quarantine"

        done = await self._threads.do("a quarantine of a revision", put_away)
        if done is not None:
            return done
        self._supervisor().quarantine(order.agent)
        return f"the supervisor was asked to quarantine {order.agent}"

    async def happened(self, order: Order) -> bool | None:
        """Look whether it is away."""
        status = _service(self._supervisor(), order.agent)
        if status is not None and status.state is ServiceState.QUARANTINED:
            return True
        revisions = self._revisions
        if revisions is None:
            return False
        moves = await self._threads.do(
            "a look at the revisions",
            lambda: _read(revisions, lambda book: book.moves(order.agent)),
        )
        return bool(moves) and moves[-1].kind is MoveKind.QUARANTINED

    def _now(self, order: Order) -> tuple[str | None, str | None]:
        """Return the active revision, and what is said of a storm."""
        if self._revisions is None:
            return None, None
        now = order.at

        def look(book: RevisionBook) -> tuple[str | None, str | None]:
            found = storm(book.all_moves(), now, self._limits)
            return book.alias(order.agent).revision_id, None if found is None else found.text

        return _read(self._revisions, look)


class CodeProposals:
    """Asks for a change of code: of CodeEditorAgent, or of a person through the inbox."""

    def __init__(self, delegations: Delegations) -> None:
        self._delegations = delegations
        self._asked: set[str] = set()  # attempts

    async def refusal(self, order: Order) -> str | None:  # noqa: ARG002 port
        """Nothing stands against asking."""
        return None

    async def act(self, order: Order) -> str:
        """Ask.

        Raises:
            Refused: nobody takes the request, nor does the inbox.
        """
        request = CodeRequest(
            agent=order.agent,
            work=CodeWork.FIX,
            topic=f"{order.agent} fails: {order.cause.words}",
            finding=order.reason,
            cause=order.cause,
        )
        made = await self._delegations.code(request, order.attempt_id)
        if made.state is DelegationState.REFUSED:
            raise Refused(made.text)
        self._asked.add(order.attempt_id)
        return made.text

    async def happened(self, order: Order) -> bool | None:
        """Say whether it was asked for by this process."""
        return True if order.attempt_id in self._asked else None


class HealJournal:
    """Tells the audit log of what healing changes, before and after."""

    def __init__(self, file: GovernanceFile, threads: Threads) -> None:
        self._file = file
        self._threads = threads

    async def begun(self, order: Order, metric: str, value: float) -> None:
        """Tell what is about to be done.

        Raises:
            TryLater, Refused: it cannot be told.
        """
        facts = {"attempt": order.attempt_id, "metric": metric, "value": value}
        await self._tell(order, f"heal.{order.rung}_begun", facts)

    async def ended(self, order: Order, end: ActionEnd, words: str) -> None:
        """Tell how it ended; raises as `begun`."""
        facts = {"attempt": order.attempt_id, "end": end, "said": words[:1_000]}
        await self._tell(order, f"heal.{order.rung}_ended", facts)

    async def _tell(self, order: Order, kind: str, facts: Mapping[str, object]) -> None:
        def tell() -> None:
            self._file.write(
                lambda transaction: transaction.audit(
                    AuditEntry(
                        kind=kind,
                        subject=order.agent,
                        who=WHO,
                        why=order.words,
                        before=None,
                        after=canonical_json(dict(facts)),
                        undo=UNDO.get(order.rung),
                        at=transaction.now,
                    )
                )
            )

        await self._threads.do("the audit log", tell)


UNDO: Final[Mapping[Rung, str]] = {
    Rung.PROMPT_ROLLBACK: "roboinvest prompts promote, or change the file",
    Rung.REVISION_ROLLBACK: "roboinvest agents activate the revision again",
    Rung.QUARANTINE: "roboinvest agents release, or restart the daemon",
    Rung.HALT_TRADING: "roboinvest resume, by a person",
}


def _service(supervisor: Supervises, name: str) -> ServiceStatus | None:
    return next((each for each in supervisor.statuses() if each.name == name), None)


def _read(revisions: Revisions, work: Callable[[RevisionBook], _FoundT]) -> _FoundT:
    return revisions.store.read_book(work)


def _actor(order: Order) -> Actor:
    return Actor(name=WHO, reason=order.words, is_person=False)


def _alias(book: RevisionBook, order: Order) -> tuple[Alias, AliasMove | None]:
    """Return where an alias stands, and the move that this attempt made."""
    mine = [
        each
        for each in book.moves(order.agent)
        if each.by == WHO and each.reason.startswith(f"heal {order.attempt_id}:")
    ]
    return book.alias(order.agent), mine[-1] if mine else None


def _short(revision_id: str | None) -> str:
    return "nothing" if revision_id is None else revision_id[:SHORT]
