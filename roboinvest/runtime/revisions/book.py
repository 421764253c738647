"""What the governance file says of revisions: rows as values, within somebody's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from roboinvest.core.errors import BadInput
from roboinvest.core.proposals import Capability
from roboinvest.core.records import plain_json
from roboinvest.core.revisions.artifact import Manifest
from roboinvest.core.revisions.gates import Gate, Standard
from roboinvest.core.revisions.lifecycle import Actor, Alias, AliasMove, MoveKind, Revision, State

_REVISION: Final = (
    "SELECT agent_id, revision_id, parent, artifact_digest, fingerprint, capabilities, calls, "
    "state, made_at, made_by, quarantined_by_person FROM revisions"
)
_MOVES: Final = (
    "SELECT alias, sequence, kind, before, after, findings, forced, by, reason, at "
    "FROM alias_moves WHERE alias = ? ORDER BY sequence"
)
_REJECTS: Final = (
    "SELECT count(*) FROM rejects WHERE alias = :alias AND fingerprint = :mark "
    "AND NOT acknowledged AND number > (SELECT coalesce(max(number), 0) FROM rejects "
    "WHERE alias = :alias AND fingerprint = :mark AND acknowledged)"
)


class RevisionBook:
    """Reads and writes the tables of revisions on a connection whose transaction is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def find(self, revision_id: str) -> Revision | None:
        """Return a revision, or None where nobody drafted it."""
        row = self._connection.execute(f"{_REVISION} WHERE revision_id = ?", (revision_id,))
        found = row.fetchone()
        return None if found is None else _revision(found)

    def revision(self, agent_id: str, revision_id: str) -> Revision:
        """Return a revision of an agent.

        Raises:
            BadInput: that agent has none of that id.
        """
        found = self.find(revision_id)
        if found is None or found.agent_id != agent_id:
            raise BadInput(
                f"{agent_id} has no revision {revision_id[:64]}; "
                f"`roboinvest agents history {agent_id}` lists what it has"
            )
        return found

    def revisions(self, agent_id: str | None = None) -> tuple[Revision, ...]:
        """Return the revisions of one agent, or of all, oldest first."""
        rows = self._connection.execute(
            f"{_REVISION} WHERE ?1 IS NULL OR agent_id = ?1 ORDER BY agent_id, made_at, rowid",
            (agent_id,),
        )
        return tuple(_revision(row) for row in rows)

    def in_force(self) -> tuple[Revision, ...]:
        """Return the active revision of each agent that has one, by agent."""
        rows = self._connection.execute(f"{_REVISION} WHERE state = 'active' ORDER BY agent_id")
        return tuple(_revision(row) for row in rows)

    def moves(self, alias: str) -> tuple[AliasMove, ...]:
        """Return the history of an alias, oldest first."""
        return tuple(_move(row) for row in self._connection.execute(_MOVES, (alias,)))

    def all_moves(self) -> Mapping[str, tuple[AliasMove, ...]]:
        """Return the history of every alias, by its name."""
        names = self._connection.execute("SELECT DISTINCT alias FROM alias_moves ORDER BY alias")
        return {str(name): self.moves(str(name)) for (name,) in names.fetchall()}

    def alias(self, alias: str) -> Alias:
        """Return where an alias stands, which is its last move."""
        moves = self.moves(alias)
        if not moves:
            return Alias(alias=alias, revision_id=None, sequence=0)
        return Alias(alias=alias, revision_id=moves[-1].after, sequence=moves[-1].sequence)

    def records(self, revision_id: str) -> tuple[str, ...]:
        """Return the digests of a revision's gate records, oldest first."""
        rows = self._connection.execute(
            "SELECT digest FROM gate_records WHERE revision_id = ? ORDER BY number", (revision_id,)
        )
        return tuple(str(row[0]) for row in rows)

    def known(self) -> Mapping[str, Collection[str]]:
        """Return the digests of every gate record, by "<agent_id>/<revision_id>"."""
        found: dict[str, set[str]] = {
            f"{agent}/{revision}": set()
            for agent, revision in self._connection.execute(
                "SELECT agent_id, revision_id FROM revisions"
            )
        }
        for agent, revision, digest in self._connection.execute(
            "SELECT agent_id, revision_id, digest FROM gate_records JOIN revisions "
            "USING (revision_id)"
        ):
            found[f"{agent}/{revision}"].add(digest)
        return found

    def standards(self) -> Mapping[Gate, Standard]:
        """Return what each gate is in this house today."""
        rows = self._connection.execute(
            "SELECT gate, evaluator_digest, data_digest, version FROM gate_standards "
            "ORDER BY number"
        )
        found = (
            Standard(gate=Gate(gate), evaluator_digest=judge, data_digest=data, version=version)
            for gate, judge, data, version in rows
        )
        return {standard.gate: standard for standard in found}

    def rejects(self, alias: str, fingerprint: str) -> int:
        """Return how often a change was rejected since a person last acknowledged that."""
        values = {"alias": alias, "mark": fingerprint}
        return int(self._connection.execute(_REJECTS, values).fetchone()[0])

    def in_quarantine(self, fingerprint: str) -> Revision | None:
        """Return a revision, of whichever agent, that has this code and is in quarantine."""
        found = self._connection.execute(
            f"{_REVISION} WHERE fingerprint = ? AND state = ?", (fingerprint, State.QUARANTINED)
        ).fetchone()
        return None if found is None else _revision(found)

    def add_revision(self, manifest: Manifest, by: str, at: datetime) -> Revision:
        """Make a revision known, as a draft, and return it."""
        self._connection.execute(
            "INSERT INTO revisions (revision_id, agent_id, parent, artifact_digest, fingerprint, "
            "capabilities, calls, state, made_at, made_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                manifest.revision_id,
                manifest.agent_id,
                manifest.parent,
                manifest.artifact_digest,
                manifest.fingerprint,
                plain_json(sorted(manifest.capabilities)),
                plain_json(list(manifest.calls)),
                State.DRAFT,
                at.isoformat(),
                by,
            ),
        )
        return self.revision(manifest.agent_id, manifest.revision_id)

    def set_state(self, revision: Revision, to: State, *, by_person: bool = False) -> None:
        """Put a revision where a rule of the core allowed it to go."""
        self._connection.execute(
            "UPDATE revisions SET state = ?, quarantined_by_person = ? WHERE revision_id = ?",
            (to, to is State.QUARANTINED and by_person, revision.revision_id),
        )

    def add_move(self, move: AliasMove) -> None:
        """Append a move to the history of an alias."""
        self._connection.execute(
            "INSERT INTO alias_moves (alias, sequence, kind, before, after, findings, forced, by, "
            "reason, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                move.alias,
                move.sequence,
                move.kind,
                move.before,
                move.after,
                move.findings,
                move.forced,
                move.by,
                move.reason,
                move.at.isoformat(),
            ),
        )

    def add_record(self, revision: Revision, gate: Gate, digest: str, at: datetime) -> None:
        """Make a gate record known."""
        self._connection.execute(
            "INSERT INTO gate_records (revision_id, gate, digest, at) VALUES (?, ?, ?, ?)",
            (revision.revision_id, gate, digest, at.isoformat()),
        )

    def add_standard(self, standard: Standard, by: str, at: datetime) -> None:
        """Set what a gate is from now on."""
        self._connection.execute(
            "INSERT INTO gate_standards (gate, evaluator_digest, data_digest, version, by, at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                standard.gate,
                standard.evaluator_digest,
                standard.data_digest,
                standard.version,
                by,
                at.isoformat(),
            ),
        )

    def add_reject(
        self, revision: Revision, actor: Actor, at: datetime, *, acknowledged: bool = False
    ) -> None:
        """Count a rejection of a change, or note that a person acknowledged those so far."""
        self._connection.execute(
            "INSERT INTO rejects (alias, fingerprint, revision_id, acknowledged, by, reason, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                revision.agent_id,
                revision.fingerprint,
                revision.revision_id,
                acknowledged,
                actor.name,
                actor.reason,
                at.isoformat(),
            ),
        )


def _revision(row: Sequence[object]) -> Revision:
    agent_id, revision_id, parent, digest, mark, capabilities, calls, *rest = row
    state, made_at, made_by, by_person = rest
    return Revision(
        agent_id=str(agent_id),
        revision_id=str(revision_id),
        parent=None if parent is None else str(parent),
        artifact_digest=str(digest),
        fingerprint=str(mark),
        capabilities=frozenset(map(Capability, json.loads(str(capabilities)))),
        calls=tuple(json.loads(str(calls))),
        state=State(str(state)),
        made_at=datetime.fromisoformat(str(made_at)),
        made_by=str(made_by),
        quarantined_by_person=bool(by_person),
    )


def _move(row: Sequence[object]) -> AliasMove:
    alias, sequence, kind, before, after, findings, forced, by, reason, at = row
    return AliasMove(
        alias=str(alias),
        sequence=int(str(sequence)),
        kind=MoveKind(str(kind)),
        before=None if before is None else str(before),
        after=None if after is None else str(after),
        findings=int(str(findings)),
        forced=bool(forced),
        by=str(by),
        reason=str(reason),
        at=datetime.fromisoformat(str(at)),
    )
