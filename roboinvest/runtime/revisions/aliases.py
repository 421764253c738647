"""What acts: an alias moves to another revision, one step back, or nowhere.

Each move is one transaction: the state of what comes and of what goes, the move in the history and
the audit row. The files are verified and the evidence is judged again inside of it. Nothing that
takes power away waits for gates or the governor; nothing but a person ends a quarantine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from roboinvest.core.errors import NeedsApproval, Refused
from roboinvest.core.revisions.gates import Gate
from roboinvest.core.revisions.governor import (
    Candidate,
    GovernorLimits,
    Objection,
    objections,
    require_calm,
)
from roboinvest.core.revisions.lifecycle import (
    SHORT,
    Actor,
    Alias,
    AliasMove,
    MoveKind,
    Revision,
    State,
    require_move,
    require_sequence,
    rollback_target,
)
from roboinvest.core.revisions.storm import objection_of, storm
from roboinvest.runtime.governance.file import GovernanceFile, Transaction
from roboinvest.runtime.governance.verify import require_whole
from roboinvest.runtime.revisions.approvals import Approvals
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.entries import entry, points, stands
from roboinvest.runtime.revisions.folders import RevisionFolders
from roboinvest.runtime.revisions.judging import Judgement, Judging, require_evidence

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """A request to make a revision the active one."""

    agent_id: str
    revision_id: str
    expected: int  # the number of the alias's last move when this was decided; 0: it has none
    approval_id: str | None = None  # a proposal that a person agreed to
    force: bool = False  # override the governor; persons only


@dataclass(frozen=True, slots=True)
class _Hall:
    """What one transaction works with."""

    transaction: Transaction
    book: RevisionBook
    actor: Actor


class AliasDesk:
    """Moves aliases; blocking, for commands and threads of the daemon alike."""

    def __init__(
        self,
        file: GovernanceFile,
        folders: RevisionFolders,
        approvals: Approvals,
        limits: GovernorLimits,
    ) -> None:
        self._file = file
        self._folders = folders
        self._approvals = approvals
        self._limits = limits

    def activate(self, request: Activation, actor: Actor) -> AliasMove:
        """Make an installed revision the active one; what was active stays installed.

        Raises:
            BadInput: the agent has no such revision.
            Refused: the alias moved since, a file was changed, evidence is missing, the code is in
                quarantine, the base is stale, the governor says no, or the audit log is broken.
            NeedsApproval: a person has to agree first.
        """
        require_whole(self._file.path, self._file.anchors)

        def activate(hall: _Hall) -> AliasMove:
            book, now = hall.book, hall.transaction.now
            revision = book.revision(request.agent_id, request.revision_id)
            alias = book.alias(request.agent_id)
            require_sequence(alias, request.expected)
            self._require_free(book, revision)
            require_move(revision, State.ACTIVE, hall.actor)
            _require_fresh_base(revision, alias, actor)
            self._folders.read(revision)
            judgement = Judging(book, self._folders, now).of(revision)
            require_evidence(revision, judgement.faults, State.ACTIVE)
            found = self._objections(hall, revision, judgement)
            require_calm(found, actor, force=request.force)
            self._require_word(hall, request, revision, judgement)
            move = _next(alias, MoveKind.ACTIVATED, revision, hall)
            details: dict[str, object] = {
                "force": bool(found),
                "objections": [objection.rule for objection in found],
                "gates": sorted(judgement.gates),
                "records": judgement.records[-40:],
                "approval": request.approval_id,
            }
            return _moved(hall, move, judgement.findings, forced=bool(found), details=details)

        return self._change(actor, activate)

    def rollback(
        self, agent_id: str, expected: int, actor: Actor, *, wanted: str | None = None
    ) -> AliasMove:
        """Go one step back in what was active; gates and governor are not asked.

        Args:
            agent_id: whose alias moves.
            expected: the number of its last move when this was decided.
            actor: who wants it.
            wanted: the revision that the step should lead to; None: whichever it is.

        Raises:
            Refused: the alias moved since, there is nothing to go back to, the wanted one is the
                active one or another, a file of it was changed, or the audit log is broken.
        """
        require_whole(self._file.path, self._file.anchors)

        def roll_back(hall: _Hall) -> AliasMove:
            book = hall.book
            alias = book.alias(agent_id)
            require_sequence(alias, expected)
            states = {each.revision_id: each.state for each in book.revisions(agent_id)}
            target = rollback_target(alias, book.moves(agent_id), states, wanted)
            revision = book.revision(agent_id, target)
            self._require_free(book, revision)
            require_move(revision, State.ACTIVE, hall.actor)
            self._folders.read(revision)
            Judging(book, self._folders, hall.transaction.now).require_reach(revision)
            move = _next(alias, MoveKind.ROLLED_BACK, revision, hall)
            stood = [each.findings for each in book.moves(agent_id) if each.after == target]
            return _moved(hall, move, stood[-1])

        return self._change(actor, roll_back)

    def quarantine(self, agent_id: str, revision_id: str, actor: Actor) -> Revision:
        """Take a revision out of use until a person releases it; the alias then stands nowhere.

        Who is no person may do this as well, and may not undo it. Once more by a person makes it
        a person's quarantine.

        Raises:
            BadInput: the agent has no such revision.
            Refused: it is not in use and not installed.
        """

        def put_away(hall: _Hall) -> Revision:
            revision = hall.book.revision(agent_id, revision_id)
            is_taken_over = revision.state is State.QUARANTINED and actor.is_person
            if not (is_taken_over and not revision.quarantined_by_person):
                require_move(revision, State.QUARANTINED, actor)
            undo = f"roboinvest agents release {agent_id} {revision.short}"
            return _taken_out(hall, revision, State.QUARANTINED, MoveKind.QUARANTINED, undo)

        return self._change(actor, put_away)

    def release(self, agent_id: str, revision_id: str, actor: Actor) -> Revision:
        """End a quarantine: the revision is installed again, and not active.

        Raises:
            BadInput: the agent has no such revision.
            Refused: no person asks, or it is not in quarantine.
        """

        def release(hall: _Hall) -> Revision:
            revision = hall.book.revision(agent_id, revision_id)
            if revision.state is not State.QUARANTINED:
                raise Refused(
                    f"revision {revision.short} of {agent_id} is {revision.state} and not in "
                    "quarantine; nothing was changed"
                )
            require_move(revision, State.INSTALLED, actor)
            undo = f"roboinvest agents quarantine {agent_id} {revision.short}"
            hall.book.set_state(revision, State.INSTALLED)
            return _told(hall, revision, "released", undo)

        return self._change(actor, release)

    def retire(self, agent_id: str, revision_id: str, actor: Actor) -> Revision:
        """Put a revision away for good; its files and its history stay.

        Raises:
            BadInput: the agent has no such revision.
            Refused: it is retired already, or is in quarantine and no person asks.
        """

        def retire(hall: _Hall) -> Revision:
            revision = hall.book.revision(agent_id, revision_id)
            require_move(revision, State.RETIRED, actor)
            return _taken_out(hall, revision, State.RETIRED, MoveKind.RETIRED, None)

        return self._change(actor, retire)

    def _objections(
        self, hall: _Hall, revision: Revision, judgement: Judgement
    ) -> tuple[Objection, ...]:
        rejects = hall.book.rejects(revision.agent_id, revision.fingerprint)
        candidate = Candidate(revision=revision, findings=judgement.findings, rejects=rejects)
        moves, now = hall.book.all_moves(), hall.transaction.now
        own = moves.get(revision.agent_id, ())
        found = objections(candidate, own, now, self._limits)
        return (*found, *objection_of(storm(moves, now, self._limits)))

    def _require_word(
        self, hall: _Hall, request: Activation, revision: Revision, judgement: Judgement
    ) -> None:
        """Raise NeedsApproval unless a person agreed where one has to."""
        if Gate.PERSON not in judgement.gates:
            return
        if request.approval_id is not None:
            self._approvals.use(hall.transaction, request.approval_id, revision)
        elif not hall.actor.is_person:
            raise NeedsApproval(
                f"revision {revision.short} of {revision.agent_id} needs a person's word (it asks "
                f"for {', '.join(sorted(revision.capabilities)) or 'nothing new of its own'}); "
                "propose it, and activate it with the approval"
            )

    def _require_free(self, book: RevisionBook, revision: Revision) -> None:
        """Raise Refused for code that is in quarantine, under whatever id and names."""
        held = book.in_quarantine(revision.fingerprint)
        if held is not None:
            raise Refused(
                f"revision {revision.short} of {revision.agent_id} is the code of {held.short} of "
                f"{held.agent_id}, which is in quarantine; a person releases that one first"
            )

    def _change(self, actor: Actor, work: Callable[[_Hall], ResultT]) -> ResultT:
        def change(transaction: Transaction) -> ResultT:
            return work(_Hall(transaction, RevisionBook(transaction.connection), actor))

        return self._file.write(change)


def _require_fresh_base(revision: Revision, alias: Alias, actor: Actor) -> None:
    """Refuse a machine's revision that was not made from what is active: it would undo that."""
    if actor.is_person or alias.revision_id in (None, revision.parent):
        return
    parent = revision.parent[:SHORT] if revision.parent else "nothing"
    raise Refused(
        f"revision {revision.short} of {revision.agent_id} was made from {parent}, and "
        f"{(alias.revision_id or '')[:SHORT]} is active; make it again from that one"
    )


def _next(alias: Alias, kind: MoveKind, to: Revision | None, hall: _Hall) -> AliasMove:
    return AliasMove(
        alias=alias.alias,
        sequence=alias.sequence + 1,
        kind=kind,
        before=alias.revision_id,
        after=None if to is None else to.revision_id,
        findings=0,
        forced=False,
        by=hall.actor.name,
        reason=hall.actor.reason,
        at=hall.transaction.now,
    )


def _moved(
    hall: _Hall,
    move: AliasMove,
    findings: int,
    *,
    forced: bool = False,
    details: dict[str, object] | None = None,
) -> AliasMove:
    """Move an alias from one revision to another, with the states of both."""
    book, agent_id = hall.book, move.alias
    before = book.alias(agent_id)
    if move.before is not None:
        leaving = book.revision(agent_id, move.before)
        require_move(leaving, State.INSTALLED, hall.actor)
        book.set_state(leaving, State.INSTALLED)
    coming = book.revision(agent_id, move.after or "")
    book.set_state(coming, State.ACTIVE)
    done = replace(move, findings=findings, forced=forced)
    book.add_move(done)
    undo = f"roboinvest agents quarantine {agent_id}"
    if move.before is not None:
        way = "rollback" if move.kind is MoveKind.ACTIVATED else "activate"
        undo = f"roboinvest agents {way} {agent_id} {move.before[:SHORT]}"
    hall.transaction.audit(
        entry(move.kind, agent_id, hall.actor, hall.transaction.now, before=points(before),
              after={**points(book.alias(agent_id)), **(details or {})}, undo=undo)
    )  # fmt: skip
    return done


def _taken_out(
    hall: _Hall, revision: Revision, to: State, kind: MoveKind, undo: str | None
) -> Revision:
    """Change a state, and let the alias stand nowhere if it stood there."""
    hall.book.set_state(revision, to, by_person=hall.actor.is_person)
    alias = hall.book.alias(revision.agent_id)
    if alias.revision_id == revision.revision_id:
        hall.book.add_move(_next(alias, kind, None, hall))
    return _told(hall, revision, kind, undo)


def _told(hall: _Hall, before: Revision, what: str, undo: str | None) -> Revision:
    """Write the audit row of a change of state, and return the revision as it is now."""
    after = hall.book.revision(before.agent_id, before.revision_id)
    alias = hall.book.alias(before.agent_id)
    hall.transaction.audit(
        entry(what, before.agent_id, hall.actor, hall.transaction.now, before=stands(before),
              after={**stands(after), **points(alias)}, undo=undo)
    )  # fmt: skip
    return after
