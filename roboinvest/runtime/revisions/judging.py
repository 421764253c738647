"""What a revision may reach, which gates that asks for, and what its evidence is worth now.

Judged anew at every step that leads to power, from the records as they lie on the disk, against
what the gates are in this house at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from roboinvest.core.errors import Refused
from roboinvest.core.revisions.gates import (
    BEFORE_INSTALL,
    Gate,
    GateRecord,
    Subject,
    capability_digest,
    findings_of,
    missing_evidence,
    require_grantable,
    required_gates,
)
from roboinvest.core.revisions.lifecycle import Revision, State
from roboinvest.core.revisions.reach import Powers, callers_of, reach_of
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.folders import RevisionFolders

_TOLD: Final = 4  # faults in one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the evidence of a revision comes to at one moment."""

    gates: frozenset[Gate]  # required
    records: tuple[str, ...]  # digests of all there are, oldest first
    faults: tuple[str, ...]  # of those that are required; () where nothing is missing
    findings: int  # of the newest records, mere information left out


class Judging:
    """Judges revisions within one transaction."""

    def __init__(self, book: RevisionBook, folders: RevisionFolders, now: datetime) -> None:
        self._book = book
        self._folders = folders
        self._now = now

    def of(self, revision: Revision) -> Judgement:
        """Judge a revision as if it stood at its alias, and its callers with what it brings them.

        Raises:
            Refused: no gate gives an agent what it would reach, or a record was changed.
        """
        powers = self._powers_with(revision)
        gates = self._gates(revision, powers)
        faults = list(self._faults(revision, gates))
        for name in callers_of(revision.agent_id, powers):
            caller = self._active(name)
            if caller is not None:
                wanted = self._gates(caller, powers)
                faults += [f"{name}: {fault}" for fault in self._faults(caller, wanted)]
                gates |= wanted & {Gate.PERSON}
        records = self._book.records(revision.revision_id)
        return Judgement(
            gates=gates,
            records=records,
            faults=tuple(faults),
            findings=findings_of(self._read(revision, records)),
        )

    def faults_before_install(self, revision: Revision) -> tuple[str, ...]:
        """Return what is missing of the evidence that a revision can have while it does nothing.

        Raises:
            Refused: nobody may reach what it would, or a caller of it would.
        """
        self.require_reach(revision)
        gates = self._gates(revision, self._powers_with(revision))
        return self._faults(revision, gates & BEFORE_INSTALL)

    def require_reach(self, revision: Revision) -> None:
        """Raise Refused when nobody may reach what this revision, or a caller of it, would."""
        powers = self._powers_with(revision)
        for name in (revision.agent_id, *callers_of(revision.agent_id, powers)):
            require_grantable(name, reach_of(name, powers))

    def _gates(self, revision: Revision, powers: Mapping[str, Powers]) -> frozenset[Gate]:
        name = revision.agent_id
        reach = reach_of(name, powers)
        require_grantable(name, reach)
        before = [reach_of(name, {**self._powers(), name: _of(each)})
                  for each in self._predecessors(revision)]  # fmt: skip
        return required_gates(reach, frozenset.intersection(*before) if before else None)

    def _predecessors(self, revision: Revision) -> Iterator[Revision]:
        """Yield what somebody let be active: the last one that was, and the parent if it was.

        A parent that never was active proves nothing: a draft may ask for anything.
        """
        stood = [move.after for move in self._book.moves(revision.agent_id) if move.after]
        for revision_id in {*stood[-1:], *({revision.parent} & {*stood})}:
            found = self._book.find(revision_id or "")
            if found is not None:
                yield found

    def _powers(self) -> dict[str, Powers]:
        return {
            each.agent_id: _of(each)
            for each in self._book.revisions()
            if each.state is State.ACTIVE
        }

    def _powers_with(self, revision: Revision) -> dict[str, Powers]:
        return {**self._powers(), revision.agent_id: _of(revision)}

    def _active(self, agent_id: str) -> Revision | None:
        found = self._book.alias(agent_id).revision_id
        return None if found is None else self._book.find(found)

    def _faults(self, revision: Revision, gates: Iterable[Gate]) -> tuple[str, ...]:
        subject = Subject(
            artifact_digest=revision.artifact_digest,
            capability_digest=capability_digest(revision.capabilities),
        )
        records = self._read(revision, self._book.records(revision.revision_id))
        return missing_evidence(gates, records, subject, self._book.standards(), self._now)

    def _read(self, revision: Revision, digests: Iterable[str]) -> list[GateRecord]:
        return [self._folders.read_record(revision, digest) for digest in digests]


def require_evidence(revision: Revision, faults: tuple[str, ...], step: State) -> None:
    """Raise Refused unless nothing is missing."""
    if not faults:
        return
    more = f" and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
    raise Refused(
        f"revision {revision.short} of {revision.agent_id} does not become {step}: "
        f"{'; '.join(faults[:_TOLD])}{more}; run the gates on it again"
    )


def _of(revision: Revision) -> Powers:
    return Powers(capabilities=revision.capabilities, calls=revision.calls)
