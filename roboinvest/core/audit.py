"""The audit log as values: who changed what, why, from what to what, and how it is undone.

Rows form a chain: the digest of each covers the digest of the one before, so that a row that is
edited, removed, inserted or moved breaks the chain where it stood. A chain that was written anew
from some row on is whole again; what finds that, and rows missing at the end, are anchors: number
and digest of rows, kept in another file. Who can rewrite both files can lie; nothing here claims
otherwise.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from roboinvest.core.errors import BadInput

GENESIS: Final = hashlib.sha256(b"roboinvest audit 1").hexdigest()  # before the first row
MAX_TEXT: Final = 64_000  # characters of one field; a diff goes by its digest
MOST_BREAKS: Final = 20  # that a check goes on to tell
FIELDS: Final = ("kind", "subject", "who", "why", "before", "after", "undo", "at")

_KIND: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

StoredRow = tuple[
    object, ...
]  # number, the fields in order, previous, digest: as the file has them


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change of state, as whoever makes it tells it."""

    kind: str  # what happened, in words with dots: "proposal.approved"
    subject: str  # what it happened to: an id, an alias, a name
    who: str
    why: str
    before: str | None  # JSON text; None: there was nothing
    after: str | None  # JSON text; None: there is nothing
    undo: str | None  # what a person types or does to undo it; None: it cannot be undone
    at: datetime  # UTC

    def __post_init__(self) -> None:
        """Check that the entry says something, and that it can be stored as it is.

        Raises:
            BadInput: a field is empty, too long, no JSON, no UTC time or not text of Unicode.
        """
        if not _KIND.fullmatch(self.kind):
            raise BadInput(f"{self.kind!r} is no kind of audit entry; write it as thing.happened")
        for name in ("subject", "who", "why"):
            if not getattr(self, name).strip():
                raise BadInput(f"an audit entry {self.kind} needs {name}; it is empty")
        if self.at.utcoffset() != timedelta(0):
            raise BadInput(f"an audit entry is stamped in UTC, and {self.at} is not")
        for name in FIELDS[:-1]:
            _require_storable(self.kind, name, getattr(self, name))
        for name in ("before", "after"):
            _require_json(self.kind, name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry as it stands in the chain."""

    number: int  # 1 for the first
    entry: AuditEntry
    previous: str  # digest of the row before, hex
    digest: str  # of this row, hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What the chain came to at some moment, kept outside of its file."""

    number: int  # rows so far; 0: the file was made
    digest: str  # of that row, hex
    at: datetime  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place where the chain is not what was written."""

    number: int  # the row; 0: none in particular
    text: str  # one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What became of a verification."""

    rows: int
    digest: str  # of the last row, hex
    anchors: int  # that were compared
    breaks: tuple[Break, ...]  # by row, the first ones; () for a whole chain

    @property
    def is_whole(self) -> bool:
        """Return whether nothing was found."""
        return not self.breaks


def fields_of(entry: AuditEntry) -> tuple[str | None, ...]:
    """Return the fields of an entry as they are stored and digested."""
    told = (entry.kind, entry.subject, entry.who, entry.why, entry.before, entry.after, entry.undo)
    return (*told, stamp(entry.at))


def stamp(at: datetime) -> str:
    """Return an instant as the one text that is stored: ISO 8601, UTC, microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def row_digest(previous: str, number: int, entry: AuditEntry) -> str:
    """Return the SHA-256, in hex, over a row and the digest of the row before."""
    return _digest(previous, number, fields_of(entry))


def row_of(stored: StoredRow) -> AuditRow:
    """Return a stored row as a value.

    Raises:
        BadInput: it is not what `fields_of` made.
    """
    number, *fields, previous, digest = stored
    told: Mapping[str, object] = dict(zip(FIELDS, fields, strict=True))
    try:
        at = datetime.fromisoformat(str(told["at"]))
        entry = AuditEntry(**{**told, "at": at})  # type: ignore[arg-type]
        return AuditRow(
            number=int(str(number)), entry=entry, previous=str(previous), digest=str(digest)
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"row {number} of the audit log cannot be read: {error}") from error


def check_chain(
    rows: Iterable[StoredRow],
    anchors: Sequence[Anchor],
    *,
    after: tuple[int, str] = (0, GENESIS),
) -> ChainCheck:
    """Return what is wrong with a chain, in the order of its rows.

    After a row that is not what was written the check goes on from what the file says there, so
    that each fault is told once.

    Args:
        rows: as they are stored, by number.
        anchors: as they were written, in any order; one of number 0 has to be there.
        after: number and digest of the row that the first one follows; what lies before it is
            taken for granted, its anchors too.
    """
    wanted: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        wanted.setdefault(anchor.number, []).append(anchor)
    breaks: list[Break] = []
    last, digest = after
    for stored in rows:
        found = _break_at(stored, last, digest)
        number, said = stored[0], stored[-1]
        last = number if isinstance(number, int) else last + 1
        digest = said if isinstance(said, str) else ""
        found = found or _against(wanted.get(last, ()), digest)
        if found is not None:
            breaks.append(found)
        if len(breaks) >= MOST_BREAKS:
            break
    else:
        breaks += _cut_off(anchors, last)
    breaks += [_not_from_the_start()] if 0 not in wanted else []
    breaks += [found for found in [_against(wanted.get(0, ()), GENESIS)] if found is not None]
    return ChainCheck(rows=last, digest=digest, anchors=len(anchors), breaks=tuple(breaks))


def _break_at(stored: StoredRow, last: int, digest: str) -> Break | None:
    """Return what is wrong with a row that should follow row `last`."""
    number, *fields, previous, said = stored
    if not isinstance(number, int) or isinstance(number, bool):
        return Break(number=last + 1, text=f"the row after row {last} has no number")
    if number != last + 1:
        gone = (
            f"row {last + 1} is" if number == last + 2 else f"rows {last + 1} to {number - 1} are"
        )
        if number > last + 1:
            return Break(number=last + 1, text=f"{gone} missing: row {number} follows row {last}")
        return Break(number=number, text=f"row {number} stands after row {last}: it was moved")
    if not all(field is None or isinstance(field, str) for field in (*fields, previous, said)):
        return Break(number=number, text=f"row {number} was edited: a field of it is not text")
    is_itself = said == _digest(str(previous), number, fields)
    if previous == digest:
        text = f"row {number} was edited: its content does not give its digest"
        return None if is_itself else Break(number=number, text=text)
    if is_itself:
        text = (
            f"row {number} does not follow row {last}: a row was edited, removed, inserted or "
            "moved there"
        )
    else:
        text = f"row {number} is not what was written: neither its content nor its place fits"
    return Break(number=number, text=text)


def _against(anchors: Sequence[Anchor], digest: str) -> Break | None:
    for anchor in anchors:
        if anchor.digest != digest:
            text = (
                f"row {anchor.number} is not the row that was anchored at {stamp(anchor.at)}: the "
                "chain was written anew before it, or the anchor was edited"
            )
            return Break(number=anchor.number, text=text)
    return None


def _cut_off(anchors: Sequence[Anchor], last: int) -> list[Break]:
    """Return the rows that are missing at the end, by what the anchors know."""
    beyond = [anchor for anchor in anchors if anchor.number > last]
    if not beyond:
        return []
    furthest = max(beyond, key=lambda anchor: anchor.number)
    text = (
        f"the log ends with row {last}, and row {furthest.number} was anchored at "
        f"{stamp(furthest.at)}: rows from {last + 1} on were removed"
    )
    return [Break(number=last + 1, text=text)]


def _not_from_the_start() -> Break:
    text = "the anchors do not begin where the log does: they are missing, or earlier ones are"
    return Break(number=0, text=text)


def _digest(previous: str, number: int, fields: Sequence[object]) -> str:
    text = json.dumps([previous, number, *fields], separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _require_storable(kind: str, name: str, text: str | None) -> None:
    if text is None:
        return
    if len(text) > MAX_TEXT:
        raise BadInput(
            f"{name} of an audit entry {kind} has {len(text)} characters, and {MAX_TEXT} are "
            "allowed; store a digest and where it lies"
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"{name} of an audit entry {kind} is not Unicode text: {error}") from error
    if "\0" in text:
        raise BadInput(f"{name} of an audit entry {kind} holds a NUL character; take it out")


def _require_json(kind: str, name: str, text: str | None) -> None:
    if text is None:
        return
    try:
        json.loads(text)
    except ValueError as error:
        raise BadInput(f"{name} of an audit entry {kind} is no JSON text: {error}") from error


def anchor_line(anchor: Anchor) -> str:
    """Return the line of a log file that keeps an anchor, with its end."""
    facts = {"event": "audit_anchor", "number": anchor.number, "digest": anchor.digest}
    return json.dumps({**facts, "at": stamp(anchor.at)}, separators=(",", ":")) + "\n"


def anchor_of(line: str) -> Anchor:
    """Return the anchor that a line keeps.

    Raises:
        BadInput: it is none.
    """
    try:
        facts = json.loads(line)
        number, digest, at = facts["number"], facts["digest"], datetime.fromisoformat(facts["at"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"the line is no anchor of the audit log: {error!r}") from error
    is_number = isinstance(number, int) and not isinstance(number, bool) and number >= 0
    if not (is_number and isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise BadInput("the line is no anchor of the audit log: number or digest is none")
    if at.utcoffset() != timedelta(0):
        raise BadInput("the line is no anchor of the audit log: its time is not UTC")
    return Anchor(number=number, digest=digest, at=at)
