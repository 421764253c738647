"""What the books and the disk say of a revision that is judged: content, reach and records."""

from __future__ import annotations

from collections.abc import Sequence

from meta_agents.evolution.review import Content, Review
from roboinvest.core.ports import Clock
from roboinvest.core.proposals import Capability
from roboinvest.core.revisions.gates import (
    Gate,
    GateRecord,
    Judge,
    Subject,
    Verdict,
    capability_digest,
    missing_evidence,
)
from roboinvest.core.revisions.lifecycle import MoveKind, Revision, State
from roboinvest.core.revisions.reach import Powers, reach_of
from roboinvest.runtime.revisions.book import RevisionBook
from roboinvest.runtime.revisions.judging import Judging
from roboinvest.runtime.revisions.opening import Revisions

_Reached = tuple[frozenset[Capability], frozenset[Capability]]


class Evidence:
    """Reads, and writes nothing; every answer is of one moment."""

    def __init__(self, house: Revisions, clock: Clock) -> None:
        self._house = house
        self._clock = clock

    def review(self, agent_id: str, revision_id: str) -> tuple[Review, frozenset[Gate]]:
        """Return what is to be judged, verified, and the gates that it needs."""

        def look(book: RevisionBook) -> tuple[Revision, frozenset[Gate], _Reached, Revision | None]:
            own = book.revision(agent_id, revision_id)
            judging = Judging(book, self._house.folders, self._clock.now())
            judging.require_reach(own)
            gates = judging.of(own).gates
            parent = None if own.parent is None else book.revision(agent_id, own.parent)
            return own, gates, _reached(book, own, parent), parent

        own, gates, reached, parent = self._house.store.read_book(look)
        review = Review(
            own=self._content(own),
            parent=None if parent is None else self._content(parent),
            reach=reached[0],
            parent_reach=reached[1],
        )
        return review, gates

    def fault(self, revision: Revision, gate: Gate) -> str | None:
        """Return why a gate is not passed by the records as they lie there; None: it is."""

        def look(book: RevisionBook) -> tuple[str, ...]:
            subject = Subject(
                artifact_digest=revision.artifact_digest,
                capability_digest=capability_digest(revision.capabilities),
            )
            records = self._records(book, revision)
            return missing_evidence(
                [gate], _of(gate, records), subject, book.standards(), self._clock.now()
            )

        faults = self._house.store.read_book(look)
        return "; ".join(faults) or None

    def newest(self, revision: Revision) -> dict[Gate, GateRecord]:
        """Return the newest computed record of each gate."""
        records = self._house.store.read_book(lambda book: self._records(book, revision))
        return {each.gate: each for each in records if each.judge is Judge.COMPUTED}

    def known(self, revision: Revision) -> tuple[str, ...]:
        """Return the digests of a revision's records, oldest first."""
        return self._house.store.read_book(lambda book: book.records(revision.revision_id))

    def rounds(self, revision: Revision) -> int:
        """Return how many revisions of an agent failed a gate since it was last promoted."""

        def count(book: RevisionBook) -> int:
            moves = book.moves(revision.agent_id)
            promoted = [move.at for move in moves if move.kind is MoveKind.ACTIVATED]
            return sum(
                any(
                    record.judge is Judge.COMPUTED and record.verdict is Verdict.FAILED
                    for record in self._records(book, each)
                )
                for each in book.revisions(revision.agent_id)
                if not promoted or each.made_at > promoted[-1]
            )

        return self._house.store.read_book(count)

    def revision(self, agent_id: str, revision_id: str) -> Revision:
        return self._house.store.read_book(lambda book: book.revision(agent_id, revision_id))

    def _records(self, book: RevisionBook, revision: Revision) -> list[GateRecord]:
        digests = book.records(revision.revision_id)
        return [self._house.folders.read_record(revision, digest) for digest in digests]

    def _content(self, revision: Revision) -> Content:
        stored = self._house.folders.read(revision)
        return Content(revision=revision, manifest=stored.manifest, files=stored.files)


def _reached(book: RevisionBook, own: Revision, parent: Revision | None) -> _Reached:
    """Return what a revision and its parent reach, with what every active agent has."""
    powers = {
        each.agent_id: Powers(capabilities=each.capabilities, calls=each.calls)
        for each in book.revisions()
        if each.state is State.ACTIVE
    }

    def reach(revision: Revision) -> frozenset[Capability]:
        mine = Powers(capabilities=revision.capabilities, calls=revision.calls)
        return reach_of(revision.agent_id, {**powers, revision.agent_id: mine})

    return reach(own), frozenset() if parent is None else reach(parent)


def _of(gate: Gate, records: Sequence[GateRecord]) -> list[GateRecord]:
    """Return the records of a gate; a model's findings are of all of them."""
    return [each for each in records if each.gate is gate]
