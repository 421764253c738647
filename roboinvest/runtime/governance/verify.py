"""Proves the audit log: its chain, its anchors, its guards, and that the inbox says the same.

What is found is told and not raised: who asks wants to know all of it. Anchors are read before the
rows, so that a transaction between the two is no finding. Who looks again and again may have only
what is new checked; then an edit of older rows is found by the next whole verification.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from roboinvest.core.audit import Anchor, Break, ChainCheck, StoredRow, check_chain
from roboinvest.core.errors import BadInput, BadSettings, Refused, TryLater
from roboinvest.runtime.governance.anchors import anchors_beside, read_anchors
from roboinvest.runtime.governance.file import COLUMNS
from roboinvest.runtime.governance.schema import AUDIT, INBOX, KEEPERS, KIND, OUTCOMES
from roboinvest.runtime.lanes.file import in_words, open_reader

_ROWS: Final = f"SELECT {COLUMNS} FROM audit WHERE number >= ? ORDER BY number"  # noqa: S608 the columns are ours
_PACE: Final = 250  # rows between two pauses
_FIRST: Final = -(2**63)  # no row has a lower number
_PASSING: Final = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_FULL"),
    *("SQLITE_PROTOCOL", "SQLITE_INTERRUPT"),
)
_SAID: Final = "SELECT subject, kind, after FROM audit WHERE kind GLOB 'proposal.*' ORDER BY number"


def no_pause() -> None:
    """Go on at once."""


def verify(
    path: Path,
    anchors: Path | None = None,
    *,
    since: ChainCheck | None = None,
    pause: Callable[[], None] = no_pause,
) -> ChainCheck:
    """Return what is wrong with the audit log of a governance file; nothing is changed.

    Args:
        path: of the database; it has to be there.
        anchors: the log file with the anchors; None: where they lie by default.
        since: what an earlier verification found whole; only what came after it is looked at, and
            not what the inbox says. None: all of it.
        pause: called every few hundred rows, for who has other threads to think of; what it raises
            ends the verification.

    Raises:
        BadInput: there is no such file.
        OSError: the anchors cannot be read.
        TryLater: other processes hold the file.
    """
    if not path.exists():
        raise BadInput(f"{path} does not exist; nothing was proposed or changed here yet")
    known, faults = read_anchors(anchors or anchors_beside(path))
    try:
        with contextlib.closing(open_reader(path, KIND)) as connection:
            connection.text_factory = _text
            connection.execute("BEGIN")  # one moment, whoever writes meanwhile
            if since is None:
                found = check_chain(_rows(connection, _FIRST, pause), known)
                others = [*_guards(connection), *_inbox(connection)]
            else:
                found = _of_what_is_new(_rows(connection, since.rows, pause), known, since)
                others = [*_guards(connection)]
    except BadSettings as error:
        _require_a_file(path)
        return _of(0, (Break(number=0, text=str(error)),))
    except sqlite3.Error as error:
        _require_lasting(error, path)
        return _of(0, (Break(number=0, text=f"{path} cannot be read: {in_words(error)}"),))
    breaks = (*found.breaks, *faults, *others)
    return ChainCheck(rows=found.rows, digest=found.digest, anchors=found.anchors, breaks=breaks)


def require_whole(path: Path, anchors: Path | None = None) -> None:
    """Raise Refused where the audit log is not what was written; for whoever is about to promote.

    Raises:
        Refused: a row was edited, removed, inserted or moved, a guard is missing, or nobody can
            tell.
        TryLater: other processes hold the file.
    """
    try:
        found = verify(path, anchors)
    except OSError as error:
        raise Refused(
            f"the anchors of the audit log cannot be read ({error.strerror or error}), and nothing "
            "is promoted or approved without them; mend that, and try again"
        ) from error
    if not found.is_whole:
        raise Refused(
            f"the audit log is not what was written: {found.breaks[0].text}; nothing is promoted "
            "or approved until a person has looked: roboinvest audit verify"
        )


def _passes(error: sqlite3.Error) -> bool:
    """Return whether an error tells of this moment, and not of the file."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(_PASSING)


def _require_lasting(error: sqlite3.Error, path: Path) -> None:
    """Raise TryLater for an error that is no finding: nobody could look."""
    if _passes(error):
        raise TryLater(
            f"{path} cannot be read now ({in_words(error)}); nothing is known of it: look at the "
            "disk, and try again"
        ) from error


def _require_a_file(path: Path) -> None:
    """Raise TryLater where this process may open no file at all: that is no finding either."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise TryLater(
            f"{path} cannot be read now ({error.strerror}); nothing is known of it: let this "
            "process open more files, and try again"
        ) from error


def _of_what_is_new(
    rows: Iterator[StoredRow], anchors: Sequence[Anchor], since: ChainCheck
) -> ChainCheck:
    """Check the rows after the last known one, which has to stand there as it did."""
    if since.rows > 0:
        stored = next(rows, None)
        if stored is None or (stored[0], stored[-1]) != (since.rows, since.digest):
            text = f"row {since.rows} is not the row that stood there when it was last verified"
            return _of(since.rows, (Break(number=since.rows, text=text),))
    newer = [each for each in anchors if not 0 < each.number < since.rows]
    found = check_chain(rows, newer, after=(since.rows, since.digest))
    at_the_edge = [
        Break(number=each.number, text=f"the anchor of row {each.number} is of another row")
        for each in newer
        if each.number == since.rows > 0 and each.digest != since.digest
    ]
    breaks = (*at_the_edge, *found.breaks)
    return ChainCheck(rows=found.rows, digest=found.digest, anchors=len(anchors), breaks=breaks)


def _rows(
    connection: sqlite3.Connection, first: int, pause: Callable[[], None]
) -> Iterator[StoredRow]:
    """Return the rows; one that cannot be read is a row without content, and the last."""
    number = 0
    try:
        for count, row in enumerate(connection.execute(_ROWS, (first,))):
            if count % _PACE == _PACE - 1:
                pause()
            number = row[0]
            yield row
    except sqlite3.Error as error:
        if _passes(error):
            raise
        yield (number + 1, *[b""] * (len(COLUMNS.split(", ")) - 1))


def _guards(connection: sqlite3.Connection) -> Iterator[Break]:
    """Return the tables and triggers that are not as they were made."""
    texts = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    there = {str(text).strip() for (text,) in texts}
    for statement in (*AUDIT, *INBOX, *OUTCOMES, *KEEPERS):
        if statement.strip() not in there:
            kind, name = [word for word in statement.split() if word != "UNIQUE"][1:3]
            text = f"the {kind.lower()} {name} is missing or was changed: it guards what stands"
            yield Break(number=0, text=text)


def _inbox(connection: sqlite3.Connection) -> Iterator[Break]:
    """Return the proposals that say something else than the audit log does."""
    told: dict[str, dict[str, str]] = {}  # the last row of each proposal
    digests: set[tuple[str, str]] = set()
    used: set[str] = set()
    for name, kind, after in connection.execute(_SAID):
        with contextlib.suppress(ValueError, TypeError, KeyError):
            said = json.loads(after)
            told[name] = said
            digests.add((name, said["digest"]))
            if kind == "proposal.used":
                used.add(name)
    rows = connection.execute("SELECT proposal_id, state, digest FROM proposals").fetchall()
    for name, state, digest in rows:
        said = told.pop(name, {})
        if (said.get("state"), said.get("digest")) != (state, digest):
            text = f"proposal {name} is {state} in the inbox, and {said.get('state')} by the log"
            yield Break(number=0, text=text)
    for name in told:
        yield Break(number=0, text=f"proposal {name} is in the log, and missing in the inbox")
    yield from _versions(connection, digests)
    approvals = "SELECT DISTINCT proposal_id FROM approvals WHERE used_at IS NOT NULL"
    for (name,) in connection.execute(approvals).fetchall():
        if name not in used:
            text = f"an approval of {name} is marked as used, and the log knows of no use"
            yield Break(number=0, text=text)


def _versions(connection: sqlite3.Connection, digests: set[tuple[str, str]]) -> Iterator[Break]:
    contents = connection.execute("SELECT proposal_id, digest, content FROM proposal_versions")
    for name, digest, content in contents.fetchall():
        found = hashlib.sha256(str(content).encode("utf-8", "surrogateescape")).hexdigest()
        if found != digest or (name, digest) not in digests:
            text = (
                f"what was proposed as {name} was changed: it does not give the digest in the log"
            )
            yield Break(number=0, text=text)


def _text(content: bytes) -> str:
    """Return text as it is stored, also where it is no text: its digest will not fit then."""
    return content.decode("utf-8", "surrogateescape")


def _of(rows: int, breaks: tuple[Break, ...]) -> ChainCheck:
    return ChainCheck(rows=rows, digest="", anchors=0, breaks=breaks)
