"""The audit rows of revisions: each says who, why, from what to what, and how it is undone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from roboinvest.core.audit import AuditEntry
from roboinvest.core.records import plain_json, to_plain
from roboinvest.core.revisions.lifecycle import Actor, Alias, Revision


def entry(
    what: str,
    agent_id: str,
    actor: Actor,
    at: datetime,
    *,
    before: Mapping[str, object] | None,
    after: Mapping[str, object],
    undo: str | None,
) -> AuditEntry:
    """Return the row for one change; `what` is past tense: "activated"."""
    return AuditEntry(
        kind=f"revision.{what}",
        subject=agent_id,
        who=actor.name,
        why=actor.reason,
        before=None if before is None else plain_json(to_plain(dict(before))),
        after=plain_json(to_plain({**after, "person": actor.is_person})),
        undo=undo,
        at=at,
    )


def stands(revision: Revision) -> dict[str, object]:
    """Return where a revision stands, for before and after."""
    return {"revision": revision.revision_id, "state": revision.state}


def points(alias: Alias) -> dict[str, object]:
    """Return where an alias stands, for before and after."""
    return {"active": alias.revision_id, "sequence": alias.sequence}
